"""EPFL-EM: two stacks of 8-bit pages and their labels, white in mitochondria; a larger stack has no labels.
Lucchi++, drawn anew by others, has a file per section, the labels in colour with a fourth channel.
"""

from pathlib import Path

import cv2
import numpy as np
from scipy import ndimage

from tests.phantoms import anatomy, containers
from tests.phantoms.truth import Thing, TrueRow

SHAPE = (96, 128)
#: Sections of each stack for each patient asked for: there is one animal.
SECTIONS = 8
PATIENT = "ca1"


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for part, place in (("training", 0), ("testing", 1)):
        sections, labels = _stack(SECTIONS * patients, 10 * seed + place)
        files = (f"{part}.tif", f"{part}_groundtruth.tif")
        containers.tiff(folder / files[0], sections)
        containers.tiff(folder / files[1], labels)
        truth += _rows(part, sections, labels, [files] * len(sections))
    containers.tiff(folder / "volumedata.tif", np.tile(_stack(SECTIONS, 10 * seed + 2)[0], (2, 2, 2)))
    return truth


def write_lucchi_plus(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for part, short in (("training", "Train"), ("testing", "Test")):
        sections, labels = _stack(12 * patients, 10 * seed + len(part))
        names = [
            (f"Lucchi++/{short}_In/mask{number:04d}.png", f"Lucchi++/{short}_Out/{number}.png")
            for number in range(len(sections))
        ]
        for (image, mask), section, white in zip(names, sections, labels, strict=True):
            containers.picture(folder / image, section)
            opaque = np.dstack([white, white, white, np.full(SHAPE, 255, np.uint8)])
            containers.picture(folder / mask, opaque)
        truth += _rows(part, sections, labels, names)
    return truth


def _rows(part: str, sections: np.ndarray, labels: np.ndarray, files: list[tuple[str, str]]) -> list[TrueRow]:
    return [
        TrueRow(
            PATIENT, "Electron Microscopy", "section", number, section,
            [Thing("Mitochondria", str(place), piece) for place, piece in enumerate(_pieces(white), start=1)],
            official_test=part == "testing", files=files[number],
        )
        for number, (section, white) in enumerate(zip(sections, labels, strict=True))
        if white.any()
    ]  # fmt: skip


def _pieces(white: np.ndarray) -> list[np.ndarray]:
    """Its 8-connected pieces, by the first of their pixels in reading order."""
    count, numbers = cv2.connectedComponents(white, connectivity=8)
    firsts = [int(np.argmax(numbers.reshape(-1) == number)) for number in range(1, count)]
    return [numbers == number + 1 for number in np.argsort(firsts)]


def _stack(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sections and labels, k×H×W: long mitochondria that run through the sections, some side by side."""
    random = np.random.default_rng(seed)
    shape = (count, *SHAPE)
    inside = np.zeros(shape, bool)
    for number in range(9):
        centre = (random.uniform(0, 1), *random.uniform(0.06, 0.94, 2))
        radii = (
            random.uniform(0.2, 0.6),
            *random.permutation([random.uniform(0.05, 0.08), random.uniform(0.09, 0.15)]),
        )
        inside |= anatomy.blob(shape, centre, radii, seed + number, 0.15)
    labels = np.where(inside, 255, 0).astype(np.uint8)
    labels[:, anatomy.spot(SHAPE, (0.66, 0.8), 40)] = 255  # a small one beside the others
    labels[1] = 0
    labels[2] = 0
    labels[2, 40, 70] = 255  # one pixel already sums to more than 50
    membranes = np.abs(anatomy.smooth(shape, seed + 10, (4, 8, 8))) < 0.06
    sections = [
        _section(white > 0, dark, seed + 20 * place)
        for place, (white, dark) in enumerate(zip(labels, membranes, strict=True))
    ]
    return np.stack(sections), labels


def _section(inside: np.ndarray, membranes: np.ndarray, seed: int) -> np.ndarray:
    """Pale cytoplasm, dark membranes, darker mitochondria with a black rim and cristae."""
    level = 0.66 + 0.07 * anatomy.smooth(SHAPE, seed, 7) + 0.05 * anatomy.smooth(SHAPE, seed + 1, 1)
    level[membranes & ~inside] = 0.32
    cristae = np.cos(1.5 * np.indices(SHAPE).sum(axis=0) + 1.5 * anatomy.smooth(SHAPE, seed + 3, 4))
    level[inside] = 0.4 + 0.07 * cristae[inside]
    level[inside & ~ndimage.binary_erosion(inside)] = 0.16
    level = ndimage.gaussian_filter(level, 0.6) + 0.03 * anatomy.smooth(SHAPE, seed + 4, 0.5)
    return np.clip(255 * level, 0, 255).astype(np.uint8)
