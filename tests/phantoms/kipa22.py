"""KiPA22: crops of CT angiography around one kidney, `train` with labels and `test` without; four values."""

import shutil
from pathlib import Path

import numpy as np

from tests.phantoms import anatomy, containers, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (16, 72, 72)  # slices, rows, columns: as wide as high
CODES, SPACING = "LPS", (0.63, 0.63, 0.63)
VEIN, KIDNEY, ARTERY, TUMOR = 1, 2, 3, 4


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for number in range(patients):
        name = f"{number * 4}.nii.gz"  # not padded: 0, 4, 8, 12
        image, mask = folder / "train" / "image" / name, folder / "train" / "label" / name
        values, labels = _crop(100 * seed + number, mirrored=number % 2 == 1)
        affine = volumes.affine(CODES, SPACING)
        for path, array in ((image, values), (mask, labels)):
            containers.nifti(path, volumes.stored(array, CODES), affine)
        truth += volumes.rows(
            values,
            [Drawn("Kidney", None, labels == KIDNEY), Drawn("Kidney Tumor", None, labels == TUMOR)],
            volumes.summed(labels, (KIDNEY, TUMOR)),
            volumes.numbers(SHAPE[0], CODES),
            patient=str(number * 4),
            modality="CT",
            view="transverse",
            files=tuple(str(path.relative_to(folder)) for path in (image, mask)),
        )
    (folder / "test" / "image").mkdir(parents=True)
    shutil.copy(folder / "train" / "image" / "0.nii.gz", folder / "test" / "image" / "70.nii.gz")
    return truth


def _crop(seed: int, mirrored: bool) -> tuple[np.ndarray, np.ndarray]:
    """Values and labels of a left kidney, or mirrored of a right one; the aorta lies at its inner side."""
    inside = anatomy.blob(SHAPE, (0.5, 0.35, 0.45), (9, 0.62, 0.6), seed, 0.05)
    muscle = anatomy.blob(SHAPE, (0.5, 0.85, 0.1), (9, 0.3, 0.35), seed + 1, 0.1)
    spleen = anatomy.blob(SHAPE, (0.9, 0.15, 0.85), (0.5, 0.25, 0.2), seed + 2, 0.1)
    bowel = anatomy.blob(SHAPE, (0.3, 0.12, 0.45), (0.5, 0.17, 0.28), seed + 3, 0.2)
    aorta = anatomy.tube(SHAPE, [(0, 0.42, 0.06), (1, 0.44, 0.05)], 0.11, seed + 4)
    cava = anatomy.tube(SHAPE, [(0, 0.3, 0.12), (1, 0.25, 0.1)], 0.07, seed + 5)
    kidney = anatomy.blob(SHAPE, (0.52, 0.52, 0.6), (0.42, 0.24, 0.19), seed + 6, 0.08)
    sinus = anatomy.blob(SHAPE, (0.52, 0.48, 0.47), (0.2, 0.09, 0.13), seed + 7, 0.2)
    where = np.array([0.5, 0.58, 0.74]) + np.random.default_rng(seed).uniform(-0.03, 0.03, 3)
    tumor = anatomy.blob(SHAPE, where, (0.22, 0.14, 0.13), seed + 8, 0.2)
    medulla = kidney & (anatomy.smooth(SHAPE, seed + 9, 2.5) > 0.6)
    labels = np.zeros(SHAPE, np.uint8)
    labels[kidney & ~sinus] = KIDNEY
    labels[tumor] = TUMOR
    columns = np.linspace(0.12, 0.5, 9)  # the vessels run across, rising a little towards the kidney
    for value, row, rise, width in ((VEIN, 0.38, 0.05, 0.055), (ARTERY, 0.47, -0.04, 0.035)):
        for column in columns:
            centre = (0.5 + rise * (column - 0.1), row + 0.12 * column, column)
            vessel = anatomy.blob(SHAPE, centre, (0.13, width, 0.06), wobble=0)
            labels[vessel & (labels == 0)] = value
    volumes.edges(labels, KIDNEY, (0.5, 0.6), (0, 1, 2))
    # A slice with vessels alone, and one where only they lift the sum above the edge.
    labels[0][anatomy.spot(SHAPE[1:], (0.42, 0.3), 80)] = VEIN
    labels[1][anatomy.spot(SHAPE[1:], (0.5, 0.25), 40)] = ARTERY
    labels[3][labels[3] == TUMOR] = KIDNEY
    labels[3][anatomy.spot(SHAPE[1:], (0.6, 0.72), 35)] = TUMOR  # too small to be scored
    parts = [(inside, 0.44), (muscle, 0.53), (spleen, 0.57), (bowel, 0.51), (cava, 0.6), (aorta, 0.68)]
    parts += [(labels == KIDNEY, 0.63), (medulla & (labels == KIDNEY), 0.58), (labels == TUMOR, 0.55)]
    parts += [(sinus & kidney & (labels == 0), 0.43), (labels == VEIN, 0.6), (labels == ARTERY, 0.68)]
    values = anatomy.painted(SHAPE, parts, seed + 10, background=0.45, grain=0.01)
    values = np.round(2048 * values).astype(np.int16)  # Hounsfield units and 1024
    return (values[..., ::-1], labels[..., ::-1]) if mirrored else (values, labels)
