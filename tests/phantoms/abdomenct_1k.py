"""AbdomenCT-1K: images in three parts, named `…_0000`, masks in one folder, both kidneys in one value."""

import shutil
from pathlib import Path

import numpy as np

from tests.phantoms import anatomy, containers, torso, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (13, 80, 92)  # slices, rows, columns
LIVER, KIDNEY, SPLEEN, PANCREAS = 1, 2, 3, 4
#: How the files of each part lie, and where: some tools that unpack nest a folder, a few volumes are not
#: stored with their slices last.
PARTS = (
    ("RAS", (0.8, 0.8, 2.5), "AbdomenCT-1K-ImagePart1"),
    ("LPS", (0.8, 0.8, 2.5), "AbdomenCT-1K-ImagePart2/AbdomenCT-1K-ImagePart2"),
    ("RSA", (0.8, 2.5, 0.8), "AbdomenCT-1K-ImagePart3"),
)


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth, images, masks = [], [], []
    for number in range(patients):
        part = number % 3
        codes, spacing, place = PARTS[part]
        name = f"Case_{400 * part + number // 3 + 1:05d}"
        images.append(folder / place / f"{name}_0000.nii.gz")
        masks.append(folder / "Mask" / f"{name}.nii.gz")
        values, labels = _abdomen(100 * seed + number, without_spleen=part == 2)
        for path, array in ((images[-1], values), (masks[-1], labels)):
            containers.nifti(path, volumes.stored(array, codes), volumes.affine(codes, spacing))
        kidney = labels == KIDNEY
        left = kidney & (np.arange(SHAPE[2]) >= SHAPE[2] // 2)
        truth += volumes.rows(
            values,
            [
                Drawn("Liver", None, labels == LIVER),
                Drawn("Kidney", "left", left),
                Drawn("Kidney", "right", kidney & ~left),
                Drawn("Spleen", None, labels == SPLEEN),
                Drawn("Pancreas", None, labels == PANCREAS),
            ],
            volumes.summed(labels, (LIVER, KIDNEY, SPLEEN, PANCREAS)),
            volumes.numbers(SHAPE[0], codes),
            patient=name,
            modality="CT",
            view="transverse",
            files=tuple(str(path.relative_to(folder)) for path in (images[-1], masks[-1])),
        )
    shutil.copy(images[0], images[0].with_name("Case_00390_0000.nii.gz"))  # of those without a mask
    tumors = folder / "Tumor pseudo labels"  # another download, which is not part of this task
    tumors.mkdir()
    shutil.copy(masks[0], tumors)
    return truth


def _abdomen(seed: int, without_spleen: bool) -> tuple[np.ndarray, np.ndarray]:
    organs = torso.abdomen(SHAPE, seed)
    if without_spleen:
        organs["cavity"] = organs["cavity"] | organs["spleen"]
        organs["spleen"] = np.zeros(SHAPE, bool)
    order = {"kidney right": KIDNEY, "kidney left": KIDNEY, "spleen": SPLEEN, "pancreas": PANCREAS}
    labels = torso.numbered(organs, {"liver": LIVER, **order})
    volumes.edges(labels, LIVER, (0.42, 0.28), (0, 1, 2))
    # The tail of the pancreas, too small to be scored, and a loose piece of the left kidney.
    top = int(np.flatnonzero((labels == PANCREAS).any(axis=(1, 2)))[-1]) + 1
    labels[top][anatomy.spot(SHAPE[1:], (0.47, 0.56), 14)] = PANCREAS
    middle = int(np.flatnonzero(organs["kidney left"].any(axis=(1, 2))).mean())
    free = labels[middle] == 0
    labels[middle][anatomy.spot(SHAPE[1:], (0.52, 0.7), 7) & free] = KIDNEY
    return torso.ct(organs, seed, [(labels == KIDNEY, 185), (labels == PANCREAS, 85)]), labels
