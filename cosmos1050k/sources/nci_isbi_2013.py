"""NCI-ISBI 2013: zones of the prostate in T2-weighted MRI; images are DICOM series, labels NRRD files."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Stack, gathered_stacks, stacks
from cosmos1050k.source import Case, Download, Label, Mask, Source

ARCHIVE = "https://www.cancerimagingarchive.net/wp-content/uploads"
#: The labels' archives, by the part of the release.
SHA256 = {
    "Training": "c3436559b474c60e78633ea98601241f39cb27e30fb9d48b1d29f2821bfbf047",
    "Leaderboard": "011945fdd273b2f43f6ba2de8904ad8625800b439dff9d228810b645c65fa0be",
    "Test": "53c2969c035974de47bcb2d3fa20c1342c99096faf2fc87a0097ed62e89d32e3",
}
LABEL_ARCHIVES = {f"NCI-ISBI-2013-Prostate-Challenge-{part}.zip": sha256 for part, sha256 in SHA256.items()}
MANIFESTS = tuple(f"ISBI-Prostate-Challenge-{part}.tcia" for part in ("Training", "LeaderBoard", "Testing"))

SOURCE = Source(
    slug="nci_isbi_2013",
    name="NCI-ISBI 2013 Challenge: Automated Segmentation of Prostate Structures",
    homepage="https://www.cancerimagingarchive.net/analysis-result/isbi-mr-prostate-2013/",
    licence="CC BY 3.0",
    redistributable=True,
    access="direct",
    downloads=(
        *(
            Download(file=file, url=f"{ARCHIVE}/{file}", sha256=sha256)
            for file, sha256 in LABEL_ARCHIVES.items()
        ),
        *(Download(file=file, url=f"{ARCHIVE}/{file}") for file in MANIFESTS),
    ),
    steps="The .tcia files name the images and hold none: open each in the NBIA Data Retriever, "
    "https://wiki.cancerimagingarchive.net/display/NBIA/Downloading+TCIA+Images, and let it put the images "
    "below the folder of what you download.",
    labelled=80,
    citation="Bloch et al., NCI-ISBI 2013 Challenge: Automated Segmentation of Prostate Structures, The "
    "Cancer Imaging Archive 2015",
    modalities=("T2W MRI",),
    objects=("Prostate", "Prostate Peripheral Zone", "Prostate Central Gland"),
    note="Prostate is the union of its zones, which are objects too. Some labels have a grid of their own "
    "(ProstateDx-01-0055, for one): each voxel of an image takes the nearest of its label's. Patients of the "
    "two collections without a label are passed over; one with several series is not read, since the "
    "challenge's, which the .tcia files fetch, can't be told from the others.",
)

LABELS = (
    Label(object="Prostate", value=(1, 2)),
    Label(object="Prostate Peripheral Zone", value=1),
    Label(object="Prostate Central Gland", value=2),
)
#: What a label's name may end on; the first that is there is taken.
VERSIONS = ("_correctedLabels", "_truth", "")
#: The folder, or the archive, of the test cases.
TEST = re.compile(r"Test(?:ing)?/")

_PATIENT = r"{patient:Prostate(?:3T|Dx)-\d+-\d+}"
IMAGE = f"**/{_PATIENT}/{{study}}/{{series}}/{{slice}}.dcm"


def cases(root: Path) -> Iterator[Case | BadFile]:
    series = Counter(stack["patient"] for stack in stacks(root, image=IMAGE) if isinstance(stack, Stack))
    return gathered_stacks(
        root,
        partial(_case, series),
        image=IMAGE,
        each=f"**/{_PATIENT}{{name:{'|'.join(VERSIONS)}}}.nrrd",
    )


def _case(series: Mapping[str, int], masks: dict[str, str], stack: Stack) -> Case:
    patient, images = stack["patient"], stack.files["image"]
    if series[patient] > 1:
        problem = f"a slice of one of {series[patient]} series of the patient"
        raise BadFile(images[0], problem, "keep the challenge's series alone")
    file = next(masks[version] for version in VERSIONS if version in masks)
    return Case(
        case=patient,
        patient=patient,
        modality="T2W MRI",
        image=images,
        by_position=True,
        masks=(Mask(file=file, own_grid=True, labels=LABELS),),
        view="transverse",
        official_test=TEST.search(file) is not None,
    )
