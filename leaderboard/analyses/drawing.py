"""Figures of the analyses, by Plotly, on no ground of their own: a page gives them its colours."""

import base64
import colorsys
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, TypeVar

import cv2
import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from cosmos1050k.pictures import encode
from leaderboard.demo.notice import NOTICE

#: Of series, told apart in every kind of colour vision, at least 3:1 on white and on a dark ground.
COLOURS = ("#4477aa", "#d55e00", "#228833", "#b8569a", "#a8821a", "#7a7a7a")
#: So that no series is told by colour alone.
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x")
#: Series that one figure shows.
MOST = len(COLOURS)
GRAY = "#808080"
#: In a picture taken home, 4.7:1 on white and 4:1 on a dark ground.
_NOTICE_COLOUR = "#737373"
#: Pixels of a row, and around the plot.
_ROW, _AROUND = 20, 150
#: The height of a row of pictures in pixels.
_PICTURE = 240
#: A step around the circle of hues, by which none soon comes near another.
_GOLDEN = (5**0.5 - 1) / 2

Model = TypeVar("Model")


def first(models: Sequence[Model], beside: int = 0) -> tuple[list[Model], str]:
    """The models that a figure has room for, and a sentence if these are not all; else it is empty.

    Args:
        beside: so many other series are drawn, such as the paper's.
    """
    room = MOST - beside
    told = f" The figure shows the first {room} models." if len(models) > room else ""
    return list(models[:room]), told


def figure(traces: Sequence[Any], across: str, up: str, height: int = 420) -> go.Figure:
    """A figure of traces with the notice at its foot; `across` and `up` are the axes' titles."""
    drawn = go.Figure(list(traces))
    _look(drawn, height)
    drawn.update_xaxes(title={"text": clean(across)})
    drawn.update_yaxes(title={"text": clean(up)})
    return drawn


def panels(rows: int, columns: int, titles: Sequence[str], height: int) -> go.Figure:
    """An empty figure of several plots, to which traces are added by row and column."""
    from plotly.subplots import make_subplots

    drawn = make_subplots(rows=rows, cols=columns, subplot_titles=[clean(title) for title in titles])
    _look(drawn, height)
    # Above the plots' own titles.
    drawn.update_layout(margin={"t": 70}, legend={"y": 1 + 30 / (height - 100)})
    return drawn


def dots(names: Sequence[str], series: Mapping[str, Sequence[float | None]], across: str) -> go.Figure:
    """A row per name, a mark per series."""
    traces = [
        go.Scatter(
            name=clean(name),
            x=list(values),
            y=[clean(one) for one in names],
            mode="markers",
            marker={"color": COLOURS[place % MOST], "symbol": SYMBOLS[place % MOST], "size": 9},
            hovertemplate="%{y}<br>%{fullData.name}: %{x:,.2f}<extra></extra>",
        )
        for place, (name, values) in enumerate(series.items())
    ]
    drawn = figure(traces, across, "", height=_AROUND + max(120, _ROW * len(names)))
    drawn.update_yaxes(type="category", autorange="reversed", dtick=1)
    return drawn


def lines(across: Sequence[str], series: Mapping[str, Sequence[float | None]], title: str) -> go.Figure:
    """A line per series over names in their order; `title` says what is shown of them."""
    traces = [
        go.Scatter(
            name=clean(name),
            x=[clean(one) for one in across],
            y=list(values),
            mode="lines+markers",
            line={"color": COLOURS[place % MOST], "width": 1.5},
            marker={"symbol": SYMBOLS[place % MOST], "size": 8},
            hovertemplate="%{fullData.name}<br>%{x}: %{y:,.2f}<extra></extra>",
        )
        for place, (name, values) in enumerate(series.items())
    ]
    drawn = figure(traces, "", title)
    drawn.update_layout(showlegend=True)
    drawn.update_xaxes(type="category")
    drawn.update_yaxes(rangemode="tozero")
    return drawn


def gallery(rows: Sequence[Mapping[str, NDArray[np.uint8]]]) -> go.Figure:
    """Rows of equally many pictures H×W×3, RGB, each below its title."""
    columns = len(rows[0])
    titles = [title for row in rows for title in row]
    drawn = panels(len(rows), columns, titles, height=110 + _PICTURE * len(rows))
    for place, picture in enumerate(picture for row in rows for picture in row.values()):
        source = f"data:image/png;base64,{base64.b64encode(encode(picture)).decode()}"
        trace = go.Image(source=source, hoverinfo="skip")
        drawn.add_trace(trace, row=place // columns + 1, col=place % columns + 1)
    drawn.update_annotations(font_size=12)
    square(drawn)
    return drawn


def painted(picture: NDArray[np.uint8], labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture H×W or H×W×3 at the size of its labels h×w, h×w×3, every label but 0 in a colour of its own.

    White lines part labels, so that none is told by colour alone.
    """
    small = cv2.resize(picture, labels.shape[::-1], interpolation=cv2.INTER_AREA)
    shown = np.repeat(small[..., None], 3, axis=2) if small.ndim == 2 else small
    hues = np.arange(256) * _GOLDEN % 1
    colours = 255 * np.array([colorsys.hsv_to_rgb(hue, 0.8, 1) for hue in hues])
    found = np.where(labels[..., None] > 0, 0.5 * shown + 0.5 * colours[labels], shown)
    parted = np.zeros(labels.shape, bool)
    parted[1:] |= labels[1:] != labels[:-1]
    parted[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    found[parted] = 255
    return found.astype(np.uint8)


def square(drawn: go.Figure) -> None:
    """Rows run down, pixels are square, and there are no numbers at the axes."""
    drawn.update_xaxes(showticklabels=False, ticks="", showgrid=False)
    drawn.update_yaxes(showticklabels=False, ticks="", showgrid=False, autorange="reversed")
    for axis in drawn.select_yaxes():
        axis.scaleanchor = axis.plotly_name.replace("yaxis", "x")


def beside(series: Mapping[str, Sequence[tuple[str, float, float]]], what: str) -> go.Figure:
    """Our values against the paper's; a series holds (what, ours, the paper's)."""
    every = [value for points in series.values() for _, *both in points for value in both]
    ends = [0, max(every)]
    traces: list[Any] = [
        go.Scatter(
            x=ends,
            y=ends,
            mode="lines",
            line={"color": GRAY, "dash": "dash"},
            hoverinfo="skip",
            name="equal",
        )
    ]
    for place, (name, points) in enumerate(series.items()):
        traces.append(
            go.Scatter(
                name=clean(name),
                x=[theirs for _, _, theirs in points],
                y=[ours for _, ours, _ in points],
                text=[clean(one) for one, _, _ in points],
                mode="markers",
                marker={"color": COLOURS[place % MOST], "symbol": SYMBOLS[place % MOST], "size": 8},
                hovertemplate="%{text}<br>here %{y:,.2f}, paper %{x:,.2f}<extra></extra>",
            )
        )
    return figure(traces, f"{what} in the paper", f"{what} here", height=480)


def boxes(series: Mapping[str, Mapping[str, Sequence[Any]]], across: str, up: str) -> go.Figure:
    """Boxes of quartiles, whiskers to the ends, beside each other.

    Args:
        series: name → `x` and the five numbers `minimum`, `q25`, `median`, `q75`, `maximum` of each box.
    """
    traces = [
        go.Box(
            name=clean(name),
            x=[clean(str(one)) for one in found["x"]],
            q1=found["q25"],
            median=found["median"],
            q3=found["q75"],
            lowerfence=found["minimum"],
            upperfence=found["maximum"],
            line={"color": COLOURS[place % MOST], "width": 1.5},
            fillcolor=f"{COLOURS[place % MOST]}44",
        )
        for place, (name, found) in enumerate(series.items())
    ]
    drawn = figure(traces, across, up)
    drawn.update_layout(boxmode="group", showlegend=len(series) > 1)
    drawn.update_xaxes(type="category", showgrid=False)
    return drawn


def clean(text: str) -> str:
    """Plotly takes some tags of HTML in every text."""
    return escape(text, quote=False)


def _look(drawn: go.Figure, height: int) -> None:
    drawn.update_layout(
        template=None,
        height=height,
        # A title, since of all texts it alone keeps clear of the axes' own, whatever their room.
        title={
            "text": NOTICE,
            "font": {"size": 11, "color": _NOTICE_COLOUR},
            "automargin": True,
            "xref": "container",
            "x": 0,
            "xanchor": "left",
            "yref": "container",
            "y": 0,
            "yanchor": "bottom",
            "pad": {"l": 10, "t": 4, "b": 3},
        },
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12, "color": GRAY},
        margin={"l": 10, "r": 10, "t": 40, "b": 10},
        hoverlabel={"bgcolor": "#1f2937", "font": {"color": "#ffffff"}},
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        modebar={"bgcolor": "rgba(0,0,0,0)"},
        dragmode="pan",
    )
    axis = {"automargin": True, "gridcolor": GRAY, "zeroline": False}
    drawn.update_xaxes(**axis)
    drawn.update_yaxes(**axis)
