"""4C2021 C04 TLS01: cancer lesions of throat and hypopharynx in CT, of a Chinese college contest."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched
from cosmos1050k.source import Case, Label, Mask, Source

SOURCE = Source(
    slug="tls01_4c2021_c04",
    name="4C2021 C04 TLS01",
    homepage="https://aistudio.baidu.com/aistudio/projectdetail/1952488",
    licence="unknown",
    redistributable=False,
    access="form",
    steps="With a Baidu AI Studio account, open https://aistudio.baidu.com/aistudio/projectdetail/1952488 "
    "and download the data set mounted in it, whose archive has folders `Train Set 01`, `Train Label 01`.",
    citation="Organisers of the Chinese Collegiate Computing Competition, 4C2021 C04 TLS01, 4C 2021",
    modalities=("CT",),
    objects=("Throat and Hypopharynx Cancer Lesion",),
    note="Nothing is published of the label values: each value above 0 is an instance of the lesion, in a "
    "binary mask the one. Whether numbers go on from part to part is unknown too: a patient is a file.",
)

LABELS = (Label(object="Throat and Hypopharynx Cancer Lesion", above=0, instances="values"),)


def cases(root: Path) -> Iterator[Case | BadFile]:
    return matched(
        root,
        _case,
        image=r"**/Train Set {part:\d+}/{number:\d+}.nii.gz",
        mask=r"**/Train Label {part:\d+}/{number:\d+}.nii.gz",
    )


def _case(match: Match) -> Case:
    name = f"{match['part']}_{match['number']}"
    return Case(
        case=name,
        patient=name,
        modality="CT",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=LABELS),),
        view="transverse",
    )
