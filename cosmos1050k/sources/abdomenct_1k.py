"""AbdomenCT-1K: liver, kidneys, spleen and pancreas in CT gathered from five public sets and one hospital."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, gathered
from cosmos1050k.source import Case, Download, Label, Mask, Source

#: File → its record at Zenodo, and its sha256.
FILES = {
    "AbdomenCT-1K-ImagePart1.zip": (
        5903099, "3d0d8edd2a8777f8807c6715f633e2fea104f16a8514572664021ed88f97cd03"
    ),
    "AbdomenCT-1K-ImagePart2.zip": (
        5903846, "3178bd3021dfed0440c4dc269b7f3125b27b60aec96e81b210d7c4c55d0fe894"
    ),
    "AbdomenCT-1K-ImagePart3.zip": (
        5903769, "76bf789589a13ca1aef9b9c8b771f05c165e6d2013284bbfdb4c4656d4931c30"
    ),
    "Mask.7z": (5903769, "cefa7cab51fb0781876550b032278ca6a1ed2a8c776c8567410ea2b2a6984e50"),
}  # fmt: skip

SOURCE = Source(
    slug="abdomenct_1k",
    name="AbdomenCT-1K",
    homepage="https://github.com/JunMa11/AbdomenCT-1K",
    licence="the owner's terms, and those of LiTS, KiTS19, MSD and NIH Pancreas for their scans; unclear",
    redistributable=False,
    access="form",
    downloads=tuple(
        Download(file=file, url=f"https://zenodo.org/records/{record}/files/{file}", sha256=sha256)
        for file, (record, sha256) in FILES.items()
    ),
    steps="Fill in the form that https://github.com/JunMa11/AbdomenCT-1K leads to; it answers with three "
    "records at Zenodo. Download the images in three parts, and the masks, Mask.7z, from the page of the "
    "third.",
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
