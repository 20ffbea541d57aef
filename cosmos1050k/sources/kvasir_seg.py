"""Kvasir-SEG: polyps in colonoscopy; the masks are JPEG too, with rings round their edges."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="kvasir_seg",
    name="Kvasir-SEG",
    homepage="https://datasets.simula.no/kvasir-seg/",
    licence="research and education only, no commercial use without permission",
    redistributable=False,
    access="direct",
    downloads=(
        Download(
            file="kvasir-seg.zip",
            url="https://datasets.simula.no/downloads/kvasir-seg.zip",
            sha256="03b30e21d584e04facf49397a2576738fd626815771afbbf788f74a7153478f7",
        ),
    ),
    labelled=1000,
    citation="Jha et al., Kvasir-SEG: A Segmented Polyp Dataset, MultiMedia Modeling 2020",
    modalities=("Colonoscopy",),
    objects=("Polyp",),
    note="All polyps of an image are one object. Its patients are not known.",
)

#: The mean of the mask's three channels decides.
POLYP = Label(object="Polyp", above=127, weight=255)


def cases(root: Path) -> Iterator[Case | BadFile]:
    return matched(root, _case, image="**/images/{stem}.jpg", mask="**/masks/{stem}.jpg")


def _case(match: Match) -> Case:
    return Case(
        case=match["stem"],
        patient=match["stem"],
        modality="Colonoscopy",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=(POLYP,)),),
        view="picture",
    )
