"""The prompts stored with every object (protocol, section 2; paper, section 3.3). Points are (x, y)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cosmos1050k.schema import POINTS

#: What stands for a point that can't be had; SAM's encoder takes it with the label −1, padding.
PADDING = (-1, -1)


@dataclass(frozen=True)
class ObjectPrompts:
    """`box` [x0, y0, x1, y1], both ends inside; `positive` and `negative` `POINTS` points each."""

    area: int
    box: list[int]
    positive: list[list[int]]
    negative: list[list[int]]


def prompts_of(mask: NDArray[np.bool_]) -> ObjectPrompts:
    """Box and points of a mask H×W.

    Raises:
        ValueError: the mask is empty.
    """
    width = mask.shape[1]
    pixels = np.flatnonzero(mask)
    if not pixels.size:
        raise ValueError("an empty mask has no prompts")
    ys, xs = np.divmod(pixels, width)
    box = [int(xs.min()), int(ys[0]), int(xs.max()), int(ys[-1])]
    return ObjectPrompts(
        area=int(pixels.size),
        box=box,
        positive=_positive(mask, xs, ys),
        negative=_negative(mask, box),
    )


def _spread(count: int) -> slice:
    """Every step-th of `count` pixels, `POINTS` of them where there are as many."""
    step = max(count // POINTS, 1)
    return slice(0, step * POINTS, step)


def _positive(mask: NDArray[np.bool_], xs: NDArray[np.intp], ys: NDArray[np.intp]) -> list[list[int]]:
    picks = _spread(xs.size)
    points = [[int(x), int(y)] for x, y in zip(xs[picks], ys[picks], strict=True)]
    # First moments over the zeroth, in whole numbers: truncation must not depend on rounding.
    centre = [int(xs.sum()) // xs.size, int(ys.sum()) // ys.size]
    if mask[centre[1], centre[0]]:
        points[0] = centre
    return _filled(points)


def _negative(mask: NDArray[np.bool_], box: list[int]) -> list[list[int]]:
    x0, y0, x1, y1 = box
    left, right = _region(x0, x1, mask.shape[1])
    top, bottom = _region(y0, y1, mask.shape[0])
    background = np.flatnonzero(~mask[top:bottom, left:right])
    if not background.size:
        return [list(PADDING) for _ in range(POINTS)]
    ys, xs = np.divmod(background[_spread(background.size)], right - left)
    return _filled([[int(x) + left, int(y) + top] for x, y in zip(xs, ys, strict=True)])


def _region(low: int, high: int, size: int) -> tuple[int, int]:
    """Start and (excluded) end: half the extent more on both sides, clipped; start and length truncated."""
    half = (high - low) / 2
    start, end = max(low - half, 0.0), min(high + half, float(size))
    return int(start), int(start) + int(end - start)


def _filled(points: list[list[int]]) -> list[list[int]]:
    """The last point repeated until there are `POINTS`, so that shapes are fixed."""
    return points + [points[-1]] * (POINTS - len(points))
