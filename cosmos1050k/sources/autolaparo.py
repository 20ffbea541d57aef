"""AutoLaparo: the uterus and the parts of four instruments in frames of laparoscopic hysterectomy."""

import re
from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched
from cosmos1050k.source import Case, Label, Mask, Source

SOURCE = Source(
    slug="autolaparo",
    name="AutoLaparo",
    homepage="https://autolaparo.github.io/",
    licence="CC BY-NC-SA 4.0",
    redistributable=True,
    access="form",
    steps="Fill in the request form at https://autolaparo.github.io/; the owner mails a link, of which task "
    "3 (segmentation) alone is needed.",
    labelled=1800,
    citation="Wang et al., AutoLaparo: A New Dataset of Integrated Multi-tasks for Image-guided Surgical "
    "Automation in Laparoscopic Hysterectomy, MICCAI 2022",
    modalities=("Colonoscopy",),
    objects=("Tool", "Uterus"),
    note="Laparoscopy, filed under Colonoscopy as in the paper. Each part of each instrument is an instance "
    "of Tool. A patient is a clip of six frames: the 300 clips are of 21 operations, and nobody published "
    "which. Clips 228 to 300, the owner's test set, are test cases. The owner asks everyone to use the form.",
)

#: Two gray levels each from 20 up: its manipulator and its shaft.
INSTRUMENTS = ("grasping forceps", "LigaSure", "dissecting and grasping forceps", "electric hook")
PARTS = [f"{instrument}, {part}" for instrument in INSTRUMENTS for part in ("manipulator", "shaft")]
LABELS = (
    *(Label(object="Tool", value=20 * n, instance=part) for n, part in enumerate(PARTS, start=1)),
    Label(object="Uterus", value=180),
)
LAST_BEFORE_TEST = 227


def cases(root: Path) -> Iterator[Case | BadFile]:
    return matched(root, _case, image="**/imgs/{stem}.jpg", mask="**/masks/{stem}.png")


def _case(match: Match) -> Case:
    numbers = re.fullmatch(r"(\d{3})(\d{3})", match["stem"])  # of the clip, and of the frame in it
    return Case(
        case=match["stem"],
        patient=numbers[1] if numbers else match["stem"],
        modality="Colonoscopy",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=LABELS),),
        view="picture",
        official_test=numbers is not None and int(numbers[1]) > LAST_BEFORE_TEST,
    )
