"""What a person gives a model by hand, and what comes back; of one object of one picture."""

import hashlib
import math
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from cosmos1050k.errors import InputError
from leaderboard.models.base import Declaration
from leaderboard.strategies import NEGATIVE, POSITIVE, STRATEGIES, Prompts

#: Points of one prompt: a decoder's time and memory grow with them.
MOST_POINTS = 100


@dataclass(frozen=True)
class Prompt:
    """Points (x, y, positive) and a box (x0, y0, x1, y1), both ends inside, in pixels of the picture."""

    points: tuple[tuple[int, int, bool], ...] = ()
    box: tuple[int, int, int, int] | None = None

    def checked(self, height: int, width: int) -> "Prompt":
        """The same in whole pixels of a picture of that size: what lies outside is moved to its border, and
        the corners of the box are sorted.

        Raises:
            InputError: what is no number is given, or too much.
        """
        try:
            points = tuple((x, y, positive) for x, y, positive in self.points)
            corners = None if self.box is None else tuple(self.box)
        except (TypeError, ValueError):
            raise InputError("a point is x, y and whether it is positive; a box is x0, y0, x1, y1") from None
        if corners is not None and len(corners) != 4:
            raise InputError(f"a box is x0, y0, x1, y1, not {len(corners)} numbers")
        if len(points) > MOST_POINTS:
            raise InputError(f"{len(points)} points; give {MOST_POINTS} at most")
        placed = tuple((_pixel(x, width), _pixel(y, height), bool(positive)) for x, y, positive in points)
        if corners is None:
            return Prompt(placed)
        (x0, x1), (y0, y1) = (
            sorted(_pixel(value, size) for value in corners[first::2])
            for first, size in ((0, width), (1, height))
        )
        return replace(self, points=placed, box=(x0, y0, x1, y1))

    def prompts(self) -> Prompts:
        """The same as models take it, of one object."""
        points = labels = boxes = None
        if self.points:
            points = np.array([[point[:2] for point in self.points]], np.int32)
            labels = np.array([[POSITIVE if point[2] else NEGATIVE for point in self.points]], np.int8)
        if self.box is not None:
            boxes = np.array([self.box], np.int32)
        return Prompts(points, labels, boxes)

    @property
    def kind(self) -> tuple[bool, bool]:
        """Whether it has points, and a box."""
        return bool(self.points), self.box is not None


#: Kinds of prompts, in words.
KINDS = {
    (True, False): "points without a box",
    (False, True): "a box without points",
    (True, True): "a box with points",
}


def _pixel(value: object, size: int) -> int:
    """The whole pixel of a side of so many that a coordinate lies in."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        whole = int(value)
    elif isinstance(value, float | np.floating) and np.isfinite(value):
        whole = math.floor(value)
    else:
        raise InputError(f"{str(value)[:40]!r} is no coordinate: give a number of pixels")
    return min(max(whole, 0), size - 1)


def answerable(declaration: Declaration) -> set[tuple[bool, bool]]:
    """The kinds of prompts that a model takes, as its strategies have them."""
    applied = (STRATEGIES[name] for name in declaration.applies)
    return {(bool(one.positive), one.box) for one in applied if not one.everything}


@dataclass(frozen=True, eq=False)
class Picture:
    """What a model sees: H×W or H×W×3 RGB, uint8, with at least one pixel. Nobody changes it afterwards."""

    pixels: NDArray[np.uint8]

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        fits = len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)
        if self.pixels.dtype != np.uint8 or not fits or not self.pixels.size:
            raise ValueError(f"no picture: {self.pixels.dtype} {shape}, not uint8 H×W or H×W×3")

    @cached_property
    def key(self) -> str:
        """The same for the same pixels."""
        digest = hashlib.sha256(repr(self.pixels.shape).encode())
        digest.update(np.ascontiguousarray(self.pixels).data)
        return digest.hexdigest()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.pixels.shape[:2]
        return height, width

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """H×W×3; one channel is repeated (protocol, section 1)."""
        return self.pixels if self.pixels.ndim == 3 else np.repeat(self.pixels[..., None], 3, axis=2)


@dataclass(frozen=True, eq=False)
class Found:
    """A model's answer.

    Args:
        masks: the candidates c×H×W, of the picture's size.
        predicted_iou: the model's rating of each.
        best: the one rated highest, the first of equals.
        low: what they are made of, c×h×w at the network's own resolution, one of which a later round may be
            given; None of models that take none.
        milliseconds: from the embedding and the prompt to the masks.
    """

    masks: NDArray[np.bool_]
    predicted_iou: NDArray[np.float32]
    best: int
    low: NDArray[np.float32] | None
    milliseconds: float


@dataclass(frozen=True)
class Offer:
    """A model that is here.

    Args:
        everything: whether it finds masks without a prompt, by a grid of points.
        feedback: whether a later round can be given the mask of the one before.
        limits: why it can't find everything, if it can't, in a few words that follow its name.
    """

    name: str
    everything: bool
    feedback: bool
    limits: str
