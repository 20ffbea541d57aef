"""The tab "Leaderboard": filters, a view, and the link that opens it again."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from html import escape
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr
from gradio.components.plot import PlotData

from app import board, figures, links, overview, pages, pictures, ranking
from app.events import QUIET
from app.place import CHOOSERS, COLUMNS, HEEDED, MEASURES, SHOWN, TAB, VIEWS, Choices, Place, choices, fitted
from app.shown import Shown
from cosmos1050k.errors import InputError
from leaderboard.contamination import CONTACTS
from leaderboard.demo.engine import Engine
from leaderboard.demo.samples import Samples
from leaderboard.store.filters import KINDS
from leaderboard.store.read import BoardReader
from leaderboard.strategies import STRATEGIES

NO_BOARD = (
    '<p class="board-notice" role="note">There is no board to show: run <code>make repro</code>, '
    "then reload this page.</p>"
)
_DRAWING = '<p class="board-said board-drawing" role="status">The pictures are being drawn …</p>'
_ALL = ("All", "")

_COUNT = count()

log = logging.getLogger(__name__)

_VIEWS = {
    "ranking": ranking.view,
    "heat": overview.heat,
    "modalities": overview.modalities,
    "speed": overview.speed,
    "spread": overview.spread,
    "paper": overview.paper,
    "model": pages.model,
    "pair": pages.pair,
    "compare": pages.compare,
}


@dataclass(frozen=True)
class Page:
    """A view as the browser gets it, of one board."""

    place: Place
    choices: Choices
    build_id: str
    summary: str
    facts: Mapping[str, Any]
    body: str
    figure: PlotData | None
    after: str
    drawn: str


def page(reader: BoardReader, asked: Place) -> Page:
    """The view that is asked for, or the nearest that the board has.

    Raises:
        InputError: no board is published.
    """
    facts, known = reader.remembered(BoardReader.board), reader.remembered(choices)
    place = fitted(asked, known, reader)
    heeded = {name: getattr(place, name) for name in HEEDED[place.view]}
    shown, figure = reader.remembered(_shown, Place(view=place.view, **heeded))
    if reader.build_id() != facts["build_id"]:  # another board came meanwhile
        return page(reader, asked)
    heeds = f'<div hidden data-view="{place.view}" data-heeds="{" ".join(HEEDED[place.view])}"></div>'
    drawn = links.query(place, TAB) if shown.drawn else ""
    body = f"{heeds}{shown.body}"
    return Page(
        place, known, facts["build_id"], board.summary(facts), facts, body, figure, shown.after, drawn
    )


def _shown(reader: BoardReader, place: Place) -> tuple[Shown, PlotData | None]:
    """The view and its figure, or why there is none; who asks for what it does not heed gets the same."""
    try:
        shown = _VIEWS[place.view](reader, place)
    except InputError as error:
        shown = Shown(f'<p class="board-notice" role="note">{escape(str(error))}</p>')
    return shown, None if shown.figure is None else figures.drawn(shown.figure)


def tab(app: gr.Blocks, reader: BoardReader, notices: gr.HTML, samples: Samples, engine: Engine) -> None:
    """Adds the tab's content. The board is read anew with every page load and every change of a control.

    Args:
        notices: where the board's notices go.
        samples, engine: whence the pictures of cases, and the masks of models on them.
    """
    parts = _Parts(reader, notices)
    listen = partial(gr.on, **QUIET, show_progress_on=parts.link)
    page_parts = [notices, parts.summary, parts.content, *parts.controls.values(), parts.build]
    listen([app.load], parts.opened, None, [*page_parts, *parts.shown])
    controls = list(parts.controls.values())
    inputs = [parts.wanted, parts.build, *controls]
    search = parts.controls["search"]  # Gradio tells of keys, not of a text that was pasted with the mouse
    changes = [*(control.input for control in controls), search.submit, search.blur]
    listen(changes, parts.changed, inputs, parts.shown)
    followed = [parts.wanted, parts.build]
    links_of = [one.select for one in (parts.link, parts.body, parts.drawn, parts.after)]
    listen(links_of, parts.followed, followed, [*page_parts, *parts.shown])
    listen([parts.mend.change], parts.mended, [parts.mend], page_parts)

    def draw(query: str) -> str:
        try:
            place = fitted(_place(query), reader.remembered(choices), reader)
            return pictures.drawn(reader, samples, engine, place) if query else ""
        except InputError as error:
            return f'<p class="board-said">{escape(str(error))}</p>'

    parts.wanted.change(
        draw,
        parts.wanted,
        parts.drawn,
        show_progress="hidden",
        show_progress_on=parts.link,
        trigger_mode="always_last",
        concurrency_limit=2,
        concurrency_id="pictures",
        api_visibility="private",
    )


class _Parts:
    """The tab's components, and what fills them.

    A change of a control changes `shown` alone: every output costs the browser time. If a control must be
    set, or the board is another one, `mend` says so, and its change sets the rest.
    """

    def __init__(self, reader: BoardReader, notices: gr.HTML) -> None:
        self.reader, self.notices = reader, notices
        self.summary = _html()
        with gr.Column(visible=False, elem_classes="board-tab") as self.content:
            self.controls = _controls()
            self.link = gr.HTML(apply_default_css=False, elem_classes="board-html", js_on_load=links.FOLLOWED)
            self.body = _html()
            self.plot = gr.Plot(visible=False, show_label=False, container=False, elem_classes="board-plot")
            self.drawn, self.after = _html(), _html()
            self.build, self.wanted, self.mend = (
                gr.Textbox("", visible="hidden", label=label) for label in ("Board", "Pictures", "Mend")
            )
        self.shown = [self.body, self.plot, self.drawn, self.after, self.link, self.wanted, self.mend]

    def opened(self, request: gr.Request) -> dict[Any, Any]:
        """The page is loaded: its link says what to show."""
        return self._whole(links.state(Place, links.told(request)), "", fresh=True)

    def followed(self, old: str, build: str, event: gr.EventData) -> dict[Any, Any]:
        """A link within the tab was clicked."""
        return self._whole(_place(getattr(event, "query", "")), old)

    def changed(self, old: str, build: str, *values: Any) -> dict[Any, Any]:
        """A control was changed. `old`: of which place pictures are shown; `build`: of which board all is."""
        given = zip((field.name for field in fields(Place)), values, strict=True)
        asked = links.state(Place, [(name, one) for name, value in given for one in _texts(value)])
        try:
            found = page(self.reader, asked)
        except InputError:
            return {self.mend: _stamp(links.query(asked, TAB))}
        told = self._view(found, old)
        if found.place != asked or found.build_id != build:
            told[self.mend] = _stamp(links.query(found.place, TAB))
        return told

    def mended(self, query: str) -> dict[Any, Any]:
        """The controls must be set, or the board is another one."""
        asked = _place(query)
        try:
            return self._around(page(self.reader, asked))
        except InputError as error:
            return self._none(error)

    def _whole(self, asked: Place, old: str, fresh: bool = False) -> dict[Any, Any]:
        try:
            found = page(self.reader, asked)
        except InputError as error:
            return self._none(error)
        return {**self._around(found, fresh), **self._view(found, old)}

    def _none(self, error: InputError) -> dict[Any, Any]:
        log.warning("%s", error)
        told = {self.notices: "", self.summary: NO_BOARD, self.content: gr.update(visible=False)}
        return {**told, self.build: ""}

    def _view(self, found: Page, old: str) -> dict[Any, Any]:
        told = {
            self.body: found.body,
            self.plot: gr.update(value=found.figure, visible=found.figure is not None),
            self.after: found.after,
            self.link: links.html(found.place, TAB),
        }
        if found.drawn != old:
            told |= {self.wanted: found.drawn, self.drawn: _DRAWING if found.drawn else ""}
        return told

    def _around(self, found: Page, fresh: bool = False) -> dict[Any, Any]:
        """`fresh`: the controls are as they were made; every update of one costs the server time."""
        told = {
            self.notices: board.noticed(found.facts, self.reader.trouble()),
            self.summary: found.summary,
            self.content: gr.update(visible=True),
            self.build: found.build_id,
        }
        for name, control in self.controls.items():
            value = getattr(found.place, name)
            value = list(value) if isinstance(value, tuple) else value
            change = _choices(name, found.choices)
            if not fresh or getattr(found.place, name) != getattr(Place(), name):
                change["value"] = value
            if change:
                told[control] = gr.update(**change)
        return told


def _place(query: str) -> Place:
    """The place that a link tells of, whoever wrote it."""
    return links.state(Place, parse_qsl(str(query).removeprefix("?"), keep_blank_values=True))


def _stamp(query: str) -> str:
    """The same, but never equal to the one before, so that it is a change."""
    return f"{query}&at={next(_COUNT)}"


def _html() -> Any:
    """Its links within the app are events."""
    return gr.HTML(apply_default_css=False, elem_classes="board-html", js_on_load=links.CLICKS)


def _controls() -> dict[str, Any]:
    """The controls by the names of `Place`, in its order. style.css hides those that a view does not heed."""
    made: dict[str, Any] = {
        "view": gr.Radio(
            [(label, name) for name, label in VIEWS.items()],
            value="ranking",
            label="View",
            elem_classes="board-views",
        )
    }
    with gr.Row(elem_classes="board-controls"):
        for name in _LABELS:
            made[name] = _control(name)
    with gr.Accordion("Columns", open=False, elem_classes="board-control board-columns"):
        made["columns"] = gr.CheckboxGroup(
            _FIXED["columns"], value=list(SHOWN), label="Columns of the ranking", container=False
        )
    return {field.name: made[field.name] for field in fields(Place)}


def _control(name: str) -> Any:
    look: dict[str, Any] = {
        "label": _LABELS[name],
        "elem_classes": ["board-control", f"board-{name}"],
        "min_width": 100,
    }
    if name == "search":
        return gr.Textbox(placeholder="name or description", max_lines=1, **look)
    value = getattr(Place(), name)
    many = isinstance(value, tuple)
    return gr.Dropdown(
        _FIXED.get(name, [_ALL]), value=list(value) if many else value, multiselect=many, **look
    )


_LABELS = {
    "strategy": "Strategy",
    "selection": "Mask scored",
    "modality": "Modality",
    "object": "Object",
    "pair": "Pair",
    "source": "Source",
    "contact": "Seen in training",
    "kind": "Type",
    "search": "Search models",
    "model": "Model",
    "other": "Second model",
    "metric": "Metric",
}
#: Choices that are the same on every board.
_FIXED: dict[str, list[tuple[str, str]]] = {
    "selection": [(label, name) for name, label in CHOOSERS.items()],
    "contact": [_ALL, *((label.capitalize(), name) for name, label in CONTACTS.items())],
    "kind": [(kind.capitalize(), kind) for kind in KINDS],
    "metric": [(label, name) for name, label in MEASURES.items()],
    "columns": [*((label, name) for name, label in COLUMNS.items()), *((name, name) for name in STRATEGIES)],
    "strategy": [(board.title(name), name) for name in STRATEGIES],
}


def _choices(name: str, known: Choices) -> dict[str, Any]:
    """The choices of a control that hang on the board."""
    if name == "strategy":
        return {"choices": [(board.title(one), one) for one in known.strategies]}
    if name == "columns":
        own = [(f"DICE under {board.title(one)}", one) for one in known.strategies]
        return {"choices": [*((label, one) for one, label in COLUMNS.items()), *own]}
    if name in ("model", "other"):
        return {"choices": [("–", ""), *((one, one) for one in known.models)]}
    found = {
        "modality": known.modalities,
        "object": known.objects,
        "pair": known.pairs,
        "source": known.sources,
    }
    return {"choices": [_ALL, *((one, one) for one in found[name])]} if name in found else {}


def _texts(value: Any) -> list[str]:
    """What a browser sent for a control, whoever wrote it."""
    if isinstance(value, list):
        return [str(one) for one in value] or [""]
    return ["" if value is None else str(value)]
