"""KiPA22: a diseased kidney and its tumor in CT angiography, cropped around that one kidney."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="kipa22",
    name="KiPA22 (Kidney PArsing Challenge 2022)",
    homepage="https://kipa22.grand-challenge.org/",
    licence="the owner's rule agreement (KiPA22-RuleAgreement.pdf)",
    redistributable=False,
    access="grand-challenge",
    downloads=(Download(file="train.zip"),),
    steps="With a Grand Challenge account, join https://kipa22.grand-challenge.org/ and sign its rule "
    "agreement; the page of the data then leads to train.zip, about 400 MB.",
    labelled=70,
    citation="He et al., Meta grayscale adaptive network for 3D integrated renal structures segmentation, "
    "Medical Image Analysis 2021",
    modalities=("CT",),
    objects=("Kidney", "Kidney Tumor"),
    note="Each volume shows one kidney, whose side is not said. Renal veins and arteries, 1 and 3, are "
    "left out. The test cases have no labels.",
)

LABELS = (
    Label(object="Kidney", value=2),
    Label(object="Kidney Tumor", value=4),
)


def cases(root: Path) -> Iterator[Case | BadFile]:
    return matched(
        root,
        _case,
        image=r"**/train/image/{patient:\d+}.nii.gz",
        mask=r"**/train/label/{patient:\d+}.nii.gz",
    )


def _case(match: Match) -> Case:
    return Case(
        case=match["patient"],
        patient=match["patient"],
        modality="CT",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=LABELS),),
        view="transverse",
    )
