"""What does not fit a board is left out of it as a whole, with a line, and takes nothing else along."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from cosmos1050k.errors import InputError
from cosmos1050k.units import MANIFEST
from leaderboard.evaluate import BoardRows
from leaderboard.machine import Machine
from leaderboard.tolerance import Run, Tolerance
from tests.leaderboard import boards, dataset
from tests.leaderboard.boards import Scored
from tests.leaderboard.segmenters import guesser
from tests.leaderboard.store_queries import query

Change = Callable[[Scored], None]


def box(scored: Scored, source: str = "second") -> Path:
    return scored.scores / "box" / f"{source}.parquet"


def drop_a_score(scored: Scored) -> None:
    """One that is on the board."""
    text = """select image_id, object_index from scores join objects using (object_id)
        where source = 'second' and on_board limit 1"""
    ((image_id, place),) = query(scored.path, text)
    table = pq.read_table(box(scored))
    gone = pc.and_(pc.equal(table["image_id"], image_id), pc.equal(table["object_index"], place))
    kept = table.filter(pc.invert(gone))
    scored.write("box", "second", kept)
    counted(scored, kept.num_rows)


def counted(scored: Scored, scores: int) -> None:
    """The manifest says that there are so many."""
    path = scored.scores / "box" / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["sources"]["second"]["scores"] = scores
    path.write_text(json.dumps(manifest))


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def twice(scored: Scored) -> None:
    table = pq.read_table(box(scored))
    doubled = pa.concat_tables([table, table.slice(0, 1)])
    scored.write("box", "second", doubled)
    counted(scored, doubled.num_rows)


def first_row(**values: Any) -> Change:
    """The first score has other values."""

    def change(scored: Scored) -> None:
        table = pq.read_table(box(scored))
        row = table.slice(0, 1).to_pylist()[0] | values
        changed = pa.Table.from_pylist([row], schema=table.schema)
        scored.write("box", "second", pa.concat_tables([changed, table.slice(1)]))

    return change


LEFT_OUT = [
    (lambda s: (s.scores / "box" / MANIFEST).unlink(), None, "box/manifest.json: missing"),
    (
        lambda s: shorten(s.scores / "box" / MANIFEST),
        None,
        "box/manifest.json: damaged or of another release",
    ),
    (lambda s: s.manifest("box", protocol_version=2), None, "stale: of protocol 2, the board is of 1"),
    (lambda s: s.manifest("box", sources={}), "first", "not scored"),
    (lambda s: box(s).unlink(), "second", "box/second.parquet: missing"),
    (lambda s: shorten(box(s)), "second", "box/second.parquet: damaged ("),
    (drop_a_score, "second", "of the board's"),
    (twice, "second", "scores are there twice"),
    (lambda s: counted(s, 7), "second", "scores, and its manifest has 7"),
    (first_row(dice_oracle=1.5, jaccard_oracle=1.5), "second", "have a metric out of its range"),
    (first_row(dice_oracle=float("nan")), "second", "have a metric out of its range"),
    (first_row(dice_oracle=None, jaccard_oracle=None), "second", "have a metric out of its range"),
    (first_row(hausdorff_oracle=-1.0), "second", "have a metric out of its range"),
    (first_row(assd_oracle=float("inf")), "second", "have a metric out of its range"),
    (first_row(jaccard_oracle=0.123), "second", "have a metric out of its range"),
    (first_row(hausdorff_oracle=None, assd_oracle=None), "second", "have a metric out of its range"),
    (
        first_row(dice_predicted_iou=None, jaccard_predicted_iou=None),
        "second",
        "lack the score of the candidate",
    ),
    (first_row(status="failed"), "second", "are failed and yet not 0"),
    (first_row(status="fine"), "second", "have an unknown status"),
    (first_row(strategy="S9"), "second", "are of strategies that the run does not have"),
    (first_row(strategy="S1"), "second", "are of strategies that the run does not have"),
    (first_row(pair="Liver-MRI"), "second", "name another pair than the object's"),
    (first_row(image_id="second/none/ct/0"), "second", "are of objects that the source does not have"),
    (first_row(object_index=99), "second", "are of objects that the source does not have"),
    (first_row(model=None), "second", "are of another model, source or version"),
    (first_row(source=None), "second", "are of another model, source or version"),
    (first_row(source_version=None), "second", "are of another model, source or version"),
    (first_row(pair=None), "second", "name another pair than the object's"),
    (first_row(model="better"), "second", "are of another model, source or version"),
    (first_row(source="first"), "second", "are of another model, source or version"),
    (first_row(source_version="x"), "second", "are of another model, source or version"),
]


@pytest.fixture(scope="module")
def two(scored: Scored, tmp_path_factory: pytest.TempPathFactory) -> Scored:
    """The models box and better; read it, don't change it."""
    made = scored.copy(tmp_path_factory.mktemp("two"))
    made.models = ["box", "better"]
    made.board(options=FEW)
    return made


FEW = boards.BoardOptions(bootstrap_draws=100)


@pytest.mark.parametrize(
    ("damage", "source", "reason"),
    [
        pytest.param(*one, marks=[pytest.mark.slow] if number % 3 else [])
        for number, one in enumerate(LEFT_OUT)
    ],
)
def test_scores_that_do_not_fit_are_left_out_with_a_line(
    two: Scored, tmp_path: Path, damage: Change, source: str | None, reason: str
) -> None:
    other = two.copy(tmp_path)
    damage(other)
    built = other.built(options=FEW)
    one = next(one for one in built.left_out if one.source == source)
    assert one.model == "box"
    assert reason in one.reason
    assert "\n" not in str(one)
    assert one.command == "cosmos evaluate --model box"
    told = query(
        other.path,
        "select * from left_out where reason = ? and source is not distinct from ?",
        one.reason,
        source,
    )
    assert told == [("box", source, one.reason, one.command)]
    # Nothing of it is on the board, and the other model's numbers are what they were.
    where = "true" if source is None else f"source = '{source}'"
    text = f"select count(*) from scores join objects using (object_id) where model = ? and {where}"
    if source is not None or query(other.path, "select name from models where name = 'box'"):
        assert query(other.path, text, "box") == [(0,)]
    for table in ("pair_scores", "group_scores"):
        same = f"select * exclude (rank) from {table} where model = 'better'"
        assert query(other.path, same) == query(two.path, same)


def test_a_pair_that_a_model_has_in_part_counts_for_nothing(two: Scored, tmp_path: Path) -> None:
    other = two.copy(tmp_path)
    box(other).unlink()
    other.board(options=FEW)
    lost = {
        pair
        for (pair,) in query(
            other.path, "select distinct pair from objects where source = 'second' and on_board"
        )
    }
    of_box = {pair for (pair,) in query(other.path, "select pair from pair_scores where model = 'box'")}
    every = {pair for (pair,) in query(other.path, "select pair from pairs")}
    assert lost
    assert of_box == every - lost
    text = """select ranked, rank, pairs, of_pairs from group_scores where model = 'box' and grouped = 'all'
        and strategy = 'S5' and selection = 'oracle'"""
    found = query(other.path, text)
    assert found == ([(False, None, len(of_box), len(every))] if of_box else [])
    short = query(
        other.path, "select pair, scores < of_scores from coverage where model = 'box' and strategy = 'S5'"
    )
    assert {pair for pair, lacking in short if lacking} == lost


@pytest.mark.slow
def test_a_source_of_another_version_is_stale_for_all(two: Scored, tmp_path: Path) -> None:
    other = two.copy(tmp_path)
    other.build("third", dataset.cases(6, seed=2))
    for model in boards.MODELS[1:3]:
        other.score(model)
    assert not other.built(options=FEW).left_out
    third = "select count(*) from scores join objects using (object_id) where source = 'third'"
    assert query(other.path, third) != [(0,)]
    cases = dataset.cases(6, seed=2)
    other.build("third", [dataset.changed(cases[0]), *cases[1:]])
    stale = [(name, "third", "stale: scores of another version of the source") for name in ("box", "better")]
    assert [(one.model, one.source, one.reason) for one in other.built(options=FEW).left_out] == stale
    assert query(other.path, third) == [(0,)]
    other.score(boards.MODELS[1])
    assert [(one.model, one.source, one.reason) for one in other.built(options=FEW).left_out] == stale[1:]
    assert query(other.path, third) != [(0,)]


def test_more_images_than_were_scored_leave_the_model_out(
    scored: Scored, board: Path, tmp_path: Path
) -> None:
    other = scored.copy(tmp_path)
    wanted = query(board, "select distinct image_id from objects where on_board")
    for source in other.sources:
        table = pq.read_table(box(other, source))
        kept = table.filter(pc.is_in(table["image_id"], pa.array([image for (image,) in wanted])))
        other.write("box", source, kept)
        path = other.scores / "box" / MANIFEST
        manifest = json.loads(path.read_text())
        manifest["sources"][source]["scores"] = kept.num_rows
        path.write_text(json.dumps(manifest))
    other.models = ["box", "better"]
    assert not other.built(options=FEW).left_out
    built = other.built(rows=BoardRows(images_per_pair=40, images_per_pair_s1=10), options=FEW)
    assert "of the board's" in built.left_out[0].reason
    assert {one.model for one in built.left_out} == {"box"}


def test_nothing_left_is_one_line_and_the_old_board_stays(two: Scored, tmp_path: Path) -> None:
    other = two.copy(tmp_path)
    before = other.path.read_bytes()
    other.models = ["unscored"]
    with pytest.raises(InputError, match=r"no model has a score .*unscored/manifest.json: missing") as caught:
        other.board()
    assert "\n" not in str(caught.value)
    other.models, other.sources = ["box"], ["first", "unbuilt"]
    with pytest.raises(InputError, match=r"unbuilt/manifest.json: missing; build the source"):
        other.board()
    assert other.path.read_bytes() == before
    assert [path.name for path in other.path.parent.iterdir()] == [other.path.name]


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "..",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("'; DROP TABLE scores; --", "x" * 10_000, "")
        ),
    ],
)
def test_a_name_that_is_none_is_refused(two: Scored, tmp_path: Path, name: str) -> None:
    other = two.copy(tmp_path)
    other.models.append(name)
    (one,) = other.built(options=FEW).left_out
    assert one.reason == "no model can have this name"
    assert len(str(one)) < 200
    folder = other.submissions / "sum" / "key"
    folder.mkdir(parents=True)
    manifest = json.loads((other.scores / "box" / MANIFEST).read_text())
    manifest["declaration"]["name"] = name
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert "damaged or of another release" in other.built(options=FEW).left_out[1].reason
    assert query(other.path, "select name from models order by all") == [("better",), ("box",)]


def submit(scored: Scored, model: str, name: str, folder: str) -> None:
    """A model's scores as a submission under another name."""
    out = scored.submissions / folder / "1-cpu"
    out.mkdir(parents=True)
    manifest = json.loads((scored.scores / model / MANIFEST).read_text())
    manifest["declaration"] |= {"name": name, "kind": "submitted"}
    (out / MANIFEST).write_text(json.dumps(manifest))
    for source in scored.sources:
        table = pq.read_table(scored.scores / model / f"{source}.parquet")
        place = table.schema.get_field_index("model")
        column = pa.array([name] * table.num_rows)
        pq.write_table(table.set_column(place, table.field(place), column), out / f"{source}.parquet")


@pytest.mark.slow
def test_a_run_of_all_rows_must_have_all(two: Scored, tmp_path: Path) -> None:
    other = two.copy(tmp_path)
    cases = dataset.cases(12, seed=1)
    other.build(
        "second", [replace(case, split="train") if i % 3 == 0 else case for i, case in enumerate(cases)]
    )
    other.score(boards.MODELS[2])
    other.score(boards.Box())
    assert not other.built(options=FEW).left_out
    other.manifest("box", rows="all")
    left = other.built(options=FEW).left_out
    assert "second" in {one.source for one in left}
    assert all(one.model == "box" and " of all " in one.reason for one in left)
    other.score(boards.Box(), rows="all")
    assert not other.built(options=FEW).left_out


def test_one_submission_harms_no_other_model(two: Scored, tmp_path: Path) -> None:
    other = two.copy(tmp_path)
    changes = {"parameters": 10**30}, {"version": 10**30}, {"dtype": "[/red]x"}, {"weights_sha256": "x"}
    for number, change in enumerate(changes):
        submit(other, "better", f"theirs{number}", f"sum{number}")
        path = other.submissions / f"sum{number}" / "1-cpu" / MANIFEST
        manifest = json.loads(path.read_text())
        manifest["declaration"] |= change
        path.write_text(json.dumps(manifest))
    submit(other, "better", "sam_vit_h", "sum8")  # a model of the platform, though it has no scores here
    submit(other, "better", "official", "sum9")
    path = other.submissions / "sum9" / "1-cpu" / MANIFEST
    path.write_text(path.read_text().replace('"kind": "submitted"', '"kind": "official"'))
    (other.measured / "tolerance" / "box.json").mkdir(parents=True)
    (other.measured / "latency").mkdir()
    (other.measured / "latency" / "box.json").write_text("{}")
    built = other.built(options=FEW)
    assert len(built.left_out) == len(changes) + 1
    assert query(other.path, "select name, kind from models order by name") == [
        ("better", "submitted"), ("box", "baseline"), ("official", "submitted"),
    ]  # fmt: skip
    same = "select * exclude (rank) from pair_scores where model in ('box', 'better')"
    assert query(other.path, same) == query(two.path, same)


def test_submissions_are_on_the_board_beside_the_models(two: Scored, tmp_path: Path) -> None:
    other = two.copy(tmp_path)
    submit(other, "better", "theirs", "sum1")
    submit(other, "better", "box", "sum2")
    (one,) = other.built(options=FEW).left_out
    assert (one.model, one.command.split(" --out ")[0]) == ("box", "cosmos evaluate --model box")
    assert "another model of the board has that name" in one.reason
    assert query(other.path, 'select name, kind, submitted from models order by "order"') == [
        ("box", "baseline", False), ("better", "submitted", False), ("theirs", "submitted", True),
    ]  # fmt: skip
    same = "select * exclude (model, rank) from pair_scores where model = ?"
    assert query(other.path, same, "theirs") == query(other.path, same, "better")


def numeric(name: str, device: str, dtype: str, seed: int = 5) -> Any:
    """A model with weights that ran so."""
    made = guesser(name, seed=seed, applies=("S5",), made_for=("S5",), limits="takes boxes alone")
    sums = {"weights_sha256": f"{seed:064}", "device": device, "dtype": dtype}
    made.declaration = made.declaration.model_copy(update=sums)
    return made


def measured(scored: Scored, model: Any, pairs: float) -> None:
    """A tolerance of the model's numerics."""
    declared = model.declaration
    way = Machine(device=declared.device, dtype=declared.dtype)
    found = Tolerance(
        model=declared.name, weights_sha256=declared.weights_sha256, sources={}, images=1, scores=1,
        reference=Machine(), runs=(Run(machine=way, threads=None, objects=0.1, pairs=pairs, changed=0.5),),
    )  # fmt: skip
    path = scored.measured / "tolerance" / f"{declared.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(found.model_dump_json())


def test_numerics_share_a_board_while_their_tolerance_is_small(tmp_path: Path) -> None:
    scored = Scored(tmp_path)
    scored.build("first", dataset.cases(6, slices=1))
    half = numeric("half", "cuda", "float16")
    for model in (boards.Box(), numeric("single", "cpu", "float32"), half):
        scored.score(model)
    assert [(one.model, one.reason, one.command) for one in scored.built(options=FEW).left_out] == [
        ("half", "the tolerance between cuda, float16 and cpu, float32 is not measured",
         "cosmos tolerance --model half")
    ]  # fmt: skip
    measured(scored, half, 0.002)
    assert "differ by up to 2.0e-03 DICE" in scored.built(options=FEW).left_out[0].reason
    measured(scored, half, 0.0009)
    assert not scored.built(options=FEW).left_out
    assert query(scored.path, "select name, device, dtype, tolerance from models order by name") == [
        ("box", "cpu", "bool", 0.0), ("half", "cuda", "float16", 0.0009), ("single", "cpu", "float32", 0.0),
    ]  # fmt: skip
    assert query(scored.path, "select numerics from boards") == [("cpu, float32",)]
    # What was measured of other weights says nothing of these.
    measured(scored, numeric("half", "cuda", "float16", seed=6), 0.0001)
    assert "is not measured" in scored.built(options=FEW).left_out[0].reason
    # Alone they need no tolerance: the board is theirs.
    scored.models = ["half"]
    assert not scored.built(options=FEW).left_out
    assert query(scored.path, "select numerics from boards") == [("cuda, float16",)]


def test_a_row_of_a_tile_is_of_its_case(tmp_path: Path) -> None:
    # A picture with too many regions is cut: the rows' own case names the tile, the table of cases does not.
    scored = Scored(tmp_path)
    scored.build("first", [replace(case, case=f"{case.case}") for case in dataset.cases(3, slices=2)])
    for path in (scored.data / "first").rglob("test-*.parquet"):
        table = pq.read_table(path)
        place = table.schema.get_field_index("case")
        tiles = pa.array([f"{case}+y0x{16 * i}" for i, case in enumerate(table["case"].to_pylist())])
        pq.write_table(table.set_column(place, table.field(place), tiles), path)
    scored.score(boards.Box())
    assert not scored.built(options=FEW).left_out
    ((objects, tiled),) = query(
        scored.path, "select count(*), count(*) filter (\"case\" like '%+y0x%') from objects where on_board"
    )
    assert objects == tiled > 0
