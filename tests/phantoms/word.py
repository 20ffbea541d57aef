"""WORD: three folders of images and of labels, those of the test cases from an archive of their own."""

import shutil
from pathlib import Path

import numpy as np

from tests.phantoms import anatomy, containers, torso, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (16, 88, 104)  # slices, rows, columns
CODES, SPACING = "LPS", (0.9, 0.9, 2.5)
ADRENAL, INTESTINE = 12, 11
ORGANS = {
    "liver": 1, "spleen": 2, "kidney left": 3, "kidney right": 4, "stomach": 5, "gallbladder": 6,
    "esophagus": 7, "pancreas": 8, "duodenum": 9, "colon right": 10, "colon left": 10, "bowel": INTESTINE,
    "adrenal left": ADRENAL, "adrenal right": ADRENAL, "rectum": 13, "bladder": 14, "femur left": 15,
    "femur right": 16,
}  # fmt: skip
#: Without duodenum, colon and intestine, which fall apart over slices, and the adrenal glands, of one value.
OBJECTS = {
    1: ("Liver", None), 2: ("Spleen", None), 3: ("Kidney", "left"), 4: ("Kidney", "right"),
    5: ("Stomach", None), 6: ("Gall Bladder", None), 7: ("Esophagus", None), 8: ("Pancreas", None),
    13: ("Rectum", None), 14: ("Bladder", None), 15: ("Femur", "left"), 16: ("Femur", "right"),
}  # fmt: skip
PARTS = ("Tr", "Val", "Ts")


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    root, tests = folder / "WORD-V0.1.0", folder / "WORD_V0.1.0_labelsTs"
    truth = []
    for number in range(patients):
        part = PARTS[number % 3]
        name = f"word_{2 + 5 * number:04d}.nii.gz"
        image = root / f"images{part}" / name
        mask = (tests if part == "Ts" else root) / f"labels{part}" / name
        values, labels = _trunk(100 * seed + number)
        for path, array in ((image, values), (mask, labels)):
            containers.nifti(path, volumes.stored(array, CODES), volumes.affine(CODES, SPACING))
        adrenal = labels == ADRENAL
        left = adrenal & (np.arange(SHAPE[2]) >= SHAPE[2] // 2)
        truth += volumes.rows(
            values,
            [
                *(Drawn(*named, labels == value) for value, named in OBJECTS.items()),
                Drawn("Adrenal Gland", "left", left),
                Drawn("Adrenal Gland", "right", adrenal & ~left),
            ],
            volumes.summed(labels, [*OBJECTS, ADRENAL]),
            volumes.numbers(SHAPE[0], CODES),
            patient=name.removesuffix(".nii.gz"),
            modality="CT",
            view="transverse",
            files=tuple(str(path.relative_to(folder)) for path in (image, mask)),
            official_test=part == "Ts",
        )
    (root / "scribblesTr").mkdir()
    shutil.copy(root / "labelsTr" / "word_0002.nii.gz", root / "scribblesTr")
    return truth


def _trunk(seed: int) -> tuple[np.ndarray, np.ndarray]:
    organs = torso.trunk(SHAPE, seed)
    labels = torso.numbered(organs, ORGANS)
    volumes.edges(labels, ORGANS["liver"], (0.42, 0.3), (-1, -2, -3))
    # What is left out makes no row, and lifts none above the edge.
    labels[-1][anatomy.spot(SHAPE[1:], (0.4, 0.65), 80)] = INTESTINE
    labels[-2][anatomy.spot(SHAPE[1:], (0.4, 0.65), 60)] = INTESTINE
    return torso.trunk_ct(organs, seed), labels
