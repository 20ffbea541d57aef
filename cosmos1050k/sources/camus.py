"""CAMUS: echocardiography, two views of the heart at end of diastole and of systole, a frame each."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, first_of, lines
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="camus",
    name="CAMUS (Cardiac Acquisitions for Multi-structure Ultrasound Segmentation)",
    homepage="https://www.creatis.insa-lyon.fr/Challenge/camus/databases.html",
    licence="CC BY-NC-SA 4.0, unconfirmed",
    redistributable=False,
    access="direct",
    downloads=(
        Download(
            file="CAMUS.zip",
            url="https://humanheart-project.creatis.insa-lyon.fr/database/api/v1/folder/"
            "63fde55f73e9f004868fb7ac/download",
            varies=True,
        ),
    ),
    steps="Open https://humanheart-project.creatis.insa-lyon.fr/database/, with a free account if it asks "
    "for one, and download the folder of CAMUS that holds database_nifti and database_split as CAMUS.zip.",
    labelled=2000,
    citation="Leclerc et al., Deep Learning for Segmentation Using an Open Large-Scale Dataset in 2D "
    "Echocardiography, IEEE Transactions on Medical Imaging 2019",
    modalities=("US",),
    objects=("Left Ventricle", "Left Ventricular Myocardium", "Left Atrium"),
    note="The sequences are not used. The patients of database_split/subgroup_testing.txt are test cases; "
    "without that file, as in the older release, patients are split like any other's.",
)

LABELS = (
    Label(object="Left Ventricle", value=1),
    Label(object="Left Ventricular Myocardium", value=2),
    Label(object="Left Atrium", value=3),
)
#: The older release numbers its unlabelled patients from 1 again, in `testing/`.
RELEASES = ("**/{patient}/{frame}.nii.gz", "**/training/{patient}/{frame}.mhd")
FRAME = r"{patient}_{view:2CH|4CH}_{phase:ED|ES}"


def cases(root: Path) -> Iterator[Case | BadFile]:
    tests = lines(root, "**/database_split/subgroup_testing.txt")
    layouts = (
        {"image": template.replace("{frame}", FRAME), "mask": template.replace("{frame}", FRAME + "_gt")}
        for template in RELEASES
    )
    yield from first_of(root, partial(_case, tests), *layouts)


def _case(tests: frozenset[str], match: Match) -> Case:
    return Case(
        case=f"{match['patient']}_{match['view']}_{match['phase']}",
        patient=match["patient"],
        modality="US",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=LABELS),),
        view="picture",
        official_test=match["patient"] in tests,
    )
