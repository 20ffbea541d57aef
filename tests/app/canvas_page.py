"""A page with two canvases: what is given on the first is noted, and shown on the second."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import Any

import gradio as gr
import numpy as np

from app.components.canvas import Given, Layer, canvas, data_url, overlaid, prompted, read, shown
from cosmos1050k import pictures

HEIGHT, WIDTH, ASPECT = 53, 37, 2.5
COLOUR, LABEL = "#1020f0", "First <b>canvas</b> ${1} `"


def image() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A picture of which no two pixels are alike."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([rows * 4, columns * 6, (rows + columns) % 2 * 255], axis=-1).astype(np.uint8)


def mask() -> np.ndarray[Any, np.dtype[np.bool_]]:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (rows >= 10) & (rows < 30) & (columns >= 5) & (columns < 20) & (rows + columns != 30)


def layer() -> Layer:
    grey = mask().astype(np.uint8) * 255
    square = [[5, 10], [19, 10], [19, 29], [5, 29]]
    return {
        "outlines": [square],
        "png": data_url(pictures.encode(grey)),
        "colour": COLOUR,
        "name": "<i>one</i>",
    }


#: By button: what it sends to the two canvases.
UPDATES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "Picture": lambda: (shown(image(), ASPECT, key="one"), shown(image(), ASPECT)),
    "Flat": lambda: (shown(image()[..., 0], 1.0, {"points": [(3, 4, True)]}, "two", volume=False), gr.skip()),
    "Both": lambda: (shown(image(), ASPECT) | overlaid([layer()]), gr.skip()),
    "Overlay": lambda: (overlaid([layer()], "one"), gr.skip()),
    "Stale": lambda: (overlaid([], "another"), gr.skip()),
    "Broken": lambda: (overlaid([layer() | {"png": "data:image/png;base64,AAAA"}]), gr.skip()),
}


@dataclass
class Seen:
    """What the server got. `go`: it answers while this is set."""

    given: list[Given] = field(default_factory=list)
    turned: list[int] = field(default_factory=list)
    go: Event = field(default_factory=Event)


def build(seen: Seen) -> gr.Blocks:
    """The page; what it gets goes into `seen`."""

    def given(value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        here = read(value)
        seen.given.append(here)
        assert seen.go.wait(30)
        return overlaid([layer()] if here.points else [], here.key), prompted(here.points, here.box)

    def turned(value: Any) -> None:
        seen.turned.append(read(value).turned)
        assert seen.go.wait(30)

    with gr.Blocks(title="canvas", analytics_enabled=False) as page:
        with gr.Row():
            buttons = [gr.Button(name, min_width=60, size="sm") for name in (*UPDATES, "Hide", "Show")]
        with gr.Row():
            with gr.Column(min_width=280) as column:
                first = canvas(LABEL, "first")
            with gr.Column(min_width=280):
                second = canvas("Second canvas", "second")
        for button, update in zip(buttons, UPDATES.values(), strict=False):
            button.click(update, None, [first, second], show_progress="hidden")
        for button, visible in zip(buttons[-2:], (False, True), strict=True):
            button.click(partial(gr.update, visible=visible), None, column, show_progress="hidden")
        first.input(given, first, [first, second], show_progress="hidden", trigger_mode="always_last")
        first.slice(turned, first, None, show_progress="hidden", trigger_mode="always_last")
    return page
