"""iChallenge-PALM: fundus photographs of short-sighted eyes, with the optic disc and two kinds of lesions."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k import release
from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, find, gathered
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="ichallenge_palm",
    name="iChallenge-PALM (Pathologic Myopia Challenge)",
    homepage="https://palm.grand-challenge.org/",
    licence="2024: CC BY 4.0, unconfirmed; 2019: the owner's terms",
    redistributable=False,
    access="direct",
    downloads=(
        Download(
            file="data.zip",
            url="https://springernature.figshare.com/ndownloader/files/37786152",
            sha256="21cd568a00a50287370572ea81b50847085819bd2f732331ee9cdc6367e6cd1f",
        ),
    ),
    steps="Who has the challenge's files of 2019 (training.zip, validation.zip and valid_gt.zip of "
    "https://palm.grand-challenge.org/) uses `cosmos link` on their folder instead.",
    citation="Fang et al., Open Fundus Photograph Dataset with Pathologic Myopia Recognition and Anatomical "
    "Structure Annotation, Scientific Data 2024",
    modalities=("Fundus",),
    objects=("Optic Disc", "Retinal Atrophy", "Retinal Detachment"),
    note="Reads the release of 2024, whose test images are labelled and are test cases, or the challenge's "
    "of 2019, where they have no masks, and which the paper most likely used. Objects are black on white and "
    "may overlap; a photograph without a mask is passed over.",
)

#: Folder of masks → what is black in it.
OBJECTS = {
    "Disc": "Optic Disc",
    "Atrophy": "Retinal Atrophy",
    "Detachment": "Retinal Detachment",
}
_PATIENT = r"{patient:[A-Z]\d{4}}"
_MASK = f"{{name:{'|'.join(OBJECTS)}}}{{_masks:(?:[ _]Masks)?}}/{_PATIENT}.bmp"
#: Images and masks in 2024 and in 2019.
RELEASES = (
    (
        f"**/{{set:Training|Validation|Testing}}/Images/{_PATIENT}.jpg",
        f"**/{{set:Training|Validation|Testing}}/{{_lesion:(?:Lesion Masks/)?}}{_MASK}",
    ),
    (
        f"**/PALM-{{set:[^/]*400(?:-Images)?}}/{_PATIENT}.jpg",
        f"**/{_MASK}",
    ),
)


def cases(root: Path) -> Iterator[Case | BadFile]:
    for image, mask in RELEASES:
        if any(find(release.files(root), image)):
            yield from gathered(root, _case, image=image, each=mask)
            return


def _case(masks: dict[str, str], match: Match) -> Case:
    return Case(
        case=match["patient"],
        patient=match["patient"],
        modality="Fundus",
        image=match.files["image"],
        masks=tuple(
            Mask(
                file=file,
                labels=(Label(object=OBJECTS[name], colour=(0, 0, 0), within=127, weight=255),),
            )
            for name, file in masks.items()
        ),
        view="picture",
        official_test=match["set"] == "Testing",
    )
