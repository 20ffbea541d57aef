"""The board's figures, by Plotly. figures.css gives their texts and grids Gradio's colours, light or dark."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from gradio.components.plot import PlotData
from numpy.typing import NDArray

from leaderboard.analyses import drawing
from leaderboard.analyses.drawing import COLOURS, GRAY, MOST, SYMBOLS, clean

#: So that no series of bars is told by colour alone.
_PATTERNS = ("", "/", "x", ".", "\\", "+")
_DICE = "DICE, %"
#: Pixels of a row, and around the plot.
_ROW, _AROUND = 18, 160
_CONFIG = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
    "toImageButtonOptions": {"format": "svg", "filename": "cosmos1050k"},
}


@dataclass(frozen=True)
class Bar:
    """A value in per cent with its interval, which may be missing, as may be the value."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Timed:
    """A model's DICE in per cent against its time, on one machine."""

    model: str
    kind: str
    milliseconds: float
    dice: float
    machine: str
    fastest: bool


@dataclass(frozen=True)
class Spread:
    """How the DICE of a pair's images scatters, in per cent."""

    pair: str
    mean: float
    minimum: float
    q25: float
    median: float
    q75: float
    maximum: float


def drawn(figure: go.Figure) -> PlotData:
    """What gr.Plot takes: without Plotly's own template, which is larger than most figures."""
    figure.layout.template = None
    body = figure.to_json()
    return PlotData(type="plotly", plot=f'{body[:-1]},"config":{json.dumps(_CONFIG)}}}')


def heat_map(models: Sequence[str], pairs: Sequence[str], dice: NDArray[np.float64]) -> go.Figure:
    """DICE of models × pairs, in per cent, the first model on top; NaN is a gap."""
    trace = go.Heatmap(
        z=np.asarray(dice, np.float32),
        x=_texts(pairs),
        y=_texts(models),
        zmin=0,
        zmax=100,
        colorscale="Cividis",
        hoverongaps=False,
        hovertemplate="%{y}<br>%{x}: %{z:.2f} %<extra></extra>",
        colorbar={
            "title": {"text": _DICE, "side": "right"},
            "thickness": 12,
            "lenmode": "pixels",
            "len": 200,
            "y": 1,
            "yanchor": "top",
        },
    )
    figure = drawing.figure([trace], "", "", height=_AROUND + 60 + _height(len(models), 14))
    figure.update_xaxes(
        type="category", side="top", tickangle=-90, showgrid=False, tickfont={"size": _small(pairs)}
    )
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, dtick=1)
    return figure


def bars(names: Sequence[str], series: Mapping[str, Sequence[Bar]]) -> go.Figure:
    """Groups of bars, a bar per series, which holds a bar per name; whiskers are intervals."""
    traces = []
    for place, (model, found) in enumerate(series.items()):
        style = place % MOST
        trace = go.Bar(
            name=clean(model),
            x=_texts(names),
            y=[bar.value for bar in found],
            marker={
                "color": COLOURS[style],
                "pattern": {"shape": _PATTERNS[style], "fillmode": "overlay", "fgcolor": "#ffffff"},
            },
            hovertemplate="%{fullData.name}<br>%{x}: %{y:.2f} %<extra></extra>",
        )
        if any(bar.low is not None for bar in found):
            trace.error_y = _whiskers(found)
        traces.append(trace)
    figure = drawing.figure(traces, "", _DICE, height=450)
    figure.update_xaxes(type="category", showgrid=False)
    figure.update_yaxes(rangemode="tozero")
    return figure


def speed(points: Sequence[Timed]) -> go.Figure:
    """DICE against the time of an image, and a line through those on each machine's front."""
    traces: list[Any] = []
    for place, machine in enumerate(dict.fromkeys(point.machine for point in points)):
        own = sorted(
            (point for point in points if point.machine == machine), key=lambda one: one.milliseconds
        )
        front = [point for point in own if point.fastest]
        colour, symbol = COLOURS[place % MOST], SYMBOLS[place % MOST]
        traces.append(
            go.Scatter(
                name=clean(machine),
                x=[point.milliseconds for point in own],
                y=[point.dice for point in own],
                text=[clean(f"{point.model} ({point.kind})") for point in own],
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 9},
                hovertemplate="%{text}<br>%{x:,.3~r} ms, %{y:.2f} %<extra></extra>",
            )
        )
        traces.append(
            go.Scatter(
                name=f"front: {clean(machine)}",
                x=[point.milliseconds for point in front],
                y=[point.dice for point in front],
                text=_texts([point.model for point in front]),
                mode="lines+markers+text",
                textposition="top center",
                line={"color": colour, "dash": "dot", "shape": "hv"},
                marker={"color": colour, "symbol": f"{symbol}-open", "size": 15, "line": {"width": 2}},
                hoverinfo="skip",
                cliponaxis=False,
            )
        )
    figure = drawing.figure(traces, "time per image, ms (logarithmic)", _DICE, height=490)
    figure.update_xaxes(type="log", dtick=1, minor={"dtick": "D2", "showgrid": False})
    return figure


def boxes(series: Mapping[str, Sequence[Spread]]) -> go.Figure:
    """A box per pair and model: the quartiles of its images' DICE, whiskers to the ends, the mean dashed."""
    traces = []
    for place, (model, found) in enumerate(series.items()):
        columns = {
            name: [getattr(one, field) for one in found]
            for name, field in (
                ("q1", "q25"),
                ("median", "median"),
                ("q3", "q75"),
                ("lowerfence", "minimum"),
                ("upperfence", "maximum"),
                ("mean", "mean"),
            )
        }
        colour = COLOURS[place % MOST]
        traces.append(
            go.Box(
                name=clean(model),
                y=_texts([one.pair for one in found]),
                orientation="h",
                boxmean=True,
                line={"color": colour, "width": 1.5},
                fillcolor=f"{colour}{'66' if place else '22'}",
                **columns,
            )
        )
    rows = max((len(found) for found in series.values()), default=0)
    figure = drawing.figure(traces, _DICE, "", height=_AROUND + _height(rows, _ROW * max(1, len(series))))
    figure.update_layout(boxmode="group", boxgap=0.25)
    figure.update_xaxes(range=[-1, 101])
    figure.update_yaxes(type="category", autorange="reversed", dtick=1)
    return figure


def differences(pairs: Sequence[str], found: Sequence[Bar], what: str) -> go.Figure:
    """A bar per pair from 0 to the difference, whiskers are intervals; `what` with its unit.

    One whose interval has no 0 is full and coloured by its sign; the others are gray.
    """
    colours = [GRAY if _open(bar) else COLOURS[0] if (bar.value or 0) > 0 else COLOURS[1] for bar in found]
    trace = go.Bar(
        x=[bar.value for bar in found],
        y=_texts(pairs),
        orientation="h",
        marker={"color": colours, "pattern": {"shape": ["/" if _open(bar) else "" for bar in found]}},
        hovertemplate="%{y}: %{x:+.2f}<extra></extra>",
    )
    if any(bar.low is not None for bar in found):
        trace.error_x = _whiskers(found)
    figure = drawing.figure([trace], what, "", height=_AROUND + _height(len(pairs), _ROW))
    figure.update_layout(showlegend=False)
    figure.update_xaxes(zeroline=True, zerolinewidth=2)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, dtick=1)
    return figure


def beside(series: Mapping[str, Sequence[tuple[str, float, float]]]) -> go.Figure:
    """Our DICE against the paper's, in per cent; a series holds (what, ours, the paper's)."""
    figure = drawing.beside(series, _DICE)
    figure.update_xaxes(range=[-2, 102])
    figure.update_yaxes(range=[-2, 102])
    return figure


def _whiskers(found: Sequence[Bar]) -> dict[str, Any]:
    """From a value to the ends of its interval."""
    known = [(bar, bar.value or 0.0) for bar in found]
    return {
        "type": "data",
        "symmetric": False,
        "array": [None if bar.high is None else bar.high - value for bar, value in known],
        "arrayminus": [None if bar.low is None else value - bar.low for bar, value in known],
        "color": GRAY,
        "thickness": 1.2,
        "width": 3,
    }


def _open(bar: Bar) -> bool:
    """Whether the interval is missing or holds 0."""
    return bar.low is None or bar.high is None or bar.low <= 0 <= bar.high


def _texts(names: Sequence[str]) -> list[str]:
    """Plotly takes some tags of HTML in every text."""
    return [clean(name) for name in names]


def _height(rows: int, each: int) -> int:
    return max(160, each * rows)


def _small(names: Sequence[str]) -> int:
    """A font that fits many names side by side."""
    return 12 if len(names) <= 60 else 9
