"""4C2021 C04 TLS01: images and labels of one name in numbered parts, the folders' names with spaces."""

import shutil
from pathlib import Path

import numpy as np

from tests.phantoms import anatomy, containers, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (12, 88, 80)  # slices from the shoulders up, rows, columns
CODES, SPACING = "LPS", (0.6, 0.6, 3.0)
OBJECT = "Throat and Hypopharynx Cancer Lesion"


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    """Masks are binary, but for the second part's, where each of two lesions has its value: nobody published
    which it is.
    """
    root = folder / "4C2021_C04_TLS01"
    truth = []
    for number in range(patients):
        part = 1 + (number % 3 == 2)
        name = f"{1 + number // 3 if part == 2 else 1 + number:03d}.nii.gz"  # each part has its 001
        image, mask = root / f"Train Set {part:02d}" / name, root / f"Train Label {part:02d}" / name
        values, labels = _neck(100 * seed + number, lesions=part)
        for path, array in ((image, values), (mask, labels)):
            containers.nifti(path, volumes.stored(array, CODES), volumes.affine(CODES, SPACING))
        truth += volumes.rows(
            values,
            [Drawn(OBJECT, str(value), labels == value) for value in range(1, part + 1)],
            volumes.summed(labels, range(1, part + 1)),
            volumes.numbers(SHAPE[0], CODES),
            patient=f"{part:02d}_{name[:3]}",
            modality="CT",
            view="transverse",
            files=tuple(str(path.relative_to(folder)) for path in (image, mask)),
        )
    (root / "Test Set 01").mkdir()
    shutil.copy(root / "Train Set 01" / "001.nii.gz", root / "Test Set 01" / "101.nii.gz")
    return truth


def _neck(seed: int, lesions: int) -> tuple[np.ndarray, np.ndarray]:
    neck = anatomy.blob(SHAPE, (0.5, 0.5, 0.5), (9, 0.42, 0.4), seed, 0.04)
    fat = anatomy.blob(SHAPE, (0.5, 0.5, 0.5), (9, 0.37, 0.35), seed + 1, 0.05)
    spine = anatomy.blob(SHAPE, (0.5, 0.64, 0.5), (9, 0.09, 0.1), seed + 2, 0.06)
    arch = anatomy.tube(SHAPE, [(0, 0.76, 0.5), (1, 0.76, 0.5)], 0.07, seed + 3)
    canal = anatomy.tube(SHAPE, [(0, 0.745, 0.5), (1, 0.745, 0.5)], 0.035)
    airway = anatomy.blob(SHAPE, (0.5, 0.38, 0.5), (9, 0.075, 0.055), seed + 4, 0.12)
    cartilage = anatomy.blob(SHAPE, (0.4, 0.35, 0.5), (0.35, 0.15, 0.14), seed + 5, 0.04)
    cartilage &= ~anatomy.blob(SHAPE, (0.4, 0.37, 0.5), (0.5, 0.13, 0.11), seed + 5, 0.04)
    cartilage[:, SHAPE[1] * 42 // 100 :] = False  # open to the back
    parts = [(neck, -100), (fat, -70)]
    for place, (row, column, high, wide) in enumerate(
        ((0.36, 0.26, 0.1, 0.07), (0.36, 0.74, 0.1, 0.07), (0.76, 0.33, 0.12, 0.12), (0.76, 0.67, 0.12, 0.12),
         (0.37, 0.5, 0.15, 0.14))
    ):  # fmt: skip
        muscle = anatomy.blob(SHAPE, (0.5, row, column), (9, high, wide), seed + 10 + place, 0.1)
        parts.append((muscle & fat, 55))
    for side in (0.3, 0.7):
        parts.append((anatomy.tube(SHAPE, [(0, 0.5, side), (1, 0.46, side)], 0.04, seed + 20), 190))
        parts.append((anatomy.tube(SHAPE, [(0, 0.53, side * 0.9 + 0.05), (1, 0.5, side)], 0.045), 140))
    labels = np.zeros(SHAPE, np.uint8)
    where = np.array([0.55, 0.43, 0.6]) + np.random.default_rng(seed).uniform(-0.03, 0.03, 3)
    labels[anatomy.blob(SHAPE, where, (0.3, 0.1, 0.09), seed + 6, 0.25)] = 1
    if lesions == 2:
        labels[anatomy.blob(SHAPE, (0.6, 0.5, 0.42), (0.25, 0.07, 0.08), seed + 7, 0.25) & ~airway] = 2
    volumes.edges(labels, lesions, (0.45, 0.58), (0, 1, 2))
    last = int(np.flatnonzero((labels == 1).sum(axis=(1, 2)) > 50)[-1])
    labels[last][anatomy.spot(SHAPE[1:], (0.3, 0.7), 21)] = 1  # the same lesion apart, one instance with it
    parts += [(spine, 350), (arch & ~canal, 420), (canal, 20), (cartilage, 250)]
    parts += [(labels > 0, 85), (airway & (labels == 0), -990)]
    scaled = [(mask, (value + 1024) / 2048) for mask, value in parts]
    values = anatomy.painted(SHAPE, scaled, seed + 8, background=24 / 2048, grain=0.01)
    return np.round(values * 2048 - 1024).astype(np.int16), labels
