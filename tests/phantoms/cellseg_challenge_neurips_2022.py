"""CellSeg: images of four kinds of microscopy in PNG, BMP and TIFF, of 8 and 16 bits and any number of
channels; TIFF labels in which each cell has a value, with gaps between.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import ndimage

from tests.phantoms import anatomy, containers
from tests.phantoms.truth import Thing, TrueRow

SIZE = (120, 140)
#: More cells than a label map of 8 bits can tell apart.
MANY = 320
MOST = 255


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    """The present archives, unpacked into a folder of their own name each."""
    training = folder / "Training-labeled" / "Training-labeled"
    truth = []
    for number in range(max(patients, 1)):
        random = np.random.default_rng([seed, number])
        for kind, make in enumerate((_stained, _fluorescent, _phase, _two_channels)):
            stem = f"cell_{4 * number + kind + 1:05d}"
            truth += make(folder, training, "training", stem, _scattered(SIZE, 26, random), random)
    random = np.random.default_rng([seed, 1000])
    truth += _fluorescent(folder, training, "training", "cell_00901", _crowd(random), random)
    # Values sum to no more than 50, to 51, and to 63 over nine pixels of one cell.
    for number, (pixels, value) in enumerate(((50, 1), (51, 1), (9, 7), (0, 1))):
        labels = value * anatomy.spot(SIZE, (0.4, 0.6), pixels).astype(np.uint16)
        truth += _phase(folder, training, "training", f"cell_{902 + number:05d}", labels, random)
    for place, subset, stem in (
        ("Tuning", "tuning", "cell_00001"),  # numbered from 1 again
        ("Testing/Public", "test", "OpenTest_001"),
    ):
        truth += _stained(folder, folder / place, subset, stem, _scattered(SIZE, 18, random), random)
    hidden = folder / "Testing" / "Hidden"
    _stained(folder, hidden, "hidden", "cell_00001", _scattered(SIZE, 18, random), random)
    (hidden / "labels").rename(hidden / "osilab_seg")  # a winner's predictions
    return truth


def write_as_at_the_challenge(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    random = np.random.default_rng(seed)
    place = folder / "Train_Labeled"
    truth = []
    for number in range(patients):
        labels = _scattered(SIZE, 20, random)
        truth += _fluorescent(folder, place, "training", f"cell_{number + 1:05d}", labels, random)
    return truth


def _stained(
    folder: Path, place: Path, subset: str, stem: str, labels: np.ndarray, random: np.random.Generator
) -> list[TrueRow]:
    """A stained smear in colour, BMP."""
    seed, nuclei = int(random.integers(1e6)), _nuclei(labels)
    values = 0.9 - 0.25 * (labels > 0) * (0.6 + 0.4 * _level(labels, random))
    values -= 0.4 * nuclei + 0.04 * anatomy.smooth(labels.shape, seed, 3)
    picture = anatomy.tinted(np.clip(values, 0, 1), (70, 20, 120), (248, 236, 244))
    values = containers.picture(place / "images" / f"{stem}.bmp", picture)
    return _truth(folder, place, subset, f"{stem}.bmp", labels.astype(np.int32), values)


def _fluorescent(
    folder: Path, place: Path, subset: str, stem: str, labels: np.ndarray, random: np.random.Generator
) -> list[TrueRow]:
    """Bright cells on black, gray, PNG of 8 bits."""
    values = _glow(labels, random)
    picture = containers.picture(place / "images" / f"{stem}.png", (255 * values).astype(np.uint8))
    return _truth(folder, place, subset, f"{stem}.png", labels.astype(np.int16), picture)


def _phase(
    folder: Path, place: Path, subset: str, stem: str, labels: np.ndarray, random: np.random.Generator
) -> list[TrueRow]:
    """Phase contrast with its halos, gray, TIFF of 16 bits that uses few of them."""
    seed, inside = int(random.integers(1e6)), (labels > 0).astype(np.float32)
    values = 0.5 + 0.4 * ndimage.gaussian_filter(inside, 1) - 0.6 * ndimage.gaussian_filter(inside, 4)
    values += 0.3 * _nuclei(labels) + 0.03 * anatomy.smooth(labels.shape, seed, 1)
    picture = np.clip(310 + 2600 * values, 0, 4095).astype(np.uint16)
    containers.tiff(place / "images" / f"{stem}.tif", picture, compression="deflate")
    return _truth(folder, place, subset, f"{stem}.tif", labels.astype(np.uint16), picture)


def _two_channels(
    folder: Path, place: Path, subset: str, stem: str, labels: np.ndarray, random: np.random.Generator
) -> list[TrueRow]:
    """Two stains, stored as two channels: red and green for whoever looks at them."""
    stains = np.stack([_glow(labels, random), 0.8 * _nuclei(labels)], axis=2)
    picture = (255 * np.clip(stains, 0, 1)).astype(np.uint8)
    containers.tiff(place / "images" / f"{stem}.tiff", picture, planarconfig="contig")
    seen = np.pad(picture, ((0, 0), (0, 0), (0, 1)))
    return _truth(folder, place, subset, f"{stem}.tiff", labels.astype(np.uint16), seen)


def _truth(
    folder: Path, place: Path, subset: str, image: str, labels: np.ndarray, values: np.ndarray
) -> list[TrueRow]:
    """Stores the labels; the rows, one for each tile where there are too many cells."""
    stem = image.rsplit(".", 1)[0]
    mask = place / "labels" / f"{stem}_label.tiff"
    containers.tiff(mask, labels, compression="zlib")
    if labels.sum(dtype=int) <= 50:
        return []
    files = tuple(str(path.relative_to(folder)) for path in (place / "images" / image, mask))
    return [
        TrueRow(
            f"{subset}_{stem}", "Microscopy", "picture", -1, values[rows, columns],
            [Thing("Cell", str(value), part == value) for value in np.unique(part) if value],
            as_is=values.dtype == np.uint8, official_test=subset == "test", files=files,
        )
        for rows, columns, part in _tiles(labels, 0, 0)
        if part.any()
    ]  # fmt: skip


def _tiles(labels: np.ndarray, top: int, left: int) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Halves along the longer side, the rows where both are equal, until a tile has few enough cells."""
    height, width = labels.shape
    if np.unique(labels[labels > 0]).size <= MOST:
        yield slice(top, top + height), slice(left, left + width), labels
    elif height >= width:
        yield from _tiles(labels[: height // 2], top, left)
        yield from _tiles(labels[height // 2 :], top + height // 2, left)
    else:
        yield from _tiles(labels[:, : width // 2], top, left)
        yield from _tiles(labels[:, width // 2 :], top, left + width // 2)


def _scattered(shape: tuple[int, int], count: int, random: np.random.Generator) -> np.ndarray:
    """Cells of any size side by side, a few no larger than 50 pixels; values with gaps."""
    labels = np.zeros(shape, np.int64)
    value = 0
    for number in range(count):
        value += int(random.integers(1, 4))
        size = random.uniform(0.03, 0.045) if number % 5 == 4 else random.uniform(0.06, 0.1)
        radii = (size * random.uniform(0.7, 1.4), size)
        cell = anatomy.blob(shape, random.uniform(0.02, 0.98, 2), radii, int(random.integers(1e6)), 0.15)
        if not (ndimage.binary_dilation(cell) & (labels > 0)).any():
            labels[cell] = value
    return labels


def _crowd(random: np.random.Generator) -> np.ndarray:
    """A colony of more than 255 small cells, wider than it is high."""
    across, pitch = 32, 8
    labels = np.zeros((MANY // across * pitch, across * pitch), np.int64)
    for number in range(MANY):
        centre = np.array(divmod(number, across)) * pitch + 4 + random.uniform(-0.8, 0.8, 2)
        distance = np.hypot(*(np.indices(labels.shape) - centre[:, None, None]))
        labels[distance < random.uniform(2.2, 3.4)] = 5 * number + 1
    return labels


def _level(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Cells differ: each its own level, 0.3…1, and 0 outside."""
    levels = random.uniform(0.3, 1.0, int(labels.max()) + 1)
    levels[0] = 0
    return levels[labels]


def _glow(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    seed = int(random.integers(1e6))
    level = ndimage.gaussian_filter(_level(labels, random) * (0.4 + 0.6 * _depth(labels)), 0.7)
    return np.clip(0.04 + 0.9 * level + 0.02 * anatomy.smooth(labels.shape, seed, 0.6), 0, 1)


def _nuclei(labels: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter((_depth(labels) > 0.6).astype(np.float32), 0.7)


def _depth(labels: np.ndarray) -> np.ndarray:
    """How far a pixel lies inside its cell, 0…1."""
    edges = labels != ndimage.grey_erosion(labels, 3)
    depth = ndimage.distance_transform_edt((labels > 0) & ~edges)
    return np.clip(depth / 6.0, 0, 1)
