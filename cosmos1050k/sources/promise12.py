"""PROMISE12: prostates in T2-weighted MRI of several centres, fifty training cases in MetaImage."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="promise12",
    name="PROMISE12 (Prostate MR Image Segmentation 2012)",
    homepage="https://promise12.grand-challenge.org/",
    licence="the owner's LICENSE.TXT on Zenodo, for research",
    redistributable=False,
    access="direct",
    downloads=(
        Download(
            file="training_data.zip",
            url="https://zenodo.org/records/8026660/files/training_data.zip",
            sha256="150287d0c74cd0105d8b70b43af4a7bf4f1fd3e1748829779177a0ccaf948f45",
        ),
    ),
    labelled=50,
    citation="Litjens et al., Evaluation of prostate segmentation algorithms for MRI: The PROMISE12 "
    "challenge, Medical Image Analysis 2014",
    modalities=("T2W MRI",),
    objects=("Prostate",),
    note="The test cases have no labels and the training cases' names: those below a folder whose name "
    "begins with `test` or `livechallenge` are passed over, and image and mask lie in one folder. The three "
    "parts of the older release (TrainingData_Part1 to 3) are read as well; `unzip` can't unpack them.",
)

LABELS = (Label(object="Prostate", above=0),)
_FOLDER = r"{folder:(?:(?![Tt]est|[Ll]ive[Cc]hallenge)[^/]+/)*}"


def cases(root: Path) -> Iterator[Case | BadFile]:
    return matched(
        root,
        _case,
        image=_FOLDER + r"{patient:Case\d+}.mhd",
        mask=_FOLDER + r"{patient:Case\d+}_segmentation.mhd",
    )


def _case(match: Match) -> Case:
    return Case(
        case=match["patient"],
        patient=match["patient"],
        modality="T2W MRI",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=LABELS),),
        view="transverse",
    )
