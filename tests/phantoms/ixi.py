"""IXI: T1 volumes stored sagittally, and the masks of the callosum that somebody put beside them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tests.phantoms import anatomy, containers, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (13, 76, 84)  # sagittal slices, rows, columns
CODES, SPACING = "PSR", (0.94, 0.94, 1.2)
SITES = ("Guys", "HH", "IOP")


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for number in range(patients + 1):
        patient = f"IXI{2 + 10 * number:03d}"
        name = f"{patient}-{SITES[number % 3]}-{828 + 7 * number:04d}-T1"
        image, mask = folder / f"IXI-T1/{name}.nii.gz", folder / f"masks/{name}_seg.nii.gz"
        callosum, values = _head(100 * seed + number)
        affine = volumes.affine(CODES, SPACING)
        containers.nifti(image, volumes.stored(values, CODES, "sagittal"), affine)
        if number == patients:  # nobody drew the callosum of the last
            continue
        labels = (255 if number % 2 else 1) * callosum.astype(np.uint8)
        containers.nifti(mask, volumes.stored(labels, CODES, "sagittal"), affine)
        truth += volumes.rows(
            values,
            [Drawn("Corpus Callosum", None, callosum)],
            volumes.summed(callosum.astype(np.uint8), (1,)),
            volumes.numbers(SHAPE[0], CODES, "sagittal"),
            patient=patient,
            modality="T1W MRI",
            view="sagittal",
            files=tuple(str(path.relative_to(folder)) for path in (image, mask)),
        )
    containers.resource_fork(folder / "masks" / f"{name}_seg.nii.gz")
    return truth


def _head(seed: int) -> tuple[NDArray[np.bool_], NDArray[np.int16]]:
    """The face to the left."""

    def part(centre: tuple[float, float, float], radii: tuple[float, float, float], number: int) -> NDArray:
        return anatomy.blob(SHAPE, centre, radii, seed + number, 0.06)

    scalp = part((0.5, 0.46, 0.52), (0.75, 0.44, 0.46), 0)
    neck = part((0.5, 0.95, 0.6), (0.6, 0.3, 0.22), 1)
    skull = part((0.5, 0.42, 0.54), (0.7, 0.36, 0.42), 2)
    fluid = part((0.5, 0.41, 0.54), (0.66, 0.33, 0.39), 3)
    folds = np.abs(anatomy.smooth(SHAPE, seed + 4, (1.0, 1.7, 1.7)))
    depth = ndimage.distance_transform_edt(fluid, sampling=(3, 1, 1)) / SHAPE[1]
    gray = fluid & (depth > 0.01 + 0.04 * (folds < 0.3))
    white = gray & (depth > 0.05 + 0.05 * np.clip(folds, 0, 1.5))
    cerebellum = part((0.5, 0.68, 0.74), (0.4, 0.11, 0.13), 5)
    stem = part((0.5, 0.72, 0.58), (0.16, 0.2, 0.06), 6)
    # An arch over the ventricle, thicker behind: the splenium.
    arch = part((0.5, 0.47, 0.53), (0.28, 0.15, 0.24), 7)
    hollow = part((0.5, 0.52, 0.52), (0.5, 0.14, 0.2), 8)
    rows = np.arange(SHAPE[1])[None, :, None]
    callosum = arch & ~hollow & (rows < 0.52 * SHAPE[1])
    ventricle = hollow & arch & (rows < 0.47 * SHAPE[1])
    callosum[:3] = callosum[-3:] = False
    for level, pixels in ((1, 50), (2, 51)):
        callosum[level] = anatomy.spot(SHAPE[1:], (0.35, 0.5), pixels, 0.4)
    parts = [(scalp | neck, 0.8), (skull, 0.08), (fluid, 0.14), (gray, 0.45), (white, 0.66)]
    parts += [(cerebellum, 0.5), (stem, 0.62), (ventricle, 0.12), (callosum, 0.8)]
    values = anatomy.painted(SHAPE, parts, seed + 9, background=0.01, grain=0.03)
    return callosum, np.round(800 * values).astype(np.int16)
