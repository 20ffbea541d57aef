from pathlib import Path
from typing import Any

import pytest

from cosmos1050k.errors import InputError
from leaderboard.store.extremes import Extreme, extremes, of_image
from leaderboard.store.publish import publish
from leaderboard.store.read import BoardReader
from tests.leaderboard.store_queries import query, rows_of

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def reader(board: Path, tmp_path_factory: pytest.TempPathFactory) -> BoardReader:
    state = tmp_path_factory.mktemp("extremes")
    publish(board, state)
    return BoardReader(state)


def slow_scores(board: Path, model: str, strategy: str, selection: str) -> Rows:
    """All scores of a model that are on the board, in its order, joined by hand."""
    objects = {row["object_id"]: row for row in rows_of(board, "objects")}
    flag = "on_board_s1" if strategy == "S1" else "on_board"
    return [
        {**objects[row["object_id"]], **row}
        for row in rows_of(board, "scores")
        if (row["model"], row["strategy"]) == (model, strategy)
        and row[f"dice_{selection}"] is not None
        and objects[row["object_id"]][flag]
    ]


@pytest.mark.parametrize(
    ("strategy", "selection"), [("S1", "oracle"), ("S5", "oracle"), ("S5", "predicted_iou")]
)
def test_extremes_are_the_ends_of_the_sorted_scores(
    reader: BoardReader, board: Path, strategy: str, selection: str
) -> None:
    for pair in (None, "Lesion-CT"):
        own = [r for r in slow_scores(board, "worse", strategy, selection) if pair in (None, r["pair"])]
        found = extremes(reader, "worse", strategy, selection, pair, count=5)
        dice = f"dice_{selection}"
        for ends, order in ((found.best, -1), (found.worst, 1)):
            wanted = sorted(own, key=lambda row: (order * row[dice], row["object_id"]))[:5]
            assert ends == [as_extreme(row, selection) for row in wanted]


def as_extreme(row: dict[str, Any], selection: str) -> Extreme:
    names = ("image_id", "object_index", "object", "instance", "pair", "source")
    scored = (f"dice_{selection}", f"hausdorff_{selection}", "status", f"candidate_{selection}")
    return Extreme(*(row[name] for name in (*names, *scored)))


def test_extremes_of_few_scores_are_in_one_list_only(reader: BoardReader) -> None:
    total = len(extremes(reader, "box", "S5", pair="Liver-CT", count=1000).best)
    found = extremes(reader, "box", "S5", pair="Liver-CT", count=total - 2)
    assert (len(found.best), len(found.worst)) == (total - 2, 2)
    for nothing in (
        extremes(reader, "box", "S1"),
        extremes(reader, "nobody'", "S5"),
        extremes(reader, "box", "S9"),
        extremes(reader, "box", "S5", pair="none"),
        extremes(reader, "better", "S1", "predicted_iou"),
    ):
        assert nothing.best == nothing.worst == []
    with pytest.raises(InputError, match="no selection 'best'"):
        extremes(reader, "box", "S5", "best")


def test_the_scores_of_an_image(reader: BoardReader, board: Path) -> None:
    own = slow_scores(board, "better", "S5", "oracle")
    image = own[0]["image_id"]
    expected = sorted((row for row in own if row["image_id"] == image), key=lambda row: row["object_index"])
    assert len(expected) > 1
    assert of_image(reader, "better", "S5", "oracle", image) == [
        as_extreme(row, "oracle") for row in expected
    ]
    assert of_image(reader, "better", "S5", "oracle", "none") == []


def test_a_models_page_and_a_pairs_page(reader: BoardReader, board: Path) -> None:
    for rows, where in (
        (reader.model_scores("box"), "model = 'box'"),
        (reader.scores_of_pair("Liver-CT"), "pair = 'Liver-CT'"),
    ):
        expected = query(
            board, f"select model, pair, strategy, selection, dice from pair_scores where {where}"
        )
        names = ("model", "pair", "strategy", "selection", "dice")
        assert sorted(tuple(row[name] for name in names) for row in rows) == sorted(expected)
    objects = [row for row in rows_of(board, "objects") if row["on_board"] and row["pair"] == "Kidney-CT"]
    assert reader.pair_sources("Kidney-CT") == [
        {
            "source": source,
            "objects": len([row for row in objects if row["source"] == source]),
            "images": len({row["image_id"] for row in objects if row["source"] == source}),
            "patients": len({row["patient"] for row in objects if row["source"] == source}),
        }
        for source in ("first", "second")
    ]
    ((numerics, protocol),) = query(board, "select numerics, protocol_version from boards")
    key = reader.key("box")
    assert (key["protocol_version"], key["weights_sha256"], numerics) == (protocol, None, "cpu, float32")
    versions = query(board, "select source, source_version from runs where model = 'box'")
    assert key["sources"] == dict(versions)
    with pytest.raises(InputError, match="the board has no model 'none'"):
        reader.key("none")
