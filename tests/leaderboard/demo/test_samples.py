"""Pictures of the dataset for the demo: compared with the shards themselves, read by pyarrow and Pillow."""

import io
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import medpy.metric
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cosmos1050k import shard_writer, sources
from cosmos1050k.errors import InputError
from cosmos1050k.schema import SCHEMA, SMALL_AREA
from leaderboard.demo.prompting import Found
from leaderboard.demo.samples import Samples, _spread, measured, stored_prompt
from leaderboard.metrics import Truth
from leaderboard.strategies import STRATEGIES, prompts
from tests.leaderboard import dataset

#: Sources of the registry: one whose pictures may be passed on, one whose may not.
OPEN, CLOSED = "acdc", "kvasir_seg"
PATIENTS, SLICES = 9, 3


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An open, a closed, an unknown source, and one that is a phantom."""
    folder = tmp_path_factory.mktemp("samples")
    for seed, (source, phantom) in enumerate(
        ((OPEN, False), (CLOSED, False), ("toy", False), ("made_up", True))
    ):
        cases = dataset.cases(PATIENTS, seed=seed, slices=SLICES)
        dataset.build(folder, source, cases, shard_bytes=dataset.ONE_CASE, phantom=phantom)
    return folder


def rows(data: Path, *names: str, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Every row of some built sources."""
    for name in names:
        for path in sorted((data / name).glob("*/*.parquet")):
            with pq.ParquetFile(path) as file:
                yield from file.read(columns).to_pylist()


def test_which_sources_are_shown(data: Path, tmp_path: Path) -> None:
    for slug in sources.slugs():
        redistributable = sources.get(slug).SOURCE.redistributable
        assert Samples(tmp_path).shows(slug) is redistributable, slug
    known = [OPEN, CLOSED, "toy", "made_up", "nowhere", "..", ""]
    assert [Samples(data).shows(one) for one in known] == [True, False, False, True, False, False, False]
    assert all(Samples(data, private=True).shows(one) for one in known)
    assert Samples(tmp_path).shows("sample")


def test_a_phantom_of_a_closed_source_is_shown(tmp_path: Path) -> None:
    dataset.build(tmp_path, CLOSED, dataset.cases(1), phantom=True)
    samples = Samples(tmp_path)
    assert samples.shows(CLOSED)
    assert samples.pairs()
    dataset.build(tmp_path, CLOSED, dataset.cases(1))
    assert not samples.shows(CLOSED)
    assert samples.pairs() == {}


def test_a_picture_is_the_shard_s(data: Path) -> None:
    samples, shapes = Samples(data, private=True), set()
    for row in rows(data, OPEN, CLOSED):
        sample = samples.load(row["image_id"])
        for name in ("image_id", "source", "patient", "case", "modality", "split"):
            assert getattr(sample, name) == row[name]
        assert sample.spacing is None
        np.testing.assert_array_equal(sample.picture, png(row["image"]))
        shapes.add(sample.picture.shape)
        assert len(sample.objects) == len(row["objects"])
        for index, (found, stored) in enumerate(zip(sample.objects, row["objects"], strict=True)):
            assert found.index == index
            for name in ("object", "instance", "pair", "area"):
                assert getattr(found, name) == stored[name]
            for name in ("box", "points_pos", "points_neg"):
                assert np.array_equal(getattr(found, name), stored[name])
            mask = np.isin(png(row["mask"]), stored["values"])
            np.testing.assert_array_equal(found.mask, mask)
            assert found.truth().score(mask)["dice"] == 1
            assert found.scored == (mask.sum() > SMALL_AREA)
    assert shapes == {(dataset.HEIGHT, dataset.WIDTH), (dataset.HEIGHT, dataset.WIDTH, 3)}


def png(stored: dict[str, Any]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(stored["bytes"])))


def test_labels(data: Path) -> None:
    sample = Samples(data).load(f"{OPEN}/case0/CT/0")
    labels = [entry.label for entry in sample.objects]
    assert labels == ["Liver", "Lesion", "Kidney (left)", "Kidney (right)", "Nodule"]


def test_the_sample_source(sample: Path) -> None:
    samples = Samples(sample)
    assert samples.pairs() == {"T1W MRI": ["Brain", "Gray Matter", "White Matter"]}
    (first, second) = samples.of_pair("Brain-T1W MRI", 2)
    assert {first.split("/")[1], second.split("/")[1]} == {"slab_050", "slab_125"}
    found = samples.load(first)
    stored = next(row for row in rows(sample, "sample") if row["image_id"] == first)
    np.testing.assert_array_equal(found.picture, png(stored["image"]))
    assert found.spacing == tuple(stored["spacing_mm"]) == (1.0, 1.0)
    assert found.objects[0].area == int((found.picture > 0).sum())  # the template is zero outside the brain


def test_a_part_of_a_picture_is_found(tmp_path: Path) -> None:
    case = dataset.cases(1, slices=2)[0]
    made = dataset.rows(OPEN, case).to_pylist()
    for row, part in zip(made, ("+y0x0", "+y0x64"), strict=True):
        row |= {
            "case": case.case + part,
            "image_id": f"{OPEN}/{case.case}{part}/CT/-1",
            "spacing_mm": [2, 0.5],
        }
    path = tmp_path / "rows.parquet"
    shard_writer.write_rows(path, pa.Table.from_pylist(made, schema=SCHEMA), row_group_rows=1)
    built = shard_writer.BuiltCase(case.case, case.patient, "CT", "test", "0", len(made), path)
    (tmp_path / OPEN).mkdir()
    shard_writer.write_source(tmp_path / OPEN, OPEN, [built], [], row_group_rows=1, shard_bytes=2**20)
    for row in made:
        sample = Samples(tmp_path).load(row["image_id"])
        assert (sample.case, sample.spacing) == (row["case"], (2, 0.5))
        np.testing.assert_array_equal(sample.picture, png(row["image"]))
    with pytest.raises(InputError, match="no picture"):
        Samples(tmp_path).load(f"{OPEN}/{case.case}+y1x1/CT/-1")


@pytest.mark.parametrize(
    ("image_id", "says"),
    [
        ("", "no picture is called ''"),
        ("acdc/case0/CT", "give SOURCE/CASE/MODALITY/SLICE"),
        ("acdc/case0/CT/0/0", "give SOURCE/CASE/MODALITY/SLICE"),
        ("acdc/case0/CT/\ud800", "no picture is called"),
        ("acdc/case0/CT/0\n", "no picture is called"),
        ("acdc/case0/CT/99", "'acdc' as it is built here has no picture"),
        ("acdc/case0/MRI/0", "'acdc' as it is built here has no picture"),
        ("acdc/case77/CT/0", "'acdc' as it is built here has no picture"),
        ("word/case0/CT/0", "the source 'word' is not built here; run `cosmos build word`"),
        ("../case0/CT/0", "the source '..' is not built here"),
        ("/case0/CT/0", "the source '' is not built here"),
        ("<img src=x>/case0/CT/0", "the source '<img src=x>' is not built here"),
        ("x" * 10_000 + "/case0/CT/0", "is not built here"),
        ("toy/case0/CT/0", "pictures of 'toy' may not be shown"),
        ("kvasir_seg/case0/CT/0", "pictures of 'kvasir_seg' may not be shown"),
        ("kvasir_seg/case77/CT/0", "pictures of 'kvasir_seg' may not be shown"),
    ],
)
def test_a_picture_that_can_t_be_had_is_a_sentence(data: Path, image_id: str, says: str) -> None:
    with pytest.raises(InputError) as refused:
        Samples(data).load(image_id)
    text = str(refused.value)
    assert says in text
    assert text.isprintable()
    assert len(text) < 400
    assert str(data) not in text


def scored(data: Path, pair: str, split: str | None, *names: str) -> dict[str, tuple[str, str, str]]:
    """By hand: image → its source, patient and case, of the images with a large enough object of a pair."""
    return {
        row["image_id"]: (row["source"], row["patient"], row["case"])
        for row in rows(data, *names, columns=["image_id", "source", "patient", "case", "split", "objects"])
        if split in (None, row["split"])
        and any(entry["pair"] == pair and entry["area"] > SMALL_AREA for entry in row["objects"])
    }


@pytest.mark.parametrize("split", ["test", "train", "validation", None])
@pytest.mark.parametrize("pair", ["Liver-CT", "Lesion-Colonoscopy", "Nodule-CT", "Lung-CT", "\ud800", ""])
@pytest.mark.parametrize("private", [False, True])
def test_examples_of_a_pair(data: Path, pair: str, split: str | None, private: bool) -> None:
    shown = (OPEN, CLOSED, "toy", "made_up") if private else (OPEN, "made_up")
    wanted = scored(data, pair, split, *shown)
    samples = Samples(data, private)
    found = samples.of_pair(pair, 1000, split)
    assert len(found) == len(set(found))
    assert set(found) == set(wanted)
    for count in (0, 1, 4, 7):
        assert Samples(data, private).of_pair(pair, count, split) == found[:count]
    # Of every source one before a second of any, and so of every patient of a source.
    sources_of = [wanted[one][0] for one in found]
    assert spread(sources_of)
    for source in set(sources_of):
        assert spread([wanted[one][1] for one in found if wanted[one][0] == source])
    # Of a case's slices the middle one first.
    if found:
        assert {one.rsplit("/", 1)[1] for one in found[: len(set(wanted.values()))]} == {"1"}


def spread(names: list[str]) -> bool:
    """Whether no name comes again before all names that still have one came as often."""
    total, so_far = Counter(names), Counter[str]()
    for name in names:
        if any(so_far[other] < min(so_far[name], total[other]) for other in total):
            return False
        so_far[name] += 1
    return True


@given(st.integers(1, 40), st.integers(1, 40))
def test_few_examples_lie_apart(slices: int, count: int) -> None:
    """Whatever there is of a case: no two of the first four are closer than an eighth of it."""
    found = list(_spread(slices))
    assert sorted(found) == list(range(slices))
    first = sorted(found[: min(count, 4)])
    assert all(b - a >= slices // 8 for a, b in pairwise(first))


def test_which_pairs_there_are(data: Path) -> None:
    for private, shown in ((False, (OPEN, "made_up")), (True, (OPEN, CLOSED, "toy", "made_up"))):
        samples = Samples(data, private)
        for split in ("test", "train", None):
            by_hand: dict[str, set[str]] = {}
            for row in rows(data, *shown, columns=["split", "modality", "objects"]):
                if split in (None, row["split"]):
                    large = {entry["object"] for entry in row["objects"] if entry["area"] > SMALL_AREA}
                    by_hand.setdefault(row["modality"], set()).update(large)
            expected = {name: sorted(objects) for name, objects in by_hand.items() if objects}
            assert samples.pairs(split) == expected
        assert list(samples.pairs()) == ["CT", "Colonoscopy"]
        assert samples.pairs("validation") == {}


def test_a_new_build_is_seen(tmp_path: Path) -> None:
    cases = dataset.cases(1)
    dataset.build(tmp_path, OPEN, cases)
    samples = Samples(tmp_path)
    image_id = samples.of_pair("Liver-CT", 1)[0]
    names = {image_id, *samples.of_pair("Liver-CT", 9)}
    first = f"{OPEN}/{cases[0].case}/CT/0"
    before = samples.load(first).picture
    dataset.build(tmp_path, OPEN, [dataset.changed(cases[0])])
    after = samples.load(first).picture
    assert np.argwhere(before != after).tolist() == [[dataset.HEIGHT - 1, dataset.WIDTH - 1]]
    dataset.build(tmp_path, OPEN, dataset.cases(1, slices=1))
    assert set(samples.of_pair("Liver-CT", 9)) < names


@pytest.mark.parametrize("what", ["manifest.json", "cases.parquet", "shard"])
@pytest.mark.parametrize("how", [None, b"", b"no such thing"])
def test_a_damaged_source_hides_no_other(
    tmp_path: Path, what: str, how: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    for source in ("one", "two"):
        dataset.build(tmp_path, source, dataset.cases(1), phantom=True)
    whole = Samples(tmp_path).of_pair("Liver-CT", 9)
    path = next((tmp_path / "one" / "ct").glob("*")) if what == "shard" else tmp_path / "one" / what
    path.unlink() if how is None else path.write_bytes(how)
    samples = Samples(tmp_path)
    assert samples.of_pair("Liver-CT", 9) == [one for one in whole if one.startswith("two/")]
    assert samples.pairs()["CT"]
    assert bool(caplog.messages) is not (what == "manifest.json" and how is None)  # then it is not built
    with pytest.raises(InputError) as refused:
        samples.load("one/case0/CT/0")
    assert str(refused.value).isprintable()


def test_a_damaged_picture_is_a_sentence(tmp_path: Path) -> None:
    case = dataset.cases(1)[0]
    dataset.build(tmp_path, OPEN, [case])
    path = next((tmp_path / OPEN / "ct").glob("*"))
    table = pq.read_table(path).to_pylist()
    table[0]["mask"]["bytes"] = table[0]["mask"]["bytes"][:20]
    shard_writer.write_rows(path, pa.Table.from_pylist(table, schema=SCHEMA), row_group_rows=2)
    with pytest.raises(InputError, match="not a PNG picture of 8 bits; build the source again"):
        Samples(tmp_path).load(f"{OPEN}/{case.case}/CT/0")


def test_one_row_group_is_read_of_pictures(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a case's pictures only those in the row group of the one asked for are read, two of three."""
    samples, asked = Samples(data), []
    read = pq.ParquetFile.read_row_groups

    def seen(file: pq.ParquetFile, groups: list[int], columns: list[str] | None = None) -> pa.Table:
        asked.append((len(groups), columns is None))
        return read(file, groups, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", seen)
    samples.load(f"{OPEN}/case0/CT/2")
    samples.load(f"{OPEN}/case0/CT/1")
    samples.of_pair("Liver-CT", 1)
    assert asked == [(2, False), (1, True), (1, True), (2, False)]


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "S1"])
def test_the_stored_prompt_is_the_protocol_s(data: Path, strategy: str) -> None:
    row = next(rows(data, OPEN))
    for entry, stored in zip(Samples(data).load(row["image_id"]).objects, row["objects"], strict=True):
        found, wanted = stored_prompt(entry, strategy).prompts(), prompts(STRATEGIES[strategy], [stored])
        for name in ("points", "labels", "boxes"):
            one, other = getattr(found, name), getattr(wanted, name)
            assert (one is None) is (other is None)
            assert one is None or (one.dtype == other.dtype and np.array_equal(one, other))


def test_points_that_can_t_be_had_are_left_out(tmp_path: Path) -> None:
    whole = dataset.Thing("Liver", np.ones((dataset.HEIGHT, dataset.WIDTH), bool))
    picture = np.zeros((dataset.HEIGHT, dataset.WIDTH), np.uint8)
    dataset.build(tmp_path, OPEN, [dataset.SmallCase("a", "p", ((picture, (whole,)),))])
    (entry,) = Samples(tmp_path).load(f"{OPEN}/a/CT/0").objects
    assert entry.points_neg == ((-1, -1),) * 5
    points = stored_prompt(entry, "S4").points
    assert points == tuple((x, y, True) for x, y in entry.points_pos)


@pytest.mark.parametrize("strategy", ["S1", "S7", ""])
def test_a_strategy_without_a_prompt_is_refused(data: Path, strategy: str) -> None:
    entry = Samples(data).load(f"{OPEN}/case0/CT/0").objects[0]
    with pytest.raises(InputError, match="there are S2, S3, S4, S5, S6"):
        stored_prompt(entry, strategy)


def test_candidates_are_measured_as_medpy_does(data: Path) -> None:
    truth = Samples(data).load(f"{OPEN}/case0/CT/0").objects[0].mask
    masks = np.stack([np.roll(truth, 3, 1), np.zeros_like(truth), truth])
    found = measured(Found(masks, np.zeros(3, np.float32), 0, None, 0.0), Truth.of(truth))
    assert found[0]["dice"] == pytest.approx(medpy.metric.dc(masks[0], truth), abs=1e-12)
    assert found[0]["hausdorff"] == pytest.approx(medpy.metric.hd(masks[0], truth), abs=1e-12)
    assert found[1:] == [{"dice": 0, "hausdorff": None}, {"dice": 1, "hausdorff": 0}]
