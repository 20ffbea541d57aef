"""MALBCV-Abdomen: `RawData/Training` with `img` and `label`, numbers with gaps, `Testing` without labels."""

import shutil
from pathlib import Path

import numpy as np

from tests.phantoms import containers, torso, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (14, 88, 104)  # slices, rows, columns
CODES, SPACING = "LAS", (0.76, 0.76, 3.0)
NUMBERS = (*range(1, 11), *range(21, 41))
ORGANS = {
    "spleen": 1, "kidney right": 2, "kidney left": 3, "gallbladder": 4, "esophagus": 5, "liver": 6,
    "stomach": 7, "aorta": 8, "vena cava": 9, "portal vein": 10, "pancreas": 11, "adrenal right": 12,
    "adrenal left": 13,
}  # fmt: skip
OBJECTS = {
    1: ("Spleen", None), 2: ("Kidney", "right"), 3: ("Kidney", "left"), 4: ("Gall Bladder", None),
    5: ("Esophagus", None), 6: ("Liver", None), 7: ("Stomach", None), 8: ("Aorta", None),
    9: ("Inferior Vena Cava", None), 10: ("Portal and Splenic Vein", None), 11: ("Pancreas", None),
    12: ("Adrenal Gland", "right"), 13: ("Adrenal Gland", "left"),
}  # fmt: skip


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    training, testing = folder / "RawData" / "Training", folder / "RawData" / "Testing"
    truth = []
    for number in range(patients):
        name = f"{NUMBERS[9 * number % len(NUMBERS)]:04d}"  # 1, 10, 29, 8, …
        image, mask = training / "img" / f"img{name}.nii.gz", training / "label" / f"label{name}.nii.gz"
        values, labels = _abdomen(100 * seed + number, without_gallbladder=number % 3 == 1)
        for path, array in ((image, values), (mask, labels)):
            containers.nifti(path, volumes.stored(array, CODES), volumes.affine(CODES, SPACING))
        truth += volumes.rows(
            values,
            [Drawn(*named, labels == value) for value, named in OBJECTS.items()],
            volumes.summed(labels, list(OBJECTS)),
            volumes.numbers(SHAPE[0], CODES),
            patient=name,
            modality="CT",
            view="transverse",
            files=tuple(str(path.relative_to(folder)) for path in (image, mask)),
        )
    (testing / "img").mkdir(parents=True)
    shutil.copy(training / "img" / "img0001.nii.gz", testing / "img" / "img0061.nii.gz")
    containers.resource_fork(training / "label" / "label0001.nii.gz")
    return truth


def _abdomen(seed: int, without_gallbladder: bool) -> tuple[np.ndarray, np.ndarray]:
    """The scans begin above the pelvis."""
    below = 5
    whole = torso.trunk((SHAPE[0] + below, *SHAPE[1:]), seed)
    organs = {name: mask[below:].copy() for name, mask in whole.items()}
    if without_gallbladder:
        organs["liver"] |= organs["gallbladder"]
        organs["gallbladder"][:] = False
    labels = torso.numbered(organs, ORGANS)
    volumes.edges(labels, ORGANS["spleen"], (0.55, 0.79), (-1, -2, -3))
    return torso.trunk_ct(organs, seed), labels
