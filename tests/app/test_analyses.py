"""The tab "Analyses": what the stage left, of this board or of another, and the page in a browser."""

import base64
import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import plotly.graph_objects as go
import pytest
from playwright.sync_api import Page, expect

from app import analyses
from app.analyses import ANALYSES, NONE, Link, view
from app.build import LOOK
from cosmos1050k.errors import InputError
from leaderboard.analyses import drawing, publishing
from leaderboard.analyses.section import MOST_ROWS, Section, table
from leaderboard.store.read import BoardReader
from tests.app.boards import HOSTILE, Made
from tests.app.conftest import free_port


def sections() -> list[Section]:
    found = table(
        name=("Model", "text", [HOSTILE] * (MOST_ROWS + 1)),
        value=("DICE, %", ".2f", [70.5, None] * (MOST_ROWS // 2) + [1.0]),
    )
    figure = drawing.figure([go.Scatter(name="one", x=[1, 2], y=[3, 4])], "across", "up")
    return [
        Section("figure_1", "Figure 1: first", "Of so many.", found, figure),
        Section("table_2", f"Table 2: {HOSTILE}", HOSTILE, missing=f"Run `{HOSTILE}`."),
    ]


def published(state: Path, build_id: str, *, phantom: bool = False) -> Path:
    told = publishing.dumped(sections(), {"build_id": build_id, "phantoms": ["toy"] if phantom else []})
    (state / "sections.json").write_text(told)
    return publishing.publish(state / "sections.json", state)


@pytest.fixture
def reader(sample_state: Path) -> BoardReader:
    return BoardReader(sample_state)


def test_without_analyses_it_says_how_to_get_them(reader: BoardReader, tmp_path: Path) -> None:
    found = view(reader, tmp_path, Link())
    assert (found.body, found.figure, found.choices) == (NONE, None, [])


def test_a_section_is_sentence_figure_and_table(reader: BoardReader, tmp_path: Path, sample: Made) -> None:
    published(tmp_path, sample.build_id)
    found = view(reader, tmp_path, Link("figure_1"))
    assert found.choices == [("Figure 1: first", "figure_1"), (f"Table 2: {HOSTILE}", "table_2")]
    assert "Of so many." in found.body
    assert "another board" not in found.body
    assert found.figure is not None
    assert json.loads(found.figure.plot)["data"][0]["y"] == [3, 4]
    assert found.after.count("<tr>") == MOST_ROWS + 1  # and the heads
    assert f"The first {MOST_ROWS} of {MOST_ROWS + 1} rows" in found.after
    name, data = re.findall(r'download="([^"]*)" href="data:[^,]*,([^"]*)"', found.body)[0]
    assert name == f"figure_1-{sample.build_id}.csv"
    rows = list(csv.DictReader(io.StringIO(base64.b64decode(data).decode())))
    assert [row["DICE, %"] for row in rows[:2]] == ["70.50", "–"]


def test_nothing_of_a_section_runs(reader: BoardReader, tmp_path: Path, sample: Made) -> None:
    published(tmp_path, sample.build_id)
    for key in ("figure_1", "table_2"):
        found = view(reader, tmp_path, Link(key))
        for html in (found.body, found.after):
            assert "<script" not in html
            assert "<img" not in html
    assert found.section == "table_2"
    assert found.figure is None
    assert found.after == ""
    assert '<p class="board-said">Run <code>' in found.body


def test_an_unknown_section_is_the_first(reader: BoardReader, tmp_path: Path, sample: Made) -> None:
    published(tmp_path, sample.build_id)
    assert view(reader, tmp_path, Link("nothing")) == view(reader, tmp_path, Link("figure_1"))


def test_analyses_of_another_board_say_so(reader: BoardReader, tmp_path: Path, sample: Made) -> None:
    published(tmp_path, "ffff0000ffff0000", phantom=True)
    found = view(reader, tmp_path, Link())
    assert "ffff0000ffff0000" in found.body
    assert sample.build_id in found.body
    assert 'download="phantom-figure_1-ffff0000ffff0000.csv"' in found.body
    published(tmp_path, sample.build_id)
    assert "ffff0000ffff0000" not in view(reader, tmp_path, Link()).body


def test_what_is_written_anew_is_read_anew(reader: BoardReader, tmp_path: Path, sample: Made) -> None:
    path = published(tmp_path, sample.build_id)
    before = view(reader, tmp_path, Link())
    told = json.loads(path.read_text())
    told["pages"][0]["sentence"] = "Of more."
    (tmp_path / "sections.json").write_text(json.dumps(told))
    publishing.publish(tmp_path / "sections.json", tmp_path)
    assert "Of more." in view(reader, tmp_path, Link()).body != before.body


def test_a_damaged_file_is_one_line(reader: BoardReader, tmp_path: Path, sample: Made) -> None:
    published(tmp_path, sample.build_id).write_text("{")
    with pytest.raises(InputError, match="missing or damaged; run `dvc repro analyse`"):
        view(reader, tmp_path, Link())


# In a browser


@pytest.fixture
def address(reader: BoardReader, tmp_path: Path, sample: Made) -> Iterator[str]:
    published(tmp_path, sample.build_id)
    with gr.Blocks(analytics_enabled=False) as page, gr.Tabs():
        with gr.Tab("Other"):
            gr.HTML("other")
        with gr.Tab("Analyses", id=ANALYSES) as opened:
            analyses.tab(opened, reader, tmp_path)
    look: dict[str, Any] = {**LOOK, "ssr_mode": False}
    page.launch(server_port=free_port(), prevent_thread_lock=True, quiet=True, **look)
    yield str(page.local_url)
    page.close()


@pytest.mark.browser
@pytest.mark.slow
def test_a_link_opens_its_section_and_a_choice_changes_the_link(page: Page, address: str) -> None:
    page.goto(f"{address}?tab={ANALYSES}&section=table_2")
    page.get_by_role("tab", name="Analyses").click()
    expect(page.get_by_role("heading", name="Table 2")).to_be_visible()
    assert page.evaluate("window.hacked") is None
    page.get_by_label("Table or figure").click()
    page.get_by_role("option", name="Figure 1: first").click()
    expect(page.get_by_role("heading", name="Figure 1")).to_be_visible()
    expect(page.locator(".js-plotly-plot .scatterlayer")).to_be_visible()
    page.wait_for_function("location.search.includes('section=figure_1')")
    assert page.evaluate("window.hacked") is None
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
