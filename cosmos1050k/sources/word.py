"""WORD: organs of the whole abdomen in CT of patients before radiation therapy."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched
from cosmos1050k.source import Case, Download, Label, Mask, Source

#: 9, 10 and 11 are duodenum, colon and intestine, which the protocol leaves out.
LABELS = (
    Label(object="Liver", value=1),
    Label(object="Spleen", value=2),
    Label(object="Kidney", value=3, instance="left"),
    Label(object="Kidney", value=4, instance="right"),
    Label(object="Stomach", value=5),
    Label(object="Gall Bladder", value=6),
    Label(object="Esophagus", value=7),
    Label(object="Pancreas", value=8),
    Label(object="Adrenal Gland", value=12, instances="sides"),
    Label(object="Rectum", value=13),
    Label(object="Bladder", value=14),
    Label(object="Femur", value=15, instance="left"),
    Label(object="Femur", value=16, instance="right"),
)

SOURCE = Source(
    slug="word",
    name="WORD (Whole abdominal ORgan Dataset)",
    homepage="https://github.com/HiLab-git/WORD",
    licence="GPL-3.0, with the owner's statement: academic research only; unclear",
    redistributable=False,
    access="direct",
    downloads=(
        Download(
            file="WORD-V0.1.0.zip",
            url="https://drive.google.com/uc?id=19OWCXZGrimafREhXm8O8w2HBHZTfxEgU",
            sha256="1ef1e48f8b41d72d733c5cdd91e1238d9b345d88c0de0c902e356310901f3115",
        ),
        Download(
            file="WORD_V0.1.0_labelsTs.zip",
            url="https://github.com/HiLab-git/WORD/raw/main/WORD_V0.1.0_labelsTs.zip",
            sha256="0552b1e208a8a5345a1c12003d4f1d010621c6ef65bdd62bff85a32b2976a46d",
        ),
    ),
    labelled=150,
    citation="Luo et al., WORD: A large scale dataset, benchmark and clinical applicable study for abdominal "
    "organ segmentation from CT image, Medical Image Analysis 2022",
    modalities=("CT",),
    objects=tuple(dict.fromkeys(label.object for label in LABELS)),
    note="WORD-V0.1.0.zip is encrypted: unpack it beside itself into a folder WORD-V0.1.0 with 7z and the "
    "password that the owner's README prints, word@uestc. Of the femur the head alone is labelled. The "
    "owner's test cases are labelled.",
)

_FILE = r"**/{kind}{{part:Tr|Val|Ts}}/{{patient:word_\d{{4}}}}.nii.gz"


def cases(root: Path) -> Iterator[Case | BadFile]:
    return matched(root, _case, image=_FILE.format(kind="images"), mask=_FILE.format(kind="labels"))


def _case(match: Match) -> Case:
    return Case(
        case=match["patient"],
        patient=match["patient"],
        modality="CT",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=LABELS),),
        view="transverse",
        official_test=match["part"] == "Ts",
    )
