"""The six prompt strategies (protocol, section 2; paper, section 3.3) and their prompts of stored objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmos1050k.schema import POINTS

#: Labels of points as SAM's prompt encoder takes them.
POSITIVE, NEGATIVE, PADDING = 1, 0, -1


@dataclass(frozen=True)
class Strategy:
    """How many stored points of each sign a strategy gives, and whether the box; none of them: everything."""

    title: str
    positive: int = 0
    negative: int = 0
    box: bool = False

    @property
    def everything(self) -> bool:
        return not (self.positive or self.negative or self.box)


STRATEGIES: Mapping[str, Strategy] = {
    "S1": Strategy("everything"),
    "S2": Strategy("1 positive point", positive=1),
    "S3": Strategy("5 positive points", positive=5),
    "S4": Strategy("5 positive, 5 negative points", positive=5, negative=5),
    "S5": Strategy("box", box=True),
    "S6": Strategy("box and 1 positive point", positive=1, box=True),
}


@dataclass(frozen=True)
class Prompts:
    """The prompts of n objects of one image, in pixels of that image.

    `points` n×p×2 as (x, y), `labels` n×p (`POSITIVE`, `NEGATIVE` or `PADDING`), `boxes` n×4 as
    [x0, y0, x1, y1] with both ends inside. What a strategy doesn't give is None.
    """

    points: NDArray[np.int32] | None
    labels: NDArray[np.int8] | None
    boxes: NDArray[np.int32] | None

    def __len__(self) -> int:
        given = self.boxes if self.points is None else self.points
        return 0 if given is None else len(given)


def prompts(strategy: Strategy, objects: Sequence[Mapping[str, Any]]) -> Prompts:
    """The prompts of a strategy for objects as a row of the dataset stores them.

    Raises:
        ValueError: the strategy is `everything`, which takes no prompts.
    """
    if strategy.everything:
        raise ValueError("the strategy everything has no prompts")
    points = labels = boxes = None
    if strategy.positive or strategy.negative:
        positive = _stack(objects, "points_pos")[:, : strategy.positive]
        negative = _stack(objects, "points_neg")[:, : strategy.negative]
        points = np.concatenate([positive, negative], axis=1)
        labels = np.full(points.shape[:2], NEGATIVE, np.int8)
        labels[:, : strategy.positive] = POSITIVE
        labels[points[..., 0] < 0] = PADDING
    if strategy.box:
        boxes = np.array([entry["box"] for entry in objects], np.int32).reshape(-1, 4)
    return Prompts(points, labels, boxes)


def _stack(objects: Sequence[Mapping[str, Any]], column: str) -> NDArray[np.int32]:
    return np.array([entry[column] for entry in objects], np.int32).reshape(-1, POINTS, 2)
