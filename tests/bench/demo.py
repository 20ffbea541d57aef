"""The demo's bench: a click on a picture that is encoded, against the owner's predictor asked anew each time.

Seconds are those a person waits, of the wall clock.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from segment_anything import SamPredictor

from leaderboard import weights
from leaderboard.demo.engine import Engine
from leaderboard.demo.prompting import Found, Picture, Prompt
from leaderboard.sam import network
from leaderboard.sam import weights as states
from tests.leaderboard.sam.images import picture

MODEL = "sam_nano"

Result = TypeVar("Result")


@dataclass(frozen=True)
class Clicks:
    """Milliseconds that each click took: the obvious way, ours, and ours with the mask before."""

    obvious: list[float]
    ours: list[float]
    later: list[float]


def clicks(side: int, count: int) -> Clicks:
    """So many clicks on a picture side×side, anywhere, the ways in turn; one more before warms all up.

    Raises:
        AssertionError: two ways' masks differ.
    """
    shown, random = Picture(picture(side, side)), np.random.default_rng(side)
    owner = network.build(weights.SHIPPED[MODEL])
    states.load(weights.shipped(MODEL), owner)
    predictor, engine = SamPredictor(owner), Engine()
    engine.encode(MODEL, shown)
    taken: list[tuple[float, float, float]] = []
    for x, y in random.integers(0, side, (count + 1, 2)).tolist():
        prompt = Prompt(((x, y, True),))
        masks, obvious = _timed(lambda at=(x, y): _by_owner(predictor, shown, at))
        found, ours = _timed(lambda prompt=prompt: engine.ask(MODEL, shown, prompt))
        previous = _kept(found)
        _, later = _timed(lambda prompt=prompt, low=previous: engine.ask(MODEL, shown, prompt, low))
        assert (masks != found.masks).mean() < 1e-3  # rounding decides of single pixels
        taken.append((obvious, ours, later))
    return Clicks(*(list(way) for way in zip(*taken[1:], strict=True)))


def _by_owner(predictor: SamPredictor, shown: Picture, at: tuple[int, int]) -> np.ndarray:
    predictor.set_image(shown.rgb)
    masks: np.ndarray = predictor.predict(np.array([at]), np.ones(1))[0]
    return masks


def _kept(found: Found) -> np.ndarray:
    assert found.low is not None
    return found.low[found.best]


def _timed(work: Callable[[], Result]) -> tuple[Result, float]:
    started = time.perf_counter()
    result = work()
    return result, 1000 * (time.perf_counter() - started)
