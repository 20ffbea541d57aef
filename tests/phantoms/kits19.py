"""KiTS19: `data/case_NNNNN` with image and segmentation, the last cases without; slices on the first axis."""

import json
import shutil
from pathlib import Path

import numpy as np

from tests.phantoms import anatomy, containers, torso, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (13, 80, 92)  # slices, rows, columns
CODES, SPACING = "IPL", (3.0, 0.78, 0.78)
KIDNEY, TUMOR = 1, 2


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    data = folder / "kits19" / "data"
    names = [f"case_{11 * number:05d}" for number in range(patients)]
    truth = []
    for number, name in enumerate(names):
        truth += _case(folder, data / name, 100 * seed + number, np.uint16 if number % 3 == 1 else np.uint8)
    (data / "case_00210").mkdir()  # of the owner's test, whose labels are kept back
    shutil.copy(data / names[0] / "imaging.nii.gz", data / "case_00210")
    listed = [{"case_id": name, "captured_pixel_width": SPACING[1]} for name in [*names, "case_00210"]]
    (data / "kits.json").write_text(json.dumps(listed, indent=1))
    (data / "LICENSE").write_text("CC BY-NC-SA 4.0\n")
    return truth


def _case(folder: Path, place: Path, seed: int, dtype: type[np.unsignedinteger]) -> list[TrueRow]:
    values, labels = _abdomen(seed)
    affine = volumes.affine(CODES, SPACING)
    for file, array in (("imaging.nii.gz", values), ("segmentation.nii.gz", labels.astype(dtype))):
        containers.nifti(place / file, volumes.stored(array, CODES), affine)
    kidney = labels == KIDNEY
    left = kidney & (np.arange(SHAPE[2]) >= SHAPE[2] // 2)
    return volumes.rows(
        values,
        [
            Drawn("Kidney", "left", left),
            Drawn("Kidney", "right", kidney & ~left),
            Drawn("Kidney Tumor", None, labels == TUMOR),
        ],
        volumes.summed(labels, (KIDNEY, TUMOR)),
        volumes.numbers(SHAPE[0], CODES),
        patient=place.name,
        modality="CT",
        view="transverse",
        files=tuple(str((place / f).relative_to(folder)) for f in ("imaging.nii.gz", "segmentation.nii.gz")),
    )


def _abdomen(seed: int) -> tuple[np.ndarray, np.ndarray]:
    organs = torso.abdomen(SHAPE, seed)
    random = np.random.default_rng(seed)
    where = np.array([0.45, 0.62, 0.27]) + random.uniform(-0.02, 0.02, 3)
    tumor = anatomy.blob(SHAPE, where, (0.2, 0.08, 0.065), seed + 50, 0.15)
    cyst = anatomy.blob(SHAPE, (0.5, 0.67, 0.73), (0.12, 0.05, 0.04), seed + 51, 0.08)
    labels = np.zeros(SHAPE, np.uint8)
    labels[organs["kidney right"] | organs["kidney left"] | cyst] = KIDNEY  # a cyst is part of its kidney
    labels[tumor] = TUMOR
    labels[:3] = 0
    volumes.edges(labels, KIDNEY, (0.64, 0.69), (0, 1, 2))
    top = int(np.flatnonzero((labels == KIDNEY).any(axis=(1, 2)))[-1])
    labels[top][anatomy.spot(SHAPE[1:], (0.62, 0.27), 38)] = TUMOR  # too small to be scored
    kidneys = organs["kidney right"] | organs["kidney left"] | (labels == KIDNEY)
    return torso.ct(organs, seed, [(kidneys, 185), (cyst, 8), (labels == TUMOR, 70)]), labels
