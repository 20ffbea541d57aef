"""LiVScar: folders as the source's steps ask for them, human and porcine studies, in three containers."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.phantoms import anatomy, containers, heart, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

#: Of people and of pigs: slices from base to apex, rows, columns; millimetres.
KINDS = (("human", (12, 88, 80), (1.4, 1.4, 8.0)), ("pig", (10, 72, 96), (1.0, 1.0, 4.0)))
ENDINGS = ("nii.gz", "nrrd", "mhd")
OBSERVERS = 3


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for number in range(patients):
        kind, shape, spacing = KINDS[number % 2]
        place, ending = folder / f"{kind}_{1 + number // 2:02d}", ENDINGS[number % 3]
        muscle, infarct, values = _heart(shape, 100 * seed + number)
        masks = {"myocardium": muscle, **_observed(infarct, number)}
        image = place / f"lge.{ending}"
        _write(image, values, spacing)
        for name, mask in masks.items():
            _write(
                place / f"{name}.{ending}", mask.astype(np.uint8) * (255 if ending == "nrrd" else 1), spacing
            )
        read = [place / f"{name}.{ending}" for name in masks if name != "myocardium"]
        if "infarct" in masks:
            read = [place / f"infarct.{ending}"]
        truth += volumes.rows(
            values,
            [Drawn("Left Ventricular Infarct", None, infarct)],
            volumes.summed(infarct.astype(np.uint8), (1,)),
            range(shape[0]),
            patient=place.name,
            modality="CMR",
            view="short-axis",
            files=tuple(str(path.relative_to(folder)) for path in (image, *read)),
        )
    return truth


def _write(path: Path, array: NDArray[np.generic], spacing: tuple[float, float, float]) -> None:
    """`array`: slices × rows × columns; the stack is the last axis, as a file counts them."""
    if path.name.endswith(".nii.gz"):
        containers.nifti(path, array.transpose(2, 1, 0), volumes.affine("LPS", spacing))
    else:
        containers.metaimage(path, array.T, spacing, (0, 0, 0))


def _observed(infarct: NDArray[np.bool_], number: int) -> dict[str, NDArray[np.bool_]]:
    """One mask, or those of three observers; each sees a voxel otherwise than the two others now and then."""
    if number % 3 != 1:
        return {"infarct": infarct} | ({"infarct_1": ~infarct} if number % 3 == 2 else {})
    wrong = np.random.default_rng(number).integers(0, 40, infarct.shape)
    return {f"infarct_{place + 1}": infarct ^ (wrong == place) for place in range(OBSERVERS)}


def _heart(
    shape: tuple[int, int, int], seed: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int16]]:
    """Muscle, infarct, image: a bright sector of the wall, from the cavity outwards, dark at its core."""
    parts = heart.short_axis(shape, seed)
    muscle = parts["muscle"]
    rows, columns = np.indices(shape[1:])
    infarct = np.zeros(shape, bool)
    start, wide = np.random.default_rng(seed).uniform(-2.5, 0.5), 1.0 + 0.2 * (seed % 3)
    for level in np.flatnonzero(muscle.any(axis=(1, 2))):
        middle = np.argwhere(parts["left"][level] | muscle[level]).mean(axis=0)
        angle = np.arctan2(rows - middle[0], columns - middle[1])
        infarct[level] = muscle[level] & (np.abs(angle - start) < wide)
    infarct &= ~(anatomy.smooth(shape, seed + 10, (0.5, 3.0, 3.0)) > 1.1)
    for level, pixels in ((0, 0), (1, 50), (2, 51)):
        infarct[level] = anatomy.spot(shape[1:], (0.5, 0.6), pixels) if pixels else False
    infarct[-1] = False
    blocked = infarct & (anatomy.smooth(shape, seed + 11, (0.5, 1.2, 1.2)) > 1.6)  # no contrast gets there
    more = [(infarct, 0.97), (blocked, 0.25)]
    return muscle, infarct, np.round(500 * heart.image(parts, heart.LATE, seed, more)).astype(np.int16)
