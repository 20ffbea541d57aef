"""How complex an outline is: the Fourier order of a mask (protocol, section 6; paper, section 4.8).

The descriptors are those of Kuhl and Giardina (1982): a contour's x and y over its length as Fourier series.
"""

from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

#: An outline is met when the DICE of its decoded contour is above this,
_ENOUGH = 0.97
#: and given up when one more order gains less than this.
_LEAST_GAIN = 0.001
#: What each 0.01 of DICE that is missing in the end adds to the order.
_WEIGHT = 2
#: A contour is decoded at as many places as it has pixels, but no fewer than these.
_FEWEST_PLACES = 64
#: Halves are rounded up, also those that rounding errors of float64 put just below a half.
_HALF = 0.5 + 1e-9

#: Pixels, and where they begin: left, top.
_Part = tuple[NDArray[np.uint8], int, int]


def fourier_order(mask: NDArray[np.bool_]) -> float:
    """F + 2·100·(1 − DICE) of a mask's largest outer contour, where F is the order that its decoding ends at.

    Both contours are filled on the picture's own pixels (the decoded one rounded to them), border included,
    holes too. F is capped at half the number of the contour's pixels, its highest frequency. A single pixel
    is met by its place alone: order 1, DICE 1. The series of a line runs there and back as its contour does.

    Args:
        mask: h×w, the whole picture or a part of it that holds the object.

    Raises:
        ValueError: the mask is empty.
    """
    contour = _largest(mask)
    pixels = _pixels(contour)
    if pixels == 1:
        return 1.0
    filled = _filled(contour)
    before, order, dice = -1.0, 0, 0.0
    for order, decoded in enumerate(_decoded(_path(contour), max(pixels, _FEWEST_PLACES)), start=1):
        dice = _dice(_filled(decoded), filled)
        if dice > _ENOUGH or dice - before < _LEAST_GAIN or order >= pixels // 2:
            break
        before = dice
    return order + _WEIGHT * 100 * (1 - dice)


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The corners n×2 (x, y) of the outer contour that encloses most; of lines, the longest."""
    found, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not found:
        raise ValueError("an empty mask has no contour")
    contours = [one.reshape(-1, 2).astype(np.int32, copy=False) for one in found]
    if len(contours) == 1:
        return contours[0]
    return max(contours, key=lambda one: (cv2.contourArea(one), _pixels(one)))


def _pixels(corners: NDArray[np.int32]) -> int:
    """How many pixels a contour passes: its steps run along rows, columns or diagonals."""
    steps = np.abs(corners - np.roll(corners, -1, axis=0)).max(axis=1)
    return max(int(steps.sum()), 1)


class _Path(NamedTuple):
    """A contour as a path of constant speed: its `length` and `centre` (x, y), and at each corner its
    `place`, as an angle, and how the direction `turns` (Δx, Δy).

    Corners say as much as all pixels: between them nothing turns.
    """

    length: float
    centre: tuple[float, float]
    places: NDArray[np.float64]
    turns: NDArray[np.float64]


def _path(contour: NDArray[np.int32]) -> _Path:
    steps = np.roll(contour, -1, axis=0) - contour.astype(np.float64)
    lengths = np.hypot(*steps.T)
    length = float(lengths.sum())
    x, y = lengths @ (contour + steps / 2) / length
    before = np.concatenate([[0.0], lengths[:-1].cumsum()])
    directions = steps / lengths[:, None]
    turns = np.roll(directions, 1, axis=0) - directions
    return _Path(length, (float(x), float(y)), before * (2 * np.pi / length), turns)


def descriptors(contour: NDArray[np.int32], orders: int) -> NDArray[np.float64]:
    """The elliptic Fourier descriptors a, b, c, d of orders 1…n, n×4, not normalised.

    Args:
        contour: m×2 (x, y), m ≥ 2, closed, no point twice in a row; all its pixels or its corners alone.
    """
    found = [pair for pair, _ in zip(_descriptors(_path(contour)), range(orders), strict=False)]
    return np.stack(found).transpose(0, 2, 1).reshape(orders, 4)


def _descriptors(path: _Path) -> Iterator[NDArray[np.float64]]:
    """Of order 1, 2, …: rows a and b, columns of x and of y."""
    first = np.exp(1j * path.places)
    phases = np.ones_like(first)
    for order in count(1):
        phases = phases * first
        waves = phases.view(np.float64).reshape(-1, 2)  # cosine, sine
        yield waves.T @ path.turns * (path.length / (2 * (order * np.pi) ** 2))


def _decoded(path: _Path, places: int) -> Iterator[NDArray[np.int32]]:
    """The contour that orders 1…1, 1…2, … give: pixels n×2 (x, y) at equal distances along the length."""
    first = np.exp(2j * np.pi * np.arange(places) / places)
    phases = np.ones_like(first)
    points = np.tile(path.centre, (places, 1)) + _HALF
    for pair in _descriptors(path):
        phases = phases * first
        points = points + phases.view(np.float64).reshape(-1, 2) @ pair
        yield np.floor(points).astype(np.int32)


def _filled(contour: NDArray[np.int32]) -> _Part:
    """What a contour encloses, itself too."""
    left, top, width, height = cv2.boundingRect(contour)
    canvas = np.zeros((height, width), np.uint8)
    cv2.fillPoly(canvas, [contour], 1, offset=(-left, -top))
    return canvas, left, top


def _dice(one: _Part, other: _Part) -> float:
    (a, left_a, top_a), (b, left_b, top_b) = one, other
    left, top = max(left_a, left_b), max(top_a, top_b)
    a_shared, b_shared = a[top - top_a :, left - left_a :], b[top - top_b :, left - left_b :]
    height, width = (min(sides) for sides in zip(a_shared.shape, b_shared.shape, strict=True))
    both = 0
    if height and width:
        both = cv2.countNonZero(cv2.bitwise_and(a_shared[:height, :width], b_shared[:height, :width]))
    return 2 * both / (cv2.countNonZero(a) + cv2.countNonZero(b))
