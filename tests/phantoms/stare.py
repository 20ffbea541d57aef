"""STARE: colour photographs and two observers' vessels, each a gzipped PPM of a flat archive."""

from pathlib import Path

import cv2
import numpy as np
from scipy import ndimage

from tests.phantoms import anatomy, containers
from tests.phantoms.fundus import Fundus
from tests.phantoms.truth import Thing, TrueRow

SHAPE = (120, 140)
NUMBERS = (1, 2, 3, 4, 5, 44, 77, 81, 82, 139, 162, 163, 235, 236, 239, 240, 255, 291, 319, 324)


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for place, number in enumerate(NUMBERS[: patients + 2]):
        # After the patients: an eye without a vessel, and one that shows a stub of one.
        kind = ("clear", "closed", "cataract")[max(0, place - patients + 1)]
        random = np.random.default_rng([seed, number])
        truth += _eye(folder, f"im{number:04d}", kind, place == 1, random)
    return truth


def _eye(folder: Path, stem: str, kind: str, unpacked: bool, random: np.random.Generator) -> list[TrueRow]:
    """`unpacked`: its files have been gunzipped."""
    eye = Fundus(SHAPE, (60, 68), 66, right=bool(random.integers(2)), cut=0.88)
    vessels = eye.vessels(random)
    if kind == "cataract":
        row, column = eye.disc_centre
        vessels &= anatomy.spot(SHAPE, ((row + 10) / SHAPE[0], column / SHAPE[1]), 200)
        vessels &= np.cumsum(vessels).reshape(SHAPE) <= 38
    if kind == "closed":
        vessels[:] = False
    values = eye.photograph(eye.field, vessels, random)
    thin = cv2.dilate(vessels.astype(np.uint8), np.ones((2, 2), np.uint8)) > 0
    files = []
    for name, array in (
        (f"stare-images/{stem}.ppm", values),
        (f"labels-ah/{stem}.ah.ppm", _drawn(vessels, random)),
        (f"labels-vk/{stem}.vk.ppm", _drawn(thin, random)),
    ):
        path = folder / name
        containers.picture(path, array, format="PPM")
        files.append(path if unpacked else containers.gzipped(path))
    if not vessels.any():
        return []
    names = tuple(str(path.relative_to(folder)) for path in files[:2])
    things = [Thing("Retinal Vessel", None, vessels)]
    return [TrueRow(stem, "Fundus", "picture", -1, values, things, as_is=True, files=names)]


def _drawn(vessels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Not quite black and white at the edges; some files have three equal channels."""
    drawn = np.where(vessels, 255, 0).astype(np.uint8)
    edge = vessels & ~ndimage.binary_erosion(vessels)
    drawn[edge & (random.random(SHAPE) < 0.1)] = 128
    near = ndimage.binary_dilation(vessels) & ~vessels
    drawn[near & (random.random(SHAPE) < 0.1)] = 127
    return np.repeat(drawn[..., None], 3, axis=2) if random.random() < 0.5 else drawn
