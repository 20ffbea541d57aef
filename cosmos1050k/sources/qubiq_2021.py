"""QUBIQ 2021: single slices of kidney, prostate and brain, each drawn by three to seven annotators."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, gathered
from cosmos1050k.source import Case, Download, Label, Mask, Source

#: Folder → object and modalities; those of the brain tumors are planes of one file, in this order.
FOLDERS = {
    "kidney": ("Kidney", ("CT",)),
    "prostate": ("Prostate", ("MRI",)),
    "brain-growth": ("Brain Growth", ("MRI",)),
    "brain-tumor": ("Brain Tumor", ("T2-FLAIR MRI", "T1W MRI", "T1-GD MRI", "T2W MRI")),
}
_PAIRS = tuple((name, modality) for name, several in FOLDERS.values() for modality in several)

SOURCE = Source(
    slug="qubiq_2021",
    name="QUBIQ 2021 (Quantification of Uncertainties in Biomedical Image Quantification)",
    homepage="https://qubiq21.grand-challenge.org/",
    licence="challenge terms, unknown",
    redistributable=False,
    access="grand-challenge",
    downloads=(
        Download(file="training_data_v3_QC.zip"),
        Download(file="validation_data_qubiq2021_QC.zip"),
    ),
    steps="Join the challenge at https://qubiq21.grand-challenge.org/ and download the two archives that "
    "https://qubiq21.grand-challenge.org/participation/ links to; the test archive has no labels.",
    labelled=185,
    citation="Li et al., QUBIQ: Uncertainty Quantification for Biomedical Image Segmentation Challenge, "
    "arXiv 2024",
    modalities=tuple(dict.fromkeys(modality for _, modality in _PAIRS)),
    objects=tuple(dict.fromkeys(name for name, _ in _PAIRS)),
    only=_PAIRS,
    note="A mask is what more than half of the annotators mark. The owner does not say what the prostate's "
    "two structures are (instances task01 and task02), nor in which order the four planes of a brain tumor "
    "lie: they are taken as MSD has them. Brain Tumor is the union of its three structures. Pancreas and "
    "pancreatic lesion are left out, since the paper does not list them.",
)

_CASE = rf"**/{{folder:{'|'.join(FOLDERS)}}}/{{_part:Training|Validation}}/{{patient:case\d+}}"


def cases(root: Path) -> Iterator[Case | BadFile]:
    return gathered(
        root,
        _cases,
        image=f"{_CASE}/image.nii.gz",
        each=rf"{_CASE}/{{name:(?:task|case)\d+_seg\d+}}.nii.gz",
    )


def _cases(masks: dict[str, str], match: Match) -> Iterator[Case]:
    folder = match["folder"]
    name, modalities = FOLDERS[folder]
    structures: dict[str, list[tuple[str, str]]] = {}
    for mask, file in masks.items():
        task, annotator = mask.split("_seg")
        if task.startswith("case") or folder == "brain-tumor":  # some files of task01 bear the case's name
            task = "task01"
        structures.setdefault(task, []).append((annotator, file))
    for channel, modality in enumerate(modalities):
        yield Case(
            case=f"{folder}_{match['patient']}",
            patient=f"{folder}_{match['patient']}",
            modality=modality,
            image=match.files["image"],
            channel=channel if len(modalities) > 1 else None,
            masks=tuple(
                Mask(
                    file=tuple(file for _, file in drawn),
                    annotators=tuple(annotator for annotator, _ in drawn),
                    labels=(Label(object=name, value=1, instance=task if folder == "prostate" else None),),
                )
                for task, drawn in structures.items()
            ),
            view="picture",
        )
