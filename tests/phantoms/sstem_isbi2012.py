"""ssTEM: two stacks of 8-bit pages, sections and their labels (white inside the cells), and a third of the
test sections, whose labels were never published. The sister set has a file per section and nine grey levels.
"""

from pathlib import Path

import cv2
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from tests.phantoms import anatomy, containers
from tests.phantoms.truth import Thing, TrueRow

SHAPE = (112, 128)
#: White is the inside of the cells in both sets; the others are the sister set's.
GLIA, MITOCHONDRIA, SYNAPSE, WHITE = 159, 191, 223, 255


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    """One specimen of ten sections for each patient asked for."""
    count = 10 * patients
    sections, inside, _ = _specimen(count, seed)
    labels = np.where(inside, WHITE, 0).astype(np.uint8)
    labels[1] = 0  # a lost section
    labels[2] = 0
    labels[2, 40, 70] = WHITE  # one pixel already sums to more than 50
    files = ("train-volume.tif", "train-labels.tif")
    containers.tiff(folder / files[0], sections)
    containers.tiff(folder / files[1], labels)
    containers.tiff(folder / "test-volume.tif", _specimen(count, seed + 1)[0])
    return _rows("isbi2012", sections, labels == WHITE, [files] * count)


def write_sister(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    sections, inside, nearest = _specimen(4 * patients, seed)
    # Membranes by their direction, and a few of the neurites as glia.
    labels = np.where(inside, WHITE, 32 * (nearest % 4)).astype(np.uint8)
    labels[inside & (nearest % 9 == 0)] = GLIA
    files = []
    for number, (section, grey) in enumerate(zip(sections, labels, strict=True)):
        # A mitochondrion lies within its neurite, most of a synapse on the membrane between several.
        stuff = anatomy.spot(SHAPE, (0.3 + 0.02 * number, 0.6), 60)
        grey[stuff & (grey == WHITE)] = MITOCHONDRIA
        synapse = anatomy.spot(SHAPE, (0.7 - 0.02 * number, 0.3), 90)
        grey[synapse & (grey != GLIA)] = SYNAPSE
        names = (f"stack1/raw/{number:02d}.tif", f"stack1/labels/labels{number:08d}.png")
        containers.tiff(folder / names[0], section)
        containers.picture(folder / names[1], grey)
        containers.picture(folder / f"stack1/mitochondria/{number:02d}.png", grey == MITOCHONDRIA)
        containers.picture(folder / f"stack1/synapses/{number:02d}.png", grey == SYNAPSE)
        containers.picture(folder / f"stack1/membranes/{number:02d}.png", ~inside[number])
        containers.tiff(folder / f"stack2/raw/{number:02d}.tif", section[::-1])
        files.append(names)
    return _rows("stack1", sections, np.isin(labels, (MITOCHONDRIA, WHITE)), files)


def _rows(
    specimen: str, sections: np.ndarray, inside: np.ndarray, files: list[tuple[str, str]]
) -> list[TrueRow]:
    truth = []
    for number, (section, white) in enumerate(zip(sections, inside, strict=True)):
        if white.any():
            things = [
                Thing("Neural Structures", str(place), part)
                for place, part in enumerate(_pieces(white), start=1)
            ]
            truth.append(
                TrueRow(
                    specimen, "Electron Microscopy", "section", number, section, things, files=files[number]
                )
            )
    return truth


def _pieces(white: np.ndarray) -> list[np.ndarray]:
    """Its 8-connected pieces, by the first of their pixels in reading order."""
    count, numbers = cv2.connectedComponents(white.astype(np.uint8), connectivity=8)
    firsts = [int(np.argmax(numbers.reshape(-1) == number)) for number in range(1, count)]
    return [numbers == number + 1 for number in np.argsort(firsts)]


def _specimen(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sections, where the inside of the cells is, and the number of the nearest neurite, k×H×W each.

    Neurites run through the sections and wander; between two of them lies a membrane.
    """
    random = np.random.default_rng(seed)
    rows, columns = np.indices(SHAPE)
    waves = [anatomy.smooth(SHAPE, seed + number, 6) for number in (1, 2)]
    bent = np.stack([rows + 3.0 * waves[0], columns + 3.0 * waves[1]], axis=-1).reshape(-1, 2)
    cells = random.uniform((-10, -10), (SHAPE[0] + 10, SHAPE[1] + 10), (90, 2))
    organelles = random.uniform((0, 0), SHAPE, (14, 2))
    drift = random.normal(0, 0.5, cells.shape)
    size = random.uniform(-2, 2, len(cells))
    sections, inside, nearest = [], [], []
    for number in range(count):
        drift = 0.9 * drift + random.normal(0, 0.3, cells.shape)
        cells = cells + drift
        distance, who = cKDTree(cells).query(bent, k=2)
        gap = distance[:, 1] - distance[:, 0] + 0.3 * (size[who[:, 0]] - size[who[:, 1]])
        inner = (gap > 2.2).reshape(SHAPE)
        sections.append(_micrograph(inner, gap.reshape(SHAPE), organelles, number, seed + 10 * number))
        inside.append(inner)
        nearest.append(who[:, 0].reshape(SHAPE))
    return np.stack(sections), np.stack(inside), np.stack(nearest)


def _micrograph(
    inside: np.ndarray, gap: np.ndarray, organelles: np.ndarray, number: int, seed: int
) -> np.ndarray:
    level = 0.72 + 0.05 * anatomy.smooth(SHAPE, seed, 8) + 0.06 * anatomy.smooth(SHAPE, seed + 1, 1.2)
    level -= 0.5 * np.exp(-np.square(gap / 1.6))
    for place, (row, column) in enumerate(organelles):
        if abs(place - number % len(organelles)) > 4:
            continue  # an organelle is in some neighbouring sections only
        body = anatomy.blob(SHAPE, (row / SHAPE[0], column / SHAPE[1]), (0.05, 0.035), seed + place, 0.1)
        body &= ndimage.binary_erosion(inside, iterations=2)
        level[body] = 0.42 + 0.12 * np.cos(1.6 * np.indices(SHAPE)[place % 2][body])
    level = ndimage.gaussian_filter(level, 0.5) + 0.035 * anatomy.smooth(SHAPE, seed + 2, 0.5)
    return np.clip(255 * level, 0, 255).astype(np.uint8)
