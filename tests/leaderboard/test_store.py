from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from cosmos1050k.errors import InputError
from cosmos1050k.units import MANIFEST
from leaderboard.evaluate import BoardRows
from leaderboard.score import METRICS, SELECTIONS
from leaderboard.store.build import BoardOptions
from tests.leaderboard import boards, dataset
from tests.leaderboard.boards import Scored
from tests.leaderboard.literal import slow_board
from tests.leaderboard.store_queries import query

#: The tables of facts and numbers.
NUMBERS = (
    "objects", "scores", "pairs", "coverage", "pair_scores", "group_scores", "contacts", "contact_scores",
    "source_scores", "all_scores",
)  # fmt: skip
BOARDS = [
    (strategy, selection)
    for strategy in ("S1", "S2", "S5", "S6")
    for selection in (SELECTIONS if strategy != "S1" else SELECTIONS[:1])
]


def members(scored: Scored, strategy: str) -> dict[str, list[tuple[str, str, str]]]:
    cases = [
        case
        for source in scored.sources
        for case in pq.read_table(scored.data / source / "cases.parquet").to_pylist()
    ]
    rows = boards.ROWS
    return slow_board(cases, rows.images_per_pair_s1 if strategy == "S1" else rows.images_per_pair)


def scores_on_board(scored: Scored, strategy: str) -> pd.DataFrame:
    """The rows of all score files that are on the board of one strategy."""
    files = [
        scored.scores / model / f"{source}.parquet" for model in scored.models for source in scored.sources
    ]
    every = pd.concat([pd.read_parquet(file) for file in files])
    every = every[every["strategy"] == strategy]
    board = members(scored, strategy)
    case = [tuple(image_id.split("/")[:3]) for image_id in every["image_id"]]
    return every[[key in board[pair] for key, pair in zip(case, every["pair"], strict=True)]]


def slow_pairs(scores: pd.DataFrame, selection: str) -> dict[tuple[str, str], dict[str, Any]]:
    """(model, pair) → what the board says of it: instances → mean per image and object → mean over images."""
    found = {}
    for (model, pair), own in scores.groupby(["model", "pair"]):
        row: dict[str, Any] = {}
        for metric in METRICS:
            values = own.dropna(subset=[f"{metric}_{selection}"])
            images = values.groupby(["image_id", "object"])[f"{metric}_{selection}"].mean()
            row[metric] = images.mean() if len(images) else None
        failed = own["status"] == "failed"
        row["images"] = len(own["image_id"].unique())
        row["patients"] = len(own[["source", "patient"]].drop_duplicates())
        row["instances"] = len(own)
        row["failures"] = failed.sum()
        row["empties"] = (own[f"hausdorff_{selection}"].isna() & ~failed).sum()
        found[model, pair] = row
    return found


@pytest.mark.parametrize(("strategy", "selection"), BOARDS)
def test_numbers_are_the_protocols(scored: Scored, board: Path, strategy: str, selection: str) -> None:
    scores = scores_on_board(scored, strategy)
    expected = slow_pairs(scores, selection)
    names = list(next(iter(expected.values())))
    found = query(
        board,
        f"select model, pair, {', '.join(names)} from pair_scores where strategy = ? and selection = ?",
        strategy, selection,
    )  # fmt: skip
    assert len(found) == len(expected)
    for model, pair, *values in found:
        row = dict(zip(names, values, strict=True))
        assert row == pytest.approx(expected[model, pair], abs=1e-8), (model, pair)
    headlines = query(
        board,
        """select model, headline, pairs, patients from group_scores
        where grouped = 'all' and strategy = ? and selection = ?""",
        strategy, selection,
    )  # fmt: skip
    assert sorted(row[0] for row in headlines) == sorted(set(scores["model"]))
    for model, headline, pairs, patients in headlines:
        own = [row["dice"] for (name, _), row in expected.items() if name == model]
        assert headline == pytest.approx(np.mean(own), abs=1e-8)
        assert pairs == len(own) == len(members(scored, strategy))
        mine = scores[scores["model"] == model]
        assert patients == len(mine[["source", "patient"]].drop_duplicates())


def test_the_fixture_holds_what_is_hard(scored: Scored, board: Path) -> None:
    # Else the test above would show little.
    def count(condition: str) -> int:
        (found,) = query(
            board, f"select count(*) from scores join objects using (object_id) where {condition}"
        )
        return int(found[0])

    assert count("on_board and not on_board_s1 and strategy = 'S5'")
    every = pd.read_parquet(scored.scores / "worse" / "first.parquet")
    kept = count("model = 'worse' and strategy = 'S5' and source = 'first' and on_board")
    assert kept < (every["strategy"] == "S5").sum()
    assert count("status = 'scored' and strategy <> 'S1' and hausdorff_predicted_iou is null")
    assert count("status = 'failed'")
    assert count("object = 'Kidney' and instance = 'right'")
    pairs = {row[0] for row in query(board, "select pair from pairs")}
    assert pairs == {"Kidney-CT", "Lesion-CT", "Liver-CT", "Lesion-Colonoscopy"}
    declared = {name for model in boards.MODELS for name in model.declaration.applies}
    assert {strategy for strategy, _ in BOARDS} == declared


def test_the_board_says_what_it_is_made_of(scored: Scored, board: Path) -> None:
    chosen = {entry for cases in members(scored, "S5").values() for entry in cases}
    frames = [
        pd.read_parquet(path, columns=["image_id", "source", "patient", "case", "modality", "objects"])
        for source in scored.sources
        for path in (scored.data / source).rglob("test-*.parquet")
    ]
    images = pd.concat(frames)
    images = images[[tuple(key) in chosen for key in images[["source", "case", "modality"]].to_numpy()]]
    what = "images, patients, pairs, sources, protocol_version, bootstrap_draws"
    (found,) = query(board, f"select {what} from boards")
    patients = len(images[["source", "patient"]].drop_duplicates())
    assert found == (len(images), patients, 4, ["first", "second"], 1, 200)
    objects = query(board, "select image_id, object_index, object, area from objects where area <= 50")
    assert objects == []
    assert [row[0] for row in query(board, 'select name from models order by "order"')] == scored.models
    for strategy in ("S1", "S2", "S5", "S6"):
        flag = "on_board_s1" if strategy == "S1" else "on_board"
        text = f"select count(*) from scores join objects using (object_id) where {flag} and strategy = ?"
        (kept,) = query(board, text, strategy)
        assert kept[0] == len(scores_on_board(scored, strategy))


def test_facts_lie_by_pair_model_and_strategy(board: Path) -> None:
    order = "pair, model, strategy, object_id"
    assert query(board, f"select {order} from scores") == query(
        board, f"select {order} from scores order by {order}"
    )
    assert query(board, "select object_id from objects") == [
        (place,) for (place,) in query(board, "select row_number() over () - 1 from objects")
    ]
    # An object's scores are those of its row: joined by number, they say what the files say.
    names = query(board, "select distinct s.pair = o.pair from scores s join objects o using (object_id)")
    assert names == [(True,)]


def test_equal_scores_give_equal_tables_and_the_same_id(scored: Scored, board: Path, tmp_path: Path) -> None:
    other = scored.copy(tmp_path / "a=b")  # no such folder is a partition
    other.manifest("worse", seconds=99.0)
    other.board()
    for table in ("boards", *NUMBERS, "models", "measured", "left_out", "paper"):
        assert query(other.path, f"from {table}") == query(board, f"from {table}"), table
    everything_else = "select * exclude (seconds) from runs"
    assert query(other.path, everything_else) == query(board, everything_else)


def test_the_order_of_sources_changes_no_number(scored: Scored, board: Path, tmp_path: Path) -> None:
    other = scored.copy(tmp_path)
    other.sources.reverse()
    other.board()
    for table in NUMBERS:
        assert query(other.path, f"from {table}") == query(board, f"from {table}"), table
    same = "select dataset_version from boards"
    assert query(other.path, same) == query(board, same)


def test_a_models_numbers_do_not_hang_on_the_others(scored: Scored, board: Path, tmp_path: Path) -> None:
    other = scored.copy(tmp_path)
    other.models = ["better"]
    other.board()
    for table in ("pair_scores", "group_scores", "contact_scores", "source_scores", "coverage"):
        columns = "* exclude (rank)" if table in ("pair_scores", "group_scores") else "*"
        text = f"select {columns} from {table} where model = 'better'"
        assert query(other.path, text) == query(board, text)


def test_a_phantom_makes_another_board_of_the_same_numbers(
    scored: Scored, board: Path, tmp_path: Path
) -> None:
    other = scored.copy(tmp_path)
    path = other.data / "second" / MANIFEST
    path.write_text(path.read_text().replace('"phantom": false', '"phantom": true'))
    other.board()
    what = "select phantoms, build_id, dataset_version from boards"
    ((none, real_id, real_dataset),) = query(board, what)
    ((named, marked_id, marked_dataset),) = query(other.path, what)
    assert (none, named, real_dataset) == ([], ["second"], marked_dataset)
    assert real_id != marked_id
    assert query(other.path, "from pair_scores") == query(board, "from pair_scores")
    assert query(board, "select distinct phantom from pairs") == [(False,)]
    assert query(other.path, "select distinct phantom from pairs") == [(True,)]  # it has every pair


def test_a_board_needs_a_test_case_and_a_score(tmp_path: Path) -> None:
    made = Scored(tmp_path)
    made.build("first", [replace(case, split="train") for case in dataset.cases(2)])
    made.score(boards.MODELS[1])
    with pytest.raises(InputError, match="no test case to make a board of; add a source"):
        made.board()
    made.build("first", dataset.cases(2))
    made.score(boards.MODELS[1], strategies=())
    with pytest.raises(InputError, match="no model has all scores of a pair; run `cosmos evaluate"):
        made.board()
    assert list(made.path.parent.iterdir()) == []
    made.score(boards.MODELS[1], strategies=("S6",))
    made.board()
    assert query(
        made.path, "select model, strategy from group_scores where selection = 'oracle' and grouped = 'all'"
    ) == [("box", "S6")]


def test_patients_renamed_since_the_scores_were_made(scored: Scored, board: Path, tmp_path: Path) -> None:
    # No part of a source's version, so the scores are good; the bootstrap draws the patients of today.
    other = scored.copy(tmp_path)
    other.build("second", [replace(case, patient="one") for case in dataset.cases(12, seed=1)])
    other.board()
    (found,) = query(other.path, "select distinct patient from objects where source = 'second'")
    assert found == ("one",)
    dice = "select model, pair, strategy, selection, dice, images from pair_scores"
    whole = {row[:4]: row[4:] for row in query(board, dice)}
    assert {row[:4] for row in query(other.path, dice)} == set(whole)


def change_a_score(scored: Scored) -> None:
    table = pq.read_table(scored.scores / "box" / "first.parquet")
    for name, value in (("dice_oracle", 0.25), ("jaccard_oracle", 0.25 / 1.75)):
        place = table.schema.get_field_index(name)
        values = [value, *table[name].to_pylist()[1:]]
        table = table.set_column(place, table.field(place), [values])
    scored.write("box", "first", table)


@pytest.mark.slow
def test_the_build_id_is_of_all_that_the_board_is_made_of(
    scored: Scored, board: Path, tmp_path: Path
) -> None:
    other = scored.copy(tmp_path)
    ids = [other.board()]
    assert ids[0] == query(board, "select build_id from boards")[0][0]
    ids.append(other.board(rows=BoardRows(images_per_pair=24, images_per_pair_s1=10)))
    ids.append(other.board(rows=BoardRows(images_per_pair=25, images_per_pair_s1=9)))
    ids.append(other.board(options=BoardOptions(bootstrap_draws=201)))
    ids.append(other.board(options=BoardOptions(bootstrap_draws=200, seed=1)))
    ids.append(other.board(sources=("second", "first")))
    ids.append(other.board(sources=("first",)))
    ids.append(other.board(models=("box", "worse", "better", "points")))
    ids.append(other.board(models=("worse", "box")))
    other.manifest(
        "worse", declaration=boards.MODELS[0].declaration.model_copy(update={"description": "blind"})
    )
    ids.append(other.board())
    change_a_score(other)
    ids.append(other.board())
    for model in other.models:
        other.manifest(model, protocol_version=2)
    ids.append(other.board(protocol_version=2))
    assert len(set(ids)) == len(ids)
    assert all(len(one) == 16 for one in ids)
