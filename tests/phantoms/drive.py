"""DRIVE: TIFF photographs, GIF masks of the field of view and of the vessels; in the current release the test
images have the first alone, in the older one they have two observers' vessels too.
"""

from pathlib import Path

import cv2
import numpy as np

from tests.phantoms import anatomy, containers
from tests.phantoms.fundus import Fundus
from tests.phantoms.truth import Thing, TrueRow

SHAPE = (134, 128)


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    return _release(folder, patients, seed, older=False)


def write_older(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    """The release that mirrors still hold, in a folder DRIVE."""
    return _release(folder / "DRIVE", patients, seed, older=True)


def _release(folder: Path, patients: int, seed: int, older: bool) -> list[TrueRow]:
    truth = []
    for number in range(patients):
        # The owner's: 21…40 in training, 01…20 in test. Of the second patient a cataract hides the vessels.
        for part, first in (("training", 21), ("test", 1)):
            kind = "cataract" if part == "training" and number == 1 else "clear"
            random = np.random.default_rng([seed, number, first])
            truth += _eye(folder, part, first + number, kind, random, older)
    random = np.random.default_rng([seed, patients])
    return truth + _eye(folder, "training", 21 + patients, "closed", random, older)


def _eye(
    folder: Path, part: str, number: int, kind: str, random: np.random.Generator, older: bool
) -> list[TrueRow]:
    eye = Fundus(SHAPE, (67, 63), 60, right=bool(random.integers(2)))
    field, vessels = eye.field, eye.vessels(random)
    if kind == "cataract":  # a stub of a vessel is all that was drawn
        row, column = eye.disc_centre
        vessels &= anatomy.spot(SHAPE, ((row - 10) / SHAPE[0], column / SHAPE[1]), 200)
        vessels &= np.cumsum(vessels).reshape(SHAPE) <= 45
    if kind == "closed":
        field, vessels = np.zeros((2, *SHAPE), bool)
    place = folder / part
    stem = f"{number:02d}"
    image = place / "images" / f"{stem}_{part}.tif"
    seen = place / "mask" / f"{stem}_{part}_mask.gif"
    manual = place / "1st_manual" / f"{stem}_manual1.gif"
    values = eye.photograph(field, vessels, random)
    containers.tiff(image, values, photometric="rgb", compression="lzw")
    containers.picture(seen, 255 * field.astype(np.uint8))
    things, files = [Thing("Eye", None, field)], [image, seen]
    if part == "training" or older:
        containers.picture(manual, 255 * vessels.astype(np.uint8))
        things.append(Thing("Retinal Vessel", None, vessels))
        files.append(manual)
    if part == "test" and older:
        second = cv2.dilate(vessels.astype(np.uint8), np.ones((2, 2), np.uint8))
        containers.picture(place / "2nd_manual" / f"{stem}_manual2.gif", 255 * second)
    if kind == "closed":
        return []
    # The folder DRIVE of the older release is part of the files' names.
    root = folder.parent if older else folder
    names = tuple(str(path.relative_to(root)) for path in files)
    return [
        TrueRow(
            stem, "Fundus", "picture", -1, values, things,
            as_is=True, official_test=part == "test", files=names,
        )
    ]  # fmt: skip
