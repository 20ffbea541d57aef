"""Figures as the browser gets them."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from app import figures
from app.figures import Bar, Spread, Timed
from tests.app.boards import HOSTILE

TAG = "<b>x</b>"


def body(figure: Any) -> dict[str, Any]:
    """What Plotly in the browser is given."""
    return dict(json.loads(figures.drawn(figure).plot))


def array(value: Any) -> np.ndarray:
    """A list, or numbers as plotly.js reads them: bytes in base64 with type and shape."""
    if isinstance(value, list):
        return np.array(value, float)
    shape = [int(side) for side in value.get("shape", "-1").split(",")]
    return np.frombuffer(base64.b64decode(value["bdata"]), value["dtype"]).reshape(shape)


def test_a_large_heat_map_is_small_and_exact() -> None:
    dice = np.random.default_rng(0).uniform(0, 100, (200, 125))
    dice[3, 5] = np.nan
    models, pairs = ([f"{what}-{place:03d}" for place in range(n)] for what, n in (("m", 200), ("p", 125)))
    drawn = figures.drawn(figures.heat_map(models, pairs, dice))
    assert len(drawn.plot) < 500_000
    (trace,) = json.loads(drawn.plot)["data"]
    np.testing.assert_allclose(array(trace["z"]), dice, rtol=1e-6)
    assert (trace["x"], trace["y"]) == (pairs, models)


def test_no_template_no_logo_and_a_clear_ground() -> None:
    found = body(figures.bars(["CT"], {"box": [Bar(50.0, 40.0, 70.0)]}))
    assert "template" not in found["layout"]
    assert found["config"]["displaylogo"] is False
    assert found["layout"]["paper_bgcolor"] == found["layout"]["plot_bgcolor"] == "rgba(0,0,0,0)"
    assert found["layout"]["yaxis"]["title"]["text"] == "DICE, %"
    (trace,) = found["data"]
    assert (trace["y"], trace["error_y"]["array"], trace["error_y"]["arrayminus"]) == ([50], [20], [10])


EVERY = pytest.mark.parametrize(
    "figure",
    [
        figures.heat_map([TAG], [HOSTILE], np.zeros((1, 1))),
        figures.bars([TAG], {HOSTILE: [Bar(1.0)]}),
        figures.speed([Timed(TAG, HOSTILE, 1.0, 2.0, TAG, True)]),
        figures.boxes({TAG: [Spread(HOSTILE, 1, 1, 1, 1, 1, 1)]}),
        figures.differences([HOSTILE], [Bar(1.0)], TAG),
        figures.beside({TAG: [(HOSTILE, 1.0, 2.0)]}),
    ],
    ids=["heat", "bars", "speed", "boxes", "differences", "beside"],
)


@EVERY
def test_every_figure_says_that_it_is_for_research(figure: Any) -> None:
    """At the foot, for which plotly.js makes room below the axis' own title."""
    title = body(figure)["layout"]["title"]
    assert title["text"] == "For research. Not a medical device."
    assert (title["automargin"], title["yref"], title["y"]) == (True, "container", 0)


@EVERY
def test_no_name_is_markup(figure: Any) -> None:
    """Plotly takes some tags of HTML in every text; those of its own templates are <br> and <extra>."""
    text = json.dumps(body(figure))
    for own in ("<br>", "<extra>", "</extra>"):
        text = text.replace(own, "")
    assert "<" not in text
    assert "&lt;b&gt;x" in text


def test_boxes_are_the_quantiles_that_are_given() -> None:
    spread = Spread("Liver-CT", mean=5, minimum=1, q25=2, median=3, q75=4, maximum=9)
    (trace,) = body(figures.boxes({"box": [spread]}))["data"]
    given = {name: trace[name] for name in ("lowerfence", "q1", "median", "q3", "upperfence", "mean")}
    assert list(given.values()) == [[1], [2], [3], [4], [9], [5]]
    assert trace["y"] == ["Liver-CT"]


def test_differences_that_are_none_are_hatched() -> None:
    found = [Bar(2.0, 1.0, 3.0), Bar(-2.0, -3.0, -1.0), Bar(1.0, -1.0, 3.0), Bar(1.0)]
    (trace,) = body(figures.differences(list("abcd"), found, "a minus b"))["data"]
    assert trace["marker"]["pattern"]["shape"] == ["", "", "/", "/"]
    assert len(set(trace["marker"]["color"])) == 3


def test_the_front_is_a_line_per_machine() -> None:
    points = [
        Timed("slow", "baseline", 100.0, 90.0, "one", True),
        Timed("fast", "baseline", 10.0, 50.0, "one", True),
        Timed("bad", "baseline", 50.0, 40.0, "one", False),
        Timed("other", "baseline", 1.0, 1.0, "two", True),
    ]
    traces = body(figures.speed(points))["data"]
    assert [(trace["name"], trace["x"]) for trace in traces] == [
        ("one", [10, 50, 100]),
        ("front: one", [10, 100]),
        ("two", [1]),
        ("front: two", [1]),
    ]


def luminance(colour: str) -> float:
    """WCAG's relative luminance."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(colour: str, ground: str) -> float:
    high, low = sorted((luminance(colour), luminance(ground)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colour", figures.COLOURS)
@pytest.mark.parametrize("ground", ["#ffffff", "#0b0f19"])
def test_series_stand_out_on_both_grounds(colour: str, ground: str) -> None:
    assert contrast(colour, ground) >= 3  # WCAG 2, of graphics


def test_the_notice_is_readable_in_a_picture_taken_home() -> None:
    colour = body(figures.bars(["CT"], {"box": [Bar(50.0)]}))["layout"]["title"]["font"]["color"]
    assert contrast(colour, "#ffffff") >= 4.5  # WCAG 2, of text
    assert (
        contrast(colour, "#0b0f19") >= 3.9
    )  # no colour has 4.5 on both; on the page figures.css gives another
