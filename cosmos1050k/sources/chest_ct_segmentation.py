"""Chest CT Segmentation: slices of chest CT as JPEG, with lungs, heart and trachea in a channel each."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Stack, stacked
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="chest_ct_segmentation",
    name="Chest CT Segmentation",
    homepage="https://www.kaggle.com/datasets/polomarco/chest-ct-segmentation",
    licence="unknown; made from other Kaggle data sets",
    redistributable=False,
    access="kaggle",
    downloads=(Download(file="chest-ct-segmentation.zip"),),
    steps="With a Kaggle account, download "
    "https://www.kaggle.com/datasets/polomarco/chest-ct-segmentation as chest-ct-segmentation.zip.",
    citation="Polo, Chest CT Segmentation, Kaggle 2020",
    modalities=("CT",),
    objects=("Lung", "Heart", "Trachea"),
    note="A patient's slices are one volume, in the order of their numbers, shown as stored: no file tells "
    "directions, so the two lungs are instances 1, the larger, and 2. Only part of the patients have a heart "
    "drawn. More images than masks are said to be there: those without a mask are passed over. The JPEG "
    "files are read; the pickled arrays beside them hold the same.",
)

#: Channel of a mask (red, green, blue) → what is bright in it; JPEG leaves values in between.
CHANNELS = (
    Label(object="Trachea", above=127, weight=255),
    Label(object="Heart", above=127, weight=255),
    Label(object="Lung", above=127, weight=255, instances="sides"),
)


def cases(root: Path) -> Iterator[Case | BadFile]:
    return stacked(
        root,
        _case,
        some=True,
        image=r"**/images/{patient:ID\d+}_{slice:\d+}.jpg",
        mask=r"**/masks/{patient:ID\d+}_mask_{slice:\d+}.jpg",
    )


def _case(stack: Stack) -> Case:
    return Case(
        case=stack["patient"],
        patient=stack["patient"],
        modality="CT",
        image=stack.files["image"],
        masks=tuple(
            Mask(file=stack.files["mask"], channel=channel, labels=(label,))
            for channel, label in enumerate(CHANNELS)
        ),
        view="transverse",
        axis=2,
    )
