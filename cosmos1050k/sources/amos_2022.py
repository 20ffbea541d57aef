"""AMOS 2022: organs of the abdomen in CT and, of other patients, in MRI."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k import release
from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, find, matched
from cosmos1050k.source import Case, Download, Label, Mask, Source

#: 13 is the duodenum, which the protocol leaves out.
LABELS = (
    Label(object="Spleen", value=1),
    Label(object="Kidney", value=2, instance="right"),
    Label(object="Kidney", value=3, instance="left"),
    Label(object="Gall Bladder", value=4),
    Label(object="Esophagus", value=5),
    Label(object="Liver", value=6),
    Label(object="Stomach", value=7),
    Label(object="Aorta", value=8),
    Label(object="Inferior Vena Cava", value=9),
    Label(object="Pancreas", value=10),
    Label(object="Adrenal Gland", value=11, instance="right"),
    Label(object="Adrenal Gland", value=12, instance="left"),
)
#: In CT alone.
PELVIS = (
    Label(object="Bladder", value=14),
    Label(object="Prostate/Uterus", value=15),
)
_PAIRS = (
    *((label.object, "CT") for label in LABELS + PELVIS),
    *((label.object, "MRI") for label in LABELS),
)
#: Cases with larger numbers are MRI.
LAST_OF_CT = 500

SOURCE = Source(
    slug="amos_2022",
    name="AMOS 2022 (Multi-Modality Abdominal Multi-Organ Segmentation)",
    homepage="https://amos22.grand-challenge.org/",
    licence="CC BY 4.0 at Zenodo, other terms in the article; unclear",
    redistributable=False,
    access="direct",
    downloads=(
        Download(
            file="amos22.zip",
            url="https://zenodo.org/records/7155725/files/amos22.zip",
            sha256="d2fbf2c31abba9824d183f05741ce187b17905b8cca64d1078eabf1ba96775c2",
        ),
    ),
    labelled=360,
    citation="Ji et al., AMOS: A Large-Scale Abdominal Multi-Organ Benchmark for Versatile Medical Image "
    "Segmentation, NeurIPS Datasets and Benchmarks 2022",
    modalities=("CT", "MRI"),
    objects=tuple(dict.fromkeys(name for name, _ in _PAIRS)),
    only=tuple(dict.fromkeys(_PAIRS)),
    note="The sequence of the MRI cases is not published. Prostate and uterus share a value. The test cases "
    "are labelled in later releases alone, whose labels, in a folder labelsTs, are read too. Zenodo's record "
    "7262581 has the same folders in a file of the same name, its sum unknown: link what it unpacks to.",
)

_FILE = r"**/{kind}{{part:{parts}}}/amos_{{number:\d{{4}}}}.nii.gz"


def cases(root: Path) -> Iterator[Case | BadFile]:
    tested = next(find(release.files(root), _FILE.format(kind="labels", parts="Ts")), None) is not None
    parts = "Tr|Va|Ts" if tested else "Tr|Va"
    image, mask = (_FILE.format(kind=kind, parts=parts) for kind in ("images", "labels"))
    return matched(root, _case, image=image, mask=mask)


def _case(match: Match) -> Case:
    ct = int(match["number"]) <= LAST_OF_CT
    name = f"amos_{match['number']}"
    return Case(
        case=name,
        patient=name,
        modality="CT" if ct else "MRI",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=LABELS + PELVIS if ct else LABELS),),
        view="transverse",
        official_test=match["part"] == "Ts",
    )
