"""Pictures on the pages: a model's best and worst objects, and examples of a pair, with outlines."""

import base64
from html import escape
from math import ceil

from app import links
from app.demo.linked import DEMO, Link
from app.place import Place
from app.shown import said
from cosmos1050k.errors import InputError
from cosmos1050k.pictures import encode
from leaderboard.demo.cases import DrawnCase
from leaderboard.demo.cases import drawn as drawn_cases
from leaderboard.demo.engine import Engine
from leaderboard.demo.outlines import svg_path
from leaderboard.demo.samples import Samples
from leaderboard.store.extremes import extremes
from leaderboard.store.read import BoardReader

#: Pictures of a page, and the most pixels of their sides.
_EXAMPLES, _EACH, _LONGEST = 4, 4, 512
_LEGEND = (
    '<p class="board-legend"><span class="key-truth"></span> ground truth, solid'
    '<span class="key-mask"></span> the model’s mask, dashed</p>'
)


def drawn(reader: BoardReader, samples: Samples, engine: Engine, place: Place) -> str:
    """HTML of the pictures of a model's or a pair's page; empty of another view."""
    if place.view == "model":
        return _cases(reader, samples, engine, place)
    return _examples(samples, place.pair) if place.view == "pair" else ""


def _cases(reader: BoardReader, samples: Samples, engine: Engine, place: Place) -> str:
    found = extremes(reader, place.model, place.strategy, place.selection, count=_EACH)
    if not found.best:
        return said(f"{escape(place.model)} has no score under {escape(place.strategy)}.")
    html = _LEGEND
    for title, of in (("Best", found.best), ("Worst", found.worst)):
        cases = drawn_cases(samples, engine, place.model, of, place.strategy, place.selection)
        if cases:
            shown = "".join(_case(case, place.model) for case in cases)
            html += f'<h4>{title}</h4><div class="board-cases">{shown}</div>'
    return html


def _case(case: DrawnCase, model: str) -> str:
    one = case.extreme
    distance = "no HD" if one.hausdorff is None else f"HD {one.hausdorff:.1f} px"
    score = f"DICE {100 * one.dice:.2f} %, {distance}"
    link = ""
    if case.png is not None:
        link = _try(Link(image=one.image_id, target=one.object_index, model=model))
    picture = ""
    if case.png is not None:
        label = f"{one.pair} of {one.source}: {score}"
        paths = f'<path class="truth" d="{case.truth}"/><path class="mask" d="{case.outline}"/>'
        picture = _svg(case.png, case.size, case.aspect, paths, label)
    note = f"<small>{escape(case.note)}</small>" if case.note else ""
    name = one.pair if one.instance is None else f"{one.pair} ({one.instance})"
    return (
        f"<figure>{picture}<figcaption><strong>{escape(score)}</strong>"
        f"<span>{escape(name)}</span><small>{escape(one.image_id)}</small>{note}{link}</figcaption></figure>"
    )


def _examples(samples: Samples, pair: str) -> str:
    shown = []
    for image_id in samples.of_pair(pair, _EXAMPLES):
        try:
            shown.append(_example(samples, image_id, pair))
        except InputError as error:
            shown.append(f"<figure><figcaption>{escape(str(error))}</figcaption></figure>")
    if not shown:
        return said("No picture of this pair is here that may be shown.")
    return f'<div class="board-cases">{"".join(shown)}</div>'


def _example(samples: Samples, image_id: str, pair: str) -> str:
    """A whole picture with the true outlines of the pair's objects.

    Raises:
        InputError: it can't be read any more.
    """
    sample = samples.load(image_id)
    height, width = sample.picture.shape[:2]
    step = ceil(max(height, width) / _LONGEST)
    rows, columns = sample.spacing or (1.0, 1.0)
    found = [entry for entry in sample.objects if entry.pair == pair]
    paths = "".join(f'<path class="truth" d="{svg_path(entry.mask)}"/>' for entry in found)
    part = sample.picture[: height - height % step, : width - width % step][::step, ::step]
    size = (height - height % step, width - width % step)
    svg = _svg(encode(part), size, rows / columns, paths, f"{pair} in {image_id}, outlined")
    link = _try(Link(image=image_id, target=found[0].index if found else -1))
    caption = f"<span>{escape(sample.source)}</span><small>{escape(image_id)}</small>{link}"
    return f"<figure>{svg}<figcaption>{caption}</figcaption></figure>"


def _svg(png: bytes, size: tuple[int, int], aspect: float, paths: str, label: str) -> str:
    """A picture under outlines in its own pixels; `size` is its height and width, before any shrinking."""
    height, width = size
    data = base64.b64encode(png).decode()
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {width} {height}" '
        f'preserveAspectRatio="none" style="--wide: {width / (height * aspect):.4f}">'
        f'<image href="data:image/png;base64,{data}" width="{width}" height="{height}" '
        f'preserveAspectRatio="none"/>{paths}</svg>'
    )


def _try(link: Link) -> str:
    return f'<a href="{escape(links.query(link, DEMO))}">Try it in the demo</a>'
