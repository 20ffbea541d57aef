"""CHASE_DB1: photographs of both eyes of a child in JPEG, about the optic disc, and two observers' vessels in
PNG of one bit, all in one folder.
"""

from pathlib import Path

import cv2
import numpy as np

from tests.phantoms import anatomy, containers
from tests.phantoms.fundus import Fundus
from tests.phantoms.truth import Thing, TrueRow

SHAPE = (124, 130)


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for number in range(patients):
        for side in "LR":
            # Of the second child a cataract hides the vessels, or nearly so.
            kind = {"L": "cataract", "R": "closed"}[side] if number == 1 else "clear"
            random = np.random.default_rng([seed, number, ord(side)])
            truth += _eye(folder, f"Image_{number + 1:02d}", side, kind, random)
    return truth


def _eye(folder: Path, child: str, side: str, kind: str, random: np.random.Generator) -> list[TrueRow]:
    eye = Fundus(SHAPE, (62, 65), 60, right=side == "R", nasal=0.06, cut=1.0)
    vessels = eye.vessels(random)
    if kind == "cataract":
        row, column = eye.disc_centre
        vessels &= anatomy.spot(SHAPE, (row / SHAPE[0], (column + 9) / SHAPE[1]), 300)
        vessels &= np.cumsum(vessels).reshape(SHAPE) <= 41
    if kind == "closed":
        vessels[:] = False
    stem = f"{child}{side}"
    place = folder / "CHASEDB1"
    image, first = place / f"{stem}.jpg", place / f"{stem}_1stHO.png"
    values = containers.picture(image, eye.photograph(eye.field, vessels, random), quality=93)
    containers.picture(first, vessels)
    second = cv2.dilate(vessels.astype(np.uint8), np.ones((2, 2), np.uint8))
    containers.picture(place / f"{stem}_2ndHO.png", second > 0)
    if not vessels.any():
        return []
    files = tuple(str(path.relative_to(folder)) for path in (image, first))
    things = [Thing("Retinal Vessel", None, vessels)]
    return [TrueRow(child, "Fundus", "picture", -1, values, things, as_is=True, files=files)]
