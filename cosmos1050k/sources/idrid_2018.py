"""IDRiD 2018, segmentation part: the optic disc and four kinds of diabetic lesions in fundus photographs."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, gathered
from cosmos1050k.source import Case, Download, Label, Mask, Source

#: The end of a mask's name → its object.
OBJECTS = {
    "OD": "Optic Disc",
    "EX": "Hard Exudate",
    "SE": "Soft Exudate",
    "HE": "Hemorrhage",
    "MA": "Microaneurysm",
}

SOURCE = Source(
    slug="idrid_2018",
    name="IDRiD 2018 (Indian Diabetic Retinopathy Image Dataset)",
    homepage="https://idrid.grand-challenge.org/",
    licence="CC BY 4.0",
    redistributable=True,
    access="form",
    downloads=(Download(file="A. Segmentation.zip"),),
    steps="With a free account, download A. Segmentation.zip at "
    "https://ieee-dataport.org/open-access/indian-diabetic-retinopathy-image-dataset-idrid; the copy of the "
    "whole set at https://www.kaggle.com/datasets/aaryapatel98/indian-diabetic-retinopathy-image-dataset is "
    "read too.",
    labelled=81,
    citation="Porwal et al., Indian Diabetic Retinopathy Image Dataset (IDRiD): A Database for Diabetic "
    "Retinopathy Screening Research, Data 2018",
    modalities=("Fundus",),
    objects=tuple(OBJECTS.values()),
    note="The testing set's photographs are test cases. All lesions of a kind in an image are one object, "
    "and those of unlike kinds may overlap. Of the fovea, which the paper lists too, the owner gives a point "
    "and no mask.",
)

#: The localization part, which numbers its images anew, has three digits.
_PATIENT = r"{patient:IDRiD_\d\d}"


def cases(root: Path) -> Iterator[Case | BadFile]:
    return gathered(
        root,
        _case,
        image=f"**/1.*/{{part:[ab]}}.*/{_PATIENT}.jpg",
        each=f"**/2.*/{{part:[ab]}}.*/*/{_PATIENT}_{{name:{'|'.join(OBJECTS)}}}.tif",
    )


def _case(masks: dict[str, str], match: Match) -> Case:
    return Case(
        case=match["patient"],
        patient=match["patient"],
        modality="Fundus",
        image=match.files["image"],
        masks=tuple(  # whatever colour it is in
            Mask(file=file, labels=(Label(object=OBJECTS[name], above=0, weight=255),))
            for name, file in masks.items()
        ),
        view="picture",
        official_test=match["part"] == "b",
    )
