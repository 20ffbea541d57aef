"""SKI10: bones and cartilage of the knee in MRI, one knee per volume, left and right ones mixed."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, first_of
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="ski10",
    name="SKI10 (Segmentation of Knee Images 2010)",
    homepage="https://ski10.grand-challenge.org/",
    licence="the challenge's rules: for knee segmentation, not commercial, not to be passed on",
    redistributable=False,
    access="grand-challenge",
    downloads=(
        Download(
            file="SKI10.zip",
            sha256="d367c1c68143f450e4cad92111afc064f116372442a4816718e20ea556507bc8",
            optional=True,
        ),
    ),
    steps="The owner's site no longer registers teams. Its training sets (images 001 to 060 and 061 to 100, "
    ".mhd and .raw) are what a registered team has, or a mirror that its rules allow you to use; download "
    "both into one folder each.",
    labelled=100,
    citation="Heimann et al., Segmentation of Knee Images: A Grand Challenge, MICCAI Workshop Medical Image "
    "Analysis for the Clinic 2010",
    modalities=("MRI",),
    objects=("Femur", "Femoral Cartilage", "Tibia", "Tibial Cartilage"),
    note="Sliced along the stored third axis, which is the sagittal one: the headers tell no directions. A "
    "conversion to NIfTI (folders image and label, as in SKI10.zip) is read where the owner's files are not "
    "there. Test images have no labels; roi-*.mhd mark where a result was evaluated, and are passed over.",
)

LABELS = (
    Label(object="Femur", value=1),
    Label(object="Femoral Cartilage", value=2),
    Label(object="Tibia", value=3),
    Label(object="Tibial Cartilage", value=4),
)
#: Labelled are these numbers; a folder of test images may have them too.
_NUMBER = r"{patient:0\d\d|100}"
_FOLDERS = r"(?:(?![Tt]est)[^/]+/)*"


def cases(root: Path) -> Iterator[Case | BadFile]:
    return first_of(
        root,
        _case,
        {
            "image": f"{{_image:{_FOLDERS}}}image-{_NUMBER}.mhd",
            "mask": f"{{_mask:{_FOLDERS}}}labels-{_NUMBER}.mhd",
        },
        {"image": f"**/image/image-{_NUMBER}.nii", "mask": f"**/label/labels-{_NUMBER}.nii"},
    )


def _case(match: Match) -> Case:
    return Case(
        case=match["patient"],
        patient=match["patient"],
        modality="MRI",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=LABELS),),
        view="sagittal",
        axis=2,
    )
