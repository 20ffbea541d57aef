"""AMOS 2022: CT and, with numbers above 500, MRI; training, validation, a test without labels; Mac's junk."""

import json
import shutil
from pathlib import Path

import numpy as np

from tests.phantoms import anatomy, containers, torso, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (15, 80, 96)  # slices, rows, columns
DUODENUM = 13
ORGANS = {
    "spleen": 1, "kidney right": 2, "kidney left": 3, "gallbladder": 4, "esophagus": 5, "liver": 6,
    "stomach": 7, "aorta": 8, "vena cava": 9, "pancreas": 10, "adrenal right": 11, "adrenal left": 12,
    "duodenum": DUODENUM, "bladder": 14, "prostate": 15,
}  # fmt: skip
#: Without the duodenum, which is intestine.
OBJECTS = {
    1: ("Spleen", None), 2: ("Kidney", "right"), 3: ("Kidney", "left"), 4: ("Gall Bladder", None),
    5: ("Esophagus", None), 6: ("Liver", None), 7: ("Stomach", None), 8: ("Aorta", None),
    9: ("Inferior Vena Cava", None), 10: ("Pancreas", None), 11: ("Adrenal Gland", "right"),
    12: ("Adrenal Gland", "left"), 14: ("Bladder", None), 15: ("Prostate/Uterus", None),
}  # fmt: skip
NAMES = ["background", *(name.replace(" ", "_") for name in ORGANS)]
#: Signal of a T1-weighted image after contrast, fat suppressed.
SIGNAL = {
    "fat": 0.2, "muscle": 0.32, "cavity": 0.16, "bowel": 0.3, "bone": 0.12, "vertebra": 0.3, "canal": 0.12,
    "liver": 0.52, "stomach": 0.22, "spleen": 0.58, "colon right": 0.2, "colon left": 0.25,
    "pancreas": 0.5, "gallbladder": 0.1, "kidney right": 0.75, "kidney left": 0.75, "vena cava": 0.8,
    "aorta": 0.85, "esophagus": 0.42, "adrenal right": 0.55, "adrenal left": 0.55, "duodenum": 0.38,
    "portal vein": 0.8,
}  # fmt: skip


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    root = folder / "amos22"
    truth: list[TrueRow] = []
    listed: dict[str, list[dict[str, str]]] = {"training": [], "validation": [], "test": []}
    for number in range(patients):
        mri, part = number % 3 == 1, "Va" if number % 3 == 2 else "Tr"
        name = f"amos_{(507 if mri else 1) + 7 * number:04d}"
        truth += _case(folder, root, part, name, 100 * seed + number, mri)
        files = {"image": f"./images{part}/{name}.nii.gz", "label": f"./labels{part}/{name}.nii.gz"}
        listed["training" if part == "Tr" else "validation"].append(files)
    (root / "imagesTs").mkdir()
    shutil.copy(root / "imagesTr" / "amos_0001.nii.gz", root / "imagesTs" / "amos_0002.nii.gz")
    listed["test"].append({"image": "./imagesTs/amos_0002.nii.gz"})
    about = {"name": "AMOS", "labels": {str(value): name for value, name in enumerate(NAMES)}, **listed}
    (root / "dataset.json").write_text(json.dumps(about, indent=1))
    (root / "readme.md").write_text("Cases up to 500 are CT, those above are MRI.\n")
    junk = folder / "__MACOSX" / "amos22" / "imagesTr"
    junk.mkdir(parents=True)
    containers.resource_fork(junk / "amos_0001.nii.gz")
    return truth


def _case(folder: Path, root: Path, part: str, name: str, seed: int, mri: bool) -> list[TrueRow]:
    values, labels = _mri(seed) if mri else _ct(seed)
    # Some volumes have their slices on another axis than the last.
    codes, spacing = ("LSA", (1.2, 3.0, 1.2)) if mri else ("LAS", (0.78, 0.78, 5.0))
    files = [root / f"{kind}{part}" / f"{name}.nii.gz" for kind in ("images", "labels")]
    for path, array in zip(files, (values, labels), strict=True):
        containers.nifti(path, volumes.stored(array, codes), volumes.affine(codes, spacing))
    return volumes.rows(
        values,
        [Drawn(*named, labels == value) for value, named in OBJECTS.items()],
        volumes.summed(labels, list(OBJECTS)),
        volumes.numbers(len(labels), codes),
        patient=name,
        modality="MRI" if mri else "CT",
        view="transverse",
        files=tuple(str(path.relative_to(folder)) for path in files),
    )


def _ct(seed: int) -> tuple[np.ndarray, np.ndarray]:
    organs = torso.trunk(SHAPE, seed)
    return torso.trunk_ct(organs, seed), _labels(organs)


def _mri(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the abdomen alone: no MRI case shows bladder or prostate."""
    below = 6
    whole = torso.trunk((SHAPE[0] + below, 72, 88), seed)
    organs = {name: mask[below:].copy() for name, mask in whole.items()}
    parts = [(organs[name], level) for name, level in SIGNAL.items()]
    shape = organs["liver"].shape
    values = anatomy.painted(shape, parts, seed + 1, background=0.015, grain=0.025)
    values = np.round(800 * values * (1 + 0.12 * anatomy.smooth(shape, seed + 2, 20)))
    return values.astype(np.int16), _labels(organs)


def _labels(organs: dict[str, np.ndarray]) -> np.ndarray:
    labels = torso.numbered(organs, ORGANS)
    volumes.edges(labels, ORGANS["spleen"], (0.55, 0.79), (-1, -2, -3))
    labels[-1][anatomy.spot(labels.shape[1:], (0.48, 0.41), 70)] = DUODENUM  # makes no row
    labels[-2][anatomy.spot(labels.shape[1:], (0.48, 0.41), 9)] = DUODENUM  # lifts none above the edge
    return labels
