from pathlib import Path

import pytest

from leaderboard.score import SELECTIONS
from leaderboard.store import views
from leaderboard.store.publish import publish
from leaderboard.store.read import BoardReader
from leaderboard.store.views import Cell, footnotes, models_view, pairs_view
from tests.leaderboard import boards, dataset
from tests.leaderboard.boards import SCRIPT, Scored

SHOWN = ["S1", "S2", "S5", "S6"]


@pytest.fixture(scope="module")
def reader(board: Path, tmp_path_factory: pytest.TempPathFactory) -> BoardReader:
    state = tmp_path_factory.mktemp("state")
    publish(board, state)
    return BoardReader(state)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (Cell(0.87654), "87.65"),
        (Cell(0.8, 0.7, 0.9), "80.00 [70.00, 90.00]"),
        (Cell(0.0), "0.00"),
        (Cell(1.0, 1.0, 1.0), "100.00 [100.00, 100.00]"),
        (Cell(None, reason="needs a box"), "n/a"),
        (Cell(None), "–"),
    ],
)
def test_the_text_of_a_cell(cell: Cell, text: str) -> None:
    assert cell.text == text


def test_strategies_are_those_with_scores_in_the_protocols_order(reader: BoardReader) -> None:
    assert views.strategies(reader) == SHOWN


def test_models_stand_by_rank_then_headline(reader: BoardReader) -> None:
    for strategy in SHOWN:
        rows = models_view(reader, sort_by=strategy)
        assert [tuple(row.cells) for row in rows] == [tuple(SHOWN)] * 4
        scored = [row.cells[strategy] for row in rows if row.cells[strategy].dice is not None]
        assert [row.cells[strategy].dice is None for row in rows] == sorted(
            row.cells[strategy].dice is None for row in rows
        )
        keys = [(cell.rank, -(cell.dice or 0)) for cell in scored]
        assert keys == sorted(keys)
    # Nothing fills a box better than the box; who fails on every other image is last.
    assert [(row.model, row.cells["S5"].rank) for row in models_view(reader)] == [
        ("box", 1), ("better", 2), ("worse", 3), ("points", None),
    ]  # fmt: skip
    assert [row.model for row in models_view(reader, sort_by="S2")][2:] == ["box", "better"]
    assert [row.model for row in models_view(reader, sort_by="S4")] == ["worse", "box", "better", "points"]


def test_cells_say_what_the_board_says(reader: BoardReader) -> None:
    for selection in SELECTIONS:
        cells = {row.model: row.cells for row in models_view(reader, selection)}
        headlines = reader.headlines(selection)
        for row in headlines:
            cell = cells[row["model"]][row["strategy"]]
            expected = (row["headline"], row["low"], row["high"], row["rank"])
            assert (cell.dice, cell.low, cell.high, cell.rank) == expected
        filled = sum(cell.dice is not None for own in cells.values() for cell in own.values())
        assert filled == len(headlines)
    # 39 patients are enough for intervals; the smaller board of everything has fewer than 20.
    best = models_view(reader)[0].cells["S5"]
    assert best.dice is not None
    assert best.low is not None
    assert best.high is not None
    assert best.low < best.dice < best.high
    everything = {row.model: row.cells for row in models_view(reader)}["better"]["S1"]
    assert everything.dice is not None
    assert everything.low is None


def test_empty_cells_know_why_and_others_whether_they_are_grey(reader: BoardReader) -> None:
    cells = {row.model: row.cells for row in models_view(reader)}
    assert {name: cell.reason for name, cell in cells["box"].items() if cell.dice is None} == {
        "S1": "needs a box", "S2": "needs a box",
    }  # fmt: skip
    assert cells["box"]["S1"].text == "n/a"
    grey = {model: [name for name, cell in own.items() if cell.greyed] for model, own in cells.items()}
    assert grey == {"worse": ["S1"], "box": ["S6"], "better": ["S1", "S6"], "points": []}


def test_a_model_that_was_not_scored_under_a_strategy(scored: Scored, board: Path, tmp_path: Path) -> None:
    other = scored.copy(tmp_path)
    other.score(boards.MODELS[1], strategies=["S6"])
    other.board()
    publish(other.path, tmp_path)
    cell = {row.model: row.cells for row in models_view(BoardReader(tmp_path))}["box"]["S5"]
    assert (cell.dice, cell.reason, cell.text) == (None, "", "–")


def test_everything_has_no_choice_of_the_models_own(reader: BoardReader) -> None:
    cells = {row.model: row.cells for row in models_view(reader, "predicted_iou")}
    assert cells["better"]["S1"].text == "–"
    assert cells["box"]["S1"].text == "n/a"
    assert cells["better"]["S5"].dice is not None
    oracle = {row.model: row.cells for row in models_view(reader)}
    own, best = cells["better"]["S5"].dice, oracle["better"]["S5"].dice
    assert own is not None
    assert best is not None
    assert own < best
    assert cells["box"]["S5"].dice == oracle["box"]["S5"].dice


def test_pairs_come_in_order_with_their_models(reader: BoardReader) -> None:
    rows = pairs_view(reader)
    pairs = ["Kidney-CT", "Lesion-CT", "Lesion-Colonoscopy", "Liver-CT"]
    models = ["worse", "box", "better", "points"]
    assert [(row.pair, row.model) for row in rows] == [(pair, model) for pair in pairs for model in models]
    for row in rows:
        assert list(row.cells) == SHOWN
        for strategy, cell in row.cells.items():
            found = [
                entry["dice"]
                for entry in reader.pairs(strategy)
                if (entry["pair"], entry["model"]) == (row.pair, row.model)
            ]
            assert [cell.dice] == (found or [None])
    counts = {
        (entry["pair"], entry["model"]): (entry["images"], entry["patients"]) for entry in reader.pairs("S5")
    }
    for row in rows:
        if row.model != "points":
            assert (row.images, row.patients) == counts[row.pair, row.model]
        assert row.images >= row.patients > 0


def test_a_pair_of_a_phantom_is_marked(tmp_path: Path) -> None:
    made = Scored(tmp_path)
    made.build("first", [case for case in dataset.cases(3) if case.modality == "CT"])
    made.build("drawn", [case for case in dataset.cases(3) if case.modality == "Colonoscopy"], phantom=True)
    made.score(boards.MODELS[1])
    made.board()
    publish(made.path, tmp_path)
    reader = BoardReader(tmp_path)
    assert reader.board()["phantoms"] == ["drawn"]
    expected = {"Kidney-CT": False, "Lesion-CT": False, "Lesion-Colonoscopy": True, "Liver-CT": False}
    assert {row.pair: row.phantom for row in pairs_view(reader)} == expected
    assert {row["pair"]: row["phantom"] for row in reader.all_pairs()} == expected


def test_footnotes_name_the_strategies_of_a_reason(reader: BoardReader) -> None:
    assert footnotes(reader) == [
        "n/a: S2 does not apply to better, which takes no points",
        "n/a: S1, S2 do not apply to box, which needs a box",
        "n/a: S1, S5, S6 do not apply to points, which takes points alone",
        "n/a: S6 does not apply to worse, which has no eyes",
    ]


def test_what_others_write_is_data(reader: BoardReader, tmp_path: Path) -> None:
    descriptions = {row.model: row.description for row in models_view(reader)}
    assert descriptions["better"] == SCRIPT
    # A source's name goes into paths and tables, a pair's into tables; neither is ever part of a query.
    made = Scored(tmp_path)
    name = "it's; drop table boards; --"
    made.build(name, dataset.cases(2))
    made.score(boards.MODELS[2])
    made.board()
    publish(made.path, tmp_path)
    hostile = BoardReader(tmp_path)
    assert hostile.board()["sources"] == [name]
    assert hostile.headlines()
    for text in (name, SCRIPT, "' or 1=1 --", "oracle' --"):
        assert hostile.headlines(text) == []
        assert hostile.pairs(text) == []
        assert hostile.pairs("S5", text) == []
    assert hostile.board()["sources"] == [name]


def test_a_reader_is_shared_between_threads(reader: BoardReader) -> None:
    from concurrent.futures import ThreadPoolExecutor

    expected = models_view(reader), pairs_view(reader)
    with ThreadPoolExecutor(8) as threads:
        for found in threads.map(lambda _: (models_view(reader), pairs_view(reader)), range(24)):
            assert found == expected
