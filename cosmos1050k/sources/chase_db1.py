"""CHASE_DB1: fundus photographs of both eyes of 14 children, with the first observer's vessels."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, matched
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="chase_db1",
    name="CHASE_DB1",
    homepage="https://blogs.kingston.ac.uk/retinal/chasedb1/",
    licence="CC BY 4.0",
    redistributable=True,
    access="direct",
    downloads=(
        Download(
            file="CHASEDB1.zip",
            url="https://researchinnovation.kingston.ac.uk/files/40659508/CHASEDB1.zip",
            md5="d9e47c4bac125b29996fae4380a68db1",
        ),
    ),
    labelled=28,
    citation="Fraz et al., An Ensemble Classification-Based Approach Applied to Retinal Blood Vessel "
    "Segmentation, IEEE Transactions on Biomedical Engineering 2012",
    modalities=("Fundus",),
    objects=("Retinal Vessel",),
    note="The second observer's vessels are not used. The md5 is that of the owner's former link.",
)

#: The masks have one bit; as a picture it is 0 and 255.
VESSELS = Label(object="Retinal Vessel", above=0, weight=255)
_EYE = r"**/{child:Image_\d\d}{eye:[LR]}"


def cases(root: Path) -> Iterator[Case | BadFile]:
    return matched(root, _case, image=f"{_EYE}.jpg", mask=f"{_EYE}_1stHO.png")


def _case(match: Match) -> Case:
    return Case(
        case=match["child"] + match["eye"],
        patient=match["child"],
        modality="Fundus",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=(VESSELS,)),),
        view="picture",
    )
