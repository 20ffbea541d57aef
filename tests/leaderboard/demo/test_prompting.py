from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cosmos1050k.errors import InputError
from leaderboard.demo.prompting import MOST_POINTS, Picture, Prompt

HEIGHT, WIDTH = 48, 64

number = st.integers() | st.floats(allow_nan=False, allow_infinity=False)


def within(value: Any, size: int) -> int:
    """The pixel among so many that a coordinate lies in, or the one next to it."""
    return 0 if value < 0 else size - 1 if value >= size else int(value)


@example([(10**400, np.int32(7), True), (np.float32(3.9), -(10**400), False)], None)
@given(st.lists(st.tuples(number, number, st.booleans()), max_size=5), st.none() | st.tuples(*[number] * 4))
def test_any_numbers_become_pixels(points: list[Any], box: Any) -> None:
    found = Prompt(tuple(points), box).checked(HEIGHT, WIDTH)
    assert len(found.points) == len(points)
    for (x, y, positive), (column, row, sign) in zip(found.points, points, strict=True):
        assert (x, y) == (within(column, WIDTH), within(row, HEIGHT))
        assert positive is sign
    assert (found.box is None) == (box is None)
    if found.box is not None:
        x0, y0, x1, y1 = found.box
        assert 0 <= x0 <= x1 < WIDTH
        assert 0 <= y0 <= y1 < HEIGHT
        assert found.box == Prompt(box=(x1, y1, x0, y0)).checked(HEIGHT, WIDTH).box
    assert found.checked(HEIGHT, WIDTH) == found
    if found.points or found.box:
        assert len(found.prompts()) == 1


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (Prompt((("a", 1, True),)), "'a' is no coordinate"),  # type: ignore[arg-type]
        (Prompt(((1, float("nan"), True),)), "'nan' is no coordinate"),  # type: ignore[arg-type]
        (Prompt(((True, 1, True),)), "'True' is no coordinate"),
        (Prompt(((1, 2),)), "a point is x, y and whether it is positive"),  # type: ignore[arg-type]
        (Prompt((3,)), "a point is"),  # type: ignore[arg-type]
        (Prompt(box=(1, 2, 3)), "a box is x0, y0, x1, y1, not 3 numbers"),  # type: ignore[arg-type]
        (Prompt(box=(1, 2, 3, float("inf"))), "'inf'"),  # type: ignore[arg-type]
        (Prompt(((1, 2, True),) * (MOST_POINTS + 1)), f"give {MOST_POINTS} at most"),
    ],
)
def test_what_is_no_prompt_is_said(prompt: Prompt, words: str) -> None:
    with pytest.raises(InputError, match=words):
        prompt.checked(HEIGHT, WIDTH)


def test_equal_pixels_have_one_key_and_others_another() -> None:
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 15)
    keys = {Picture(each).key for each in (pixels, pixels.copy(), np.asfortranarray(pixels))}
    others = {
        Picture(each).key for each in (pixels.reshape(15, 4), pixels + np.uint8(1), pixels.reshape(4, 5, 3))
    }
    assert len(keys) == 1
    assert len(others | keys) == 4


@pytest.mark.parametrize(
    "pixels", [np.zeros((3, 3)), np.zeros((0, 3), np.uint8), np.zeros((3, 3, 4), np.uint8)]
)
def test_no_picture(pixels: Any) -> None:
    with pytest.raises(ValueError, match="no picture"):
        Picture(pixels)
