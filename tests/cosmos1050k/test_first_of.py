"""Of a release that exists in several layouts, the first that is there is read."""

from pathlib import Path

import pytest

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, first_of
from cosmos1050k.source import Case, Label, Mask

LAYOUTS = (
    {"image": "**/Original/{number}.tif", "mask": "**/Truth/{number}.tif"},
    {"image": "**/images/{number}.png", "mask": "**/masks/{number}.png"},
)
TIFF = ("Original/1.tif", "Truth/1.tif")
PNG = ("images/1.png", "masks/1.png")


def made(match: Match) -> Case:
    mask = Mask(file=match.files["mask"], labels=(Label(object="Polyp", above=127),))
    return Case(
        case=match["number"],
        patient=match["number"],
        modality="Colonoscopy",
        image=match.files["image"],
        masks=(mask,),
        view="picture",
    )


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["top/Original/1.tif", "top/Truth/1.tif"], [("top/Original/1.tif", "top/Truth/1.tif")]),
        ([*PNG], [PNG]),
        ([*PNG, *TIFF], [TIFF]),  # the same pictures in both forms are read once
        (["images/1.png"], ["images/1.png: its partner masks/1.png is missing; fetch the source again"]),
        (["notes.txt"], []),
    ],
)
def test_the_first_layout_that_is_there_is_read(
    tmp_path: Path, names: list[str], found: list[tuple[str, ...] | str]
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    cases = first_of(tmp_path, made, *LAYOUTS)
    assert [str(one) if isinstance(one, BadFile) else one.files for one in cases] == found
