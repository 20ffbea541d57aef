"""Prompts for training from nothing: the protocol's own, random ones, and clicks that mend a mask."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cosmos1050k.prompts import prompts_of
from leaderboard.strategies import NEGATIVE, PADDING, POSITIVE

Random = np.random.Generator
Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Given:
    """Prompts of n masks: points n×p×2 as (x, y) with labels n×p, and boxes n×4, or None."""

    points: NDArray[np.float32] | None
    labels: NDArray[np.int64] | None
    boxes: NDArray[np.float32] | None

    def also(self, points: NDArray[np.float32], labels: NDArray[np.int64]) -> "Given":
        """With a click each, n×2 and n, behind the points."""
        points, labels = points[:, None], labels[:, None]
        if self.points is not None and self.labels is not None:
            points = np.concatenate([self.points, points], axis=1)
            labels = np.concatenate([self.labels, labels], axis=1)
        return Given(points, labels, self.boxes)


@dataclass(frozen=True)
class Kind:
    """How many points and whether a box; `loose`: anywhere in the mask, and the box not tight."""

    share: float
    positive: int = 0
    negative: int = 0
    box: bool = False
    loose: bool = False

    @property
    def clear(self) -> bool:
        """Whether one mask alone is meant: by more than a point."""
        return self.box or self.positive + self.negative > 1


#: The strategies S2 to S6 as the protocol gives them, and the same by a less careful hand.
KINDS = (
    Kind(0.14, positive=1),
    Kind(0.14, positive=1, loose=True),
    Kind(0.08, positive=5),
    Kind(0.06, positive=3, loose=True),
    Kind(0.14, positive=5, negative=5),
    Kind(0.18, box=True),
    Kind(0.08, box=True, loose=True),
    Kind(0.12, positive=1, box=True),
    Kind(0.06, positive=1, box=True, loose=True),
)


def kind(random: Random) -> Kind:
    """A kind of prompt, each in its share."""
    return KINDS[int(random.choice(len(KINDS), p=[one.share for one in KINDS]))]


def prompts(masks: list[Mask], asked: Kind, random: Random) -> Given:
    """Prompts of one kind for masks h×w."""
    stored = [prompts_of(mask.view(bool)) for mask in masks]
    points = labels = boxes = None
    if asked.positive:
        found = []
        for mask, own in zip(masks, stored, strict=True):
            positive = _anywhere(mask, asked.positive, random) if asked.loose else own.positive
            found.append(positive[: asked.positive] + own.negative[: asked.negative])
        points = np.array(found, np.float32)
        labels = np.full(points.shape[:2], NEGATIVE, np.int64)
        labels[:, : asked.positive] = POSITIVE
        labels[points[..., 0] < 0] = PADDING
    if asked.box:
        boxes = np.array([own.box for own in stored], np.float32)
        if asked.loose:
            sides = (boxes[:, 2:] - boxes[:, :2]).repeat(2, axis=0).reshape(-1, 4)
            boxes += (random.uniform(-0.1, 0.1, boxes.shape) * np.maximum(sides, 10)).astype(np.float32)
    return Given(points, labels, boxes)


def _anywhere(mask: Mask, count: int, random: Random) -> list[list[int]]:
    pixels = np.flatnonzero(mask)
    chosen = random.choice(pixels, count)
    return [[int(place) % mask.shape[1], int(place) // mask.shape[1]] for place in chosen]


def mending(
    masks: list[Mask], answers: list[NDArray[np.bool_]], random: Random
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """A click each where the answers, of the masks' sizes, are wrong: n×2 and n labels.

    Half of them are deep in the wrong part, as the protocol's are (section 6), half anywhere in it.
    """
    points, labels = [], []
    for mask, answer in zip(masks, answers, strict=True):
        wrong = (mask.view(bool) ^ answer).view(np.uint8)
        if not wrong.any():
            wrong = mask
        if random.random() < 0.5:
            place = int(np.argmax(cv2.distanceTransform(np.pad(wrong, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]))
        else:
            place = int(random.choice(np.flatnonzero(wrong)))
        y, x = divmod(place, mask.shape[1])
        points.append((x, y))
        labels.append(POSITIVE if mask[y, x] else NEGATIVE)
    return np.array(points, np.float32), np.array(labels, np.int64)
