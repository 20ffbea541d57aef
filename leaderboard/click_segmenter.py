"""Click models as segmenters: graphs as `leaderboard.click_models` has them, on the CPU, in one thread."""

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from cosmos1050k.errors import BadFile, InputError
from leaderboard import click_models
from leaderboard.click_models import ClickModel
from leaderboard.models.base import Segmenter
from leaderboard.strategies import NEGATIVE, PADDING, POSITIVE, Prompts

#: A pixel is the object's above it: what RITM, FocalClick and SimpleClick are evaluated with.
THRESHOLD = 0.49
#: Clicks of one sign that a graph must take: as many as figure 16 makes.
_LEAST_CLICKS = 20
_INPUTS: dict[str, tuple[int | None, ...]] = {
    "image": (1, 3, None, None),
    "mask": (1, 1, None, None),
    "clicks": (1, None, 3),
}

Floats = NDArray[np.float32]


class Unfit(ValueError):
    """Why a graph is no click model, or what is wrong with its answer."""


@dataclass(frozen=True)
class Graph:
    """A graph in memory.

    Args:
        size: height and width that it takes, None if it takes all.
        clicks: of one sign that it takes, None if it takes any number.
    """

    session: Any
    size: tuple[int, int] | None
    clicks: int | None

    def __call__(self, image: Floats, mask: Floats, clicks: Floats) -> Floats:
        """The probabilities H×W of an image 1×3×H×W, given those of the round before, H×W, and 1×2n×3 clicks.

        Raises:
            Unfit: its answer is something else, or it failed.
        """
        given = {"image": image, "mask": mask[None, None], "clicks": clicks}
        try:
            (found,) = self.session.run(None, given)
        except MemoryError:
            raise
        except Exception as error:
            raise Unfit(f"fails on a picture ({_cut(error)})") from error
        wanted = (1, 1, *image.shape[2:])
        if found.shape != wanted:
            shapes = (" × ".join(map(str, shape)) for shape in (found.shape, wanted))
            raise Unfit("gives {}, not {}".format(*shapes))
        if not np.isfinite(found).all():
            raise Unfit("gives NaN or infinity")
        if found.min() < 0 or found.max() > 1:
            raise Unfit("gives values outside 0…1, not probabilities: it lacks a sigmoid at its end")
        probabilities: Floats = found[0, 0]
        return probabilities


@dataclass(frozen=True)
class Prepared:
    """A picture as the graph takes it, 1×3×H×W, and its own height and width."""

    image: Floats
    size: tuple[int, int]


@dataclass(frozen=True)
class Clicked:
    """An answer; `low`: its probabilities 1×H×W at the graph's own size, which a later round is given."""

    masks: NDArray[np.bool_]
    predicted_iou: Floats
    low: Floats


class ClickSegmenter(Segmenter):
    """A click model: points alone, one candidate, which goes on from its mask of the round before."""

    record: ClassVar[ClickModel]

    def __init__(self) -> None:
        path = click_models.verified(self.record)
        try:
            self._graph = opened(path)
        except Unfit as error:  # another onnxruntime than that which it was tried with
            raise BadFile(str(path), str(error), f"remove {path.parent} and add the model again") from None

    @classmethod
    def check(cls) -> None:
        _installed()
        click_models.verified(cls.record)

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> list[Prepared]:
        return [prepared(image, self.record) for image in images]

    def prompt(self, embedding: Prepared, prompts: Prompts) -> Iterator[Clicked]:
        before = np.zeros(embedding.image.shape[2:], np.float32)
        for number in range(len(prompts)):
            yield self._answer(embedding, prompts, number, before)

    def refine(self, embedding: Prepared, prompts: Prompts, previous: Floats) -> Iterator[Clicked]:
        """One candidate per object, of its points so far and its mask before.

        Args:
            previous: `low` of that mask, n×H×W.

        Raises:
            InputError: they have another shape, or are no probabilities.
        """
        wanted = (len(prompts), *embedding.image.shape[2:])
        if previous.shape != wanted or not ((previous >= 0) & (previous <= 1)).all():
            shape = "×".join(map(str, wanted))
            raise InputError(f"the mask of the round before must be probabilities {shape} of this model")
        for number, before in enumerate(previous):
            yield self._answer(embedding, prompts, number, before)

    def _answer(self, embedding: Prepared, prompts: Prompts, number: int, before: Floats) -> Clicked:
        if prompts.points is None or prompts.labels is None or prompts.boxes is not None:
            raise ValueError(f"the model {self.declaration.name} takes points alone")
        height, width = embedding.size
        scale = np.array(embedding.image.shape[2:]) / embedding.size
        clicks = placed(prompts.points[number], prompts.labels[number], scale, self._graph.clicks)
        found = self._graph(embedding.image, before, clicks)
        whole = cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR)
        return Clicked((whole > THRESHOLD)[None], np.ones(1, np.float32), found[None])


def kind_of(record: ClickModel) -> type[ClickSegmenter]:
    """The class of a click model."""
    return type(record.name, (ClickSegmenter,), {"record": record, "declaration": record.declaration})


def prepared(image: NDArray[np.uint8], record: ClickModel) -> Prepared:
    """A picture H×W×3 as the record has it."""
    size = record.width, record.height
    pixels = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR).astype(np.float32) / 255
    mean, deviation = (np.array(three, np.float32) for three in (record.mean, record.deviation))
    scaled = (pixels - mean) / deviation
    return Prepared(np.ascontiguousarray(scaled.transpose(2, 0, 1)[None]), (image.shape[0], image.shape[1]))


def placed(
    points: NDArray[np.int32],
    labels: NDArray[np.int8],
    scale: NDArray[np.float64],
    slots: int | None = None,
) -> Floats:
    """The clicks 1×2n×3 of one object, points p×2 as (x, y) with labels p, in the order that they were made.

    Args:
        scale: of y and x.
        slots: n; by default as many as there are of the sign that has more.

    Raises:
        ValueError: there are more.
    """
    signs = [np.flatnonzero(labels == sign) for sign in (POSITIVE, NEGATIVE)]
    order = np.cumsum(labels != PADDING) - 1
    most = max(1, *map(len, signs))
    if slots is not None and most > slots:
        raise ValueError(f"the graph takes {slots} clicks of a sign, not {most}")
    made = np.full((2, slots or most, 3), -1, np.float32)
    for own, places in zip(made, signs, strict=True):
        own[: len(places), :2] = points[places, ::-1] * scale
        own[: len(places), 2] = order[places]
    return made.reshape(1, -1, 3)


def opened(path: Path) -> Graph:
    """A graph, its inputs and output held against the contract.

    Raises:
        Unfit: it is no such graph.
        InputError: onnxruntime is not installed.
    """
    _installed()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # no result depends on how many there are
    options.log_severity_level = 4  # what is wrong is raised, too
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        if "external data" in str(error).lower():
            raise Unfit("keeps its weights in another file, not in itself") from error
        raise Unfit(f"is no graph that onnxruntime can load ({_cut(error)})") from error
    shapes = {one.name: one.shape for one in session.get_inputs()}
    if shapes.keys() != _INPUTS.keys():
        raise Unfit(f"has the inputs {', '.join(shapes) or 'none'}, not {', '.join(_INPUTS)}")
    if (outputs := len(session.get_outputs())) != 1:
        raise Unfit(f"has {outputs} outputs, not one")
    for one in (*session.get_inputs(), *session.get_outputs()):
        if one.type != "tensor(float)":
            raise Unfit(f"has {one.name} as {one.type}, not tensor(float)")
    for name, wanted_shape in _INPUTS.items():
        if not _fits(shapes[name], wanted_shape):
            shape = " × ".join(str(side or "any") for side in wanted_shape)
            raise Unfit(f"takes {name} as {' × '.join(map(str, shapes[name]))}, not {shape}")
    size, clicks = shapes["image"][2:], shapes["clicks"][1]
    fixed = [isinstance(side, int) for side in size]
    if any(fixed) and not all(fixed):
        raise Unfit("takes pictures of one height and any width, or the reverse, not of a size or any size")
    if isinstance(clicks, int) and clicks < 2 * _LEAST_CLICKS:
        raise Unfit(f"takes {clicks} clicks alone, not any number of them, or {2 * _LEAST_CLICKS} and more")
    return Graph(
        session,
        (size[0], size[1]) if all(fixed) else None,
        clicks // 2 if isinstance(clicks, int) else None,
    )


def tried(graph: Graph, record: ClickModel) -> None:
    """Asks a graph with one click, and with clicks of both signs and a mask, few and many.

    Raises:
        Unfit: it fails, its answers are none, or they don't depend on the click.
    """
    height, width = record.height, record.width
    ramp = np.tile(np.linspace(0, 255, width).astype(np.uint8)[None, :, None], (height, 1, 3))
    image, mask = prepared(ramp, record).image, np.zeros((height, width), np.float32)
    along = np.linspace(0, width - 1, _LEAST_CLICKS).astype(np.int32)
    points = np.stack([along, np.full_like(along, height // 2)], axis=1)
    for few in (1, 3, _LEAST_CLICKS):
        labels = np.where(np.arange(_LEAST_CLICKS) % 3 == 1, NEGATIVE, POSITIVE)
        labels[few:] = PADDING
        clicks = placed(points, labels.astype(np.int8), np.ones(2), graph.clicks)
        mask = graph(image, mask, clicks)
    empty = np.zeros((height, width), np.float32)
    sides = [points[:1], points[-1:]]
    one = np.full(1, POSITIVE, np.int8)
    left, right = (graph(image, empty, placed(side, one, np.ones(2), graph.clicks)) for side in sides)
    if np.array_equal(left, right):
        raise Unfit("gives the same mask for a click on the left and one on the right")


def _installed() -> None:
    if importlib.util.find_spec("onnxruntime") is None:
        wanted = "pip install -e '.[clicks]'"
        raise InputError(f"click models need the package onnxruntime; run `{wanted}`")


def _fits(shape: Sequence[Any], wanted: Sequence[int | None]) -> bool:
    """Whether a graph's shape, whose free sides are names or None, takes what is given."""
    if len(shape) != len(wanted):
        return False
    pairs = zip(wanted, shape, strict=True)
    return all(side in (None, other) or not isinstance(other, int) for side, other in pairs)


def _cut(error: Exception) -> str:
    """The end of what onnxruntime says, where the reason is."""
    return " ".join(str(error).split())[-150:]
