"""TN-SCUI 2020: thyroid nodules in ultrasound, benign and malignant."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="tn_scui_2020",
    name="TN-SCUI 2020 (Thyroid Nodule Segmentation and Classification in Ultrasound Images)",
    homepage="https://tn-scui2020.grand-challenge.org/",
    licence="the challenge's agreement: research within it, not to be passed on",
    redistributable=False,
    access="grand-challenge",
    downloads=(Download(file="TNSCUI2020_train.rar"),),
    steps="Register at https://grand-challenge.org, join https://tn-scui2020.grand-challenge.org/, send the "
    "owners the agreement signed, and download TNSCUI2020_train.rar, whose link they answer with.",
    labelled=3644,
    citation="Zhou et al., Thyroid Nodule Segmentation and Classification in Ultrasound Images, MICCAI "
    "challenge 2020",
    modalities=("US",),
    objects=("Thyroid Nodules",),
    note="All nodules of an image are one object. The test images have no masks. Whose the images are is not "
    "known.",
)

NODULE = Label(object="Thyroid Nodules", above=127, weight=255)
#: One copy numbers its files from 00001, another from 1; some end in capitals.
_FILE = r"**/{role}/{{_zeros_{role}:0*}}{{number:[1-9]\d*}}.{{_ending_{role}:(?i:png)}}"


def cases(root: Path) -> Iterator[Case | BadFile]:
    return matched(root, _case, image=_FILE.format(role="image"), mask=_FILE.format(role="mask"))


def _case(match: Match) -> Case:
    return Case(
        case=match["number"],
        patient=match["number"],
        modality="US",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=(NODULE,)),),
        view="picture",
    )
