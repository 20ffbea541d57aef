"""Objects' attributes: against the protocol's words, pyefd, shapes worked by hand; and their file."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pyefd
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from cosmos1050k import attributes, pictures
from cosmos1050k.attributes import ATTRIBUTES, NAMES, SCHEMA, of_row, read, write
from cosmos1050k.errors import InputError
from cosmos1050k.fourier import descriptors, fourier_order
from cosmos1050k.taxonomy import MODALITIES
from tests.leaderboard import dataset
from tests.leaderboard.dataset import SmallCase, Thing, disc, rectangle
from tests.many import many

Mask = NDArray[np.bool_]


def plain_order(mask: Mask) -> float:
    """The Fourier order by the protocol's words, pyefd and scipy, on a picture three times as large."""
    height, width = mask.shape
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    contour = max(found, key=cv2.contourArea)[:, 0]
    parts, _ = ndimage.label(mask, np.ones((3, 3)))
    filled = ndimage.binary_fill_holes(parts == parts[contour[0][1], contour[0][0]])
    filled = np.pad(filled, ((height, height), (width, width)))
    locus = pyefd.calculate_dc_coefficients(contour)
    before, dice = None, 0.0
    for order in range(1, max(len(contour) // 2, 1) + 1):
        coefficients = pyefd.elliptic_fourier_descriptors(contour, order=order)
        points = pyefd.reconstruct_contour(coefficients, locus, max(len(contour), 64) + 1)[:-1]
        pixels = np.floor(points + 0.5 + 1e-9) + [width, height]
        decoded = np.zeros(filled.shape, np.uint8)
        cv2.fillPoly(decoded, [pixels.astype(np.int32)], 1)
        dice = 2 * int((filled & decoded.astype(bool)).sum()) / (int(decoded.sum()) + int(filled.sum()))
        if dice > 0.97 or (before is not None and dice - before < 0.001):
            break
        before = dice
    return order + 2 * 100 * (1 - dice)


def plain(row: Mapping[str, Any]) -> list[list[Any]]:
    """The attributes of a row's objects by the protocol's words, pixel by pixel; `NAMES` in their order."""
    picture, regions = (pictures.decode(row[column]["bytes"]).astype(int) for column in ("image", "mask"))
    found = []
    for thing in row["objects"]:
        own = {(int(x), int(y)) for y, x in np.argwhere(np.isin(regions, thing["values"]))}
        xs, ys = ({point[axis] for point in own} for axis in (0, 1))
        sides = [max(places) - min(places) + 1 for places in (xs, ys)]
        grown = [max(int(0.1 * side), 1) for side in sides]
        rest = [
            (x, y)
            for x in range(min(xs) - grown[0], max(xs) + grown[0] + 1)
            for y in range(min(ys) - grown[1], max(ys) + grown[1] + 1)
            if 0 <= x < regions.shape[1] and 0 <= y < regions.shape[0] and (x, y) not in own
        ]
        inside, outside = (
            np.mean([np.mean(picture[y, x]) for x, y in points]) if points else None for points in (own, rest)
        )
        difference = None if outside is None else pytest.approx(abs(inside - outside), abs=1e-9)
        order = 1.0 if len(own) == 1 else plain_order(np.isin(regions, thing["values"]))
        number = {"CT": 1, "MRI": 2, "Colonoscopy": 16}[row["modality"]]
        found.append([len(own), difference, pytest.approx(order, abs=1e-9), number, min(sides) / max(sides)])
    return found


def blob(rng: np.random.Generator, side: int) -> Mask:
    """A part without others, with or without holes, smooth or rough."""
    field = cv2.GaussianBlur(rng.standard_normal((side, side)), (0, 0), rng.uniform(0.6, side / 6))
    parts, _ = ndimage.label(field > np.quantile(field, rng.uniform(0.2, 0.95)), np.ones((3, 3)))
    areas = np.bincount(parts.ravel())
    areas[0] = 0
    return np.asarray(parts == areas.argmax())


def contour_of(mask: Mask, kind: int) -> NDArray[np.int32]:
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, kind)
    return max(found, key=cv2.contourArea)[:, 0]


def test_descriptors_equal_pyefds() -> None:
    rng = np.random.default_rng(0)
    for _ in range(many(300)):
        mask = blob(rng, int(rng.integers(6, 90)))
        contour = contour_of(mask, cv2.CHAIN_APPROX_NONE)
        if len(contour) < 2:
            continue
        expected = pyefd.elliptic_fourier_descriptors(contour, order=20)
        assert descriptors(contour, 20) == pytest.approx(expected, abs=1e-12, rel=0)
        corners = contour_of(mask, cv2.CHAIN_APPROX_SIMPLE)
        assert descriptors(corners, 20) == pytest.approx(expected, abs=1e-12, rel=0)


def test_the_order_of_any_blob() -> None:
    rng = np.random.default_rng(1)
    for number in range(many(500)):
        mask = blob(rng, int(rng.integers(4, 60)))
        if mask.sum() > 1:
            assert fourier_order(mask) == pytest.approx(plain_order(mask), abs=1e-9), f"mask {number}"


def test_a_disc_is_met_by_one_order() -> None:
    for radius in (20, 100):
        assert 1 <= fourier_order(disc(110, 110, radius, (221, 221))) < 1 + 200 * 0.03


def test_a_square() -> None:
    # Of a square of half side h order 1 is a circle of radius 8√2/π²·h = 1.1463·h, order 2 nothing.
    # Outside of it the circle has four segments of half angle acos(1/1.1463): DICE 0.907.
    radius = 8 * np.sqrt(2) / np.pi**2
    angle = np.arccos(1 / radius)
    segment = radius**2 * (angle - np.sin(angle) * np.cos(angle))
    circle = np.pi * radius**2
    dice = 2 * (circle - 4 * segment) / (circle + 4)
    assert fourier_order(np.ones((801, 801), bool)) == pytest.approx(2 + 200 * (1 - dice), abs=0.3)


def test_a_star() -> None:
    # Five points: only the orders 5k ± 1 are there, so that the second gains nothing.
    angles = np.arange(10) * np.pi / 5
    tips = 200 + np.where(np.arange(10) % 2, 70, 180)[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    star = np.zeros((401, 401), np.uint8)
    cv2.fillPoly(star, [np.rint(tips).astype(np.int32)], 1)
    found = fourier_order(star.view(bool))
    assert found == pytest.approx(plain_order(star.view(bool)), abs=1e-9)
    assert 2 + 200 * 0.2 < found < 2 + 200 * 0.5
    # A comb of unequal teeth has them all, and is followed far.
    comb = rectangle(0, 0, 199, 29, (150, 200))
    for number, x in enumerate(range(5, 200, 25)):
        comb |= rectangle(x, 30, x + 9, 60 + 11 * (number % 7), (150, 200))
    assert fourier_order(comb) == pytest.approx(plain_order(comb), abs=1e-9)
    assert fourier_order(comb) > 15


def test_points_and_lines() -> None:
    assert fourier_order(np.ones((1, 1), bool)) == 1.0
    # There and back between two pixels: cosine of amplitude 4/π², which rounds to both.
    for pair in (np.ones((1, 2), bool), np.ones((2, 1), bool), np.eye(2, dtype=bool)):
        assert fourier_order(pair) == 1.0
    # 101 in a line: amplitude 4·100/π² = 40.53 around 50, which is 9.47…90.53, 83 pixels; no second order.
    for line in (np.ones((1, 101), bool), np.ones((101, 1), bool), np.eye(101, dtype=bool)):
        assert fourier_order(line) == pytest.approx(2 + 200 * (1 - 2 * 83 / (83 + 101)))
    # Four in a square: a circle of radius 1.1463·0.5 around (0.5, 0.5), whose pixels they are.
    assert fourier_order(np.ones((2, 2), bool)) == 1.0
    with pytest.raises(ValueError, match="empty"):
        fourier_order(np.zeros((3, 3), bool))


def test_the_largest_outer_contour_alone() -> None:
    ring = disc(30, 30, 20, (60, 120)) & ~disc(30, 30, 15, (60, 120))
    whole = fourier_order(disc(30, 30, 20, (60, 120)))
    assert fourier_order(ring) == whole
    assert fourier_order(ring | disc(30, 30, 14, (60, 120)) | disc(90, 30, 18, (60, 120))) == whole
    lines = np.zeros((9, 40), bool)
    lines[2, :12] = lines[6, :35] = True  # neither encloses anything: the longer one
    assert fourier_order(lines) == fourier_order(lines[6:7])


def test_place_and_layout_change_nothing() -> None:
    rng = np.random.default_rng(2)
    for _ in range(many(50)):
        mask = blob(rng, 40)
        expected = fourier_order(mask)
        wide = np.zeros((160, 170), bool)
        wide[20:60, 30:70] = mask
        assert fourier_order(wide) == fourier_order(np.asfortranarray(wide)) == expected
        y, x = np.nonzero(mask)
        assert fourier_order(mask[y.min() : y.max() + 1, x.min() : x.max() + 1]) == expected


def values(row: Mapping[str, Any]) -> list[list[Any]]:
    return [[entry[name] for name in NAMES] for entry in of_row(row)]


def test_by_the_protocols_words() -> None:
    rng = np.random.default_rng(3)
    edge = (
        Thing("Pixel", rectangle(10, 10, 10, 10)),
        Thing("Corner", rectangle(63, 47, 63, 47)),
        Thing("Line", rectangle(0, 30, 40, 30)),
        Thing("Edge", rectangle(44, 0, 63, 29)),
        Thing("Other", disc(20, 18, 7)),
    )
    for colour, modality, things in (
        (False, "CT", edge),
        (True, "Colonoscopy", edge[:3]),
        (False, "MRI", dataset.things(rng)[2:]),
    ):
        picture = dataset.picture(rng, things, colour=colour)
        (row,) = dataset.rows("s", SmallCase("c", "p", ((picture, things),), modality)).to_pylist()
        assert values(row) == plain(row)
        assert [(e["image_id"], e["object_index"], e["pair"]) for e in of_row(row)] == [
            (row["image_id"], index, f"{thing.object}-{modality}") for index, thing in enumerate(things)
        ]


def test_nothing_around_it() -> None:
    everything = Thing("All", rectangle(0, 0, 63, 47))
    box = Thing("Box", rectangle(8, 8, 11, 11))  # fills its own box: the frame around it is left
    picture = np.full((48, 64), 100, np.uint8)
    picture[8:12, 8:12] = 130
    (row,) = dataset.rows("s", SmallCase("c", "p", ((picture, (everything, box)),))).to_pylist()
    found = of_row(row)
    assert [entry["intensity_difference"] for entry in found] == [None, 30.0]
    assert [entry["size"] for entry in found] == [48 * 64, 16]
    assert [entry["aspect_ratio"] for entry in found] == [0.75, 1.0]


def test_numbers_of_modalities() -> None:
    # Figure 1: (a) CT, (b) MRI, …, (r) microscopy.
    assert (MODALITIES[0], MODALITIES[1], MODALITIES[13], MODALITIES[17]) == (
        "CT",
        "MRI",
        "X-ray",
        "Microscopy",
    )
    things = (Thing("Cell", disc(20, 20, 8)),)
    picture = dataset.picture(np.random.default_rng(4), things)
    cases = [SmallCase("c", "p", ((picture, things),), modality) for modality in MODALITIES]
    found = [of_row(row)[0]["modality_number"] for row in dataset.rows("s", *cases).to_pylist()]
    assert found == list(range(1, 19))


@pytest.fixture
def built(project: Path) -> Path:
    """A source of many shards in an empty project's folder."""
    data = project / "data" / "built"
    dataset.build(data, "s", dataset.cases(5), shard_bytes=dataset.ONE_CASE)
    return data


def target_of(slug: str = "s") -> Path:
    return ATTRIBUTES / f"{slug}.parquet"


def test_the_file(built: Path) -> None:
    write("s", built, target_of(), 1)
    manifest = json.loads((built / "s" / "manifest.json").read_text())
    rows = [
        row
        for shard in manifest["shards"]
        for row in pq.ParquetFile(built / "s" / shard["file"]).read().to_pylist()
    ]
    expected = [entry for row in rows for entry in of_row(row)]
    table = read(["s"], data=built)
    assert table.schema == SCHEMA
    assert table.to_pylist() == expected
    assert len({(e["image_id"], e["object_index"]) for e in expected}) == len(expected) > 50
    told = pq.read_schema(target_of()).metadata
    assert told == {b"source": b"s", b"source_version": manifest["version"].encode(), b"version": b"1"}
    assert [path.name for path in ATTRIBUTES.iterdir()] == ["s.parquet"]


def test_once_per_version(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("s", built, target_of(), 1)
    first = target_of().read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(attributes, "of_row", None)
        write("s", built, target_of(), 1)
        target_of().unlink()
        write("s", built, target_of(), 1)  # from its units
    assert target_of().read_bytes() == first
    cases = dataset.cases(5)
    dataset.build(built, "s", [dataset.changed(cases[0]), *cases[1:]], shard_bytes=dataset.ONE_CASE)
    with pytest.raises(InputError, match=r"s\.parquet: damaged, or of another version.*; run `dvc repro"):
        read(["s"], data=built)
    done = counted(monkeypatch)
    write("s", built, target_of(), 1)
    assert len(done) == 2, "the two slices of the case that changed"
    assert read(["s"], data=built).num_rows
    monkeypatch.setattr(attributes, "VERSION", 2)
    with pytest.raises(InputError, match="another version"):
        read(["s"], data=built)
    write("s", built, target_of(), 1)
    assert len(done) > 10


def counted(monkeypatch: pytest.MonkeyPatch, fails_at: int = -1) -> list[str]:
    """The rows that are measured from now on; at one of them the process fails."""
    done: list[str] = []

    def measure(row: Mapping[str, Any]) -> list[dict[str, Any]]:
        if len(done) == fails_at:
            raise InputError("a broken row")
        done.append(row["image_id"])
        return of_row(row)

    monkeypatch.setattr(attributes, "of_row", measure)
    return done


def test_a_failure_leaves_what_was_there_and_is_continued(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attributes, "_UNIT_ROWS", 2)
    target_of().parent.mkdir(parents=True)
    target_of().write_bytes(b"not Parquet")
    with monkeypatch.context() as patched:
        done = counted(patched, fails_at=5)
        with pytest.raises(InputError, match="a broken row"):
            write("s", built, target_of(), 1)
    assert target_of().read_bytes() == b"not Parquet"
    with pytest.raises(InputError, match="damaged"):
        read(["s"], data=built)
    again = counted(monkeypatch)
    write("s", built, target_of(), 1)
    table = read(["s"], data=built)
    assert sorted({*done[:4], *again}) == sorted(set(table["image_id"].to_pylist()))
    assert len(again) == len(set(table["image_id"].to_pylist())) - 4, "two units were whole"


def test_several_sources(built: Path) -> None:
    dataset.build(built, "t", dataset.cases(1, seed=1))
    for slug in "st":
        write(slug, built, target_of(slug), 1)
    both = read(["s", "t"], data=built)
    sources = [name.split("/")[0] for name in both["image_id"].to_pylist()]
    assert sources == sorted(sources)
    assert set(sources) == {"s", "t"}
    assert read([], data=built).schema == SCHEMA
    target_of("t").unlink()
    with pytest.raises(InputError, match=r"t\.parquet: missing; run `dvc repro attributes@t`"):
        read(["s", "t"], data=built)
    with pytest.raises(InputError, match=r"nowhere/manifest\.json: missing"):
        write("nowhere", built, target_of("nowhere"), 1)


def test_a_damaged_shard_is_one_line(built: Path) -> None:
    shard = next((built / "s").rglob("*-of-*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(InputError, match=rf"{shard.name}: damaged; build the source again"):
        write("s", built, target_of(), 1)
    assert not target_of().exists()


@pytest.mark.slow
def test_processes_change_nothing(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributes, "_UNIT_ROWS", 2)
    write("s", built, target_of(), 1)
    first = target_of().read_bytes()
    shutil.rmtree(Path("data/units"))
    target_of().unlink()
    write("s", built, target_of(), 2)
    assert target_of().read_bytes() == first


def test_the_version_is_held_to_the_result() -> None:
    """What this gives may change only with `VERSION`."""
    rows = dataset.rows("s", *dataset.cases(4)).to_pylist()
    found = [[round(value, 6) for value in entry] for row in rows for entry in values(row)]
    digest = hashlib.sha256(json.dumps(found).encode()).hexdigest()
    assert (attributes.VERSION, digest[:16]) == (1, "529229279b72a626")
