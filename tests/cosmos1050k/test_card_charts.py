"""The card's charts: what they count, that bars are as long as they should be, that nothing breaks out."""

import json
import math
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cosmos1050k import card_charts, shards
from cosmos1050k.card_charts import Bar

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return [str(element.text) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def bars(svg: str, part: str) -> list[float]:
    """The lengths of a part's bars, without the legend's square."""
    boxes = [box for box in ET.fromstring(svg).iter(f"{SVG}rect") if box.get("class") == part]
    return [float(str(box.get("width"))) for box in boxes if box.get("height") != "12"]


def test_the_sample_s_charts_say_its_counts_and_are_the_same_twice(sample: Path) -> None:
    charts = card_charts.charts(["sample"], sample)
    assert list(charts) == ["sources.svg", "objects.svg", "modalities.svg", "sizes.svg"]
    assert texts(charts["sources.svg"])[-2:] == ["ICBM MNI152 2009a", "123"]
    assert texts(charts["objects.svg"])[-6:] == [
        "Brain", "123", "Gray Matter", "122", "White Matter", "119"
    ]  # fmt: skip
    assert texts(charts["modalities.svg"])[-2:] == ["T1W MRI", "123"]
    named = texts(charts["sizes.svg"])
    assert [named[named.index(f"{side} × {side}") + 1] for side in (128, 256, 512)] == ["0", "123", "0"]
    assert not any("synthetic" in "".join(texts(svg)) for svg in charts.values())
    assert card_charts.charts(["sample"], sample) == charts
    assert sum(map(len, charts.values())) < 20_000


def test_synthetic_images_are_told_apart(sample: Path, phantom: Path, tmp_path: Path) -> None:
    (tmp_path / "sample").symlink_to(sample / "sample")
    shutil.copytree(phantom / "sample", tmp_path / "brats20")
    manifest = json.loads((tmp_path / "brats20/manifest.json").read_text())
    (tmp_path / "brats20/manifest.json").write_text(json.dumps({**manifest, "source": "brats20"}))
    charts = card_charts.charts(["brats20", "sample"], tmp_path)
    assert texts(charts["sources.svg"])[-4:] == [
        "BraTS 2020", "123 (123 synthetic)", "ICBM MNI152 2009a", "123"
    ]  # fmt: skip
    assert texts(charts["modalities.svg"])[-1] == "246 (123 synthetic)"
    assert "246 (123 synthetic)" in texts(charts["sizes.svg"])
    assert texts(charts["objects.svg"])[-1] == "238 (119 synthetic)"


def test_bars_are_as_long_as_the_logarithm_of_their_numbers() -> None:
    numbers = [0, 1, 2, 30, 10_000]
    svg = card_charts.drawn("Title", [Bar(str(number), number) for number in numbers])
    none, one, *others = [None, *bars(svg, "real")]
    assert none is None
    assert 0 < one < others[0]
    unit = others[-1] / 4
    for length, number in zip(others, numbers[2:], strict=True):
        assert math.isclose(length, unit * math.log10(number), rel_tol=1e-4)
    # Synthetic ones begin where the real ones end; together they reach as far as all.
    mixed = card_charts.drawn("Title", [Bar("a", 1000, 900), Bar("b", 10_000, 10_000), Bar("c", 10_000)])
    assert math.isclose(
        bars(mixed, "real")[0] * 1.5, sum((bars(mixed, "real")[0], bars(mixed, "synthetic")[0]))
    )
    assert bars(mixed, "synthetic")[1] == bars(mixed, "real")[1]


def test_no_bars_and_names_with_signs_are_drawn() -> None:
    assert texts(card_charts.drawn("Nothing", [])) == ["Nothing", "1", "10"]
    long = "<M&Ms> " + 60 * "x"
    *_, name, number = texts(card_charts.drawn("<Title>", [Bar(long, 7)]))
    assert name.startswith("<M&Ms> xxx")
    assert name.endswith("…")
    assert number == "7"


def test_an_image_on_a_bound_is_in_the_interval_that_ends_there(tmp_path: Path) -> None:
    given = [(128, 128), (64, 256), (128, 129), (1, 1), (256, 256), (4096, 4096), (4097, 4096), (9000, 9000)]
    (tmp_path / "mri").mkdir()
    table = pa.table({"height": [h for h, _ in given], "width": [w for _, w in given]})
    pq.write_table(table, tmp_path / "mri/test.parquet")
    manifest = shards.Manifest(
        source="x", phantom=False, version="", rows=8, cases=8, empty=0, patients=8, splits={}, modalities={},
        objects={}, pairs={}, skipped=(),
        shards=(shards.Shard(file="mri/test.parquet", rows=8, bytes=1, sha256=""),),
    )  # fmt: skip
    assert list(card_charts.sizes(tmp_path, manifest).values()) == [3, 2, 0, 0, 0, 1, 2]
