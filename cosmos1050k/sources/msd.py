"""Medical Segmentation Decathlon: ten tasks, a folder each; the files of Tasks 01 and 05 have channels."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cosmos1050k import release
from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, find, matched, text
from cosmos1050k.source import Case, Download, Label, Mask, Source

_TUMOR = ("Brain Tumor", "Edema", "Non-enhancing Tumor Core", "Enhancing Tumor")
_PROSTATE = ("Prostate", "Prostate Peripheral Zone", "Prostate Transition Zone")
#: Task → the modality of each channel. A file of one channel has three dimensions.
MODALITIES = {
    "Task01_BrainTumour": ("T2-FLAIR MRI", "T1W MRI", "T1-GD MRI", "T2W MRI"),
    "Task02_Heart": ("MRI",),
    "Task03_Liver": ("CT",),
    "Task04_Hippocampus": ("MRI",),
    "Task05_Prostate": ("T2W MRI", "ADC MRI"),
    "Task06_Lung": ("CT",),
    "Task07_Pancreas": ("CT",),
    "Task08_HepaticVessel": ("CT",),
    "Task09_Spleen": ("CT",),
    "Task10_Colon": ("CT",),
}
#: Task → labels; those of Task 05 are in the order that its dataset.json gives.
LABELS = {
    "Task01_BrainTumour": (
        Label(object="Brain Tumor", value=(1, 2, 3)),
        Label(object="Edema", value=1),
        Label(object="Non-enhancing Tumor Core", value=2),
        Label(object="Enhancing Tumor", value=3),
    ),
    "Task02_Heart": (Label(object="Left Atrium", value=1),),
    "Task03_Liver": (Label(object="Liver", value=1), Label(object="Liver Tumor", value=2)),
    "Task04_Hippocampus": (
        Label(object="Hippocampus", value=1, instance="anterior"),
        Label(object="Hippocampus", value=2, instance="posterior"),
    ),
    "Task06_Lung": (Label(object="Lung Tumor", value=1),),
    "Task07_Pancreas": (Label(object="Pancreas", value=1), Label(object="Pancreatic Mass", value=2)),
    "Task08_HepaticVessel": (Label(object="Liver Tumor", value=2),),
    "Task09_Spleen": (Label(object="Spleen", value=1),),
    "Task10_Colon": (Label(object="Colon Cancer", value=1),),
}
ZONES = {"PZ": "Prostate Peripheral Zone", "TZ": "Prostate Transition Zone"}
_CT = ("Liver", "Liver Tumor", "Lung Tumor", "Pancreas", "Pancreatic Mass", "Spleen", "Colon Cancer")
_PAIRS = (
    *((name, modality) for modality in MODALITIES["Task01_BrainTumour"] for name in _TUMOR),
    *((name, modality) for modality in MODALITIES["Task05_Prostate"] for name in _PROSTATE),
    *((name, "MRI") for name in ("Left Atrium", "Hippocampus")),
    *((name, "CT") for name in _CT),
)

#: Where the tasks lie that the owner's page leads to through Google Drive.
MIRROR = "https://msd-for-monai.s3-us-west-2.amazonaws.com"
MD5 = {
    "Task01_BrainTumour": "240a19d752f0d9e9101544901065d872",
    "Task02_Heart": "06ee59366e1e5124267b774dbd654057",
    "Task03_Liver": "a90ec6c4aa7f6a3d087205e23d4e6397",
    "Task04_Hippocampus": "9d24dba78a72977dbd1d2e110310f31b",
    "Task05_Prostate": "35138f08b1efaef89d7424d2bcc928db",
    "Task06_Lung": "8afd997733c7fc0432f71255ba4e52dc",
    "Task07_Pancreas": "4f7080cfca169fa8066d17ce6eb061e4",
    "Task08_HepaticVessel": "641d79e80ec66453921d997fbf12a29c",
    "Task09_Spleen": "410d4a301da4e5b2f6f86ec3ddba524e",
    "Task10_Colon": "bad7a188931dc2f6acf72b08eb6202d0",
}

SOURCE = Source(
    slug="msd",
    name="MSD (Medical Segmentation Decathlon)",
    homepage="https://medicaldecathlon.com",
    licence="CC BY-SA 4.0",
    redistributable=True,
    access="direct",
    downloads=tuple(
        Download(file=f"{task}.tar", url=f"{MIRROR}/{task}.tar", md5=md5) for task, md5 in MD5.items()
    ),
    labelled=1741,
    citation="Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 2022",
    modalities=tuple(dict.fromkeys(modality for _, modality in _PAIRS)),
    objects=tuple(dict.fromkeys(name for name, _ in _PAIRS)),
    only=_PAIRS,
    note="The 887 test images have no labels. Brain Tumor and Prostate are the unions of their parts, which "
    "are objects too; a lesion is no part of its organ. Task 02 is sliced along its last axis, which shows "
    "sagittal pictures whatever its header says; hepatic vessels (Task 08) are left out.",
)

_FILE = r"**/{{task:Task\d\d_[A-Za-z]+}}/{folder}/{{name}}.nii.gz"


def cases(root: Path) -> Iterator[Case | BadFile]:
    labels = dict(LABELS)
    if next(find(release.files(root), "**/Task05_Prostate/labelsTr/*.nii.gz"), None):
        try:
            labels["Task05_Prostate"] = _zones(root)
        except BadFile as problem:
            yield problem
    yield from matched(
        root,
        partial(_cases, labels),
        image=_FILE.format(folder="imagesTr"),
        mask=_FILE.format(folder="labelsTr"),
    )


def _cases(labels: dict[str, tuple[Label, ...]], match: Match) -> Iterator[Case]:
    task = match["task"]
    channels = MODALITIES[task] if task in labels else ()
    for channel, modality in enumerate(channels):
        yield Case(
            case=f"{task[:6]}_{match['name']}",
            patient=match["name"],
            modality=modality,
            image=match.files["image"],
            channel=channel if len(channels) > 1 else None,
            masks=(Mask(file=match.files["mask"], labels=labels[task]),),
            view="sagittal" if task == "Task02_Heart" else "transverse",
            axis=2 if task == "Task02_Heart" else None,
        )


def _zones(root: Path) -> tuple[Label, ...]:
    """The labels of Task 05 in the order that its dataset.json gives."""
    name, content = text(root, "**/Task05_Prostate/dataset.json") or ("Task05_Prostate/dataset.json", "")
    try:
        values = {part: int(value) for value, part in json.loads(content)["labels"].items()}
        zones = tuple(Label(object=ZONES[part], value=values[part]) for part in ZONES)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise BadFile(
            name, f"does not say which labels are {' and '.join(ZONES)}", "fetch it again"
        ) from None
    return (Label(object="Prostate", value=tuple(values[part] for part in ZONES)), *zones)
