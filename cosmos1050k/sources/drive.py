"""DRIVE: fundus photographs with the field of view and the first observer's vessels, in the current release
or the older one, whose test images have vessels too."""

from collections.abc import Iterator
from pathlib import Path

from cosmos1050k import release
from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, find, matched
from cosmos1050k.source import Case, Download, Label, Mask, Source

SOURCE = Source(
    slug="drive",
    name="DRIVE (Digital Retinal Images for Vessel Extraction)",
    homepage="https://drive.grand-challenge.org/",
    licence="free for research after registration; no open licence",
    redistributable=False,
    access="grand-challenge",
    downloads=(
        Download(
            file="training.zip", sha256="7101e19598e2b7aacdbd5e6e7575057b9154a4aaec043e0f4e28902bf4e2e209"
        ),
        Download(file="test.zip", sha256="d76c95c98a0353487ffb63b3bb2663c00ed1fde7d8fdfd8c3282c6e310a02731"),
    ),
    steps="Register at https://grand-challenge.org, join https://drive.grand-challenge.org, and follow the "
    "links of its download page to training.zip and test.zip.",
    labelled=40,
    citation="Staal et al., Ridge-based vessel segmentation in color images of the retina, "
    "IEEE Transactions on Medical Imaging 2004",
    modalities=("Fundus",),
    objects=("Eye", "Retinal Vessel"),
    note="Eye is the field of view, which the vessels overlap. Test images are test cases; those of the "
    "current release have the field of view alone, and are taken with it.",
)

ROLES = {
    "image": "**/{{set:{0}}}/images/{{number}}_{{set}}.tif",
    "Eye": "**/{{set:{0}}}/mask/{{number}}_{{set}}_mask.gif",
    "Retinal Vessel": "**/{{set:{0}}}/1st_manual/{{number}}_manual1.gif",
}


def cases(root: Path) -> Iterator[Case | BadFile]:
    for part in ("training", "test"):
        roles = {role: template.format(part) for role, template in ROLES.items()}
        if part == "test" and not any(find(release.files(root), roles["Retinal Vessel"])):
            del roles["Retinal Vessel"]
        yield from matched(root, _case, **roles)


def _case(match: Match) -> Case:
    return Case(
        case=f"{match['set']}_{match['number']}",
        patient=match["number"],
        modality="Fundus",
        image=match.files["image"],
        masks=tuple(
            Mask(file=file, labels=(Label(object=role, above=0, weight=255),))
            for role, file in match.files.items()
            if role != "image"
        ),
        view="picture",
        official_test=match["set"] == "test",
    )
