"""crossMoDA, the edition of 2022: London and Tilburg, T2 images without labels; cochleae are labelled too."""

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.phantoms import anatomy, containers, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (12, 80, 76)  # slices, rows, columns
TUMOR, COCHLEA = 1, 2
#: Name of a site's patients, how their files' axes run, millimetres.
SITES = (
    ("crossmoda2021_ldn", "LPS", (0.41, 0.41, 1.5)),
    ("crossmoda2022_etz", "RSA", (0.5, 1.5, 0.5)),
)


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth, listed = [], ""
    for number in range(patients):
        site, codes, spacing = SITES[number % 2]
        name = f"{site}_{number // 2 + 1}"
        labels, values = _head(100 * seed + number)
        image, mask = (folder / f"training_source/{name}_{kind}.nii.gz" for kind in ("ceT1", "Label"))
        affine = volumes.affine(codes, spacing)
        for path, array in ((image, values), (mask, labels)):
            containers.nifti(path, volumes.stored(array, codes), affine)
        listed += f"{name},{site}\n"
        truth += volumes.rows(
            values,
            [Drawn("Vestibular Schwannoma", None, labels == TUMOR)],
            volumes.summed(labels, (TUMOR,)),
            volumes.numbers(SHAPE[0], codes),
            patient=name,
            modality="T1W MRI",
            view="transverse",
            files=tuple(str(path.relative_to(folder)) for path in (image, mask)),
        )
    (folder / "infos_source_training.csv").write_text(f"case,site\n{listed}")
    (folder / "training_target").mkdir()
    shutil.copy(image, folder / "training_target/crossmoda2021_ldn_106_hrT2.nii.gz")
    return truth


def _head(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Through the ears: the tumor lies in the angle between brainstem and cerebellum, on one side."""
    side = 1 if seed % 3 else -1

    def part(centre: tuple[float, float, float], radii: tuple[float, float, float], number: int) -> NDArray:
        return anatomy.blob(SHAPE, centre, radii, seed + number, 0.07)

    scalp = part((0.5, 0.5, 0.5), (9, 0.47, 0.44), 0)
    skull = part((0.5, 0.5, 0.5), (9, 0.42, 0.38), 1)
    fossa = part((0.5, 0.68, 0.5), (9, 0.22, 0.3), 2)
    cerebellum = part((0.5, 0.71, 0.5), (0.9, 0.18, 0.27), 3)
    temporal = [part((0.8, 0.36, 0.5 + 0.22 * s), (0.5, 0.13, 0.14), 4 + s) for s in (-1, 1)]
    petrous = [part((0.35, 0.5, 0.5 + 0.25 * s), (0.5, 0.09, 0.14), 7 + s) for s in (-1, 1)]
    sinus = part((0.1, 0.25, 0.5), (0.5, 0.12, 0.12), 10)
    stem = part((0.5, 0.54, 0.5), (9, 0.09, 0.1), 11)
    ventricle = part((0.5, 0.63, 0.5), (0.6, 0.025, 0.05), 12)
    vessels = [part((0.5, 0.62, 0.5 + 0.34 * s), (9, 0.035, 0.03), 13 + s) for s in (-1, 1)]
    labels = np.zeros(SHAPE, np.uint8)
    size = 0.045 + 0.012 * (seed % 4)
    angle = part((0.5, 0.53, 0.5 + 0.15 * side), (0.28, size, 1.3 * size), 16)
    canal = part((0.5, 0.51, 0.5 + 0.22 * side), (0.14, 0.022, 0.07), 17)
    cochleae = [part((0.5, 0.46, 0.5 + 0.27 * s), (0.13, 0.022, 0.022), 18 + s) for s in (-1, 1)]
    for cochlea in cochleae:
        labels[cochlea] = COCHLEA
    labels[angle | canal] = TUMOR
    where = (0.53, 0.5 + 0.15 * side)
    volumes.edges(labels, TUMOR, where, (0, 1, 2))
    labels[-1] = 0
    labels[-2] = COCHLEA * anatomy.spot(SHAPE[1:], (0.46, 0.77), 40)  # a sum of 80 that doesn't count
    labels[4, 12, 9] = TUMOR  # a stray voxel
    parts = [(scalp, 0.75), (skull, 0.1), (sinus, 0.02), (fossa, 0.14)]
    parts += [(cerebellum, 0.48), *((one, 0.46) for one in temporal), *((one, 0.06) for one in petrous)]
    parts += [(stem, 0.52), (ventricle, 0.12), *((one, 0.95) for one in vessels)]
    parts += [*((one, 0.2) for one in cochleae), (labels == TUMOR, 0.9)]
    values = anatomy.painted(SHAPE, parts, seed + 21, background=0.01, grain=0.03)
    return labels, np.round(700 * values).astype(np.int16)
