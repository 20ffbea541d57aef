"""Kvasir-Instrument: tools in endoscopy of the gut, images JPEG, masks PNG."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cosmos1050k import release
from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, find, lines, matched
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="kvasir_instrument",
    name="Kvasir-Instrument",
    homepage="https://datasets.simula.no/kvasir-instrument/",
    licence="research and education only, no commercial use without permission",
    redistributable=False,
    access="direct",
    downloads=(
        Download(
            file="kvasir-instrument.zip",
            url="https://datasets.simula.no/downloads/kvasir-instrument.zip",
        ),
    ),
    labelled=590,
    citation="Jha et al., Kvasir-Instrument: Diagnostic and Therapeutic Tool Segmentation Dataset in "
    "Gastrointestinal Endoscopy, MultiMedia Modeling 2021",
    modalities=("Colonoscopy",),
    objects=("Tool",),
    note="All tools of an image are one object. The images of test.txt are test cases. Its patients are not "
    "known.",
)

IMAGE = "**/images/{stem}.jpg"
TOOL = Label(object="Tool", above=127, weight=255)


def cases(root: Path) -> Iterator[Case | BadFile]:
    tests: frozenset[str] = frozenset()
    try:
        # Whether the names in the list end in .jpg is not documented.
        tests = frozenset(line.removesuffix(".jpg") for line in lines(root, "**/test.txt"))
    except BadFile as unreadable:
        yield unreadable
    else:
        if not tests and any(find(release.files(root), IMAGE)):
            problem = "missing or empty, so the owner's test cases are not known"
            yield BadFile("test.txt", problem, "put it beside the images")
    yield from matched(root, partial(_case, tests), image=IMAGE, mask="**/masks/{stem}.png")


def _case(tests: frozenset[str], match: Match) -> Case:
    return Case(
        case=match["stem"],
        patient=match["stem"],
        modality="Colonoscopy",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=(TOOL,)),),
        view="picture",
        official_test=match["stem"] in tests,
    )
