"""iSeg 2019: fluid, gray and white matter of infants of six months, in T1 and in T2, Analyze files."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, gathered
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="iseg_2019",
    name="iSeg 2019 (6-month infant brain MRI segmentation from multiple sites)",
    homepage="https://iseg2019.web.unc.edu/",
    licence="the owner's data use terms, research only",
    redistributable=False,
    access="form",
    downloads=(Download(file="iSeg-2019-Training.zip"),),
    steps="Sign the form that https://iseg2019.web.unc.edu/ has for taking part and send it by e-mail, as "
    "the page says; the answer leads to iSeg-2019-Training.zip. The other archives have no labels.",
    labelled=10,
    citation="Sun et al., Multi-Site Infant Brain Segmentation Algorithms: The iSeg-2019 Challenge, "
    "IEEE Transactions on Medical Imaging 2021",
    modalities=("T1W MRI", "T2W MRI"),
    objects=("Cerebrospinal Fluid", "Gray Matter", "White Matter"),
    note="Labels are 10, 150, 250, or 1, 2, 3 in copies; both are read, though the keep rule sums the file's "
    "own. Analyze says nothing of directions: sliced along the last axis, rows and columns as stored.",
)

#: The owner's value, and the one that some copies have instead.
LABELS = (
    Label(object="Cerebrospinal Fluid", value=(10, 1)),
    Label(object="Gray Matter", value=(150, 2)),
    Label(object="White Matter", value=(250, 3)),
)
SEQUENCES = {"T1": "T1W MRI", "T2": "T2W MRI"}

_SUBJECT = r"**/{patient:subject-\d+}-"


def cases(root: Path) -> Iterator[Case | BadFile]:
    images = {sequence: f"{_SUBJECT}{sequence}.hdr" for sequence in SEQUENCES}
    return gathered(root, _cases, each=f"{_SUBJECT}{{name:label}}.hdr", **images)


def _cases(masks: dict[str, str], match: Match) -> Iterator[Case]:
    for sequence, modality in SEQUENCES.items():
        yield Case(
            case=match["patient"],
            patient=match["patient"],
            modality=modality,
            image=match.files[sequence],
            masks=(Mask(file=masks["label"], labels=LABELS, others=()),),
            view="transverse",
            axis=2,
        )
