"""VerSe: vertebrae in CT, a value per level; the union of the sets of 2019 and of 2020."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matches
from cosmos1050k.source import Case, Download, Label, Mask, Source

ARCHIVES = "https://s3.bonescreen.de/public/VerSe-complete"

SOURCE = Source(
    slug="verse",
    name="VerSe (Large Scale Vertebrae Segmentation Challenge, 2019 and 2020)",
    homepage="https://github.com/anjany/verse",
    licence="CC BY-SA 4.0",
    redistributable=True,
    access="direct",
    downloads=tuple(
        Download(file=f"dataset-verse{year}{part}.zip", url=f"{ARCHIVES}/dataset-verse{year}{part}.zip")
        for year in (20, 19)
        for part in ("training", "validation", "test")
    ),
    labelled=374,
    citation="Sekuboyina et al., VerSe: A Vertebrae Labelling and Segmentation Benchmark for Multi-detector "
    "CT Images, Medical Image Analysis 2021",
    modalities=("CT",),
    objects=("Vertebra",),
    note="Scans that both years have under one name are taken once, from 2020. A test case of either year is "
    "one. Of the owner's two forms the one by subject (rawdata, derivatives) is read; where it is not there, "
    "that of the challenge, in which a patient is a scan unless the file's name begins with the patient's "
    "number (verse400_verse090). Reformatted scans (dir-sag) are cut transversally like the others.",
)

LEVELS = (
    *((value, f"C{value}") for value in range(1, 8)),
    *((7 + number, f"T{number}") for number in range(1, 13)),
    *((19 + number, f"L{number}") for number in range(1, 7)),
    (28, "T13"),
)
LABELS = tuple(Label(object="Vertebra", value=value, instance=level) for value, level in LEVELS)

#: A folder of test cases in either form, such as dataset-verse19test, dataset-03test, 03_test and test.
TEST = re.compile(r"(?:^|[^a-z])test/", re.IGNORECASE)
OF_2019 = re.compile(r"verse[ _-]?(?:20)?19(?!\d)", re.IGNORECASE)  # and not a scan, as verse190
_TOP = "{top:(?:.*/)?}"
_SCAN = r"sub-{scan:[a-z]+\d+}/sub-{scan}{series:(?:_[A-Za-z0-9_-]+)?}"
BY_SUBJECT = {
    "image": f"{_TOP}rawdata/{_SCAN}_ct.nii.gz",
    "mask": f"{_TOP}derivatives/{_SCAN}_seg-vert_msk.nii.gz",
}
#: A patient's number stands before the scan's where 2020 has several scans of the patient.
_PLAIN = _TOP + r"{patient:(?:verse\d+_)?}{scan:(?i:verse|gl)\d+}{series:(?:_CT[-_][a-z]+)?}"
OF_THE_CHALLENGE = {"image": f"{_PLAIN}.nii.gz", "mask": f"{_PLAIN}_seg.nii.gz"}


def cases(root: Path) -> Iterator[Case | BadFile]:
    for layout in (BY_SUBJECT, OF_THE_CHALLENGE):
        scans: dict[str, dict[str, list[Match]]] = {}
        for match in matches(root, **layout):
            if isinstance(match, BadFile):
                yield match
            else:
                scans.setdefault(match["scan"], {}).setdefault(match["series"], []).append(match)
        for series in scans.values():
            older = []
            if layout is OF_THE_CHALLENGE and len(series) > 1:
                older = series.pop("", [])  # of 2019, and there again in 2020, named by its orientation
            for copies in series.values():
                yield _case(copies, older)
        if scans:
            return


def _case(copies: Sequence[Match], older: Sequence[Match]) -> Case:
    """One scan, of which both years may have a copy; of `older` only counts whether they are tests."""
    match = min(copies, key=lambda copy: bool(OF_2019.search(copy["top"])))
    patient = match.fields.get("patient", "")
    return Case(
        case=patient + match["scan"] + match["series"],
        patient=patient.rstrip("_") or match["scan"],
        modality="CT",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=LABELS),),
        view="transverse",
        official_test=any(TEST.search(copy["top"]) for copy in (*copies, *older)),
    )
