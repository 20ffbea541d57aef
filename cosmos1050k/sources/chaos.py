"""CHAOS: livers in CT, organs of the abdomen in two MR sequences of other people, a file per slice."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Stack, stacked
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="chaos",
    name="CHAOS (Combined Healthy Abdominal Organ Segmentation)",
    homepage="https://chaos.grand-challenge.org/",
    licence="CC BY-SA 4.0, unconfirmed",
    redistributable=False,
    access="direct",
    downloads=(
        Download(
            file="CHAOS_Train_Sets.zip",
            url="https://zenodo.org/records/3431873/files/CHAOS_Train_Sets.zip",
            sha256="535f7d3417a0e0f0d9133fb3d962423d2a9cf3f103e4f09a3d8a1daf87d5d2fc",
        ),
    ),
    labelled=60,
    citation="Kavur et al., CHAOS Challenge - combined (CT-MR) healthy abdominal organ segmentation, "
    "Medical Image Analysis 2021",
    modalities=("CT", "T1W MRI", "T2W MRI"),
    objects=("Liver", "Kidney", "Spleen"),
    only=(
        ("Liver", "CT"),
        *((organ, mri) for mri in ("T1W MRI", "T2W MRI") for organ in ("Liver", "Kidney", "Spleen")),
    ),
    note="Slices are paired by the order of their file names. Of T1DUAL the in-phase images alone are taken: "
    "the out-of-phase ones share their masks. The test sets have no masks.",
)

LIVER = (Label(object="Liver", above=0, weight=255),)
#: Grey levels 63, 126, 189 and 252, of which the owner's own script takes ranges.
ORGANS = (
    Label(object="Liver", above=55, up_to=70, weight=63),
    Label(object="Kidney", instance="right", above=110, up_to=135, weight=126),
    Label(object="Kidney", instance="left", above=175, up_to=200, weight=189),
    Label(object="Spleen", above=240, up_to=255, weight=252),
)
TOP = "**/{set:(?:CHAOS_)?Train_Sets}"  # not Test_Sets, which have no labels
#: Below that: modality, folder of a patient, images in it, labels.
SERIES = {
    "CT": ("CT", "CT/{patient}", "DICOM_anon", LIVER),
    "T1DUAL": ("T1W MRI", "MR/{patient}/T1DUAL", "DICOM_anon/InPhase", ORGANS),
    "T2SPIR": ("T2W MRI", "MR/{patient}/T2SPIR", "DICOM_anon", ORGANS),
}


def cases(root: Path) -> Iterator[Case | BadFile]:
    for series, (_, folder, images, _) in SERIES.items():
        yield from stacked(
            root,
            partial(_case, series),
            by_place=True,
            image=f"{TOP}/{folder}/{images}/{{slice}}.dcm",
            mask=f"{TOP}/{folder}/Ground/{{slice}}.png",
        )


def _case(series: str, stack: Stack) -> Case:
    modality, _, _, labels = SERIES[series]
    patient = f"{'CT' if series == 'CT' else 'MR'}_{stack['patient']}"  # both are numbered from 1
    return Case(
        case=patient if series == "CT" else f"{patient}_{series}",
        patient=patient,
        modality=modality,
        image=stack.files["image"],
        masks=(Mask(file=stack.files["mask"], labels=labels),),
        view="transverse",
        axis=2,
    )
