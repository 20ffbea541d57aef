"""Clicks in turn (figure 16; protocol, section 6): a model is clicked at where its mask is most wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from leaderboard import measurements
from leaderboard.board_images import BoardImages, Place
from leaderboard.machine import MEASURED, Machine
from leaderboard.metrics import Truth
from leaderboard.models.base import Answer, Interactive, Segmenter
from leaderboard.selection import chosen
from leaderboard.strategies import NEGATIVE, POSITIVE, Prompts
from leaderboard.studies.options import StudyOptions
from leaderboard.studies.record import Studied
from leaderboard.studies.study import Asked, Study
from leaderboard.studies.subjects import Subject

INTERACTIVE = MEASURED / "interactive"
#: Per cent of the intersection over union that the clicks up to it are counted for.
REACHED = (80, 85, 90)
#: What clicks are: points of both signs without a box.
_CLICKS = {"S2", "S4"}

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]


class Course(BaseModel):
    """What so many objects came to, each counting the same.

    Args:
        dice: mean DICE (0…1) after one click, two, ….
        clicks: per cent of the intersection over union → clicks until it is first reached, the mean; of an
            object that never reaches it, all clicks count.
        unreached: the same per cent → so many objects never reach it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    objects: int
    dice: tuple[float, ...]
    clicks: dict[int, float]
    unreached: dict[int, int]


class Clicks(Studied):
    """The course of all objects, and of each pair's; None and nothing where the study does not apply."""

    overall: Course | None = None
    pairs: dict[str, Course] = Field(default_factory=dict)


#: Of an object its pair, and DICE and the intersection over union after each click.
_Found = tuple[str, list[tuple[float, float]]]


class _Study(Study[list[_Found]]):
    name = INTERACTIVE.name
    title = "clicks in turn"
    finding = TypeAdapter(list[_Found])
    record = Clicks

    def limits(self, kind: type[Segmenter], machine: Machine) -> str:
        declared = kind.declared(machine)
        if set(declared.applies) >= _CLICKS:
            return ""
        return declared.limits or "does not take points of both signs"

    def asked(self, data: Path, sources: Sequence[str], options: StudyOptions) -> list[Asked]:
        """Of each pair `options.click_objects` images, each with an object of the pair."""
        board = BoardImages(data, sources)
        wanted = _wanted(board, options.click_objects)
        return [
            Asked(board, place, {"pairs": pairs, "clicks": options.clicks}) for place, pairs in wanted.items()
        ]

    def of_image(self, segmenter: Segmenter, subject: Subject, how: Mapping[str, Any]) -> list[_Found]:
        own = _with_first(subject, how["pairs"])
        (embedding,) = segmenter.embed([own.picture])
        values = in_turn(segmenter, embedding, own, how["clicks"])
        pairs = [entry["pair"] for entry in own.entries]
        return [
            (pair, [(dice, iou) for dice, iou in of_object])
            for pair, of_object in zip(pairs, values.tolist(), strict=True)
        ]

    def summary(self, asked: Sequence[Asked], found: Sequence[list[_Found]]) -> dict[str, Any]:
        every = [one for of_image in found for one in of_image]
        of_pairs: dict[str, list[Any]] = {}
        for pair, values in every:
            of_pairs.setdefault(pair, []).append(values)
        return {
            "images": len(found),
            "objects": len(every),
            "overall": course(np.array([values for _, values in every])),
            "pairs": {pair: course(np.array(values)) for pair, values in sorted(of_pairs.items())},
        }


STUDY = _Study()


def _wanted(board: BoardImages, most: int) -> dict[Place, list[str]]:
    """Of each pair so many images, spread over its cases → the pairs that an image was taken for."""
    wanted: dict[Place, list[str]] = {}
    for pair in board.pairs:
        for place in islice(board.of_pair(pair), most):
            wanted.setdefault(place, []).append(pair)
    return wanted


def _with_first(subject: Subject, pairs: Sequence[str]) -> Subject:
    """An image with the first of its objects of each of these pairs alone."""
    own = [entry["pair"] for entry in subject.entries]
    places = sorted(own.index(pair) for pair in pairs)
    return replace(
        subject,
        keys=[subject.keys[place] for place in places],
        entries=[subject.entries[place] for place in places],
        truths=[subject.truths[place] for place in places],
    )


@dataclass
class _Round:
    """An object between two clicks: those so far, as (x, y) and labels, and its mask and what made it."""

    truth: Truth
    points: list[tuple[int, int]]
    labels: list[int]
    mask: Mask = field(init=False)
    low: NDArray[np.float32] | None = None
    values: list[tuple[float, float]] = field(default_factory=list)

    def take(self, answer: Answer) -> None:
        """Keeps the candidate that is rated highest, the first of equals; none is an empty mask."""
        scored = chosen("S2", answer, self.truth)
        place, low = scored["candidate_predicted_iou"], getattr(answer, "low", None)
        self.mask = np.zeros(self.truth.shape, bool) if place is None else answer.masks[place]
        self.low = None if place is None or low is None else low[place]
        self.values.append((scored["dice_predicted_iou"], scored["jaccard_predicted_iou"]))


def in_turn(segmenter: Segmenter, embedding: Any, subject: Subject, clicks: int) -> Floats:
    """DICE and the intersection over union of n objects of one image after each click, n×clicks×2.

    The first click is the first positive point. A model that takes its own mask again is given it from the
    second click on, any other all clicks so far; what is right to the pixel stays as it is.
    """
    every = [
        _Round(truth, [(int(x), int(y))], [POSITIVE])
        for truth, (x, y) in zip(
            subject.truths, (entry["points_pos"][0] for entry in subject.entries), strict=True
        )
    ]
    asked = every
    for turn in range(clicks):
        if turn:
            asked = [one for one in asked if _clicked(one)]
        if asked:
            for one, answer in zip(asked, _answers(segmenter, embedding, asked), strict=True):
                one.take(answer)
        for one in every:
            one.values += one.values[-1:] * (turn + 1 - len(one.values))
    return np.array([one.values for one in every]).reshape(len(every), clicks, 2)


def _answers(segmenter: Segmenter, embedding: Any, asked: Sequence[_Round]) -> list[Answer]:
    points = np.array([one.points for one in asked], np.int32)
    prompts = Prompts(points, np.array([one.labels for one in asked], np.int8), None)
    previous = [one.low for one in asked if one.low is not None]
    if isinstance(segmenter, Interactive) and len(previous) == len(asked):
        return list(segmenter.refine(embedding, prompts, np.stack(previous)))
    return list(segmenter.prompt(embedding, prompts))


def _clicked(one: _Round) -> bool:
    """Adds the next click, if there is anything to click at."""
    truth = np.zeros(one.truth.shape, bool)
    truth[one.truth.box] = one.truth.inside
    if (click := next_click(truth, one.mask)) is None:
        return False
    x, y, label = click
    one.points.append((x, y))
    one.labels.append(label)
    return True


def next_click(truth: Mask, mask: Mask) -> tuple[int, int, int] | None:
    """Where a mask H×W is most wrong: x, y and label of the pixel farthest inside what is missed or what is
    too much, whichever reaches deeper; None where nothing is wrong.

    Beyond the picture's border nothing is wrong. If both are equally deep, what is too much is clicked at, as
    RITM does; among pixels the first in row-major order. A pixel may be clicked at again.
    """
    missed, extra = _deepest(truth & ~mask), _deepest(mask & ~truth)
    depth, x, y = max(extra, missed, key=lambda one: one[0])
    if not depth:
        return None
    return x, y, POSITIVE if truth[y, x] else NEGATIVE


def _deepest(region: Mask) -> tuple[int, int, int]:
    """The squared depth of a region's deepest pixel, the first of equals, and its x and y; 0 of none."""
    left, top, width, height = cv2.boundingRect(region.view(np.uint8))
    if not width:
        return 0, 0, 0
    inside = np.pad(region[top : top + height, left : left + width], 1).view(np.uint8)
    # Intel's transform, which OpenCV calls where it has one thread, is wrong on large pictures (measured).
    used = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)
    try:
        depths = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    finally:
        cv2.ipp.setUseIPP(used)
    squares = np.rint(depths.astype(np.float64) ** 2)
    y, x = divmod(int(np.argmax(squares)), width)
    return int(squares[y, x]), left + x, top + y


def course(values: Floats) -> Course:
    """That of n objects, from their DICE and intersection over union, n×clicks×2."""
    reached = {share: values[..., 1] >= share / 100 for share in REACHED}
    last = values.shape[1]
    return Course(
        objects=len(values),
        dice=tuple(round(float(mean), 6) for mean in values[..., 0].mean(axis=0)),
        clicks={
            share: round(float(np.where(own.any(axis=1), own.argmax(axis=1) + 1, last).mean()), 6)
            for share, own in reached.items()
        },
        unreached={share: int((~own.any(axis=1)).sum()) for share, own in reached.items()},
    )


def read(path: Path) -> Clicks:
    """As `measurements.read`."""
    return measurements.read(Clicks, path, "make repro")
