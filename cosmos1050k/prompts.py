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


def prompts_of(
    mask: NDArray[np.bool_], top: int = 0, left: int = 0, size: tuple[int, int] | None = None
) -> ObjectPrompts:
    """Box and points of a mask.

    Args:
        mask: h×w, the whole picture or a part of it that holds the object.
        top, left: where the part begins in the picture.
        size: the picture's height and width, by default the mask's.

    Raises:
        ValueError: the mask is empty.
    """
    rows, columns = np.count_nonzero(mask, axis=1), np.count_nonzero(mask, axis=0)
    area = int(rows.sum())
    if not area:
        raise ValueError("an empty mask has no prompts")
    (y0, y1), (x0, x1) = (np.flatnonzero(counts)[[0, -1]].tolist() for counts in (rows, columns))
    box = [x0 + left, y0 + top, x1 + left, y1 + top]
    # First moments over the zeroth, in whole numbers: truncation must not depend on rounding.
    centre = [
        (int(counts @ np.arange(counts.size)) + start * area) // area
        for counts, start in ((columns, left), (rows, top))
    ]
    positive = _spread(np.flatnonzero(mask), mask.shape[1], top, left)
    if mask[centre[1] - top, centre[0] - left]:
        positive[0] = centre
    return ObjectPrompts(
        area=area,
        box=box,
        positive=_filled(positive),
        negative=_negative(mask, box, top, left, size or mask.shape),
    )


def _spread(pixels: NDArray[np.intp], width: int, top: int, left: int) -> list[list[int]]:
    """Every step-th of the pixels of a part of this width, `POINTS` of them where there are as many."""
    step = max(pixels.size // POINTS, 1)
    return [
        [int(place) % width + left, int(place) // width + top] for place in pixels[: step * POINTS : step]
    ]


def _negative(
    mask: NDArray[np.bool_], box: list[int], top: int, left: int, size: tuple[int, ...]
) -> list[list[int]]:
    x0, y0, x1, y1 = box
    start_x, end_x = _region(x0, x1, size[1])
    start_y, end_y = _region(y0, y1, size[0])
    free = np.ones((max(end_y - start_y, 0), max(end_x - start_x, 0)), bool)
    rows = slice(max(start_y, top), max(min(end_y, top + mask.shape[0]), start_y, top))
    columns = slice(max(start_x, left), max(min(end_x, left + mask.shape[1]), start_x, left))
    free[_moved(rows, start_y), _moved(columns, start_x)] = ~mask[_moved(rows, top), _moved(columns, left)]
    background = np.flatnonzero(free)
    if not background.size:
        return [list(PADDING) for _ in range(POINTS)]
    return _filled(_spread(background, free.shape[1], start_y, start_x))


def _moved(part: slice, start: int) -> slice:
    return slice(part.start - start, part.stop - start)


def _region(low: int, high: int, size: int) -> tuple[int, int]:
    """Start and (excluded) end: half the extent more on both sides, clipped; start and length truncated."""
    half = (high - low) / 2
    start, end = max(low - half, 0.0), min(high + half, float(size))
    return int(start), int(start) + int(end - start)


def _filled(points: list[list[int]]) -> list[list[int]]:
    """The last point repeated until there are `POINTS`, so that shapes are fixed."""
    return points + [points[-1]] * (POINTS - len(points))
