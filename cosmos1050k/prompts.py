"""The prompts stored with every object (protocol, section 2; paper, section 3.3). Points are (x, y)."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cosmos1050k.schema import POINTS

#: What stands for a point that can't be had; SAM's encoder takes it with the label −1, padding.
PADDING = (-1, -1)
#: The pixels of a part no larger than this are listed, which is faster there.
_LISTED = 2**13


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
    x0, y0, width, height = cv2.boundingRect(mask.view(np.uint8))
    if not width:
        raise ValueError("an empty mask has no prompts")
    rows, columns = _sums(mask, 1), _sums(mask, 0)
    area = int(rows.sum())
    # First moments over the zeroth, of whole numbers below 2⁵³: truncation must not depend on rounding.
    x, y = (int(counts @ np.arange(float(counts.size))) // area for counts in (columns, rows))
    positive = _spread(mask, top, left)
    if mask[y, x]:
        positive[0] = [x + left, y + top]
    box = [x0 + left, y0 + top, x0 + left + width - 1, y0 + top + height - 1]
    outside, *start = _outside(mask, box, top, left, size or mask.shape)
    negative = _spread(outside, *start) or [list(PADDING)]
    return ObjectPrompts(area, box, _filled(positive), _filled(negative))


def _sums(mask: NDArray[np.bool_], axis: int) -> NDArray[np.float64]:
    """How many pixels are set, per column (axis 0) or per row (axis 1)."""
    sums = cv2.reduce(mask.view(np.uint8), axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
    return sums.reshape(-1).astype(np.float64)


def _spread(mask: NDArray[np.bool_], top: int, left: int) -> list[list[int]]:
    """Every step-th pixel of a part of the picture in row-major order, `POINTS` of them where there are as
    many; the picture's coordinates.
    """
    if mask.size <= _LISTED:
        pixels = np.flatnonzero(mask)
        chosen = pixels[:: max(pixels.size // POINTS, 1)][:POINTS].tolist()
        return [[place % mask.shape[1] + left, place // mask.shape[1] + top] for place in chosen]
    # Counted by row: to list all pixels of a large mask costs more than all the rest.
    ends = _sums(mask, 1).cumsum()
    count = int(ends[-1])
    wanted = range(0, count, max(count // POINTS, 1))[:POINTS]
    points = []
    for number, row in zip(wanted, ends.searchsorted(wanted, "right").tolist(), strict=True):
        before = int(ends[row - 1]) if row else 0
        points.append([int(mask[row].nonzero()[0][number - before]) + left, row + top])
    return points


def _outside(
    mask: NDArray[np.bool_], box: list[int], top: int, left: int, size: tuple[int, ...]
) -> tuple[NDArray[np.bool_], int, int]:
    """The region around an object without the object itself, and where it begins: top, left."""
    x0, y0, x1, y1 = box
    start_x, end_x = _region(x0, x1, size[1])
    start_y, end_y = _region(y0, y1, size[0])
    free = np.ones((max(end_y - start_y, 0), max(end_x - start_x, 0)), bool)
    rows = slice(max(start_y, top), max(min(end_y, top + mask.shape[0]), start_y, top))
    columns = slice(max(start_x, left), max(min(end_x, left + mask.shape[1]), start_x, left))
    part = mask[_moved(rows, top), _moved(columns, left)]
    np.logical_not(part, out=free[_moved(rows, start_y), _moved(columns, start_x)])
    return free, start_y, start_x


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
