"""M&Ms: short-axis cine MRI of the heart from several vendors, labelled at end of diastole and of systole."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cosmos1050k import release
from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, find, matched, table
from cosmos1050k.source import Case, Label, Mask, Source

SOURCE = Source(
    slug="m_and_ms",
    name="M&Ms (Multi-Centre, Multi-Vendor and Multi-Disease Cardiac Image Segmentation)",
    homepage="https://www.ub.edu/mnms/",
    licence="unclear: open for research, see the homepage",
    redistributable=False,
    access="form",
    steps="Follow the link on https://www.ub.edu/mnms/ to the folder OpenDataset at MEGA and download it.",
    citation="Campello et al., Multi-Centre, Multi-Vendor and Multi-Disease Cardiac Segmentation: The M&Ms "
    "Challenge, IEEE Transactions on Medical Imaging 2021",
    modalities=("CMR",),
    objects=("Left Ventricle", "Left Ventricular Myocardium", "Right Ventricle"),
    note="The table `M&Ms Dataset Information` names the labelled frames; of the release of 2020, which has "
    "it as .xlsx, save it as .csv in its place. Masks in Training/Unlabeled are empty and passed over. "
    "Sliced along the stack.",
)

LABELS = (
    Label(object="Left Ventricle", value=1),
    Label(object="Left Ventricular Myocardium", value=2),
    Label(object="Right Ventricle", value=3),
)
PHASES = ("ED", "ES")
_TABLE = "**/*M&Ms{_1:[_ ]}Dataset{_2:[_ ][Ii]}nformation*.csv"
_STEM = r"**/{part:Training/Labeled|Validation|Testing}/{patient:[A-Z0-9]+}/{patient}_sa"


def cases(root: Path) -> Iterator[Case | BadFile]:
    try:
        listed = table(root, _TABLE, "External code", *PHASES)
    except BadFile as problem:
        yield problem
        return
    image, mask = f"{_STEM}.nii.gz", f"{_STEM}_gt.nii.gz"
    if listed is not None:
        name, rows = listed
        frames = {row["External code"]: row for row in rows}
        yield from matched(root, partial(_cases, name, frames), image=image, mask=mask)
    elif any(find(release.files(root), image)):
        yield BadFile("M&Ms Dataset Information.csv", "is missing", "put the table beside the images")


def _cases(name: str, frames: dict[str, dict[str, str]], match: Match) -> Iterator[Case]:
    row = frames.get(match["patient"], {})
    for phase in PHASES:
        if not row.get(phase, "").isdecimal():
            raise BadFile(name, f"no frame {phase} of {match['patient']}", "fetch the table with the images")
        yield Case(
            case=f"{match['patient']}_{phase}",
            patient=match["patient"],
            modality="CMR",
            image=match.files["image"],
            channel=int(row[phase]),
            masks=(Mask(file=match.files["mask"], channel=int(row[phase]), labels=LABELS),),
            view="short-axis",
            axis=2,
            official_test=match["part"] == "Testing",
        )
