"""CRAG: glands in images of colorectal adenocarcinoma, each a value of a PNG."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched
from cosmos1050k.source import Case, Label, Mask, Source

SOURCE = Source(
    slug="crag",
    name="CRAG (Colorectal Adenocarcinoma Gland)",
    homepage="https://warwick.ac.uk/fac/cross_fac/tia/data/mildnet/",
    licence="research use with citation, no open licence found",
    redistributable=False,
    access="form",
    steps="Fill in the form at https://warwick.ac.uk/fac/cross_fac/tia/data/mildnet/ and follow the link "
    "that it gives to version 2 of the data set.",
    labelled=213,
    citation="Graham et al., MILD-Net: Minimal information loss dilated network for gland instance "
    "segmentation in colon histology images, Medical Image Analysis 2019",
    modalities=("Histopathology",),
    objects=("Adenocarcinoma",),
    note="A gland is an instance; one in several pieces is several. The folder `valid`, or `test`, holds the "
    "owner's test images, which are test cases. Its patients are not known.",
)

GLANDS = Label(object="Adenocarcinoma", above=0, instances="parts")
PART = "**/{part:(?i:train|valid|test)}"


def cases(root: Path) -> Iterator[Case | BadFile]:
    return matched(
        root,
        _case,
        image=f"{PART}/{{_images:(?i:images)}}/{{stem}}.png",
        mask=f"{PART}/{{_masks:(?i:annotations?)}}/{{stem}}.png",
    )


def _case(match: Match) -> Case:
    return Case(
        case=match["stem"],
        patient=match["stem"],
        modality="Histopathology",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=(GLANDS,)),),
        view="picture",
        official_test=match["part"].lower() != "train",
    )
