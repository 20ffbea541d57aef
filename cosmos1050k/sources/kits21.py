"""KiTS21: kidneys, their tumors and cysts in contrast CT; the majority of three annotations."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cosmos1050k import release
from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, find, first_of
from cosmos1050k.source import Case, Download, Label, Mask, Source

#: Where the owner keeps the images of this and later challenges.
IMAGES = "https://huggingface.co/datasets/neheller/KiTS-Challenge-Imaging/resolve/main/images"

SOURCE = Source(
    slug="kits21",
    name="KiTS21 (2021 Kidney and Kidney Tumor Segmentation Challenge)",
    homepage="https://kits-challenge.org/kits21/",
    licence="CC BY-NC-SA 4.0",
    redistributable=True,
    access="direct",
    downloads=(
        Download(file="kits21.zip", url="https://github.com/neheller/kits21", varies=True),
        *(
            Download(file=f"{case}/imaging.nii.gz", url=f"{IMAGES}/{case}.nii.gz")
            for case in (f"case_{number:05d}" for number in range(300))
        ),
    ),
    steps="Clone https://github.com/neheller/kits21, about 2 GB, and run its script that gets the images, "
    "about 30 GB; its README says how. Then use `cosmos link` on the clone.",
    labelled=300,
    citation="Heller et al., The KiTS21 Challenge: Automatic segmentation of kidneys, renal tumors, and "
    "renal cysts in corticomedullary-phase CT, arXiv 2023",
    modalities=("CT",),
    objects=("Kidney", "Kidney Tumor", "Kidney Cyst"),
    note="Labels and images lie in two places; images that are in one folder `images`, as at Hugging Face, "
    "are read too. Versions before 2.0.0 have other label values and are told by their files of ureters. The "
    "100 test cases are unreleased.",
)

LABELS = (
    Label(object="Kidney", value=1, instances="sides"),
    Label(object="Kidney Tumor", value=2),
    Label(object="Kidney Cyst", value=3),
)
#: Before version 2.0.0, where ureter, renal artery and renal vein were 2, 3 and 4.
OLD_LABELS = (
    Label(object="Kidney", value=1, instances="sides"),
    Label(object="Kidney Cyst", value=5),
    Label(object="Kidney Tumor", value=6),
)
OLD = r"**/{patient:case_\d+}/segmentations/ureter_instance*.nii.gz"

#: KiTS23's images lie among those at Hugging Face.
_PATIENT = r"{patient:case_00[012]\d\d}"
MASK = f"**/{_PATIENT}/aggregated_MAJ_seg.nii.gz"
LAYOUTS = (
    {"image": f"**/{_PATIENT}/imaging.nii.gz", "mask": MASK},
    {"image": f"**/images/{_PATIENT}.nii.gz", "mask": MASK},
)


def cases(root: Path) -> Iterator[Case | BadFile]:
    old = next(find(release.files(root), OLD), None) is not None
    return first_of(root, partial(_case, OLD_LABELS if old else LABELS), *LAYOUTS)


def _case(labels: tuple[Label, ...], match: Match) -> Case:
    return Case(
        case=match["patient"],
        patient=match["patient"],
        modality="CT",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=labels),),
        view="transverse",
    )
