"""The tab "Analyses": the paper's tables and figures on the published board, as its stage left them."""

import json
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import plotly.graph_objects as go
from gradio.components.plot import PlotData

from app import figures, links
from app.events import QUIET
from app.shown import said
from app.table import Column, Table, Value, notes
from cosmos1050k.errors import InputError
from leaderboard.analyses import publishing
from leaderboard.analyses.publishing import Page, Published
from leaderboard.analyses.section import marked
from leaderboard.store.publish import STATE
from leaderboard.store.read import BoardReader

#: The tab's name in a link.
ANALYSES = "analyses"
NONE = (
    '<p class="board-notice" role="note">There are no analyses yet: run <code>make repro</code>, '
    "then open this tab anew.</p>"
)


@dataclass(frozen=True)
class Link:
    """`section`: the key of a table or figure; empty: the first."""

    section: str = ""


@dataclass(frozen=True)
class View:
    """A section as the browser gets it, and what others there are: (title, key)."""

    section: str
    choices: list[tuple[str, str]]
    body: str
    figure: PlotData | None
    after: str


def view(reader: BoardReader, state: Path, asked: Link) -> View:
    """The section that is asked for, or the first; of the board that is shown, or the newest other.

    Raises:
        InputError: there is no board, or what the stage left is damaged.
    """
    build_id = reader.build_id()
    path = publishing.latest(build_id, state)
    if path is None:
        return View("", [], NONE, None, "")
    stamp = path, path.stat().st_mtime_ns
    found = reader.remembered(_published, *stamp)
    keys = [page.key for page in found.pages]
    key = asked.section if asked.section in keys else keys[0]
    body, figure, after = reader.remembered(_shown, *stamp, key)
    if found.build_id != build_id:
        body = (
            '<p class="board-notice" role="note"><strong>Of another board</strong>: these analyses are of '
            f"{escape(found.build_id)}, not of {escape(build_id)}, which is shown; <code>make repro</code> "
            f"makes them anew.</p>{body}"
        )
    return View(key, [(page.title, page.key) for page in found.pages], body, figure, after)


def tab(opened: gr.Tab, reader: BoardReader, state: Path = STATE) -> None:
    """Adds the tab's content. It asks for nothing before the tab `opened` is opened.

    Args:
        state: the folder of the published boards.
    """
    parts = _Parts(reader, state)
    shown = [parts.choice, parts.link, parts.body, parts.plot, parts.after]
    opened.select(parts.started, None, shown, **QUIET).then(None, js=links.FOLLOW)
    parts.choice.input(parts.chosen, parts.choice, shown, **QUIET).then(None, js=links.FOLLOW)


class _Parts:
    """The tab's components, and what fills them."""

    def __init__(self, reader: BoardReader, state: Path) -> None:
        self.reader, self.state = reader, state
        look: dict[str, Any] = {"apply_default_css": False, "elem_classes": "board-html"}
        with gr.Column(elem_classes="board-tab"):
            self.choice = gr.Dropdown([], label="Table or figure", visible=False)
            self.link = gr.HTML(**look)
            self.body = gr.HTML(**look)
            self.plot = gr.Plot(visible=False, show_label=False, container=False, elem_classes="board-plot")
            self.after = gr.HTML(**look)

    def started(self, request: gr.Request) -> dict[Any, Any]:
        """The tab is opened; the page's link may say with which section."""
        told = links.told(request)
        return self._filled(links.state(Link, told) if links.tab(told) == ANALYSES else Link())

    def chosen(self, section: Any) -> dict[Any, Any]:
        """Another section is chosen."""
        return self._filled(Link(str(section)))

    def _filled(self, asked: Link) -> dict[Any, Any]:
        try:
            found = view(self.reader, self.state, asked)
        except InputError as error:
            text = f'<p class="board-notice" role="note">{escape(str(error))}</p>'
            found = View("", [], text, None, "")
        return {
            self.choice: gr.update(
                choices=found.choices, value=found.section or None, visible=bool(found.choices)
            ),
            self.link: links.html(Link(found.section), ANALYSES),
            self.body: found.body,
            self.plot: gr.update(value=found.figure, visible=found.figure is not None),
            self.after: found.after,
        }


def _published(reader: BoardReader, path: Path, changed: int) -> Published:
    """What the stage left; `changed`: when, so that what it writes anew is read anew."""
    return publishing.read(path)


def _shown(reader: BoardReader, path: Path, changed: int, key: str) -> tuple[str, PlotData | None, str]:
    """What stands above the figure, the figure, and what stands below it."""
    found = reader.remembered(_published, path, changed)
    page = next(page for page in found.pages if page.key == key)
    figure = figures.drawn(go.Figure(json.loads(page.figure))) if page.figure else None
    sentence = said(marked(page.sentence)) if page.sentence else ""
    missing = said(marked(page.missing)) if page.missing else ""
    if not page.columns:
        return f"<h2>{escape(page.title)}</h2>{sentence}{missing}", figure, ""
    table = _table(page, found)
    return table.heading() + sentence, figure, table.box() + (notes([page.note]) if page.note else "")


def _table(page: Page, found: Published) -> Table:
    return Table(
        page.title,
        f"{'phantom-' if found.phantom else ''}{page.key}-{found.build_id}.csv",
        [Column(name, numeric=numeric) for name, numeric in page.columns],
        [("", [list(map(Value, row)) for row in page.rows])],
    )
