"""What goes to a canvas and what comes from it, without a browser."""

import base64
import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.components.canvas import Given, overlaid, prompted, read, shown
from cosmos1050k import pictures
from cosmos1050k.errors import InputError
from tests.app import canvas_page as served

whole = st.integers(0, 65_534)
sent = st.fixed_dictionaries(
    {
        "points": st.lists(st.tuples(whole, whole, st.integers(0, 1)).map(list), max_size=5),
        "box": st.none() | st.lists(whole, min_size=4, max_size=4),
        "key": st.text("ab1é", max_size=64),
        "turned": st.integers(-(2**31), 2**31 - 1),
    }
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=40)
@given(sent)
def test_what_a_canvas_sends_is_read(value: dict[str, Any]) -> None:
    found = read(json.loads(json.dumps(value)))
    assert [[x, y, int(positive)] for x, y, positive in found.points] == value["points"]
    assert (found.box and list(found.box)) == value["box"]
    assert (found.key, found.turned) == (value["key"], value["turned"])


@settings(max_examples=60)
@given(sent, st.sampled_from(["points", "box", "key", "turned", "more"]), anything)
def test_what_is_no_prompt_never_passes(value: dict[str, Any], part: str, other: Any) -> None:
    with suppress(InputError):  # anything else fails
        found = read({**value, part: other})
        numbers = [*(found.box or ()), *(number for x, y, _ in found.points for number in (x, y))]
        assert all(type(number) is int and 0 <= number < 65_535 for number in numbers)
        assert part != "more"


@pytest.mark.parametrize(
    "value",
    [0, [], "garbage", {}, {"points": [[1, 2]], "key": "", "turned": 0}]
    + [
        {"points": [[1, 2, wrong]], "box": None, "key": "one", "turned": 0}
        for wrong in (2, -1, 0.5, True, "1", None, [1])
    ],
)
def test_garbage_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="reload"):
        read(value)


def test_nothing_is_given_before_the_first_picture() -> None:
    assert read(None) == read("") == Given()


def test_updates_hold_what_they_say_and_no_more() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    update = shown(grey, 2.0, {"points": [(np.int64(1), 2, np.True_)], "box": None}, "abc")
    assert set(update) == {"__type__", "picture", "prompt"}
    picture = update["picture"]
    assert (picture["width"], picture["height"], picture["aspect"], picture["key"]) == (4, 3, 2.0, "abc")
    png = base64.b64decode(picture["png"].removeprefix("data:image/png;base64,"))
    np.testing.assert_array_equal(pictures.decode(png), grey)
    assert json.loads(json.dumps(update["prompt"]))["points"] == [[1, 2, 1]]
    assert shown(grey)["picture"]["key"] != shown(grey)["picture"]["key"]

    over = overlaid([served.layer()], "abc")
    assert set(over) == {"__type__", "overlay"}
    assert over["overlay"]["layers"][0]["path"] == "M5 10L19 10L19 29L5 29Z"
    assert set(prompted([], (1, 2, 3, 4))) == {"__type__", "prompt"}
