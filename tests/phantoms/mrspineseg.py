"""MRSpineSeg: sagittal slices on the last axis, `Case` and `mask_case` of one number, a value per level."""

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.phantoms import anatomy, containers, volumes
from tests.phantoms.anatomy import Mask
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (12, 96, 88)  # slices, rows, columns
SPACING = (0.34, 0.34, 4.4)
#: How a file's axes run; some are stored from the right to the left.
STORED = ("PIL", "PIR")
VERTEBRAE = {
    1: "S", 2: "L5", 3: "L4", 4: "L3", 5: "L2", 6: "L1", 7: "T12", 8: "T11", 9: "T10", 10: "T9",
}  # fmt: skip
DISCS = {
    11: "L5/S", 12: "L4/L5", 13: "L3/L4", 14: "L2/L3", 15: "L1/L2", 16: "T12/L1", 17: "T11/T12",
    18: "T10/T11", 19: "T9/T10",
}  # fmt: skip
#: Rows from one disc to the next, and how high the sacrum reaches.
STEP, SACRUM = 0.125, 0.83


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    root = folder / "MRSpineSeg_Challenge_SMU"
    truth = []
    for number in range(patients):
        name = str(1 + 9 * number)  # without zeros in front, and not every number
        codes = STORED[number % 2]
        labels, values = _spine(100 * seed + number)
        image, mask = root / f"train/MR/Case{name}.nii.gz", root / f"train/Mask/mask_case{name}.nii.gz"
        for path, array in ((image, values), (mask, labels.astype(np.int16))):
            stored = volumes.stored(array, codes, "sagittal")
            containers.nifti(path, stored, volumes.affine(codes, SPACING))
        drawn = [Drawn("Spine", level, labels == value) for value, level in VERTEBRAE.items()]
        drawn += [Drawn("Intervertebral Disc", level, labels == value) for value, level in DISCS.items()]
        truth += volumes.rows(
            values,
            drawn,
            volumes.summed(labels, [*VERTEBRAE, *DISCS]),
            volumes.numbers(SHAPE[0], codes, "sagittal"),
            patient=f"Case{name}",
            modality="MRI",
            view="sagittal",
            files=tuple(str(path.relative_to(folder)) for path in (image, mask)),
        )
    for place in ("test1", "test2/MR"):
        (root / place).mkdir(parents=True)
        shutil.copy(image, root / place / "Case2.nii.gz")
    return truth


def _spine(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Anterior on the left; the lumbar spine curves forwards. Few cases show all levels."""
    levels = 6 + seed % 2
    labels = np.zeros(SHAPE, np.uint8)
    arches = np.zeros(SHAPE, bool)
    sacrum = anatomy.blob(SHAPE, (0.5, SACRUM + 0.09, 0.66), (0.42, 0.16, 0.1), seed, 0.08)
    labels[sacrum & (np.arange(SHAPE[1]) > (SACRUM - 0.005) * SHAPE[1])[None, :, None]] = 1
    for level in range(levels):
        row = SACRUM - 0.06 - level * STEP
        column = 0.54 - 0.07 * np.sin(np.pi * np.clip((row - 0.1) / 0.75, 0, 1))
        disc = _block((0.5, row + 0.035, column + 0.005), (0.38, 0.02, 0.11), seed + 20 + level)
        body = _block((0.5, row - 0.03, column), (0.4, 0.043, 0.1), seed + 40 + level)
        labels[disc & (labels == 0)] = 11 + level
        labels[body & (labels == 0)] = 2 + level
        spine = anatomy.blob(
            SHAPE, (0.5, row + 0.02, column + 0.26), (0.18, 0.035, 0.09), seed + 60 + level, 0.1
        )
        arches |= spine
        labels[spine & (labels == 0)] = 2 + level  # the owner's vertebrae have their arches
    top = 2 + levels - 1
    labels[3][labels[3] == top] = 0
    labels[3][anatomy.spot(SHAPE[1:], (0.1, 0.5), 37)] = top  # cut by the border of the bone
    volumes.edges(labels, 1, (0.9, 0.66), (0, 1, 2))
    labels[-1] = 0
    labels[-1][anatomy.spot(SHAPE[1:], (0.5, 0.48), 3)] = 19  # 57 in sum, three pixels
    return labels, _signal(labels, arches, seed)


def _block(centre: tuple[float, float, float], radii: tuple[float, float, float], seed: int) -> Mask:
    """Like an ellipsoid, but square in the plane, its corners rounded."""
    wide = anatomy.blob(SHAPE, centre, tuple(1.35 * radius for radius in radii), seed, 0.1)
    rows, columns = (
        np.abs((np.arange(size) + 0.5) / size - middle) < radius
        for size, middle, radius in zip(SHAPE[1:], centre[1:], radii[1:], strict=True)
    )
    return wide & rows[None, :, None] & columns[None, None]


def _signal(labels: NDArray[np.uint8], arches: Mask, seed: int) -> NDArray[np.int16]:
    """T2-weighted: the fluid round the cord and healthy discs are bright."""
    rows = np.linspace(0, 1, 9)
    curve = [(row, 0.54 - 0.07 * np.sin(np.pi * np.clip((row - 0.1) / 0.75, 0, 1))) for row in rows]
    place = np.interp((np.arange(SHAPE[1]) + 0.5) / SHAPE[1], *zip(*curve, strict=True)) + 0.145
    columns = (np.arange(SHAPE[2]) + 0.5) / SHAPE[2]
    middle = (np.abs(np.arange(SHAPE[0]) - SHAPE[0] / 2 + 0.5) < 2.2)[:, None, None]
    across = np.abs(columns[None, None] - place[None, :, None])
    canal = (across < 0.035) & middle
    cord = (across < 0.014) & middle & (np.arange(SHAPE[1]) < 0.3 * SHAPE[1])[None, :, None]
    back = anatomy.blob(SHAPE, (0.5, 0.5, 0.5), (9, 9, 0.46), seed + 1, 0.04)
    muscle = anatomy.blob(SHAPE, (0.5, 0.5, 0.45), (9, 9, 0.36), seed + 2, 0.05)
    bowel = anatomy.smooth(SHAPE, seed + 3, (1.0, 5.0, 4.0)) > 0.3
    bowel &= (columns < 0.36)[None, None] & muscle
    parts = [(back, 0.7), (muscle, 0.22), (bowel, 0.45), (arches, 0.35), (canal, 0.97), (cord, 0.4)]
    parts += [((labels > 1) & (labels < 11), 0.42), (labels == 1, 0.38)]
    for level in range(11, 20):
        worn = (seed + level) % 3 == 0
        parts.append((labels == level, 0.2 if worn else 0.68))
    values = anatomy.painted(SHAPE, parts, seed + 4, background=0.02, grain=0.03)
    return np.round(820 * values * np.linspace(0.8, 1.15, SHAPE[2])).astype(np.int16)
