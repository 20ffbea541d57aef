"""What a view consists of, from top to bottom."""

from dataclasses import dataclass

import plotly.graph_objects as go


@dataclass(frozen=True)
class Shown:
    """HTML, a figure, and HTML below it; `drawn`: between the two come pictures, which take longer."""

    body: str
    figure: go.Figure | None = None
    after: str = ""
    drawn: bool = False


def said(text: str) -> str:
    """A paragraph of HTML."""
    return f'<p class="board-said">{text}</p>'
