"""CVC-ClinicDB: polyps in the stills of 29 colonoscopy sequences."""

from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, first_of
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="cvc_clinicdb",
    name="CVC-ClinicDB",
    homepage="https://polyp.grand-challenge.org/CVCClinicDB/",
    licence="free for research and education with citation, no open licence found",
    redistributable=False,
    access="direct",
    downloads=(
        Download(
            file="CVC-ClinicDB.rar",
            url="https://www.dropbox.com/s/p5qe9eotetjnbmq/CVC-ClinicDB.rar?dl=1",
        ),
    ),
    labelled=612,
    citation="Bernal et al., WM-DOVA maps for accurate polyp highlighting in colonoscopy: Validation vs. "
    "saliency maps from physicians, Computerized Medical Imaging and Graphics 2015",
    modalities=("Colonoscopy",),
    objects=("Polyp",),
    note="All polyps of an image are one object. A patient is a sequence, by the owner's table of frames; "
    "some patients have two, and nobody published whose they are. Mirrors in PNG are read too.",
)

#: The last frame of each of the 29 sequences.
LAST = (
    25, 50, 67, 78, 103, 126, 151, 177, 199, 205, 227, 252, 277, 297, 317, 342, 363, 383, 408, 428, 447, 466,
    478, 503, 528, 546, 571, 591, 612,
)  # fmt: skip
POLYP = Label(object="Polyp", above=127, weight=255)


def cases(root: Path) -> Iterator[Case | BadFile]:
    layouts = (
        {
            "image": rf"**/Original/{{frame:\d+}}.{ending}",
            "mask": rf"**/{{_truth:Ground[ _-]Truth}}/{{frame:\d+}}.{ending}",
        }
        for ending in ("tif", "png")
    )
    return first_of(root, _case, *layouts)


def _case(match: Match) -> Case:
    return Case(
        case=match["frame"],
        patient=f"sequence_{bisect_left(LAST, int(match['frame'])) + 1}",
        modality="Colonoscopy",
        image=match.files["image"],
        masks=(Mask(file=match.files["mask"], labels=(POLYP,)),),
        view="picture",
    )
