"""STARE: twenty fundus photographs, with the vessels that Adam Hoover drew."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched
from cosmos1050k.source import Case, Download, Label, Mask, Source

PROBING = "http://cecas.clemson.edu/~ahoover/stare/probing"

SOURCE = Source(
    slug="stare",
    name="STARE (STructured Analysis of the REtina), vessel segmentation part",
    homepage="https://cecas.clemson.edu/~ahoover/stare/",
    licence="none stated, offered for research",
    redistributable=False,
    access="direct",
    downloads=(
        Download(
            file="stare-images.tar",
            url=f"{PROBING}/stare-images.tar",
            sha256="5f7b509b6067cad4f1be84933145d783de9ec087b3eaaf4db0103dd0144dd433",
        ),
        Download(
            file="labels-ah.tar",
            url=f"{PROBING}/labels-ah.tar",
            sha256="ebf2f1e17ca955f24579d9edd990e2dae79a5c82def69f0985d8e24f826ddd2f",
        ),
    ),
    labelled=20,
    citation="Hoover et al., Locating blood vessels in retinal images by piecewise threshold probing of a "
    "matched filter response, IEEE Transactions on Medical Imaging 2000",
    modalities=("Fundus",),
    objects=("Retinal Vessel",),
    note="Of the two observers the first, who is the customary truth; the other (labels-vk.tar) also drew "
    "the thinnest vessels.",
)

#: Some masks have grey levels between black and white.
VESSELS = Label(object="Retinal Vessel", above=127, weight=255)
_PHOTOGRAPH = r"**/{patient:im\d{4}}"


def cases(root: Path) -> Iterator[Case | BadFile]:
    return matched(
        root,
        _case,
        image=_PHOTOGRAPH + r".ppm{_image:(?:\.gz)?}",
        mask=_PHOTOGRAPH + r".ah.ppm{_mask:(?:\.gz)?}",
    )


def _case(match: Match) -> Case:
    return Case(
        case=match["patient"],
        patient=match["patient"],
        modality="Fundus",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=(VESSELS,)),),
        view="picture",
    )
