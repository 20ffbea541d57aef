import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from leaderboard.demo.outlines import outlines, svg_path

Mask = np.ndarray
Edge = tuple[int, int, int, int]

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.booleans())


def edges(mask: Mask) -> list[Edge]:
    return [
        (*start, *end)
        for polygon in outlines(mask)
        for start, end in zip(polygon, polygon[1:] + polygon[:1], strict=True)
    ]


def drawn(shape: tuple[int, ...], sides: list[Edge]) -> Mask:
    """The pixels on edges that are horizontal, vertical or diagonal."""
    found = np.zeros(shape, bool)
    for x0, y0, x1, y1 in sides:
        steps = max(abs(x1 - x0), abs(y1 - y0))
        assert {abs(x1 - x0), abs(y1 - y0)} <= {0, steps}
        found[np.linspace(y0, y1, steps + 1).astype(int), np.linspace(x0, x1, steps + 1).astype(int)] = True
    return found


def crossed(x: int, y: int, sides: list[Edge]) -> int:
    """How many edges a ray to the right meets."""
    return sum(
        min(y0, y1) <= y < max(y0, y1) and x0 + (y - y0) * (x1 - x0) / (y1 - y0) > x
        for x0, y0, x1, y1 in sides
    )


@given(masks)
def test_they_go_through_the_border_and_hold_the_rest(mask: Mask) -> None:
    sides = edges(mask)
    border = mask & ~ndimage.binary_erosion(mask)
    assert np.array_equal(drawn(mask.shape, sides), border)
    for y, x in np.argwhere(~border):
        assert crossed(x, y, sides) % 2 == mask[y, x]


@given(masks)
def test_the_path_says_the_same(mask: Mask) -> None:
    path = svg_path(mask)
    assert re.fullmatch(r"(M\d+\.5 \d+\.5(L\d+\.5 \d+\.5)*Z)*", path)
    closed = [part.removeprefix("M").split("L") for part in path.split("Z")[:-1]]
    assert [[[float(n) - 0.5 for n in point.split()] for point in part] for part in closed] == outlines(mask)


def test_a_ring_has_two_and_nothing_has_none() -> None:
    ring = np.zeros((9, 11), bool)
    ring[1:8, 2:10] = True
    ring[3:6, 5:7] = False
    assert len(outlines(ring)) == 2
    assert outlines(ring & False) == []
    assert svg_path(ring & False) == ""
