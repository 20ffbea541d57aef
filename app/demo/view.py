"""The demo's texts and pictures, made of what a session holds."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app import board, links
from app.components import canvas
from app.components.canvas import Layer
from app.demo.linked import DEMO, Link
from cosmos1050k import pictures
from leaderboard.demo.outlines import outlines
from leaderboard.demo.session import Answer, Session

#: Of masks, by place: Okabe and Ito's colours, told apart by the colour-blind, but for those of the points.
COLOURS = ("#56b4e9", "#e69f00", "#cc79a7", "#f0e442", "#0072b2", "#d55e00", "#009e73")
TRUTH, KEPT = "#ffffff", "#f0e442"
MIN_MAX = "min–max of the slice, the protocol's"
#: How a radiologist looks at a plane: what is on the left of the picture, and what is up.
_SIDES = {
    "transverse": "the patient's right on the left, front up",
    "coronal": "the patient's right on the left, head up",
    "sagittal": "the front on the left, head up",
}


def layer(mask: NDArray[np.bool_], name: str, colour: str, fill: bool = True) -> Layer:
    """A mask as the canvas draws it."""
    png = canvas.data_url(pictures.encode(mask.view(np.uint8) * 255)) if fill else None
    return {"outlines": outlines(mask), "png": png, "colour": colour, "name": name}


def layers(session: Session, answer: Answer | None) -> list[Layer]:
    """What lies over the picture: the kept mask of the slice, the model's, the ground truth's border."""
    found: list[Layer] = []
    kept = session.kept.mask(session.view.plane, session.view.index)
    if kept is not None:
        found.append(layer(kept, "kept", KEPT, fill=False))
    if answer is not None and answer.mask is not None and answer.mask.any():
        found.append(layer(answer.mask, "mask", COLOURS[0]))
    if session.controls.truth and session.target is not None:
        found.append(layer(session.target.mask, "ground truth", TRUTH, fill=False))
    return found


def many(masks: Sequence[NDArray[np.bool_]]) -> list[Layer]:
    """All masks of everything mode: one layer of each colour, the colours taken in turn."""
    found: list[Layer] = []
    for place, colour in enumerate(COLOURS):
        own = masks[place :: len(COLOURS)]
        if own:
            borders = [polygon for mask in own for polygon in outlines(mask)]
            name = f"{len(own)} mask{'' if len(own) == 1 else 's'}"
            png = canvas.data_url(pictures.encode(np.any(own, axis=0).view(np.uint8) * 255))
            found.append({"outlines": borders, "png": png, "colour": colour, "name": name})
    return found


def facts(session: Session) -> str:
    """HTML: what is open, how large, and what the model sees of it."""
    study, view = session.study, session.view
    if study is None:
        return '<p class="demo-facts">Pick an image of the dataset, or bring your own.</p>'
    height, width = session.picture.pixels.shape[:2]
    parts = [f"{width} × {height} pixels"]
    if len(study.planes) > 1 or study.depth(view.plane) > 1:
        parts.append(f"{view.plane} slice {view.index + 1} of {study.depth(view.plane)}")
    if view.plane in _SIDES:
        parts.append(_SIDES[view.plane])
    spacing = session.sample.spacing if session.sample else study.spacing(view.plane)
    if study.frames > 1:
        parts.append(f"volume {study.number + 1} of {study.frames}")
    if spacing:
        parts.append(f"{spacing[0]:.3g} × {spacing[1]:.3g} mm")
    parts.append(f"shown and seen by the model: {escape(_seen(session))}")
    name = session.sample.image_id if session.sample else study.name
    extra = f'<br><span class="demo-note">{escape(study.note)}</span>' if study.note else ""
    text = f"<strong>{escape(name)}</strong> · {' · '.join(parts)}{extra}"
    return f'<p class="demo-facts">{text}</p>{_link(session)}'


def _link(session: Session) -> str:
    """A link that opens the same image with the same models; what a person brought has none."""
    if session.sample is None:
        return ""
    first, second = [*session.controls.models, "", ""][:2]
    target = session.target.index if session.target else -1
    return links.html(Link(session.sample.image_id, target, first, second), DEMO, "Link to this image")


def _seen(session: Session) -> str:
    window = session.windows().get(session.view.window or "")
    if window is not None:
        return f"window {window.name}, centre {window.centre:g}, width {window.width:g} HU"
    if session.sample is not None:
        return "the dataset's row, as stored"
    study = session.study
    if study is not None and study.planes == ("picture",) and study.volume.array.dtype == np.uint8:
        return "the picture as it is"
    return MIN_MAX


def results(session: Session) -> str:
    """HTML: each mask's rating and, where there is a ground truth, its DICE and Hausdorff distance."""
    rows, problems = [], []
    for answer in session.answers.values():
        if answer.found is None:
            problems.append(f'<p class="demo-problem" role="alert">{escape(answer.problem)}</p>')
            continue
        rows += [_row(answer, place) for place in range(len(answer.found.masks))]
    clicks = len(session.prompt.points) + (session.prompt.box is not None)
    count = f"{clicks} prompt{'' if clicks == 1 else 's'} so far"
    if not rows:
        hint = "" if problems else f'<p class="demo-note">{count}. Click into the picture, or drag a box.</p>'
        return "".join(problems) + hint
    head = ("Model", "Mask", "Predicted IoU", "Pixels", "DICE, %", "HD, px", "ms")
    cells = "".join(f'<th scope="col"{_number(name)}>{name}</th>' for name in head)
    truth = (
        f"Against the ground truth of {escape(session.target.label)}."
        if session.target
        else "No ground truth, so no DICE."
    )
    return (
        f"{''.join(problems)}"
        f'<div class="board-scroll" role="region" aria-label="Masks" tabindex="0"><table>'
        f"<thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        f'<p class="demo-note">{count}. {truth}</p>'
    )


def _number(name: str) -> str:
    return "" if name in ("Model", "Mask") else ' class="number"'


def _row(answer: Answer, place: int) -> str:
    found = answer.found
    assert found is not None
    measures = answer.measured[place] if answer.measured else None
    distance = measures["hausdorff"] if measures else None
    values = (
        f"{found.predicted_iou[place]:.3f}",
        f"{np.count_nonzero(found.masks[place]):,}",
        f"{100 * measures['dice']:.2f}" if measures else "–",
        f"{distance:.2f}" if distance is not None else "–",
        board.milliseconds(found.milliseconds),
    )
    chosen = place == answer.chosen
    mark = " (shown)" if chosen else ""
    best = ", rated best" if place == found.best and len(found.masks) > 1 else ""
    cells = "".join(f'<td class="number">{value}</td>' for value in values)
    look = ' class="sorts"' if chosen else ""
    return (
        f'<tr><th scope="row">{escape(answer.model)}</th><td{look}>{place + 1}{best}{mark}</td>{cells}</tr>'
    )


def kept(session: Session, file: tuple[str, bytes] | None = None) -> str:
    """HTML: how many slices have a kept mask, and a link that holds them as a file."""
    count = len(session.kept) if session.study is not None else 0
    if not count:
        return '<p class="demo-note">No mask is kept yet.</p>'
    text = f"{count} mask{'' if count == 1 else 's'} kept."
    if file is None:
        return f'<p class="demo-note">{text}</p>'
    name, content = file
    kind = "image/png" if name.endswith(".png") else "application/gzip"
    url = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    link = f'<a download="{escape(name)}" href="{url}">Download {escape(name)}</a>'
    return f'<p class="demo-note">{text} {link}</p>'


def note(text: str) -> str:
    """HTML of a sentence."""
    return f'<p class="demo-note">{escape(text)}</p>'


def given(session: Session) -> dict[str, Any]:
    """The session's prompt as the canvas takes it."""
    return {"points": session.prompt.points, "box": session.prompt.box}


def problem(text: str) -> str:
    """HTML of a sentence that says what is wrong."""
    return f'<p class="demo-problem" role="alert">{escape(text)}</p>' if text else ""


def candidates(answers: Mapping[str, Answer]) -> list[tuple[str, int]]:
    """The masks to choose among, as many as the model with the most has."""
    most = max((len(answer.found.masks) for answer in answers.values() if answer.found), default=0)
    return [(f"Mask {place + 1}", place) for place in range(most)]
