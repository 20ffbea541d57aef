"""The leaderboard's tables and texts, without a browser."""

import csv
import subprocess
import sys
from dataclasses import replace
from html import escape
from pathlib import Path

import pytest

from app import board
from app.table import Column, Table, Value, notes
from cosmos1050k.errors import InputError
from leaderboard.store.publish import publish
from leaderboard.store.read import BoardReader
from leaderboard.store.views import Cell, ModelRow
from tests.app.boards import HOSTILE, HOSTILE_OBJECT, HOSTILE_SOURCE, STRATEGIES, Made
from tests.app.conftest import ROOT


@pytest.fixture
def snapshot(sample_state: Path) -> board.Snapshot:
    return board.read(BoardReader(sample_state))


def with_cells(snapshot: board.Snapshot, *rows: dict[str, Cell]) -> board.Snapshot:
    models = [ModelRow(f"model{place}", "baseline", "", cells) for place, cells in enumerate(rows)]
    return replace(snapshot, models=models, strategies=list(rows[0]), footnotes=[])


def test_html_escapes_every_text() -> None:
    value = Value("<a>", detail="<b>", note='"><c>', exported=("x",), heads=True)
    table = Table('<d>"', '"><e>', [Column("<f>", "<g>", "<h>")], [("<i>", [[value]])], "Pair")
    html = table.html() + notes(["<j>"])
    assert not [letter for letter in "abcdefghij" if f"<{letter}>" in html.replace("<a ", "")]
    assert 'title="&quot;&gt;&lt;c&gt;"' in html


def test_grey_and_empty_cells_say_why(snapshot: board.Snapshot) -> None:
    html = board.ranked(snapshot).html()
    assert html.count('title="not made for S6" class="number greyed"') == 1
    assert '<td title="S2: the model needs a box" class="number gap">n/a</td>' in html
    lines = board.ranked_notes(snapshot)
    assert "n/a: S2 does not apply to box, which needs a box." in lines
    assert any(line.startswith("Grey with †") for line in lines)


def test_csv_has_the_interval_in_columns_of_its_own(snapshot: board.Snapshot) -> None:
    cells = {"S5": Cell(0.5, 0.25, 0.75, 1), "S6": Cell(None)}
    text = board.ranked(with_cells(snapshot, cells)).csv()
    assert text.splitlines() == [
        "Rank,Model,Kind,S5 DICE %,S5 low,S5 high,S6 DICE %,S6 low,S6 high",
        "1,model0,baseline,50.00,25.00,75.00,,,",
    ]


def test_pairs_csv_names_the_pair(snapshot: board.Snapshot) -> None:
    lines = board.per_pair(snapshot, "Liver-CT").csv().splitlines()
    assert lines[0].startswith("Pair,Model,Images,Patients,S2 DICE %")
    assert [line.split(",")[:4] for line in lines[1:]] == [
        ["Liver-CT", "box", "6", "2"],
        ["Liver-CT", "grabcut", "6", "2"],
    ]


def test_interval_is_shown_and_explained(larger: Made, tmp_path: Path) -> None:
    publish(larger.path, tmp_path)
    snapshot = board.read(BoardReader(tmp_path))
    assert "</small>" in board.ranked(snapshot).html().split("<tbody>")[1]
    assert "from a bootstrap over patients with 200 draws" in board.ranked_notes(snapshot)[0]
    assert board.noticed(snapshot) == ""


def test_scores_that_are_left_out_are_told_of(snapshot: board.Snapshot) -> None:
    line = "not on the board: theirs: stale; run `cosmos evaluate --model theirs`"
    assert f"{line}." in board.ranked_notes(replace(snapshot, left_out=[line]))
    assert not any("not on the board" in note for note in board.ranked_notes(snapshot))
    cell = next(iter(snapshot.models[0].cells.values()))
    missing = replace(cell, dice=None, reason="", missing="3 of 4 objects scored")
    rows = [replace(row, cells=dict.fromkeys(row.cells, missing)) for row in snapshot.pairs]
    assert 'title="3 of 4 objects scored"' in board.per_pair(replace(snapshot, pairs=rows)).html()


def test_a_phantom_is_named_and_its_pairs_are_marked(
    phantom: Made, sample_state: Path, tmp_path: Path
) -> None:
    publish(phantom.path, tmp_path)
    snapshot = board.read(BoardReader(tmp_path))
    text = board.noticed(snapshot)
    assert text.startswith('<p class="board-notice" role="note"><strong>Synthetic images: ')
    assert f"<strong>Synthetic images: {escape(HOSTILE_SOURCE)} is a phantom</strong>" in text
    assert text.count("<p ") == 1
    rows = list(csv.DictReader(board.per_pair(snapshot).csv().splitlines()))
    assert {row["Phantom"] for row in rows} == {"yes"}
    assert board.per_pair(snapshot).file.startswith("phantom-pairs-")
    assert board.ranked(snapshot).file.startswith("phantom-models-")
    assert any(line.startswith("Phantom: ") for line in board.pair_notes(snapshot))
    mixed = replace(snapshot, pairs=[replace(row, phantom=row.model == "box") for row in snapshot.pairs])
    rows = list(csv.DictReader(board.per_pair(mixed).csv().splitlines()))
    assert {(row["Model"], row["Phantom"]) for row in rows} == {("box", "yes"), ("grabcut", "no")}

    real = board.read(BoardReader(sample_state))
    assert "Phantom" not in board.per_pair(real).csv()
    assert "phantom" not in board.per_pair(real).file + board.ranked(real).file
    assert not any("hantom" in line for line in board.pair_notes(real))


def test_a_model_without_rank_is_explained(snapshot: board.Snapshot) -> None:
    given = with_cells(snapshot, {"S5": Cell(0.5, rank=1)}, {"S5": Cell(0.9)})
    assert [row[0].text for _, rows in board.ranked(given).groups for row in rows] == ["1", "–"]
    assert "Rank –: not ranked, for want of a score in every pair under S5." in board.ranked_notes(given)


def test_everything_has_no_predicted_iou(snapshot: board.Snapshot) -> None:
    given = with_cells(
        replace(snapshot, selection="predicted_iou"), {"S1": Cell(None), "S5": Cell(0.5, rank=1)}
    )
    assert any("no predicted IoU chooses" in line for line in board.ranked_notes(given))
    assert any("every strategy but S1" in line for line in board.pair_notes(given))


def test_a_strategy_the_board_lacks_gives_way(sample_state: Path) -> None:
    snapshot = board.read(BoardReader(sample_state), "S3")
    assert snapshot.strategy == board.DEFAULT
    assert snapshot.strategies == list(STRATEGIES)


def test_hostile_board_is_escaped(snapshot: board.Snapshot) -> None:
    html = board.ranked(snapshot).html() + board.per_pair(snapshot).html()
    assert HOSTILE not in html
    assert HOSTILE_OBJECT not in html
    assert "<script" not in html


def test_no_board_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no board is published"):
        board.read(BoardReader(tmp_path))


def test_importing_the_app_needs_no_gradio() -> None:
    code = "import sys, app, app.__main__; sys.exit('gradio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
