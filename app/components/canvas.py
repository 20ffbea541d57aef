"""The prompt canvas: a picture on which a person sets points and a box, with masks drawn over it.

A canvas's value is what the person has given: take the canvas as an input of the listener and `read` it.
Only the canvas itself sets the value. Events:

- `input`: the person changed the points or the box;
- `slice`: the person asked for another slice, by PageUp, PageDown or Ctrl and the mouse wheel.

Both want `trigger_mode="always_last"` and `show_progress="hidden"`. A call that Gradio put off until the one
before it ended comes with the event data of that one, but with the newest values of its inputs.
"""

import base64
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

import gradio as gr
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cosmos1050k import pictures
from cosmos1050k.errors import InputError

TEMPLATE = """
<div class="canvas-tools" role="toolbar">
  <button type="button" data-tool="positive" aria-pressed="true" title="Positive point (P)">
    <span aria-hidden="true">+</span> Positive point</button>
  <button type="button" data-tool="negative" aria-pressed="false" title="Negative point (N)">
    <span aria-hidden="true">−</span> Negative point</button>
  <button type="button" data-tool="box" aria-pressed="false" title="Box (B)">
    <span class="canvas-dashes" aria-hidden="true"></span> Box</button>
  <button type="button" data-act="undo" title="Undo (U or Ctrl+Z)">Undo</button>
  <button type="button" data-act="clear" title="Clear (C or Escape)">Clear</button>
</div>
<div class="canvas-stage">
  <canvas class="canvas-picture" aria-hidden="true"></canvas>
  <canvas class="canvas-overlay" aria-hidden="true"></canvas>
  <canvas class="canvas-prompts" role="application" tabindex="0"></canvas>
</div>
<p class="canvas-empty">No picture yet.</p>
<div class="canvas-look">
  <label>Opacity <input type="range" class="canvas-opacity" min="0" max="100"></label>
  <label><input type="checkbox" class="canvas-contours"> Contours</label>
</div>
<ul class="canvas-legend"></ul>
<p class="canvas-said" role="status" aria-live="polite"></p>
<p class="canvas-help">Right-click or Shift+click: negative point. Box: drag, or click two corners.
Keys: arrows move the crosshair, with Shift by 10; Enter sets.</p>
"""

#: The widest canvas that browsers make, in pixels.
WIDEST = 65_535

_Pixel = Annotated[int, Field(ge=0, lt=WIDEST)]
_Label = Annotated[int, Field(ge=0, le=1)]


class Layer(TypedDict):
    """A mask to draw over the picture.

    `outlines`: polygons of (x, y), the centres of pixels. `png`: data URL of an 8-bit grey PNG of the
    picture's size, 0 and 255, or None for contours alone. `colour`: `#rrggbb`.
    """

    outlines: Sequence[Sequence[Sequence[int]]]
    png: str | None
    colour: str
    name: str


@dataclass(frozen=True)
class Given:
    """What a person has given on a canvas, in pixels of the picture.

    `points`: (x, y, positive). `box`: (x0, y0, x1, y1), both ends inside. `key`: of the picture it was given
    on, empty before the first. `turned`: slices asked for since the page was loaded, backward ones negative.
    """

    points: tuple[tuple[int, int, bool], ...] = ()
    box: tuple[int, int, int, int] | None = None
    key: str = ""
    turned: int = 0


class _Value(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    points: list[Annotated[tuple[_Pixel, _Pixel, _Label], Field(strict=False)]] = Field(max_length=1000)
    box: Annotated[tuple[_Pixel, _Pixel, _Pixel, _Pixel], Field(strict=False)] | None = None
    key: str = Field(max_length=64)
    turned: int = Field(ge=-(2**31), lt=2**31)


def canvas(label: str, elem_id: str) -> gr.HTML:
    """A canvas without a picture. `label`: its name for those who don't see it."""
    here = Path(__file__)
    return gr.HTML(
        label=label,
        elem_id=elem_id,
        html_template=TEMPLATE,
        css_template=here.with_suffix(".css").read_text(encoding="utf-8"),
        js_on_load=here.with_suffix(".js").read_text(encoding="utf-8"),
        apply_default_css=False,
    )


def shown(
    image: NDArray[np.uint8],
    aspect: float = 1.0,
    prompt: dict[str, Any] | None = None,
    key: str | None = None,
    volume: bool = True,
) -> dict[str, Any]:
    """Update of a canvas to a new picture, with no mask over it and no prompts but the given.

    To show masks with it at once, send both in one update: `shown(...) | overlaid(...)`.

    Args:
        image: H×W or H×W×3.
        aspect: spacing of the rows over that of the columns.
        prompt: `points` and `box`, as `prompted` takes them.
        key: tells this picture from others, at most 64 characters; a random one if None.
        volume: whether PageUp, PageDown and Ctrl and the wheel ask for other slices.
    """
    height, width = image.shape[:2]
    picture = {
        "png": data_url(pictures.encode(image)),
        "width": width,
        "height": height,
        "aspect": float(aspect),
        "key": key or _serial(),
        "volume": volume,
        "serial": _serial(),
    }
    given = prompt or {}
    return gr.update(picture=picture) | prompted(given.get("points", ()), given.get("box"))


def overlaid(masks: Sequence[Layer], key: str | None = None) -> dict[str, Any]:
    """Update of the masks over the picture, the first at the bottom; the picture is not sent again.

    `key`: of the picture that they are of; a canvas that shows another by then does not draw them.
    """
    layers = [
        {
            "path": _path(mask["outlines"]),  # a string, because Gradio's client wraps every list it gets
            "png": mask["png"],
            "colour": mask["colour"],
            "name": mask["name"],
        }
        for mask in masks
    ]
    return gr.update(overlay={"layers": layers, "key": key, "serial": _serial()})


def prompted(points: Iterable[Sequence[int]], box: Sequence[int] | None) -> dict[str, Any]:
    """Update of the prompts: (x, y, positive), and (x0, y0, x1, y1); it raises no `input`."""
    placed = [[int(x), int(y), int(bool(positive))] for x, y, positive in points]
    corners = None if box is None else [int(value) for value in box]
    return gr.update(prompt={"points": placed, "box": corners, "serial": _serial()})


def data_url(png: bytes) -> str:
    """A PNG file as the page takes it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def read(value: Any) -> Given:
    """What a canvas's value says; before the first picture, nothing.

    Raises:
        InputError: it is none that a canvas sends.
    """
    if value is None or value == "":
        return Given()
    try:
        sent = _Value.model_validate(value)
    except ValidationError:
        raise InputError("the page sent prompts that can't be read; reload it") from None
    points = tuple((x, y, label == 1) for x, y, label in sent.points)
    return Given(points, sent.box, sent.key, sent.turned)


def _path(outlines: Sequence[Sequence[Sequence[int]]]) -> str:
    """The polygons as an SVG path."""
    return "".join(f"M{'L'.join(f'{x} {y}' for x, y in polygon)}Z" for polygon in outlines if len(polygon))


def _serial() -> str:
    """Tells an update from an equal one before it, which Gradio's client would take for no change."""
    return secrets.token_hex(6)
