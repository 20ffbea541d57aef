"""The tab "Leaderboard": the ranked models, every pair, and what the numbers stand on."""

import logging
from typing import Any

import gradio as gr

from app import board
from app.table import notes
from cosmos1050k.errors import InputError
from leaderboard.store.read import BoardReader
from leaderboard.strategies import STRATEGIES

ALL_PAIRS = "All pairs"
NO_BOARD = (
    '<p class="board-notice" role="note">There is no board to show: run <code>make repro</code>, '
    "then reload this page.</p>"
)

log = logging.getLogger(__name__)


def tab(app: gr.Blocks, reader: BoardReader, notices: gr.HTML) -> None:
    """Adds the tab's content. The board is read anew with every page load and every change of a control.

    `notices`: where the board's notices go.
    """
    summary = gr.HTML(apply_default_css=False, elem_classes="board-html")
    with gr.Column(visible=False) as content:
        with gr.Row():
            strategy = gr.Radio(
                [(board.title(name), name) for name in STRATEGIES],
                value=board.DEFAULT,
                label="Strategy to rank by",
                scale=3,
                min_width=340,
            )
            selection = gr.Radio(
                [(label, name) for name, label in board.SELECTIONS.items()],
                value="oracle",
                label="Mask scored, of a model's candidates",
                scale=2,
                min_width=340,
            )
        models = gr.HTML(apply_default_css=False, elem_classes="board-html")
        with gr.Column(elem_classes="board-filter"):
            pair = gr.Dropdown([ALL_PAIRS], value=ALL_PAIRS, label="Object–modality pair")
        pairs = gr.HTML(apply_default_css=False, elem_classes="board-html")

    def refresh(by: str, chosen: str, only: str) -> dict[Any, Any]:
        try:
            shown = board.read(reader, by, chosen)
        except InputError as error:
            log.warning("%s", error)
            return {notices: "", summary: NO_BOARD, content: gr.update(visible=False)}
        names = board.pair_names(shown)
        kept = only if only in names else ALL_PAIRS
        wanted = None if kept == ALL_PAIRS else kept
        return {
            notices: board.noticed(shown),
            summary: board.summary(shown),
            content: gr.update(visible=True),
            strategy: _choices([(board.title(name), name) for name in shown.strategies], shown.strategy, by),
            pair: _choices([ALL_PAIRS, *names], kept, only),
            models: board.ranked(shown).html() + notes(board.ranked_notes(shown)),
            pairs: board.per_pair(shown, wanted).html() + notes(board.pair_notes(shown)),
        }

    gr.on(
        [app.load, strategy.input, selection.input, pair.input],
        refresh,
        [strategy, selection, pair],
        [notices, summary, content, strategy, pair, models, pairs],
        show_progress="hidden",
        trigger_mode="always_last",
        concurrency_limit=None,
        api_visibility="private",
    )


def _choices(choices: list[Any], value: str, asked: str) -> dict[str, Any]:
    """Sets the value only if it is not what was asked for: a newer click may be on its way."""
    return gr.update(choices=choices) if value == asked else gr.update(choices=choices, value=value)
