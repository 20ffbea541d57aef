"""Over the registry: a phantom release, built, gives the rows that were written down while it was drawn."""

import ast
import hashlib
import shutil
from collections import Counter
from pathlib import Path

import pytest

from cosmos1050k import index, pool, readers, release, sources
from cosmos1050k.source import ANATOMICAL
from tests import phantoms
from tests.conftest import ROOT
from tests.cosmos1050k import raw_pictures
from tests.cosmos1050k.built_phantoms import Built, built_from, in_this_process, masks_are_true, rows_are_true

SLUGS = [slug for slug in sources.slugs() if slug != "sample"]
ROOMS = ("cosmos1050k", "leaderboard", "pipelines", "app")


@pytest.fixture(scope="module", params=SLUGS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp(request.param)
    truth = phantoms.write(request.param, folder / "raw")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "run", in_this_process)
        return built_from(request.param, truth, folder)


def test_every_source_has_a_phantom_and_no_phantom_is_without_one() -> None:
    assert phantoms.slugs() == SLUGS


def test_the_rows_are_the_true_ones_and_no_other(built: Built) -> None:
    rows_are_true(built)


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
    masks_are_true(built)


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
        image = [*case.image_files, *(p for name in case.image_files for p in readers.partners(name, sums))]
        every = {*case.files, *(p for name in case.files for p in readers.partners(name, sums))}
        assert one.files, "a true row names its raw files, the image first"
        assert one.files[0] in image, row["image_id"]
        assert set(one.files) <= every, row["image_id"]
        joined = hashlib.sha256("".join(sums[name] for name in image).encode()).hexdigest()
        assert row["raw_sha256"] == (joined if len(image) > 1 else sums[one.files[0]]), row["image_id"]


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


@pytest.mark.slow
def test_equal_seeds_give_equal_files_and_others_differ(built: Built, tmp_path: Path) -> None:
    for name in ("one", "same"):
        phantoms.write(built.source.slug, tmp_path / name, patients=1, seed=5)
    one, same = (
        index.scan(built.source, tmp_path / name, tmp_path / "seen").sums for name in ("one", "same")
    )
    assert one == same
    assert one != {name: built.found.sums.get(name) for name in one}  # of seed 0


@pytest.mark.slow
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
