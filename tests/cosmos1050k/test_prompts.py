"""Box and points against the words of the protocol's section 2 and cases worked by hand."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cosmos1050k import prompts as module
from cosmos1050k.prompts import PADDING, ObjectPrompts, prompts_of
from tests.cosmos1050k import literal, packs
from tests.cosmos1050k.literal import N
from tests.many import many


def _kinds(random: np.random.Generator) -> Iterator[np.ndarray]:
    """Endless masks of many kinds, most of them small, seldom square."""
    while True:
        height, width = (int(size) for size in random.integers(1, 24, 2))
        rows, columns = np.mgrid[:height, :width]
        top, left = int(random.integers(height)), int(random.integers(width))
        bottom, right = int(random.integers(top, height)), int(random.integers(left, width))
        box = np.zeros((height, width), bool)
        box[top : bottom + 1, left : right + 1] = True
        yield box
        frame = box.copy()
        frame[top + 1 : bottom, left + 1 : right] = False
        yield frame
        yield np.ones((height, width), bool)
        pixel = np.zeros((height, width), bool)
        pixel[top, left] = True
        yield pixel
        for line in ((top, slice(left, right + 1)), (slice(top, bottom + 1), left)):
            stroke = np.zeros((height, width), bool)
            stroke[line] = True
            yield stroke
        yield (rows == columns) | pixel
        radii = 0.5 + random.random(2) * (height, width)
        blob = ((rows - top) / radii[0]) ** 2 + ((columns - left) / radii[1]) ** 2 <= 1
        yield blob
        yield blob & (random.random((height, width)) < 0.7) | pixel  # holes, the centre often one of them
        yield (random.random((height, width)) < random.random()) | pixel
        corners = pixel.copy()
        corners[0, 0] = corners[-1, -1] = True
        yield corners


def test_many_masks_of_many_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their pixels listed, as those of small masks are, and counted by row, as those of large ones."""
    masks = _kinds(np.random.default_rng(1050))
    for number in range(many(10_000)):
        mask = next(masks)
        expected = literal.prompts(mask)
        for listed in (0, 2**13):
            monkeypatch.setattr(module, "_LISTED", listed)
            assert prompts_of(mask) == expected, f"mask {number}:\n{mask.astype(int)}"


@pytest.mark.slow
def test_cut_out_or_whole_it_is_the_same() -> None:
    """A mask cut out tightly or with any margin, of any memory order, has the whole picture's prompts."""

    def check(mask: np.ndarray) -> None:
        if not mask.any():
            return
        expected = literal.prompts(mask)
        assert prompts_of(mask) == expected
        x0, y0, x1, y1 = expected.box
        assert prompts_of(mask[y0 : y1 + 1, x0 : x1 + 1], y0, x0, mask.shape) == expected
        margins = np.random.default_rng(mask.reshape(-1).view(np.uint8))
        top, left = margins.integers(0, [y0 + 1, x0 + 1])
        bottom, right = margins.integers([y1 + 1, x1 + 1], np.add(mask.shape, 1))
        loose = np.asfortranarray(mask)[top:bottom, left:right]
        assert prompts_of(loose, int(top), int(left), mask.shape) == expected

    packs.on_many(packs.masks(), check)


@given(arrays.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_any_mask(mask: np.ndarray) -> None:
    if mask.any():
        found = prompts_of(mask)
        assert found == literal.prompts(mask)
        assert found == prompts_of(np.asfortranarray(mask))
        # What the words are for: positive points on the object, negative ones off it.
        assert all(mask[y, x] for x, y in found.positive)
        assert all([x, y] == list(PADDING) or not mask[y, x] for x, y in found.negative)


def test_a_large_mask_has_whole_moments() -> None:
    """Row sums beyond 32 bits, and a centre that is a whole number exactly: no rounding may lower it."""
    mask = np.zeros((3001, 2801), bool)
    mask[1:, 1:] = True
    found = prompts_of(mask)
    assert found.area == 3000 * 2800
    assert found.positive[0] == [1400, 1500]  # (1 + … + 2800)/2800 = 1400.5, (1 + … + 3000)/3000 = 1500.5
    mask[1:, 1:] = False
    mask[:, :] = True
    assert prompts_of(mask).positive[0] == [1400, 1500]  # (0 + … + 2800)/2801 = 1400 exactly


def test_an_empty_mask_has_no_prompts() -> None:
    with pytest.raises(ValueError, match="an empty mask has no prompts"):
        prompts_of(np.zeros((4, 4), bool))


def picture(text: str) -> np.ndarray:
    return np.array([[mark == "#" for mark in line] for line in text.split()])


def test_a_worked_square() -> None:
    """4×4 of 10×12. Box 4…7 × 3…6, w = h = 3.

    Sixteen pixels, step 3: candidates 0, 3, 6, 9, 12 of row-major: (4,3) (7,3) (6,4) (5,5) (4,6); the first
    gives way to the centre ⌊5.5⌋, ⌊4.5⌋ = (5,4). Negative: from 4 − 1.5 = 2.5 → 2 to 7 + 1.5 = 8.5, size 6:
    columns 2…7; from 3 − 1.5 → 1, size 6: rows 1…6. Of its 36 pixels 20 lie outside: step 4. Rows 1 and 2
    hold six each: numbers 0, 4, 8 are (2,1) (6,1) (4,2); rows 3…6 hold columns 2 and 3 each: 12 is (2,3),
    16 is (2,5).
    """
    mask = np.zeros((10, 12), bool)
    mask[3:7, 4:8] = True
    assert prompts_of(mask) == ObjectPrompts(
        area=16,
        box=[4, 3, 7, 6],
        positive=[[5, 4], [7, 3], [6, 4], [5, 5], [4, 6]],
        negative=[[2, 1], [6, 1], [4, 2], [2, 3], [2, 5]],
    )


def test_a_worked_ring() -> None:
    """The centre (2,2) is a hole: five candidates, none of them the centre, which is a negative point.

    Eight pixels, step 1: the first five. Box 1…3, w = h = 2, region 0…3 (from 0 to 4, end excluded); outside
    are (0,0) (1,0) (2,0) (3,0) (0,1) (0,2) (2,2) (0,3), step 1.
    """
    mask = picture("..... .###. .#.#. .###. .....")
    assert prompts_of(mask) == ObjectPrompts(
        area=8,
        box=[1, 1, 3, 3],
        positive=[[1, 1], [2, 1], [3, 1], [1, 2], [3, 2]],
        negative=[[0, 0], [1, 0], [2, 0], [3, 0], [0, 1]],
    )


def test_worked_small_and_flat_masks() -> None:
    """A pixel or a line has a region without area: padding. Fewer than five points: the last again."""
    padding = [[-1, -1]] * N
    pixel = picture("... .#. ...")
    assert prompts_of(pixel) == ObjectPrompts(1, [1, 1, 1, 1], [[1, 1]] * N, padding)
    line = picture("..... .###. .....")  # centre (2,1), then (2,1) and (3,1)
    assert prompts_of(line) == ObjectPrompts(
        3, [1, 1, 3, 1], [[2, 1], [2, 1], [3, 1], [3, 1], [3, 1]], padding
    )
    whole = np.ones((2, 3), bool)  # six pixels, step 1; centre ⌊1⌋, ⌊0.5⌋
    assert prompts_of(whole) == ObjectPrompts(
        6, [0, 0, 2, 1], [[1, 0], [1, 0], [2, 0], [0, 1], [1, 1]], padding
    )


def test_a_worked_diagonal() -> None:
    """Two pixels, w = h = 1: from −0.5, clipped to 0, to 1.5; size 1.5 → 1: the one pixel (0,0) is inside."""
    assert prompts_of(picture("#.. .#. ...")) == ObjectPrompts(
        2, [0, 0, 1, 1], [[0, 0], [1, 1], [1, 1], [1, 1], [1, 1]], [[-1, -1]] * N
    )
    # The other diagonal: centre (0,0) is outside; the region's one pixel is (0,0) too.
    assert prompts_of(picture(".#. #.. ...")) == ObjectPrompts(
        2, [0, 0, 1, 1], [[1, 0], [0, 1], [0, 1], [0, 1], [0, 1]], [[0, 0]] * N
    )
    # Away from the edge: from 1.5 → 1, size 2: columns and rows 1, 2; outside are (1,1) (2,1) (1,2).
    assert prompts_of(picture("..... ..... ..#.. ...#. .....")) == ObjectPrompts(
        2, [2, 2, 3, 3], [[2, 2], [3, 3], [3, 3], [3, 3], [3, 3]], [[1, 1], [2, 1], [1, 2], [1, 2], [1, 2]]
    )
