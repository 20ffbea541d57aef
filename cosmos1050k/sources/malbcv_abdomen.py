"""MALBCV-Abdomen: thirteen organs and vessels of the abdomen in portal venous CT; also known as BTCV."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched
from cosmos1050k.source import Case, Download, Label, Mask, Source

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
    Label(object="Portal and Splenic Vein", value=10),
    Label(object="Pancreas", value=11),
    Label(object="Adrenal Gland", value=12, instance="right"),
    Label(object="Adrenal Gland", value=13, instance="left"),
)

SOURCE = Source(
    slug="malbcv_abdomen",
    name="MALBCV-Abdomen (Multi-Atlas Labeling Beyond the Cranial Vault, abdomen)",
    homepage="https://www.synapse.org/Synapse:syn3193805",
    licence="the challenge's terms on Synapse, unclear",
    redistributable=False,
    access="synapse",
    downloads=(Download(file="RawData.zip", md5="e8e3fc9604eadc34c47067e2332f8ea1"),),
    steps="With a Synapse account, join the challenge at https://www.synapse.org/Synapse:syn3193805 and "
    "download RawData.zip (syn3379050) from its folder Abdomen; the registered versions are not needed.",
    labelled=30,
    citation="Landman et al., MICCAI Multi-Atlas Labeling Beyond the Cranial Vault - Workshop and Challenge, "
    "MICCAI workshop 2015",
    modalities=("CT",),
    objects=tuple(dict.fromkeys(label.object for label in LABELS)),
    note="The owner's raw files, not the renumbered copies that bear the name BTCV or Synapse. The 20 test "
    "scans have no labels.",
)


def cases(root: Path) -> Iterator[Case | BadFile]:
    return matched(
        root,
        _case,
        image=r"**/Training/img/img{number:\d{4}}.nii.gz",
        mask=r"**/Training/label/label{number:\d{4}}.nii.gz",
    )


def _case(match: Match) -> Case:
    return Case(
        case=match["number"],
        patient=match["number"],
        modality="CT",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=LABELS),),
        view="transverse",
    )
