"""KiTS19: kidneys and their tumors in contrast CT, one annotation; a folder per case."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched
from cosmos1050k.source import Case, Download, Label, Mask, Source

#: Where the owner keeps the images of this and later challenges.
IMAGES = "https://huggingface.co/datasets/neheller/KiTS-Challenge-Imaging/resolve/main/images"
#: Cases 210 to 299 have no labels.
LABELLED = 210

SOURCE = Source(
    slug="kits19",
    name="KiTS19 (2019 Kidney Tumor Segmentation Challenge)",
    homepage="https://kits19.grand-challenge.org/",
    licence="CC BY-NC-SA 4.0",
    redistributable=True,
    access="direct",
    downloads=(
        Download(file="kits19.zip", url="https://github.com/neheller/kits19", varies=True),
        *(
            Download(file=f"{case}/imaging.nii.gz", url=f"{IMAGES}/{case}.nii.gz")
            for case in (f"case_{number:05d}" for number in range(LABELLED))
        ),
    ),
    steps="Clone https://github.com/neheller/kits19, about 500 MB, and run its script that gets the images, "
    "about 30 GB; its README says how. Then use `cosmos link` on the clone.",
    labelled=LABELLED,
    citation="Heller et al., The state of the art in kidney and kidney tumor segmentation in "
    "contrast-enhanced CT imaging: Results of the KiTS19 challenge, Medical Image Analysis 2021",
    modalities=("CT",),
    objects=("Kidney", "Kidney Tumor"),
    note="Labels and images lie in two places. Cysts are part of Kidney, tumors are not. Clones from before "
    "April 2019 have other affines, the branch `interpolated` other slices; no file tells either.",
)

LABELS = (
    Label(object="Kidney", value=1, instances="sides"),
    Label(object="Kidney Tumor", value=2),
)
_CASE = r"**/{patient:case_00(?:[01]\d\d|20\d)}"


def cases(root: Path) -> Iterator[Case | BadFile]:
    return matched(root, _case, image=f"{_CASE}/imaging.nii.gz", mask=f"{_CASE}/segmentation.nii.gz")


def _case(match: Match) -> Case:
    return Case(
        case=match["patient"],
        patient=match["patient"],
        modality="CT",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=LABELS),),
        view="transverse",
    )
