"""Warwick-QU, of the GlaS contest 2015: glands in images of colon tissue, each a value of a BMP."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched, table
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="warwick_qu_glas",
    name="Warwick-QU (GlaS 2015)",
    homepage="https://warwick.ac.uk/fac/cross_fac/tia/data/glascontest/",
    licence="research only, no commercial use, cite the papers",
    redistributable=False,
    access="form",
    downloads=(Download(file="warwick_qu_dataset_released_2016_07_08.zip"),),
    steps="Fill in the form at https://warwick.ac.uk/fac/cross_fac/tia/data/glascontest/download/ and "
    "download the zip; the Kaggle data set sani84/glasmiccai2015-gland-segmentation holds the same files.",
    labelled=165,
    citation="Sirinukunwattana et al., Gland segmentation in colon histology images: The GlaS challenge "
    "contest, Medical Image Analysis 2017",
    modalities=("Histopathology",),
    objects=("Adenocarcinoma",),
    note="A gland, benign or not, is an instance; one in several pieces is several. Patients are those of "
    "Grade.csv: the contest's test images (A and B) are test cases, and show most patients of its training "
    "images, so that only 8 of these are not test too.",
)

GLANDS = Label(object="Adenocarcinoma", above=0, instances="parts")
IMAGE = r"**/{stem:(?:train|testA|testB)_\d+}"


def cases(root: Path) -> Iterator[Case | BadFile]:
    _, rows = table(root, "**/Grade.csv", "name", "patient ID") or ("", [])
    patients = {row["name"]: row["patient ID"] for row in rows}
    yield from matched(root, partial(_case, patients), image=f"{IMAGE}.bmp", mask=f"{IMAGE}_anno.bmp")


def _case(patients: dict[str, str], match: Match) -> Case:
    return Case(
        case=match["stem"],
        patient=patients.get(match["stem"], match["stem"]),
        modality="Histopathology",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=(GLANDS,)),),
        view="picture",
        official_test=match["stem"].startswith("test"),
    )
