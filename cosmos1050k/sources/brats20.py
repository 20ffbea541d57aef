"""BraTS 2020: gliomas and their sub-regions, one mask for four MR sequences of a patient."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="brats20",
    name="BraTS 2020 (Multimodal Brain Tumor Segmentation Challenge)",
    homepage="https://www.med.upenn.edu/cbica/brats2020/data.html",
    licence="the owner's data usage terms: registration, research, four works to cite",
    redistributable=False,
    access="form",
    downloads=(Download(file="MICCAI_BraTS2020_TrainingData.zip"),),
    steps="Register as https://www.med.upenn.edu/cbica/brats2020/registration.html says; the link to "
    "MICCAI_BraTS2020_TrainingData.zip, about 3 GB, comes by e-mail. The copy of it at "
    "https://www.kaggle.com/datasets/awsaf49/brats20-dataset-training-validation is read too.",
    labelled=369,
    citation="Menze et al., The Multimodal Brain Tumor Image Segmentation Benchmark (BRATS), "
    "IEEE Transactions on Medical Imaging 2015",
    modalities=("T1W MRI", "T1-GD MRI", "T2W MRI", "T2-FLAIR MRI"),
    objects=("Brain Tumor", "Edema", "Non-enhancing Tumor Core", "Enhancing Tumor"),
    note="Brain Tumor is the union of the sub-regions, which are objects too. The validation set has no "
    "labels. MSD's Task 01 holds part of these patients under other names.",
)

#: The owner uses no other value: a mask with one, such as 3, was recoded, and is refused.
LABELS = (
    Label(object="Brain Tumor", value=(1, 2, 4)),
    Label(object="Edema", value=2),
    Label(object="Non-enhancing Tumor Core", value=1),
    Label(object="Enhancing Tumor", value=4),
)
SEQUENCES = {"t1": "T1W MRI", "t1ce": "T1-GD MRI", "t2": "T2W MRI", "flair": "T2-FLAIR MRI"}

_FOLDER = r"**/{patient:BraTS20_Training_\d+}/"
#: Patient 355's mask has another name in the copy on Kaggle, whose files are not compressed.
_MASK = r"{_mask:(?:(?P=patient)_seg|W39_1998\.09\.19_Segm)\.nii(?:\.gz)?}"


def cases(root: Path) -> Iterator[Case | BadFile]:
    images = {name: rf"{_FOLDER}{{patient}}_{name}.nii{{_{name}:(?:\.gz)?}}" for name in SEQUENCES}
    return matched(root, _cases, **images, mask=_FOLDER + _MASK)


def _cases(match: Match) -> Iterator[Case]:
    for sequence, modality in SEQUENCES.items():
        yield Case(
            case=match["patient"],
            patient=match["patient"],
            modality=modality,
            image=match.files[sequence],
            masks=(Mask(file=match.files["mask"], labels=LABELS, others=()),),
            view="transverse",
        )
