"""ISIC 2018, task 1: skin lesions in dermoscopy, one to an image."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched
from cosmos1050k.source import Case, Download, Label, Mask, Source

#: Archive → sha256.
SUMS = {
    "Task1-2_Training_Input": "80f98572347a2d7a376227fa9eb2e4f7459d317cb619865b8b9910c81446675f",
    "Task1_Training_GroundTruth": "99f8b2bb3c4d6af483362010715f7e7d5d122d9f6c02cac0e0d15bef77c7604c",
    "Task1-2_Validation_Input": "0ea920fcfe512d12a6e620b50b50233c059f67b10146e1479c82be58ff15a797",
    "Task1_Validation_GroundTruth": "f6911e9c0a64e6d687dd3ca466ca927dd5e82145cb2163b7a1e5b37d7a716285",
    "Task1-2_Test_Input": "e59ae1f69f4ed16f09db2cb1d76c2a828487b63d28f6ab85997f5616869b127d",
    "Task1_Test_GroundTruth": "2e8f6edce454a5bdee52485e39f92bd6eddf357e81f39018d05512175238ef82",
}

SOURCE = Source(
    slug="isic_2018",
    name="ISIC 2018, task 1 (lesion boundary segmentation)",
    homepage="https://challenge.isic-archive.com/data/#2018",
    licence="CC BY-NC 4.0",
    redistributable=True,
    access="direct",
    downloads=tuple(
        Download(
            file=f"ISIC2018_{name}.zip",
            url=f"https://isic-challenge-data.s3.amazonaws.com/2018/ISIC2018_{name}.zip",
            sha256=sha256,
        )
        for name, sha256 in SUMS.items()
    ),
    labelled=3694,
    citation="Codella et al., Skin Lesion Analysis Toward Melanoma Detection 2018: A Challenge Hosted by the "
    "International Skin Imaging Collaboration (ISIC), arXiv 2019",
    modalities=("Dermoscopy",),
    objects=("Melanoma",),
    note="The paper calls the object Melanoma; the owner's masks show whatever lesion there is, benign or "
    "not. The test images are test cases. The release does not say whose they are.",
)

LESION = Label(object="Melanoma", above=127, weight=255)
_NUMBER = r"{patient:ISIC_\d{7}}"


def cases(root: Path) -> Iterator[Case | BadFile]:
    return matched(
        root,
        _case,
        image=f"**/ISIC2018_Task1-2_{{set:Training|Validation|Test}}_Input/{_NUMBER}.jpg",
        mask=f"**/ISIC2018_Task1_{{set:Training|Validation|Test}}_GroundTruth/{_NUMBER}_segmentation.png",
    )


def _case(match: Match) -> Case:
    return Case(
        case=match["patient"],
        patient=match["patient"],
        modality="Dermoscopy",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=(LESION,)),),
        view="picture",
        official_test=match["set"] == "Test",
    )
