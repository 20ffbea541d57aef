"""ETIS-Larib Polyp DB: polyps in stills of colonoscopy, TIFF, or PNG in repacks."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, first_of
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="etis_larib_polyp_db",
    name="ETIS-Larib Polyp DB",
    homepage="https://polyp.grand-challenge.org/EtisLarib/",
    licence="research use with citation, no open licence found",
    redistributable=False,
    access="direct",
    downloads=(
        Download(
            file="ETIS-LaribPolypDB.rar",
            url="https://www.dropbox.com/s/j4nsxijf5dhzb6w/ETIS-LaribPolypDB.rar?dl=1",
        ),
        Download(
            file="ETIS-LaribPolypDB.zip",
            url="https://drive.google.com/file/d/1skc7wtyX8a1Vy2LdA_0BOZ7wvdc_Ytto/view",
            md5="ae02b3fc04a1a68fd7440d322a5cdb4b",
            optional=True,
        ),
    ),
    labelled=196,
    citation="Silva et al., Toward embedded detection of polyps in WCE images for early diagnosis of "
    "colorectal cancer, International Journal of Computer Assisted Radiology and Surgery 2014",
    modalities=("Colonoscopy",),
    objects=("Polyp",),
    note="All polyps of an image are one object. Its patients are not known. The zip is a third party's "
    "repack of the owner's rar; the repack in PNG among the test sets of PraNet is read too.",
)

#: The owner's files, which may lie up to three folders of one name deep, and PraNet's.
LAYOUTS = (
    {"image": r"**/{number:\d+}.tif", "mask": r"**/{_truth:Ground[ _-]Truth}/p{number:\d+}.tif"},
    {
        "image": r"**/{_top:ETIS[^/]*}/images/{number:\d+}.png",
        "mask": r"**/{_in:ETIS[^/]*}/masks/{number:\d+}.png",
    },
)
POLYP = Label(object="Polyp", above=127, weight=255)


def cases(root: Path) -> Iterator[Case | BadFile]:
    return first_of(root, _case, *LAYOUTS)


def _case(match: Match) -> Case:
    return Case(
        case=match["number"],
        patient=match["number"],
        modality="Colonoscopy",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=(POLYP,)),),
        view="picture",
    )
