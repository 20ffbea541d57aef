"""DRIVE: TIFF photographs, GIF masks of the field of view and of the vessels; in the current release the test
images have the first alone, in the older one they have two observers' vessels too.
"""

from pathlib import Path

import cv2
import numpy as np

from tests.phantoms import anatomy, containers
from tests.phantoms.truth import Thing, TrueRow

SHAPE = (134, 128)
#: Of the disc that the camera sees, in pixels.
CENTRE, RADIUS = (67, 63), 60
#: Where vessels leave the optic disc, as angles from the direction of the macula, and how they bend.
ARCADES = ((-1.15, 0.028), (1.15, -0.028), (-1.9, 0.01), (1.9, -0.01), (-0.75, 0.02), (0.8, -0.022))


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
    right = bool(random.integers(2))
    field, vessels = _field(), _vessels(right, random)
    if kind == "cataract":  # a stub of a vessel is all that was drawn
        row, column = _disc(right)
        vessels &= anatomy.spot(SHAPE, ((row - 10) / SHAPE[0], column / SHAPE[1]), 200)
        vessels &= np.cumsum(vessels).reshape(SHAPE) <= 45
    if kind == "closed":
        field, vessels = np.zeros((2, *SHAPE), bool)
    place = folder / part
    stem = f"{number:02d}"
    image = place / "images" / f"{stem}_{part}.tif"
    eye = place / "mask" / f"{stem}_{part}_mask.gif"
    manual = place / "1st_manual" / f"{stem}_manual1.gif"
    values = _photograph(field, vessels, right, random)
    containers.tiff(image, values, photometric="rgb", compression="lzw")
    containers.picture(eye, 255 * field.astype(np.uint8))
    things, files = [Thing("Eye", None, field)], [image, eye]
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


def _field() -> np.ndarray:
    """A disc, cut above and below as the camera's chip does."""
    rows, columns = np.indices(SHAPE)
    disc = np.hypot(rows - CENTRE[0], columns - CENTRE[1]) < RADIUS
    return disc & (np.abs(rows - CENTRE[0]) < RADIUS - 3)


def _disc(right: bool) -> tuple[float, float]:
    """Row and column of the optic disc: on the nasal side, which is the right of a right eye's picture."""
    return CENTRE[0] - 4.0, CENTRE[1] + (30.0 if right else -30.0)


def _vessels(right: bool, random: np.random.Generator) -> np.ndarray:
    """Arcades from the optic disc round the macula, branching and thinning, within the field of view."""
    canvas = np.zeros(SHAPE, np.uint8)
    row, column = _disc(right)
    outward = np.pi if right else 0.0  # towards the macula
    turn = -1.0 if right else 1.0
    for start, bend in ARCADES:
        angle = outward + turn * (start + random.normal(0, 0.08))
        _branch(canvas, row, column, angle, turn * bend, 2, 70, random)
    return (canvas > 0) & _field()


def _branch(
    canvas: np.ndarray,
    row: float,
    column: float,
    angle: float,
    bend: float,
    width: int,
    steps: int,
    random: np.random.Generator,
) -> None:
    for step in range(steps):
        angle += bend + random.normal(0, 0.09)
        there = row + 2 * np.sin(angle), column + 2 * np.cos(angle)
        ends = [(round(x), round(y)) for y, x in ((row, column), there)]
        cv2.line(canvas, ends[0], ends[1], 255, width)
        row, column = there
        if width > 1 and step and step % 11 == 0:
            side = float(random.choice([-1, 1]))
            _branch(canvas, row, column, angle + side * 0.7, -side * 0.015, width - 1, steps // 2, random)
        if step == steps // 2:
            width = max(width - 1, 1)


def _photograph(
    field: np.ndarray, vessels: np.ndarray, right: bool, random: np.random.Generator
) -> np.ndarray:
    seed = int(random.integers(1e6))
    rows, columns = np.indices(SHAPE)
    row, column = _disc(right)
    side = 1.0 if right else -1.0
    from_disc = np.hypot(rows - row, (columns - column) * 1.15)
    from_macula = np.hypot(rows - row - 6, columns - column + side * 42)
    values = 0.62 - 0.22 * np.hypot(rows - CENTRE[0], columns - CENTRE[1]) / RADIUS
    values += 0.035 * anatomy.smooth(SHAPE, seed, 9) + 0.02 * anatomy.smooth(SHAPE, seed + 1, 2)
    values -= 0.2 * np.exp(-np.square(from_macula / 11))
    values -= 0.17 * cv2.GaussianBlur(vessels.astype(np.float32), (0, 0), 0.6)
    values += 0.35 / (1 + np.exp((from_disc - 9) / 1.2)) * (1 - 0.5 * vessels)
    picture = anatomy.tinted(np.clip(values, 0, 1), (70, 12, 6), (255, 170, 95)).astype(float)
    picture += 2.5 * anatomy.smooth((*SHAPE, 3), seed + 2, 0.7)
    picture[~field] = random.uniform(0, 3, (int((~field).sum()), 3))
    return np.clip(picture, 0, 255).astype(np.uint8)
