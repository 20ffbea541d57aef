"""IXI: T1-weighted MRI of healthy people; masks of the corpus callosum must be put beside them."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, gathered
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="ixi",
    name="IXI (Information eXtraction from Images)",
    homepage="https://brain-development.org/ixi-dataset/",
    licence="CC BY-SA 3.0",
    redistributable=True,
    access="side-loaded",
    downloads=(
        Download(
            file="IXI-T1.tar",
            url="http://biomedic.doc.ic.ac.uk/brain-development/downloads/IXI/IXI-T1.tar",
            md5="34901a0593b41dd19c1a1f746eac2d58",
        ),
    ),
    steps="The owner publishes images and no masks, and no public masks of the callosum are known. Put those "
    "you have beside the images or into a folder, one per image and on its grid, not 0 in the callosum, "
    "named as the image with _seg: masks/IXI002-Guys-0828-T1_seg.nii.gz.",
    citation="IXI project, Biomedical Image Analysis Group, Imperial College London, IXI Dataset, "
    "brain-development.org 2005",
    modalities=("T1W MRI",),
    objects=("Corpus Callosum",),
    note="Nobody can fetch its masks today: images without one put beside them (see steps) give "
    "no rows. Where the paper's masks came from is not known. Sliced sagittally, which shows the callosum.",
)

LABELS = (Label(object="Corpus Callosum", above=0),)

_NAME = r"{patient:IXI\d+}-{site:[^/-]+}-{scan:[^/-]+}-T1"


def cases(root: Path) -> Iterator[Case | BadFile]:
    return gathered(
        root,
        _case,
        image=f"**/{_NAME}.nii.gz",
        each=f"**/{_NAME}_{{name:seg}}.nii.gz",
    )


def _case(masks: dict[str, str], match: Match) -> Case:
    return Case(
        case=f"{match['patient']}-{match['site']}-{match['scan']}",
        patient=match["patient"],
        modality="T1W MRI",
        image=match.files["image"],
        masks=tuple(Mask(file=file, labels=LABELS) for file in masks.values()),
        view="sagittal",
    )
