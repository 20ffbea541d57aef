"""AbdomenCT-1K: liver, kidneys, spleen and pancreas in CT gathered from five public sets and one hospital."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, gathered
from cosmos1050k.source import Case, Download, Label, Mask, Source

#: Part of the images → its record.
RECORDS = {1: 5903099, 2: 5903846, 3: 5903769}

SOURCE = Source(
    slug="abdomenct_1k",
    name="AbdomenCT-1K",
    homepage="https://github.com/JunMa11/AbdomenCT-1K",
    licence="the owner's terms, and those of LiTS, KiTS19, MSD and NIH Pancreas for their scans; unclear",
    redistributable=False,
    access="form",
    downloads=tuple(
        Download(
            file=f"AbdomenCT-1K-ImagePart{part}.zip",
            url=f"https://zenodo.org/records/{record}/files/AbdomenCT-1K-ImagePart{part}.zip",
        )
        for part, record in RECORDS.items()
    ),
    steps="Fill in the form that https://github.com/JunMa11/AbdomenCT-1K leads to; it answers with three "
    "records at Zenodo. Download the images in three parts, and the masks from the page of the third; put "
    "the masks' archive beside the images, or the folder Mask that it unpacks to.",
    labelled=1000,
    citation="Ma et al., AbdomenCT-1K: Is Abdominal Organ Segmentation a Solved Problem?, IEEE Transactions "
    "on Pattern Analysis and Machine Intelligence 2022",
    modalities=("CT",),
    objects=("Liver", "Kidney", "Spleen", "Pancreas"),
    note="The full release and its benchmark subset are both read; 62 images have no mask. Patients of "
    "KiTS19, MSD and LiTS are among these under other names.",
)

LABELS = (
    Label(object="Liver", value=1),
    Label(object="Kidney", value=2, instances="sides"),
    Label(object="Spleen", value=3),
    Label(object="Pancreas", value=4),
)


def cases(root: Path) -> Iterator[Case | BadFile]:
    return gathered(
        root,
        _case,
        image=r"**/{name:Case_\d{5}}_0000.nii.gz",
        each=r"**/{_folder:Masks?|labels|labelsTr}/{name:Case_\d{5}}.nii.gz",
    )


def _case(masks: dict[str, str], match: Match) -> Case:
    return Case(
        case=match["name"],
        patient=match["name"],
        modality="CT",
        image=match.files["image"],
        masks=(Mask(file=masks[match["name"]], labels=LABELS),),
        view="transverse",
    )
