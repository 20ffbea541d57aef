"""iChallenge-AMD: fundus photographs with the optic disc, a mask where the whole disc is seen."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, gathered
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="ichallenge_amd",
    name="iChallenge-AMD (ADAM, Automatic Detection challenge on Age-related Macular degeneration)",
    homepage="https://amd.grand-challenge.org/",
    licence="the owner's terms, for research",
    redistributable=False,
    access="grand-challenge",
    downloads=(
        Download(file="AMD-Training400.zip"),
        Download(file="DF-Annotation-Training400.zip"),
        Download(file="Training400-Lesion.zip", optional=True),
    ),
    steps="Register at https://grand-challenge.org, join https://amd.grand-challenge.org, and get from "
    "https://amd.grand-challenge.org/download/ the images AMD-Training400.zip and the annotations of disc "
    "and fovea DF-Annotation-Training400.zip.",
    citation="Fang et al., ADAM Challenge: Detecting Age-Related Macular Degeneration From Fundus Images, "
    "IEEE Transactions on Medical Imaging 2022",
    modalities=("Fundus",),
    objects=("Optic Disc",),
    note="The disc is black on white. A photograph that doesn't show the whole disc has an all-white mask "
    "or none, and gives no row. Of the fovea, which the paper lists too, the owner gives a point and no "
    "mask; the lesions' masks are not used, since the paper does not list them, nor the images for "
    "validation and test, which come without masks.",
)

DISC = Label(object="Optic Disc", colour=(0, 0, 0), within=127, weight=255)
_PATIENT = r"{patient:[AN]\d{4}}"


def cases(root: Path) -> Iterator[Case | BadFile]:
    return gathered(
        root,
        _case,
        image=f"**/{{_kind:(?:Non-)?AMD}}/{_PATIENT}.jpg",
        each=f"**/{{name:Disc_Masks}}/{_PATIENT}.bmp",
    )


def _case(masks: dict[str, str], match: Match) -> Case:
    return Case(
        case=match["patient"],
        patient=match["patient"],
        modality="Fundus",
        image=match.files["image"],
        masks=tuple(Mask(file=file, labels=(DISC,)) for file in masks.values()),
        view="picture",
    )
