"""Puts the tabs together, in one look."""

from pathlib import Path
from typing import Any

import gradio as gr

from app import leaderboard
from leaderboard.store.read import BoardReader

TITLE = "COSMOS 1050K leaderboard"
HEADER = f"""<header class="board-header"><h1>{TITLE}</h1>
<p>Promptable segmentation models on public medical images.
<strong>For research. Not a medical device.</strong></p>
</header>"""

#: What the server takes beside the app itself. The fonts are the system's: none is fetched.
LOOK: dict[str, Any] = {
    "theme": gr.themes.Base(
        primary_hue="indigo",
        secondary_hue="indigo",
        neutral_hue="slate",
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
    ),
    "css_paths": Path(__file__).with_name("style.css"),
    "footer_links": [],
}


def build_app(reader: BoardReader) -> gr.Blocks:
    """The app on a board; it follows the board that is published."""
    with gr.Blocks(title=TITLE, analytics_enabled=False) as app:
        gr.HTML(HEADER, apply_default_css=False, elem_classes="board-html")
        notices = gr.HTML(apply_default_css=False, elem_classes="board-html")  # above every tab
        with gr.Tabs(), gr.Tab("Leaderboard"):
            leaderboard.tab(app, reader, notices)
    return app
