"""Clicks in turn (figure 16; protocol, section 6): a model is clicked at where its mask is most wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from tqdm import tqdm

from cosmos1050k.errors import InputError
from leaderboard import measurements, models
from leaderboard.board_images import BoardImages, Place
from leaderboard.machine import MEASURED, Machine
from leaderboard.metrics import Truth
from leaderboard.models.base import Answer, Interactive, Segmenter
from leaderboard.selection import chosen
from leaderboard.strategies import NEGATIVE, POSITIVE, Prompts
from leaderboard.studies import record, subjects
from leaderboard.studies.options import StudyOptions
from leaderboard.studies.record import Studied, on_image
from leaderboard.studies.subjects import Subject

INTERACTIVE = MEASURED / "interactive"
TITLE = "clicks in turn"
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


RECORD = Clicks


def measure(
    model: str, data: Path, sources: Sequence[str], options: StudyOptions, machine: Machine
) -> Clicks:
    """Clicks at an object of each of `options.click_objects` images of each pair, in turn.

    Raises:
        InputError: the model is unknown, its weights are missing, a source is not built, no object is large
            enough, or the model fails on an image.
    """
    kind = models.kind(model)
    fields = record.head(kind, data, sources, machine)
    declared = kind.declared(machine)
    if not set(declared.applies) >= _CLICKS:
        return Clicks(**fields, limits=declared.limits or "does not take points of both signs")
    board = BoardImages(data, sources)
    wanted = _wanted(board, options.click_objects)
    segmenter = models.get(model, machine)
    found: dict[str, list[Floats]] = {}
    for place in tqdm(wanted, desc=f"clicks {model}", unit=" image", disable=None):
        subject = _with_first(subjects.read(board.read(place)), wanted[place])
        with on_image(model, subject.image_id):
            (embedding,) = segmenter.embed([subject.picture])
            values = in_turn(segmenter, embedding, subject, options.clicks)
        for entry, own in zip(subject.entries, values, strict=True):
            found.setdefault(entry["pair"], []).append(own)
    if not found:
        raise InputError(f"{data}: no object of any test case is large enough; build more")
    every = [own for values in found.values() for own in values]
    return Clicks(
        **fields,
        images=len(wanted),
        objects=len(every),
        overall=course(np.array(every)),
        pairs={pair: course(np.array(values)) for pair, values in sorted(found.items())},
    )


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


def write(found: Clicks, folder: Path = INTERACTIVE) -> Path:
    """As `measurements.write`."""
    return measurements.write(found, folder)


def read(path: Path) -> Clicks:
    """As `measurements.read`."""
    return measurements.read(Clicks, path, "make repro")
