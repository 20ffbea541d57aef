"""ACDC: short-axis cine MRI of the heart at end of diastole and of systole, 150 patients."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="acdc",
    name="ACDC (Automated Cardiac Diagnosis Challenge)",
    homepage="https://www.creatis.insa-lyon.fr/Challenge/acdc/",
    licence="CC BY-NC-SA 4.0",
    redistributable=True,
    access="form",
    downloads=(
        Download(
            file="ACDC.zip",
            url="https://humanheart-project.creatis.insa-lyon.fr/database/api/v1/collection/"
            "637218c173e9f0047faa00fb/download",
            sha256="2787e08b0d3525cbac710fc3bdf69ee7c5fd7446472e49db8bc78548802f6b5e",
        ),
    ),
    steps="Make a free account at https://humanheart-project.creatis.insa-lyon.fr/database/, open the "
    "collection ACDC and download it as ACDC.zip, about 2 GB.",
    labelled=300,
    citation="Bernard et al., Deep Learning Techniques for Automatic MRI Cardiac Multi-Structures "
    "Segmentation and Diagnosis: Is the Problem Solved?, IEEE Transactions on Medical Imaging 2018",
    modalities=("Cine-MRI",),
    objects=("Right Ventricle", "Left Ventricular Myocardium", "Left Ventricle"),
    note="The release of 2017 has no labels of patients 101 to 150, the present one has. Sliced along the "
    "stack: its affines are no anatomical directions.",
)

LABELS = (
    Label(object="Right Ventricle", value=1),
    Label(object="Left Ventricular Myocardium", value=2),
    Label(object="Left Ventricle", value=3),
)
#: The owner's own test cases are the patients after this one.
LAST_OF_TRAINING = 100

_STEM = r"**/{patient:patient\d+}/{patient}_frame{frame:\d+}"
#: A copy of the release may hold each x.nii.gz as a folder with x.nii in it.
_FOLDER = r"(?:\.gz)?(?:/[^/]+\.nii)?"


def cases(root: Path) -> Iterator[Case | BadFile]:
    return matched(
        root, _case, image=f"{_STEM}.nii{{_image:{_FOLDER}}}", mask=f"{_STEM}_gt.nii{{_mask:{_FOLDER}}}"
    )


def _case(match: Match) -> Case:
    return Case(
        case=f"{match['patient']}_frame{match['frame']}",
        patient=match["patient"],
        modality="Cine-MRI",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=LABELS),),
        view="short-axis",
        axis=2,
        official_test=int(match["patient"].removeprefix("patient")) > LAST_OF_TRAINING,
    )
