"""LUNA16: the lungs and the trachea in chest CT, segmented by the owner's algorithm."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched
from cosmos1050k.source import Case, Download, Label, Mask, Source

#: The release fills two records.
RECORDS = {
    3723295: ("seg-lungs-LUNA16.zip", *(f"subset{number}.zip" for number in range(7))),
    4121926: tuple(f"subset{number}.zip" for number in range(7, 10)),
}

SOURCE = Source(
    slug="luna16",
    name="LUNA16 (LUng Nodule Analysis 2016), lung segmentation part",
    homepage="https://luna16.grand-challenge.org/",
    licence="CC BY 4.0",
    redistributable=True,
    access="direct",
    downloads=tuple(
        Download(file=file, url=f"https://zenodo.org/records/{record}/files/{file}")
        for record, files in RECORDS.items()
        for file in files
    ),
    labelled=888,
    citation="Setio et al., Validation, comparison, and combination of algorithms for automatic detection of "
    "pulmonary nodules in computed tomography images: The LUNA16 challenge, Medical Image Analysis 2017",
    modalities=("CT",),
    objects=("Lung", "Trachea"),
    note="The masks come from an algorithm and are no clinical reference. A patient is a scan, since the "
    "release does not say whose it is. The heart, which the paper lists for it too, is in no mask.",
)

LABELS = (
    Label(object="Lung", value=3, instance="left"),
    Label(object="Lung", value=4, instance="right"),
    Label(object="Trachea", value=5),
)


def cases(root: Path) -> Iterator[Case | BadFile]:
    return matched(root, _case, image=r"**/{subset:subset\d}/{uid}.mhd", mask="**/seg-lungs-LUNA16/{uid}.mhd")


def _case(match: Match) -> Case:
    return Case(
        case=match["uid"],
        patient=match["uid"],
        modality="CT",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=LABELS),),
        view="transverse",
    )
