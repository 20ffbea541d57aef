"""A run's scores scored again: what was altered is found, what only looks otherwise is not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cosmos1050k import shard_writer, shards
from cosmos1050k.errors import InputError
from cosmos1050k.schema import SCHEMA
from cosmos1050k.shard_writer import BuiltCase
from cosmos1050k.units import MANIFEST
from leaderboard import models, tolerance, verify
from leaderboard.evaluate import EvaluateOptions, RunManifest
from leaderboard.machine import Machine
from leaderboard.score import score
from leaderboard.tolerance import Run, Tolerance
from leaderboard.verify import Verification
from tests.leaderboard import boards, dataset

#: Cheap models of the registry, and what they are scored under.
SCORED = {"box": None, "grabcut": ("S2", "S5"), "sam_nano": ("S2", "S5")}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> boards.Scored:
    """Two sources scored by models of the registry; read it, don't change it."""
    folder = boards.Scored(tmp_path_factory.mktemp("made"))
    folder.build("first", dataset.cases(4))
    folder.build("second", dataset.cases(1, seed=1, slices=3))
    for name, strategies in SCORED.items():
        folder.score(models.get(name), strategies=strategies)
    return folder


@pytest.fixture
def own(made: boards.Scored, project: Path) -> boards.Scored:
    """A copy to change, in the project's folder."""
    return made.copy(project)


def check(scored: boards.Scored, model: str = "box", *, share: float = 1, **more: Any) -> Verification:
    given = {"protocol_version": 1, "seed": 0, **more}
    return verify.verify(model, scored.data, scored.scores / model, share=share, **given)


def alter(
    scored: boards.Scored, change: Callable[[pa.Table], pa.Table], source: str = "first", model: str = "box"
) -> None:
    path = scored.scores / model / f"{source}.parquet"
    scored.write(model, source, change(pq.read_table(path)))


def value(column: str, row: int, new: Any) -> Callable[[pa.Table], pa.Table]:
    """Sets one value of a table."""

    def change(table: pa.Table) -> pa.Table:
        values = table[column].to_pylist()
        values[row] = new(values[row]) if callable(new) else new
        place = table.schema.get_field_index(column)
        return table.set_column(place, table.field(place), pa.array(values, table.field(place).type))

    return change


def dices(of: Callable[[int], float]) -> Callable[[pa.Table], pa.Table]:
    """Sets every DICE of the oracle's selection, by its row."""

    def change(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index("dice_oracle")
        values = pa.array([float(of(number)) for number in range(table.num_rows)])
        return table.set_column(place, table.field(place), values)

    return change


def refused(scored: boards.Scored, words: str, model: str = "box", **more: Any) -> None:
    with pytest.raises(InputError, match=words) as caught:
        check(scored, model, **more)
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value)


@pytest.mark.parametrize("model", SCORED)
def test_a_run_scored_again_here_holds_to_the_bit(made: boards.Scored, project: Path, model: str) -> None:
    found = check(made, model)
    files = [made.scores / model / f"{source}.parquet" for source in made.sources]
    tables = [pq.read_table(path) for path in files]
    assert found.rows == found.of_rows == sum(table.num_rows for table in tables)
    assert found.images == len({image for table in tables for image in table["image_id"].to_pylist()})
    assert (found.largest, found.worst, found.changed) == (0, "", 0)
    assert found.others == {"jaccard": 0, "hausdorff": 0, "assd": 0}
    assert (found.tolerance, found.tolerance_from, found.held) == (1e-3, "default", True)
    declared = models.kind(model).declaration
    assert found.weights_sha256 == declared.weights_sha256
    assert (found.device, found.numerics) == ("cpu", declared.dtype)


@pytest.mark.parametrize("selection", ["oracle", "predicted_iou"])
def test_one_altered_dice_is_found_and_named(own: boards.Scored, selection: str) -> None:
    alter(own, value(f"dice_{selection}", 7, lambda dice: dice - 0.01), "second")
    row = pq.read_table(own.scores / "box/second.parquet").to_pylist()[7]
    found = check(own)
    assert not found.held
    assert found.largest == pytest.approx(0.01)
    place = f"{row['image_id']}, object {row['object_index']}, {row['strategy']}: dice_{selection}"
    assert found.worst.startswith(place)
    assert found.changed == 0


def test_less_than_the_tolerance_is_held(own: boards.Scored) -> None:
    alter(own, value("dice_oracle", 3, lambda dice: dice - 5e-4))
    found = check(own)
    assert found.held
    assert found.largest == pytest.approx(5e-4)
    assert found.worst


@pytest.mark.parametrize("gone", [None, float("nan"), float("inf")])
def test_a_dice_that_is_none_is_as_far_off_as_can_be(own: boards.Scored, gone: float | None) -> None:
    alter(own, value("dice_oracle", 0, gone))
    found = check(own)
    assert (found.largest, found.changed, found.held) == (1, 1, False)


def test_other_metrics_and_statuses_are_counted(own: boards.Scored) -> None:
    alter(own, value("hausdorff_oracle", 2, lambda distance: distance + 3))
    alter(own, value("status", 4, "failed"))
    alter(own, value("assd_predicted_iou", 5, None))
    found = check(own)
    assert found.others == {"jaccard": 0, "hausdorff": pytest.approx(3), "assd": 0}
    assert (found.changed, found.largest) == (2, 0)


def test_the_order_of_rows_counts_for_the_sum_alone(own: boards.Scored) -> None:
    before = check(own)
    alter(own, lambda table: table.take(np.random.default_rng(0).permutation(table.num_rows)))
    after = check(own)
    assert after.scores_sha256 != before.scores_sha256
    assert after.held
    same = {"scores_sha256", "date"}
    assert after.model_dump(exclude=same) == before.model_dump(exclude=same)


def test_a_share_is_drawn_by_seed(own: boards.Scored) -> None:
    alter(own, dices(lambda number: -number / 1000))
    drawn = [check(own, share=0.2, seed=seed) for seed in (1, 1, 2, 3)]
    assert drawn[0].model_dump(exclude={"date"}) == drawn[1].model_dump(exclude={"date"})
    assert {one.rows for one in drawn} == {round(0.2 * drawn[0].of_rows)}
    assert len({one.worst for one in drawn}) > 1
    by_chance = check(own, share=0.2, seed=None)
    again = check(own, share=0.2, seed=by_chance.seed)
    assert again.model_dump(exclude={"date"}) == by_chance.model_dump(exclude={"date"})
    assert check(own, share=0.2, seed=None).seed != by_chance.seed


@pytest.mark.slow
def test_rows_are_drawn_evenly(own: boards.Scored) -> None:
    """In draws of one row each, a source is met as often as its share of the rows says: ± 4 deviations."""
    draws, rows = 150, {}
    for source in own.sources:
        alter(own, dices(lambda number: -1), source)
        rows[source] = pq.read_metadata(own.scores / f"box/{source}.parquet").num_rows
    met = dict.fromkeys(own.sources, 0)
    for seed in range(draws):
        found = check(own, share=1e-9, seed=seed)
        assert (found.rows, found.images) == (1, 1)
        met[found.worst.split("/")[0]] += 1
    part = rows["first"] / sum(rows.values())
    assert abs(met["first"] - draws * part) < 4 * np.sqrt(draws * part * (1 - part))


@pytest.mark.parametrize("share", [0, -0.1, 1.01, float("nan")])
def test_a_share_is_above_none_and_up_to_all(made: boards.Scored, share: float) -> None:
    refused(made, "^share: .* is not above 0 and up to 1", share=share)


def test_of_an_image_only_the_strategies_drawn_are_scored(
    own: boards.Scored, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, tuple[str, ...]]] = []

    def watched(model: Any, rows: pa.Table, strategies: Any, **more: Any) -> pa.Table:
        asked.append((rows.num_rows, tuple(strategies)))
        return score(model, rows, strategies, **more)

    monkeypatch.setattr(verify.score, "score", watched)
    check(own, share=1e-9)
    assert [(count, len(strategies)) for count, strategies in asked] == [(1, 1)]


def test_other_weights_are_refused(own: boards.Scored) -> None:
    declared = models.kind("sam_nano").declaration
    own.manifest("sam_nano", declaration=declared.model_copy(update={"weights_sha256": "0" * 64}))
    refused(own, f"sam_nano had weights_sha256 0{{64}}, and has {declared.weights_sha256} now", "sam_nano")
    own.manifest("sam_nano", declaration=declared.model_copy(update={"version": 0}))
    refused(own, "sam_nano had version 0, and has 1 now; run `cosmos evaluate", "sam_nano")


def test_another_model_s_scores_are_refused(own: boards.Scored) -> None:
    own.manifest("box", declaration=models.kind("grabcut").declaration)
    refused(own, "scores of grabcut, not of box; run `cosmos evaluate --model box`")


def test_stale_scores_are_refused(own: boards.Scored) -> None:
    own.build("second", [dataset.changed(case) for case in dataset.cases(1, seed=1, slices=3)])
    refused(own, "no scores of the present version of source second; run `cosmos evaluate --model box`")
    refused(own, "scores of protocol 1, not 2", protocol_version=2)


def test_files_that_are_not_as_written_are_refused(own: boards.Scored) -> None:
    file, manifest = own.scores / "box/first.parquet", own.scores / "box" / MANIFEST
    whole = file.read_bytes()
    alter(own, lambda table: table.slice(1))
    refused(own, r"first\.parquet: not the rows that manifest\.json counts; run `cosmos evaluate")
    file.write_bytes(whole[: len(whole) // 2])
    refused(own, r"first\.parquet: damaged; run `cosmos evaluate")
    file.unlink()
    refused(own, r"first\.parquet: missing; run `cosmos evaluate")
    file.write_bytes(whole)
    manifest.write_text("{")
    refused(own, "manifest.json: damaged or of another release; run `cosmos evaluate")
    manifest.unlink()
    refused(own, "manifest.json: missing; run `cosmos evaluate")


@pytest.mark.parametrize(
    ("column", "new"),
    [
        ("image_id", "first/case0/CT/99"),
        ("image_id", "first/nobody/CT/0"),
        ("image_id", "nonsense"),
        ("image_id", None),
        ("object_index", 77),
        ("object", "Spleen"),
        ("pair", "Spleen-CT"),
        ("strategy", "S9"),
        ("strategy", None),
    ],
)
def test_a_row_of_nothing_is_refused(own: boards.Scored, column: str, new: object) -> None:
    alter(own, value(column, 0, new))
    refused(own, "first.parquet: .* is no score of .*first; run `cosmos evaluate --model box`")


def test_a_run_without_scores_is_refused(project: Path) -> None:
    empty = boards.Scored(project)
    empty.build("first", [case for case in dataset.cases(4) if case.split == "train"])
    empty.score(models.get("box"))
    refused(empty, "no score to verify; run `cosmos evaluate --model box`")


def test_an_unknown_model_is_refused(made: boards.Scored) -> None:
    refused(made, "unknown model 'nobody'", "nobody")


def test_tiles_are_found_in_the_case_they_are_of(project: Path) -> None:
    """A picture in tiles is one case, whose rows are named after their places, as a build names them."""
    scored = boards.Scored(project, sources=["tiled"])
    names = [f"cell{mark}" for mark in ("+y0x0", "+y0x64", "+y48x0")]
    (case,) = dataset.cases(1, slices=3)[:1]
    rows = dataset.rows("tiled", case).to_pylist()
    for row, name in zip(rows, names, strict=True):
        row |= {"image_id": f"tiled/{name}/CT/-1", "case": name, "slice_index": -1}
    path, folder = project / "rows.parquet", scored.data / "tiled"
    shard_writer.write_rows(path, pa.Table.from_pylist(rows, schema=SCHEMA), row_group_rows=2)
    built = [BuiltCase("cell", "someone", "CT", "test", "0" * 64, len(rows), path)]
    shard_writer.write_source(folder, "tiled", built, [], row_group_rows=2, shard_bytes=1)
    scored.score(models.get("box"))
    found = check(scored)
    assert (found.images, found.held) == (3, True)


def test_windows_of_a_case_are_all_read(own: boards.Scored, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two slices at a time of three, and row groups of two."""
    monkeypatch.setattr(verify, "_WINDOW", 2)
    monkeypatch.setattr(verify, "_BATCH", 5)
    found = check(own)
    assert (found.rows, found.held) == (found.of_rows, True)


def ran(objects: float, **machine: Any) -> Run:
    return Run(machine=Machine(**machine), threads=None, objects=objects, pairs=0, changed=0)


def measured(*runs: Run, weights: str | None = None) -> None:
    """Writes what `cosmos tolerance` would have measured of sam_nano."""
    given = Tolerance(
        model="sam_nano",
        weights_sha256=weights or models.kind("sam_nano").declaration.weights_sha256,
        sources={},
        images=8,
        scores=8,
        reference=Machine(),
        runs=runs,
    )
    tolerance.TOLERANCES.mkdir(parents=True, exist_ok=True)
    (tolerance.TOLERANCES / "sam_nano.json").write_text(given.model_dump_json())


def test_it_is_held_against_what_was_measured(own: boards.Scored) -> None:
    def found(**options: Any) -> tuple[float, str]:
        done = check(own, "sam_nano", share=1e-9, options=EvaluateOptions(**options))
        return done.tolerance, done.tolerance_from

    float32 = ran(0.01, image_batch=4), ran(0.02, prompt_batch=8)
    measured(*float32, ran(0.3, dtype="bfloat16"), ran(0.7, device="cuda"))
    assert found() == (0.02, "measured")
    # The run's numerics are as far from the reference as that, and those here on the other side of it.
    assert found(dtype="bfloat16") == (pytest.approx(0.32), "measured")
    assert found(dtype="float16") == (1e-3, "default")
    measured(*float32, weights="0" * 64)
    assert found() == (1e-3, "default")
    (tolerance.TOLERANCES / "sam_nano.json").write_text("{}")
    refused(own, "sam_nano.json: damaged; run `cosmos tolerance --model sam_nano`", "sam_nano")


@pytest.mark.slow
def test_other_numerics_are_named_and_differ(own: boards.Scored) -> None:
    found = check(own, "sam_nano", options=EvaluateOptions(dtype="bfloat16"))
    assert found.numerics == "bfloat16"
    assert found.largest > 0


def test_embeddings_that_the_run_kept_are_not_used(own: boards.Scored) -> None:
    """Whoever keeps wrong embeddings gets his wrong scores again from them, and from nowhere else."""
    found = check(own, "sam_nano", options=EvaluateOptions(keep_embeddings=1))
    assert found.numerics == "float32, embeddings float16"
    assert not Path("data/embeddings").exists()


def test_the_record_is_written_whole(own: boards.Scored) -> None:
    found = check(own)
    path = verify.write(found)
    assert path == Path("leaderboard/measured/verified/box.json")
    assert Verification.model_validate_json(path.read_bytes()) == found
    assert set(json.loads(path.read_text())) == set(Verification.model_fields)
    manifest = RunManifest.model_validate_json((own.scores / "box" / MANIFEST).read_bytes())
    assert verify.scores_sum(own.scores / "box", reversed(manifest.sources)) == found.scores_sha256
    assert shards.load_manifest(own.data / "first").version == manifest.sources["first"].version
