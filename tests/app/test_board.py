"""The leaderboard's tables and texts, without a browser."""

import csv
import subprocess
import sys
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import pytest

from app import board, ranking
from app.place import COLUMNS, SHOWN, Place, choices, fitted
from app.table import Column, Table, Value, notes
from cosmos1050k.errors import InputError
from leaderboard.store import filters
from leaderboard.store.filters import Ranking, RankRow
from leaderboard.store.publish import publish
from leaderboard.store.read import BoardReader
from leaderboard.store.views import Cell
from tests.app.boards import HOSTILE, HOSTILE_OBJECT, HOSTILE_SOURCE, STRATEGIES, Made
from tests.app.conftest import ROOT

SENTENCE = "For research. Not a medical device."
#: With every strategy's column.
PLACE = Place(columns=(*SHOWN, *STRATEGIES))


@pytest.fixture
def reader(sample_state: Path) -> BoardReader:
    return BoardReader(sample_state)


def shown(reader: BoardReader, place: Place = PLACE, **changes: Any) -> tuple[Table, list[str]]:
    """The ranking's table and notes; `changes`: of what the store says."""
    found = replace(filters.ranking(reader, place.filter()), **changes)
    of = reader.board()
    return ranking.table(found, of, place, place.columns), ranking.notes(found, of, reader, place)


def row(name: str, cell: Cell, **more: Any) -> RankRow:
    return RankRow(name, "baseline", "", {"S5": cell}, cell=cell, **more)


def cells(table: Table, column: int) -> list[str]:
    return [own[column].text for _, rows in table.groups for own in rows]


def test_html_escapes_every_text() -> None:
    value = Value("<a>", "<b>", '"><c>', exported=("x",), heads=True, link='"><k>')
    table = Table('<d>"', '"><e>', [Column("<f>", "<g>", "<h>")], [("<i>", [[value]])], "Pair")
    html = table.html() + notes(["<j>"])
    assert not [letter for letter in "abcdefghijk" if f"<{letter}>" in html.replace("<a ", "")]
    assert 'title="&quot;&gt;&lt;c&gt;"' in html
    assert '<a href="&quot;&gt;&lt;k&gt;">&lt;a&gt;</a>' in html


def test_grey_and_empty_cells_say_why(reader: BoardReader) -> None:
    table, lines = shown(reader)
    html = table.html()
    assert html.count('title="not made for S6" class="number greyed"') == 1
    assert '<td title="S2: the model needs a box" class="number gap">n/a</td>' in html
    assert "n/a: S2 does not apply to box, which needs a box." in lines
    assert any(line.startswith("Grey with †") for line in lines)


def test_the_columns_are_those_that_were_chosen(reader: BoardReader) -> None:
    for name in (*COLUMNS, *STRATEGIES):
        table, _ = shown(reader, Place(columns=(name,)))
        assert len(table.columns) == 3 + (3 if name == "hd" else 1)
        assert {len(own) for _, rows in table.groups for own in rows} == {len(table.columns)}
        lines = list(csv.reader(table.csv().splitlines()))
        assert len({len(line) for line in lines}) == 1


def test_csv_has_the_interval_in_columns_of_its_own(reader: BoardReader) -> None:
    rows = [
        row("a", Cell(0.5, 0.25, 0.75, 1), milliseconds=12.34, timed_on="one", fastest=True, pairs=1),
        row("b", Cell(None), hausdorff=1.234, empties=1000, failures=2),
    ]
    place = Place(columns=("hd", "latency"))
    table, _ = shown(reader, place, rows=[replace(one, of_pairs=2) for one in rows])
    assert table.csv().splitlines() == [
        "Rank,Model,DICE %,low,high,HD px,empty masks,failed objects,time ms,timed on,on the front,notice",
        f"1,a,50.00,25.00,75.00,,,,12.340,one,yes,{SENTENCE}",
        f"–,b,,,,1.23,1000,2,,,,{SENTENCE}",
    ]
    assert "1,000" in table.html()


def test_every_row_of_a_csv_says_that_it_is_for_research() -> None:
    rows = [[Value("a, b")], [Value('"c"')]]
    for grouped_by in ("", "Pair"):
        table = Table("", "", [Column("Model")], [("one", rows), ("two", rows[:1])], grouped_by)
        found = list(csv.DictReader(table.csv().splitlines()))
        assert [(row["Model"], list(row.items())[-1]) for row in found] == [
            (text, ("notice", SENTENCE)) for text in ("a, b", '"c"', "a, b")
        ]


@pytest.mark.parametrize(
    ("time", "shown_as", "in_csv"),
    [
        (0.0, "0", 0),
        (0.009, "<0.01", 0.009),
        (0.00004, "<0.01", 0.00004),
        (0.044, "0.044", 0.044),
        (0.5, "0.5", 0.5),
        (1.26, "1.3", 1.26),
        (9.97, "10", 9.97),
        (1234.5, "1,234", 1234.5),
    ],
)
def test_only_no_time_is_shown_as_0(reader: BoardReader, time: float, shown_as: str, in_csv: float) -> None:
    rows = [row("a", Cell(0.5), milliseconds=time, timed_on="one")]
    table, _ = shown(reader, Place(columns=("latency",)), rows=rows)
    assert cells(table, 3) == [shown_as]
    (found,) = csv.DictReader(table.csv().splitlines())
    assert float(found["time ms"]) == in_csv


def test_a_dice_of_0_tells_of_its_empty_masks(reader: BoardReader) -> None:
    rows = [row("a", Cell(0.0), empties=1200), row("b", Cell(0.5), empties=3), row("c", Cell(0.0), empties=0)]
    table, _ = shown(reader, Place(columns=()), rows=rows)
    assert [own[2].note for _, found in table.groups for own in found] == ["1,200 empty masks", "", ""]


def test_interval_is_shown_and_explained(larger: Made, tmp_path: Path) -> None:
    publish(larger.path, tmp_path)
    own = BoardReader(tmp_path)
    table, lines = shown(own)
    assert "</small>" in table.html().split("<tbody>")[1]
    assert "from a bootstrap over patients with 200 draws" in lines[0]
    assert board.noticed(own.board()) == ""


def test_scores_that_are_left_out_are_told_of(reader: BoardReader, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any("not on the board" in line for line in shown(reader)[1])
    left = {"model": "theirs", "source": None, "reason": "stale", "command": "cosmos evaluate --model theirs"}
    monkeypatch.setattr(reader, "left_out", lambda: [left])
    assert any(line.startswith("not on the board: theirs: stale") for line in shown(reader)[1])
    rows = [row("a", Cell(None, missing="3 of 4 objects scored"))]
    assert 'title="3 of 4 objects scored"' in shown(reader, rows=rows)[0].html()


def test_a_phantom_is_named(phantom: Made, reader: BoardReader, tmp_path: Path) -> None:
    publish(phantom.path, tmp_path)
    own = BoardReader(tmp_path)
    text = board.noticed(own.board())
    assert text.startswith(
        f'<p class="board-notice" role="note"><strong>Synthetic images: {escape(HOSTILE_SOURCE)} is a phantom'
    )
    assert text.count("<p ") == 1
    assert shown(own)[0].file.startswith("phantom-models-")
    assert "phantom" not in shown(reader)[0].file


def test_an_older_board_says_so(reader: BoardReader) -> None:
    text = board.noticed(reader.board(), "<b> is cut off; run `make repro`")
    assert "an older one</strong>: &lt;b&gt; is cut off" in text


def test_a_model_without_rank_is_explained(reader: BoardReader) -> None:
    table, lines = shown(reader, rows=[row("a", Cell(0.5, rank=1)), row("b", Cell(0.9))])
    assert cells(table, 0) == ["1", "–"]
    assert "Rank –: not ranked, for want of a score in every pair shown under S5." in lines


def test_a_part_without_ranks_is_explained(reader: BoardReader) -> None:
    found: Ranking = filters.ranking(reader, Place(source="sample").filter())
    table, lines = shown(reader, Place(source="sample"))
    assert cells(table, 0) == ["–", "–"]
    assert lines[0] == found.note
    assert table.title == "Models by S5 · box: mean DICE over 2 pairs (source sample)"
    assert not any(line.startswith("Rank: ") for line in lines)


def test_the_paper_stands_below_unranked(larger: Made, tmp_path: Path) -> None:
    publish(larger.path, tmp_path)
    table, lines = shown(BoardReader(tmp_path))
    assert cells(table, 1)[-2:] == ["sam_vit_b (paper)", "sam_vit_h (paper)"]
    assert cells(table, 0)[-2:] == ["–", "–"]
    assert any(line.startswith("(paper): what the paper reports, of other images") for line in lines)


def test_everything_has_no_predicted_iou(reader: BoardReader) -> None:
    place = replace(PLACE, selection="predicted_iou", columns=("S1",))
    assert any("no predicted IoU chooses" in line for line in shown(reader, place)[1])


def test_what_the_board_lacks_gives_way(reader: BoardReader) -> None:
    asked = Place("nowhere", "S3", "mine", "MRI", "Heart", "x", "y", "z", ("official", "odd"), columns=("a",))
    place = fitted(asked, choices(reader), reader)
    assert place == Place(kind=("official",), columns=())
    assert fitted(Place(view="pair"), choices(reader), reader).pair == f"{HOSTILE_OBJECT}-CT"
    compared = fitted(Place(view="compare"), choices(reader), reader)
    assert (compared.model, compared.other) == ("box", "grabcut")
    kept = fitted(Place(view="compare", other="box"), choices(reader), reader)
    assert (kept.model, kept.other) == ("grabcut", "box")


def test_hostile_board_is_escaped(reader: BoardReader) -> None:
    html = shown(reader, replace(PLACE, pair=f"{HOSTILE_OBJECT}-CT"))[0].html()
    assert escape(HOSTILE_OBJECT) in html
    assert escape(HOSTILE) in html
    assert "<script" not in html


def test_no_board_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no board is published"):
        choices(BoardReader(tmp_path))


def test_importing_the_app_needs_no_gradio() -> None:
    code = "import sys, app, app.__main__; sys.exit('gradio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
