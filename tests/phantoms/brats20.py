"""BraTS 2020: a folder per patient with four sequences and a mask; every second one as the copy on Kaggle."""

from pathlib import Path

import numpy as np

from tests.phantoms import anatomy, brain, containers, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (10, 72, 60)  # slices, rows, columns
CODES, SPACING = "LPS", (1.0, 1.0, 1.0)
SEQUENCES = {"t1": "T1W MRI", "t1ce": "T1-GD MRI", "t2": "T2W MRI", "flair": "T2-FLAIR MRI"}
CORE, EDEMA, ENHANCING = 1, 2, 4
ALL = (CORE, EDEMA, ENHANCING)
OWNER = Path("MICCAI_BraTS2020_TrainingData")
KAGGLE = Path("BraTS2020_TrainingData") / OWNER
#: The one whose mask has another name there.
MISNAMED = 355


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth, names = [], []
    for number in range(patients):
        kaggle = number % 2 == 1
        name = f"BraTS20_Training_{MISNAMED if number == 1 else number + 1:03d}"
        names.append(name)
        place = folder / (KAGGLE if kaggle else OWNER) / name
        truth += _patient(folder, place, ".nii" if kaggle else ".nii.gz", 100 * seed + number)
    (folder / OWNER / "survival_info.csv").write_text("Brats20ID,Age,Survival_days,Extent_of_Resection\n")
    mapped = "".join(f"HGG,{n},NA,NA,NA,{name}\n" for n, name in enumerate(names))
    (folder / OWNER / "name_mapping.csv").write_text(
        f"Grade,BraTS_2017,BraTS_2018,TCGA_TCIA,BraTS_2019,BraTS_2020\n{mapped}"
    )
    unlabelled = folder / "MICCAI_BraTS2020_ValidationData/BraTS20_Validation_001"
    for sequence in SEQUENCES:
        values = np.zeros(SHAPE[::-1], np.int16)
        containers.nifti(unlabelled / f"{unlabelled.name}_{sequence}.nii.gz", values, np.eye(4))
    return truth


def _patient(folder: Path, place: Path, ending: str, seed: int) -> list[TrueRow]:
    tissue = anatomy.head(SHAPE, seed)
    head = brain.inside(tissue)
    tumor = brain.glioma(head, seed + 1)
    labels = np.zeros(SHAPE, np.uint8)
    for value, part in ((EDEMA, "edema"), (ENHANCING, "enhancing"), (CORE, "core")):
        labels[tumor[part]] = value
    if seed % 3 == 2:  # a tumor of lower grade has no part that enhances
        labels[labels == ENHANCING] = CORE
    where = (0.45, 0.36)
    volumes.edges(labels, EDEMA, where, (0, 1, 2))
    labels[3] = EDEMA * anatomy.spot(SHAPE[1:], where, 160)
    labels[3][anatomy.spot(SHAPE[1:], where, 20)] = CORE
    shown = {
        **{name: tissue[name] for name in brain.INSIDE},
        "edema": labels == EDEMA,
        "core": labels == CORE,
        "enhancing": labels == ENHANCING,
    }
    drawn = [
        Drawn("Brain Tumor", None, labels > 0),
        Drawn("Edema", None, labels == EDEMA),
        Drawn("Non-enhancing Tumor Core", None, labels == CORE),
        Drawn("Enhancing Tumor", None, labels == ENHANCING),
    ]
    affine = volumes.affine(CODES, SPACING)
    name = place.name
    misnamed = name.endswith(str(MISNAMED))
    mask = place / f"{'W39_1998.09.19_Segm' if misnamed else f'{name}_seg'}{ending}"
    containers.nifti(mask, volumes.stored(labels, CODES), affine)
    truth = []
    for number, (sequence, modality) in enumerate(SEQUENCES.items()):
        values = brain.image(modality, shown, seed + 10 + number)
        values = np.where(head, np.round(1500 * values), 0).astype(np.int16)  # skull-stripped
        image = place / f"{name}_{sequence}{ending}"
        containers.nifti(image, volumes.stored(values, CODES), affine)
        truth += volumes.rows(
            values,
            drawn,
            volumes.summed(labels, ALL),
            volumes.numbers(SHAPE[0], CODES),
            patient=name,
            modality=modality,
            view="transverse",
            files=tuple(str(path.relative_to(folder)) for path in (image, mask)),
        )
    return truth
