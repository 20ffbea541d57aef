"""Puts the tabs together, in one look."""

import asyncio
import inspect
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from app import analyses, leaderboard
from app.demo import tab as demo
from app.demo.linked import DEMO
from app.page_uploads import SWEEP
from app.submit import tab as submit
from app.submit.linked import SUBMIT
from leaderboard.demo.engine import Engine
from leaderboard.demo.notice import NOTICE
from leaderboard.demo.samples import Samples
from leaderboard.demo.sessions import Sessions
from leaderboard.store.publish import STATE
from leaderboard.store.read import BoardReader
from leaderboard.submissions.desk import Desk

TITLE = "COSMOS 1050K leaderboard"
HEADER = f"""<header class="board-header"><h1>{TITLE}</h1>
<p>Promptable segmentation models on public medical images.
<strong>{NOTICE}</strong></p>
</header>"""
#: Tabs by the name that a link has for them.
LEADERBOARD = "leaderboard"
#: A link to another tab than the first opens it, as a click would: of other pages nothing is asked for that.
_OPEN = f"""() => {{
    const tab = new URLSearchParams(location.search).get('tab');
    const others = {[DEMO, analyses.ANALYSES, SUBMIT]};
    if (others.includes(tab)) document.getElementById(`${{tab}}-tab-button`).click();
}}"""
#: Gradio keeps something of every page that was opened, up to so many: of 10,000, as it would, gigabytes.
_PAGES_REMEMBERED = 100
#: Seconds between two looks whether what a closed page asked for has ended.
_LOOK_S = 1.0

#: What the server takes beside the app itself. The fonts are the system's: none is fetched.
LOOK: dict[str, Any] = {
    "theme": gr.themes.Base(
        primary_hue="indigo",
        secondary_hue="indigo",
        neutral_hue="slate",
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
    ),
    "css_paths": [
        *(Path(__file__).with_name(name) for name in ("style.css", "figures.css")),
        *(Path(__file__).parent / tab / "style.css" for tab in ("demo", "submit")),
    ],
    "footer_links": [],
}


def build_app(
    reader: BoardReader,
    engine: Engine,
    samples: Samples,
    sessions: Sessions,
    desk: Desk | None = None,
    notice: str = "",
    state: Path = STATE,
) -> gr.Blocks:
    """The app on a board; it follows the board that is published.

    Args:
        desk: what takes submissions; None: nothing does.
        notice: what every page says of how the app is run.
        state: the folder in which the analyses of boards lie.
    """
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=SWEEP) as app:
        gr.HTML(HEADER, apply_default_css=False, elem_classes="board-html")
        if notice:
            text = f'<p class="board-notice" role="note">{escape(notice)}</p>'
            gr.HTML(text, apply_default_css=False, elem_classes="board-html")
        notices = gr.HTML(apply_default_css=False, elem_classes="board-html")  # above every tab
        with gr.Tabs(selected=LEADERBOARD):
            with gr.Tab("Leaderboard", id=LEADERBOARD) as ranking:
                leaderboard.tab(app, reader, notices, samples, engine)
            with gr.Tab("Demo", id=DEMO, elem_id="demo-tab") as trying:
                demo.tab(app, trying, reader, engine, samples, sessions)
            with gr.Tab("Analyses", id=analyses.ANALYSES, elem_id="analyses-tab") as analysing:
                analyses.tab(analysing, reader, state)
            with gr.Tab("Submit", id=SUBMIT, elem_id="submit-tab") as submitting:
                submit.tab(submitting, (ranking, trying, analysing), desk)
        app.load(None, js=_OPEN)
    app.state_session_capacity = _PAGES_REMEMBERED
    _forget_closed(app)
    _sign(app)
    return app


def _forget_closed(app: gr.Blocks) -> None:
    """Lets go of a closed page's place in the queue: Gradio keeps that of every page that ever used it."""

    async def forget(request: gr.Request) -> None:
        queue, page = app._queue, request.session_hash or ""
        while queue.pending_event_ids_session.get(page, set()) & queue.event_ids_to_events.keys():
            await asyncio.sleep(_LOOK_S)  # what runs yet has its answer to put there
        queue.pending_event_ids_session.pop(page, None)
        queue.pending_messages_per_session.pop(page, None)

    app.unload(forget)


def _sign(app: gr.Blocks) -> None:
    """Tells Python what its components' constructors take: Gradio asks that anew with every page and every
    update, which is a seventh of the work of a view.
    """
    for kind in {type(block) for block in app.blocks.values()}:
        made = inspect.unwrap(kind.__init__)
        made.__signature__ = inspect.signature(made)
