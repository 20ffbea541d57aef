"""Over the registry: a phantom release, built, gives the rows that were written down while it was drawn."""

import ast
import hashlib
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosmos1050k import build, index, pictures, pool, readers, release, shards, sources, units
from cosmos1050k.errors import InputError
from cosmos1050k.source import ANATOMICAL, Case, Source
from tests import phantoms
from tests.conftest import ROOT
from tests.cosmos1050k import raw_pictures
from tests.phantoms.truth import TrueRow

SLUGS = [slug for slug in sources.slugs() if slug != "sample"]
ROOMS = ("cosmos1050k", "leaderboard", "pipelines", "app")


@dataclass(frozen=True)
class Built:
    """A phantom and what came of it."""

    source: Source
    raw: Path
    found: index.RawIndex
    manifest: shards.Manifest
    truth: list[TrueRow]
    rows: list[dict[str, Any]]
    cases: dict[tuple[str, str], Case]

    def both(self) -> list[tuple[TrueRow, dict[str, Any]]]:
        """Each true row beside the row of its modality, slice and picture; of equal ones by patient, mask."""
        true = sorted(self.truth, key=lambda one: (*true_key(one), one.patient, mark(labelled(one))))
        rows = sorted(self.rows, key=lambda row: (*key(row), row["patient"], mark(row["mask"] > 0)))
        return list(zip(true, rows, strict=True))

    def case(self, row: dict[str, Any]) -> Case:
        return self.cases[re.sub(r"\+y\d+x\d+$", "", row["case"]), row["modality"]]


def in_this_process(function: Any, tasks: list[Any], **_: Any) -> Iterator[pool.Outcome]:
    """What `pool.run` does, without its processes, which take longer to start than a phantom to build."""
    for task in tasks:
        try:
            yield pool.Outcome(task, function(task))
        except InputError as error:
            yield pool.Outcome(task, None, str(error))


def built_from(slug: str, truth: list[TrueRow], folder: Path) -> Built:
    """Indexes and builds the release in `folder/raw`."""
    module, raw, out = sources.get(slug), folder / "raw", folder / "out"
    found = index.scan(module.SOURCE, raw, memory=folder / "seen")
    store = units.Units("build", folder / "units")
    manifest = build.build(slug, found, out, raw=raw, workers=2, store=store)
    rows = []
    for case in shards.load_cases(out):
        for row in shards.read_case(out, case).to_pylist():
            rows.append(row | {name: pictures.decode(row[name]["bytes"]) for name in ("image", "mask")})
    cases = {(case.case, case.modality): case for case in module.cases(raw) if isinstance(case, Case)}
    return Built(module.SOURCE, raw, found, manifest, truth, rows, cases)


@pytest.fixture(scope="module", params=SLUGS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp(request.param)
    truth = phantoms.write(request.param, folder / "raw")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "run", in_this_process)
        return built_from(request.param, truth, folder)


def mark(array: np.ndarray) -> str:
    array = np.ascontiguousarray(array)
    return hashlib.sha256(f"{array.shape} {array.dtype} ".encode() + array.tobytes()).hexdigest()


def key(row: dict[str, Any]) -> tuple[str, int, str]:
    return row["modality"], row["slice_index"], mark(row["image"])


def true_key(one: TrueRow) -> tuple[str, int, str]:
    return one.modality, one.slice_index, mark(expected_picture(one))


def expected_picture(one: TrueRow) -> np.ndarray:
    """The protocol's words: 255·(I − I_min)/(I_max − I_min) over the slice, float64, truncated to uint8;
    a constant slice is zeros; what is not finite counts as the finite minimum.
    """
    if one.as_is:
        return one.values.astype(np.uint8)
    values = one.values.astype(np.float64)
    values = np.where(np.isfinite(values), values, values[np.isfinite(values)].min())
    low, high = values.min(), values.max()
    if low == high:
        return np.zeros(values.shape, np.uint8)
    return np.trunc(255 * (values - low) / (high - low)).astype(np.uint8)


def labelled(one: TrueRow) -> np.ndarray:
    return np.any([thing.mask for thing in one.things], axis=0)


def test_every_source_has_a_phantom_and_no_phantom_is_without_one() -> None:
    assert phantoms.slugs() == SLUGS


def test_the_rows_are_the_true_ones_and_no_other(built: Built) -> None:
    expected, found = Counter(map(true_key, built.truth)), Counter(map(key, built.rows))
    lost, extra = expected - found, found - expected
    assert not lost + extra, (
        f"lost {[(o.patient, o.modality, o.slice_index) for o in built.truth if true_key(o) in lost]}, "
        f"extra {[row['image_id'] for row in built.rows if key(row) in extra]}, "
        f"skipped {[entry.reason for entry in built.manifest.skipped]}"
    )


def test_each_row_says_whose_it_is_and_what_it_shows(built: Built) -> None:
    for one, row in built.both():
        assert (row["patient"], row["view"]) == (one.patient, one.view), row["image_id"]
        assert (row["height"], row["width"]) == row["image"].shape[:2] == one.values.shape[:2]
        assert row["image_id"] == (
            f"{built.source.slug}/{row['case']}/{row['modality']}/{row['slice_index']}"
        )
        assert row["source"] == built.source.slug
    assert len({row["image_id"] for row in built.rows}) == len(built.rows)


def test_each_mask_is_its_objects_union_exactly_and_in_place(built: Built) -> None:
    for one, row in built.both():
        true = sorted(one.things, key=lambda thing: (thing.object, str(thing.instance), mark(thing.mask)))
        masks = [np.isin(row["mask"], entry["values"]) for entry in row["objects"]]
        order = sorted(
            range(len(masks)),
            key=lambda place: (
                row["objects"][place]["object"], str(row["objects"][place]["instance"]), mark(masks[place])
            ),
        )  # fmt: skip
        objects, masks = [row["objects"][place] for place in order], [masks[place] for place in order]
        names = [(entry["object"], entry["instance"]) for entry in objects]
        assert names == [(thing.object, thing.instance) for thing in true], row["image_id"]
        for thing, entry, mask in zip(true, objects, masks, strict=True):
            where = f"{row['image_id']}: {thing.object} {thing.instance}"
            assert np.array_equal(mask, thing.mask), where
            assert entry["pair"] == f"{thing.object}-{one.modality}", where
            assert entry["area"] == thing.mask.sum() > 0, where
            ys, xs = np.nonzero(thing.mask)
            assert entry["box"] == [xs.min(), ys.min(), xs.max(), ys.max()], where
        assert np.array_equal(row["mask"] > 0, labelled(one)), row["image_id"]
        # Each combination of objects that overlap is one region, not several.
        regions = np.unique(row["mask"])[1 if (row["mask"] == 0).any() else 0 :]
        members = [tuple(region in entry["values"] for entry in objects) for region in regions.tolist()]
        assert len(set(members)) == len(members), row["image_id"]


def test_a_patient_is_in_one_split_and_official_tests_in_test(built: Built) -> None:
    split_of: dict[str, set[str]] = {}
    for one, row in built.both():
        assert row["split"] == "test" or not one.official_test, row["image_id"]
        split_of.setdefault(one.patient, set()).add(row["split"])
    assert {len(splits) for splits in split_of.values()} == {1}


def test_the_manifest_counts_what_was_drawn_and_says_that_it_is_a_phantom(built: Built) -> None:
    manifest = built.manifest
    assert manifest.phantom is True
    drawn = [
        (f"{thing.object}-{one.modality}", n) for n, one in enumerate(built.truth) for thing in one.things
    ]
    instances, images = Counter(name for name, _ in drawn), Counter(name for name, _ in set(drawn))
    assert {name: count.instances for name, count in manifest.pairs.items()} == instances
    assert {name: count.images for name, count in manifest.pairs.items()} == images
    assert manifest.rows == len(built.truth)
    assert manifest.patients == len({one.patient for one in built.truth})
    assert all("\n" not in entry.reason for entry in manifest.skipped)


def test_the_source_declares_what_comes_out_and_all_of_it_comes_out(built: Built) -> None:
    assert {thing.object for one in built.truth for thing in one.things} == set(built.source.objects)
    assert {one.modality for one in built.truth} == set(built.source.modalities)
    assert set(built.manifest.pairs) == set(built.source.pairs)


def test_rows_can_be_traced_to_their_files(built: Built) -> None:
    sums = built.found.sums
    for one, row in built.both():
        case = built.case(row)
        partners = {other for name in case.files for other in readers.partners(name, sums)}
        assert one.files, "a true row names its raw files, the image first"
        assert set(one.files) <= {*case.files, *partners}, row["image_id"]
        if isinstance(case.image, str) and not readers.partners(case.image, sums):
            assert row["raw_sha256"] == sums[one.files[0]], row["image_id"]
        assert re.fullmatch("[0-9a-f]{64}", row["raw_sha256"])


def test_the_values_drawn_are_those_that_the_container_s_own_library_reads(built: Built) -> None:
    where = release.files(built.raw)
    for one, row in built.both():
        case = built.case(row)
        paths = [where[name] for name in one.files if name in case.image_files]
        by_affine = case.axis is None and case.view in ANATOMICAL and isinstance(case.image, str)
        candidates = (
            picture
            for path in paths
            for picture in (
                raw_pictures.displayed(path, case.view)
                if by_affine
                else raw_pictures.stored(path, one.slice_index)
            )
        )
        assert any(raw_pictures.holds(picture, one.values) for picture in candidates), row["image_id"]


@pytest.mark.parametrize("slug", SLUGS)
def test_equal_seeds_give_equal_files(slug: str, tmp_path: Path) -> None:
    written = {}
    for name, seed in (("one", 5), ("same", 5), ("other", 6)):
        phantoms.write(slug, tmp_path / name, patients=1, seed=seed)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        written[name] = [(str(p.relative_to(tmp_path / name)), p.read_bytes()) for p in files]
    assert written["one"] == written["same"]
    assert dict(written["one"]) != dict(written["other"])


def test_worker_processes_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = phantoms.write("acdc", tmp_path / "raw")
    through_the_pool = built_from("acdc", truth, tmp_path)
    shutil.rmtree(tmp_path / "units")
    monkeypatch.setattr(pool, "run", in_this_process)
    assert built_from("acdc", truth, tmp_path).manifest == through_the_pool.manifest


def test_no_room_imports_the_tests() -> None:
    for room in ROOMS:
        modules = list((ROOT / room).rglob("*.py"))
        assert modules
        for path in modules:
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module or ""]
                assert "tests" not in {name.split(".")[0] for name in names}, path
