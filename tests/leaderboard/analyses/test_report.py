"""The report, what the app gets of it, and what both are made of."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa
import pytest

from cosmos1050k import attributes, shards
from cosmos1050k.errors import InputError
from leaderboard.analyses import drawing, publishing, report
from leaderboard.analyses.given import ATTRIBUTES, Given, load
from leaderboard.analyses.section import MOST_ROWS, Section, rows_note, table, texts
from leaderboard.demo.notice import NOTICE
from tests.leaderboard.analyses import planted

HOSTILE = "</script><script>window.hacked = 1</script><!-- <b>`x`"
BOARD: dict[str, Any] = {
    "build_id": "0123456789abcdef", "dataset_version": "d", "protocol_version": 1, "images": 40, "pairs": 1,
    "patients": 2, "sources": ["toy"], "phantoms": [],
}  # fmt: skip


def hostile(rows: int = 1) -> Section:
    found = table(
        name=(HOSTILE, "text", [HOSTILE, None] * rows),
        number=("Number", ".1f", [1.25, 2.0] * rows),
        count=("Count", "count", [1234, None] * rows),
    )
    figure = drawing.figure([go.Scatter(name=HOSTILE, x=[1], y=[2], text=[HOSTILE])], HOSTILE, "")
    return Section("table_9", HOSTILE, HOSTILE, found, figure)


def test_a_table_is_shown_as_its_columns_say() -> None:
    found = hostile().table
    assert texts(found) == [[HOSTILE, "1.2", "1,234"], ["–", "2.0", "–"]]
    assert rows_note("table_9", found) == ""
    long = hostile(MOST_ROWS).table
    assert len(texts(long)) == MOST_ROWS
    assert f"first {MOST_ROWS} of {2 * MOST_ROWS} rows" in rows_note("table_9", long)


def test_the_report_needs_nothing_else_and_runs_no_text(tmp_path: Path) -> None:
    nothing = Section("table_2", "Two", "", missing="Run `x`.")
    page = report.write([hostile(MOST_ROWS), nothing], BOARD, tmp_path).read_text()
    without_plotly = re.sub(r"<script>/\*.*?\*/.*?</script>", "", page, flags=re.DOTALL)
    assert len(without_plotly) < len(page) - 10**6
    assert "<script>window.hacked" not in page
    assert "<!-- <b>" not in page
    assert not re.findall(r"""(?:src|href)=["'](?!#|tables/)""", without_plotly)
    assert "url(" not in without_plotly
    assert NOTICE in without_plotly
    assert '<a href="#table_9">' in page
    assert "(nothing yet)" in page
    assert "Run <code>x</code>." in page
    assert "&lt;b&gt;<code>x</code></p>" in page  # of the sentence
    assert page.count("<tr>") == 1 + MOST_ROWS
    assert "tables/table_9.csv" in page
    (told,) = re.findall(r'<script type="application/json" id="table_9-figure">(.*?)</script>', page)
    assert json.loads(told)["data"][0]["x"] == [1]


def test_the_tables_are_whole_and_old_ones_go(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "old.csv").write_text("")
    report.write([hostile(MOST_ROWS)], BOARD, tmp_path)
    assert [path.name for path in (tmp_path / "tables").iterdir()] == ["table_9.csv"]
    with (tmp_path / "tables" / "table_9.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * MOST_ROWS
    assert rows[0] == {HOSTILE: HOSTILE, "Number": "1.25", "Count": "1234", "notice": NOTICE}
    assert rows[1]["Count"] == ""


def test_a_synthetic_board_is_marked_everywhere(tmp_path: Path) -> None:
    board = {**BOARD, "phantoms": ["toy"]}
    page = report.write([hostile()], board, tmp_path).read_text()
    assert "Synthetic images: toy is a phantom" in page
    assert "Synthetic images: toy is a phantom" in (tmp_path / "tables" / "table_9.csv").read_text()
    assert publishing.read(tmp_path / report.SECTIONS).phantom


# For the app


def test_what_is_published_is_what_the_app_reads(tmp_path: Path) -> None:
    state = tmp_path / "state"
    report.write([hostile()], BOARD, tmp_path)
    path = publishing.publish(tmp_path / report.SECTIONS, state)
    assert path == publishing.latest(BOARD["build_id"], state)
    found = publishing.read(path)
    assert (found.build_id, found.phantom) == (BOARD["build_id"], False)
    (page,) = found.pages
    assert (page.key, page.title, page.sentence, page.note) == ("table_9", HOSTILE, HOSTILE, "")
    assert page.columns == [(HOSTILE, False), ("Number", True), ("Count", True)]
    assert page.rows == texts(hostile().table)
    assert json.loads(page.figure)["data"][0]["y"] == [2]


def test_the_two_newest_are_kept_and_the_board_s_own_comes_first(tmp_path: Path) -> None:
    assert publishing.latest("a", tmp_path) is None
    for name in ("a", "b", "c", "a"):
        source = tmp_path / "sections.json"
        source.write_text(publishing.dumped([], {**BOARD, "build_id": name}))
        publishing.publish(source, tmp_path)
    assert sorted(path.stem for path in (tmp_path / publishing.FOLDER).iterdir()) == ["a", "c"]
    for asked, got in (("a", "a"), ("c", "c"), ("unknown", "a")):
        path = publishing.latest(asked, tmp_path)
        assert path is not None
        assert path.stem == got


@pytest.mark.parametrize("text", ["", "{", "[]", '{"build_id": "a", "phantom": false, "pages": [{}]}'])
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(InputError, match=r"bad\.json: missing or damaged; run `dvc repro analyse`"):
        publishing.publish(tmp_path / "bad.json", tmp_path)
    assert publishing.latest("a", tmp_path) is None


# Attributes of a board


def test_attributes_are_those_of_the_board_s_objects(
    phantom: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # units of the step go there
    stored = tmp_path / "attributes"
    attributes.write(planted.SOURCE, phantom.data, stored / f"{planted.SOURCE}.parquet", workers=1)
    found = loaded(phantom, stored, phantom.data)
    assert found["object_id"].to_pylist() == phantom.attributes["object_id"].to_pylist()
    names = {row["object_id"]: row for row in phantom.reader.rows("select * from objects")}
    folder = phantom.data / planted.SOURCE
    wanted = {
        (entry["image_id"], entry["object_index"]): entry
        for case in shards.load_cases(folder)
        for row in shards.read_case(folder, case).to_pylist()
        for entry in attributes.of_row(row)
    }
    for own in found.to_pylist():
        name = names[own.pop("object_id")]
        entry = wanted[name["image_id"], name["object_index"]]
        assert own == {column: entry[column] for column, _ in ATTRIBUTES.values()}


def test_attributes_that_miss_an_object_are_refused(
    given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=rf"{planted.SOURCE}\.parquet: missing; run"):
        loaded(given, tmp_path, given.data)
    monkeypatch.setattr(attributes, "read", lambda *_: attributes.SCHEMA.empty_table())
    with pytest.raises(InputError, match="lacks objects of the board; run `make repro`"):
        loaded(given, tmp_path, given.data)


def loaded(board: Given, stored: Path, data: Path) -> pa.Table:
    return load(board.reader, stored, data, board.measured).attributes
