"""The card's gallery: which image shows a pair, where its outline lies, and whose images are never shown."""

import dataclasses
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageFont

from cosmos1050k import card_gallery, pictures, shards, sources, taxonomy
from cosmos1050k.errors import InputError

#: A source whose images may not be passed on, and one whose may.
CLOSED = next(slug for slug in sources.slugs() if not sources.get(slug).SOURCE.redistributable)
OPEN = next(s for s in sources.slugs() if sources.get(s).SOURCE.redistributable and s != "sample")


def built(source: Path, target: Path, slug: str, phantom: bool = False) -> shards.Manifest:
    """A copy of a built source under another name."""
    shutil.copytree(source, target / slug)
    manifest = json.loads((target / slug / "manifest.json").read_text())
    (target / slug / "manifest.json").write_text(json.dumps({**manifest, "source": slug, "phantom": phantom}))
    return shards.load_manifest(target / slug)


def row(image: np.ndarray, mask: np.ndarray, *objects: tuple[str, list[int]]) -> dict:
    return {
        "image": {"bytes": pictures.encode(image)},
        "mask": {"bytes": pictures.encode(mask)},
        "objects": [{"pair": pair, "values": values} for pair, values in objects],
    }


def test_the_outline_is_on_the_object_s_border_and_nowhere_else() -> None:
    mask = np.zeros((384, 384), np.uint8)
    mask[100:200, 40:340] = 1
    mask[130:170, 80:300] = 0  # a hole
    mask[300:360, 300:360] = 2
    drawn = card_gallery.outlined(row(np.zeros_like(mask), mask, ("A-CT", [1]), ("B-CT", [2])), "A-CT")
    assert drawn.shape == (192, 192, 3)
    red = drawn[:, :, 0].astype(float)
    assert not drawn[:, :, 2].any()
    # Along a line across a border the red is thickest at the middle of the object's own last pixel.
    for line, start, stop, pixel in (
        (red[:, 95], 0, 57, 100), (red[:, 95], 57, 75, 129), (red[:, 95], 75, 92, 170),
        (red[:, 95], 92, 192, 199), (red[75], 0, 30, 40), (red[75], 30, 95, 79), (red[75], 95, 160, 300),
        (red[75], 160, 192, 339),
    ):  # fmt: skip
        places = np.arange(start, stop)
        middle = (line[start:stop] * places).sum() / line[start:stop].sum()
        assert abs(middle - ((pixel + 0.5) / 2 - 0.5)) < 0.1, pixel
    # No red elsewhere: within the object, in its hole, outside, and around another pair's object.
    for empty in (red[52:63, 23:168], red[68:82, 43:148], red[102:], red[:48], red[:, :18], red[:, 172:]):
        assert not empty.any()


def test_an_image_in_colour_or_of_any_shape_fits_into_its_square() -> None:
    for height, width, expected in ((1000, 500, (192, 96)), (3, 2000, (1, 192)), (20, 30, (128, 192))):
        colours = np.full((height, width, 3), (10, 200, 30), np.uint8)
        mask = np.zeros((height, width), np.uint8)
        mask[0, 0] = 1
        drawn = card_gallery.outlined(row(colours, mask, ("A-CT", [1])), "A-CT")
        assert drawn.shape[:2] == expected
        assert tuple(drawn[-1, -1]) == (10, 200, 30)


def test_the_sample_s_sheet_shows_the_largest_of_each_pair(sample: Path) -> None:
    sheets = card_gallery.sheets(["sample"], sample)
    assert list(sheets) == ["gallery_t1w_mri.jpg"]
    assert card_gallery.sheets(["sample"], sample) == sheets
    assert len(sheets["gallery_t1w_mri.jpg"]) < 60_000
    picture = Image.open(io.BytesIO(sheets["gallery_t1w_mri.jpg"]))
    assert picture.size[0] == 8 + 3 * 200
    files = sorted((sample / "sample/t1w_mri").glob("*.parquet"))
    rows = [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]
    cases = shards.load_cases(sample / "sample")
    for shown in card_gallery.plan([shards.load_manifest(sample / "sample")]).sheets["T1W MRI"]:
        found = card_gallery._row(sample / "sample", cases, shown)

        def area(row: dict, pair: str = shown.pair) -> int:
            return sum(entry["area"] for entry in row["objects"] if entry["pair"] == pair)

        def scored(case: str, pair: str = shown.pair) -> int:
            own = [row for row in rows if row["case"] == case]
            return sum(any(e["pair"] == pair and e["area"] > 50 for e in row["objects"]) for row in own)

        assert area(found) == max(area(row) for row in rows if row["case"] == found["case"]) > 1000
        assert scored(found["case"]) == max(map(scored, {row["case"] for row in rows}))


def test_images_that_may_not_be_passed_on_are_not_even_read(sample: Path, tmp_path: Path) -> None:
    closed = built(sample / "sample", tmp_path, CLOSED)
    for shard in closed.shards:
        (tmp_path / CLOSED / shard.file).unlink()
    plan = card_gallery.plan([closed])
    assert plan.sheets == {}
    assert plan.withheld == ("Brain-T1W MRI", "Gray Matter-T1W MRI", "White Matter-T1W MRI")
    assert card_gallery.sheets([CLOSED], tmp_path) == {}
    # Another source that may be shown shows the pair.
    both = card_gallery.plan([closed, shards.load_manifest(sample / "sample")])
    assert both.withheld == ()
    assert {picture.source for picture in both.sheets["T1W MRI"]} == {"sample"}


def test_a_synthetic_image_is_shown_only_where_no_real_one_can_be_and_is_marked(
    sample: Path, tmp_path: Path
) -> None:
    synthetic = built(sample / "sample", tmp_path, OPEN, phantom=True)
    real = built(sample / "sample", tmp_path, "sample")
    assert {p.source for p in card_gallery.plan([synthetic, real]).sheets["T1W MRI"]} == {"sample"}
    (alone,) = card_gallery.plan([synthetic]).sheets.values()
    assert all(picture.phantom for picture in alone)
    as_real = card_gallery.sheets(["sample"], tmp_path)["gallery_t1w_mri.jpg"]
    as_phantom = card_gallery.sheets([OPEN], tmp_path)["gallery_t1w_mri.jpg"]
    corners = [
        np.asarray(Image.open(io.BytesIO(one)))[8:24, 8:90].astype(int) for one in (as_real, as_phantom)
    ]
    orange = [(corner[:, :, 0] - corner[:, :, 2] > 80).sum() for corner in corners]
    assert orange[0] == 0
    assert orange[1] > 100


def test_a_pair_too_small_to_score_anywhere_has_its_picture(sample: Path) -> None:
    cases = [{**case, "pairs": []} for case in shards.load_cases(sample / "sample")]
    picture = card_gallery.Picture("White Matter-T1W MRI", "White Matter", "T1W MRI", "sample", False)
    found = card_gallery._row(sample / "sample", cases, picture)
    assert any(entry["pair"] == picture.pair for entry in found["objects"])
    absent = dataclasses.replace(picture, pair="Liver-T1W MRI")
    with pytest.raises(InputError, match=r"no row has Liver-T1W MRI, .* build the source again"):
        card_gallery._row(sample / "sample", cases, absent)


def test_every_name_has_room_below_its_picture() -> None:
    large, small = ImageFont.load_default(13), ImageFont.load_default(11)
    for name in {entry.object for entry in taxonomy.entries()}:
        lines = list(card_gallery._wrapped(name, large))
        assert " ".join(lines) == name
        assert len(lines) <= 2
        assert all(large.getlength(line) <= card_gallery.SIDE for line in lines)
    assert all(small.getlength(slug) <= card_gallery.SIDE for slug in sources.slugs())
