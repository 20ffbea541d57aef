"""EndoTect 2020: the polyp segmentation task of the challenge, its labelled test images first of all."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="endotect_2020",
    name="EndoTect 2020",
    homepage="https://endotect.com/",
    licence="development images CC BY 4.0, test images unknown",
    redistributable=False,
    access="form",
    downloads=(
        Download(file="EndoTect_2020_Segmentation_Test_Dataset.zip"),
        Download(file="hyper-kvasir-segmented-images.zip", optional=True),
    ),
    steps="Follow the link of https://endotect.com/ to the segmentation test data. The development data, "
    "which are optional, are the archive of segmented images in HyperKvasir, https://osf.io/mh9sj/.",
    labelled=200,
    citation="Hicks et al., The EndoTect 2020 Challenge: Evaluation and Comparison of Classification, "
    "Segmentation and Inference Time for Endoscopy, ICPR Workshops 2020",
    modalities=("Colonoscopy",),
    objects=("Polyp",),
    note="The 1000 development images are those of Kvasir-SEG, under the same names: they are left out of "
    "the release's count, and read only where somebody put them here. All polyps of an image are one object.",
)

#: The folder of the development images; any other is the test set, which many rename.
DEVELOPMENT = "segmented-images/"
#: The mean of the mask's three channels decides.
POLYP = Label(object="Polyp", above=127, weight=255)


def cases(root: Path) -> Iterator[Case | BadFile]:
    return matched(
        root,
        _case,
        image="**/images/{stem}.jpg",
        mask="**/masks/{stem}.{_ending:jpg|png}",
    )


def _case(match: Match) -> Case:
    return Case(
        case=match["stem"],
        patient=match["stem"],
        modality="Colonoscopy",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=(POLYP,)),),
        view="picture",
        official_test=DEVELOPMENT not in match.files["image"],
    )
