"""One model on the rows of one case: prompts, masks, choice among them, metrics (protocol, sections 2–4)."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cosmos1050k import pictures
from cosmos1050k.errors import InputError
from cosmos1050k.regions import mask_of
from cosmos1050k.schema import SMALL_AREA
from leaderboard.ahead import ahead
from leaderboard.machine import DeviceLost
from leaderboard.metrics import Truth
from leaderboard.models.base import Declaration, Segmenter
from leaderboard.selection import METRICS, SELECTIONS, best_of, chosen, nothing, of_everything
from leaderboard.strategies import STRATEGIES, prompts

Result = TypeVar("Result")

#: Of the step from a case's rows to its scores; a change of what it gives needs a new number.
VERSION = 2

#: `failed`: the model raised an error on the image. Both others are answers; `empty` has no pixel.
STATUSES = ("scored", "empty", "failed")

_CHOSEN = [
    *((metric, pa.float64()) for metric in METRICS),
    ("candidate", pa.int32()),
    ("predicted_iou", pa.float32()),
]
#: One row per (model, image_id, object_index, strategy); `object_index` is the place in the row's `objects`.
SCORES_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("model", "source", "patient", "image_id")),
        ("object_index", pa.int32()),
        *((name, pa.string()) for name in ("object", "instance", "pair", "strategy", "status")),
        ("source_version", pa.string()),
        *((f"{name}_{selection}", kind) for selection in SELECTIONS for name, kind in _CHOSEN),
    ]
)
#: What `score` needs of a row of the dataset.
KEY_COLUMNS = ["image_id", "source", "patient", "objects"]
COLUMNS = [*KEY_COLUMNS, "image", "mask"]
#: Images whose masks are still being measured while the model goes on.
_UNFINISHED = 2

log = logging.getLogger(__name__)


def score(model: Segmenter, rows: pa.Table, strategies: Sequence[str], source_version: str) -> pa.Table:
    """Scores a model on rows of the dataset, every object of more than 50 pixels under every strategy.

    Args:
        rows: `COLUMNS` of the dataset's schema, of one source.
        strategies: those to score; those that the model doesn't declare are left out.
        source_version: of the source the rows are from.

    Returns:
        `SCORES_SCHEMA`, in the order of rows, objects, strategies. Where the model raises an error the
        image's objects have status `failed` and DICE 0, and the error is logged.
    """
    found = scores(model, rows.select(COLUMNS).to_pylist(), strategies)
    return table([entry for image in found for entry in image], model.declaration, source_version)


def scores(
    model: Segmenter, rows: Iterable[Mapping[str, Any]], strategies: Sequence[str], threads: int = 1
) -> Iterator[list[dict[str, Any]]]:
    """Per row its scores, by object, then by strategy; each image is encoded once.

    The next rows are decoded, and the last ones' masks measured, while the model works.

    Args:
        threads: to measure masks in.

    Raises:
        MemoryError, DeviceLost: the machine failed, not the model.
    """
    wanted = [name for name in strategies if name in model.declaration.applies]
    unfinished: deque[_Asked] = deque()
    with ThreadPoolExecutor(1) as reading, ThreadPoolExecutor(threads) as scoring:
        images = ahead(reading, _read, rows, 2 * model.image_batch)
        while batch := list(islice(images, model.image_batch)):
            for image, embedding in zip(batch, _embedded(model, batch, wanted), strict=True):
                unfinished.append(_asked(model, image, embedding, wanted, scoring))
                if len(unfinished) > _UNFINISHED:
                    yield _finished(model, unfinished.popleft(), wanted)
        while unfinished:
            yield _finished(model, unfinished.popleft(), wanted)


def failed(
    declaration: Declaration, rows: pa.Table, strategies: Sequence[str], source_version: str
) -> pa.Table:
    """The scores of rows on which a model gave no answer at all: every object failed."""
    wanted = [name for name in strategies if name in declaration.applies]
    given_up = [
        {**_key(row, index, name), **_failure(name)}
        for row in rows.select(KEY_COLUMNS).to_pylist()
        for index in _scored(row["objects"])
        for name in wanted
    ]
    return table(given_up, declaration, source_version)


def table(entries: list[dict[str, Any]], declaration: Declaration, source_version: str) -> pa.Table:
    """`SCORES_SCHEMA` of what `scores` gives."""
    for entry in entries:
        entry |= {"model": declaration.name, "source_version": source_version}
    return pa.Table.from_pylist(entries, schema=SCORES_SCHEMA)


@dataclass(frozen=True)
class _Image:
    """A row decoded: its picture, and of its objects that are scored the places, entries and masks."""

    row: Mapping[str, Any]
    picture: NDArray[np.uint8]
    indices: list[int]
    objects: list[Mapping[str, Any]]
    truths: list[Truth]


@dataclass(frozen=True)
class _Asked:
    """An image and, per strategy, its objects' scores to come; or what the model failed with."""

    image: _Image
    answers: dict[str, list[Future[dict[str, Any]]] | Exception]


def _read(row: Mapping[str, Any]) -> _Image:
    indices = _scored(row["objects"])
    objects = [row["objects"][index] for index in indices]
    if not objects:
        return _Image(row, np.zeros((0, 0, 3), np.uint8), [], [], [])
    regions = pictures.decode(row["mask"]["bytes"])
    truths = [_truth(row["image_id"], regions, entry) for entry in objects]
    return _Image(row, _rgb(pictures.decode(row["image"]["bytes"])), indices, objects, truths)


def _truth(image_id: str, regions: NDArray[np.uint8], entry: Mapping[str, Any]) -> Truth:
    """An object's mask, read from its box alone.

    Raises:
        InputError: the row is not as it was built.
    """
    x0, y0, x1, y1 = entry["box"]
    box = slice(y0, y1 + 1), slice(x0, x1 + 1)
    truth = Truth(regions.shape, box, mask_of(regions[box], entry["values"]))
    if truth.area != entry["area"]:
        problem = f"{entry['pair']} has {truth.area} pixels in its box, and {entry['area']} are stored"
        raise InputError(f"{image_id}: {problem}; build the source again")
    return truth


def _tried(work: Callable[[], Result]) -> Result | Exception:
    """What the work gives, or the error that it raised: a model's fault is its failure.

    Raises:
        MemoryError, DeviceLost: the machine's fault is not.
    """
    try:
        return work()
    except (MemoryError, DeviceLost):
        raise
    except Exception as error:  # noqa: BLE001 (whatever a model raises)
        return error


def _embedded(model: Segmenter, images: Sequence[_Image], strategies: Sequence[str]) -> list[Any]:
    """An embedding per image, or the error that the model raised on it; none where nothing is to be asked."""
    asked = [image for image in images if image.objects and strategies]
    found = _tried(lambda: model.embed([image.picture for image in asked]) if asked else [])
    if not isinstance(found, Exception):
        left = iter(found)
        return [next(left) if image.objects and strategies else None for image in images]
    if len(images) == 1:
        return [found]
    return [one for image in images for one in _embedded(model, [image], strategies)]


def _asked(
    model: Segmenter, image: _Image, embedding: Any, strategies: Sequence[str], scoring: Executor
) -> _Asked:
    wanted = strategies if image.objects else ()
    if isinstance(embedding, Exception):
        return _Asked(image, dict.fromkeys(wanted, embedding))
    ask = partial(_answers, model, image, embedding, scoring)
    return _Asked(image, {name: _tried(partial(ask, name)) for name in wanted})


def _answers(
    model: Segmenter, image: _Image, embedding: Any, scoring: Executor, strategy: str
) -> list[Future[dict[str, Any]]]:
    if STRATEGIES[strategy].everything:
        best = best_of(model.everything(embedding), image.truths)
        return [scoring.submit(of_everything, *pair) for pair in zip(best, image.truths, strict=True)]
    answers = model.prompt(embedding, prompts(STRATEGIES[strategy], image.objects))
    return [scoring.submit(chosen, strategy, *pair) for pair in zip(answers, image.truths, strict=True)]


def _finished(model: Segmenter, asked: _Asked, strategies: Sequence[str]) -> list[dict[str, Any]]:
    row, found = asked.image.row, {}
    for name, answers in asked.answers.items():
        scored = answers if isinstance(answers, Exception) else _tried(partial(_results, answers))
        if isinstance(scored, Exception):
            log.warning("%s failed on %s under %s: %r", model.declaration.name, row["image_id"], name, scored)
            scored = [_failure(name) for _ in asked.image.objects]
        found[name] = scored
    return [
        {**_key(row, index, name), **found[name][place]}
        for place, index in enumerate(asked.image.indices)
        for name in strategies
    ]


def _results(answers: Sequence[Future[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [answer.result() for answer in answers]


def _scored(objects: Sequence[Mapping[str, Any]]) -> list[int]:
    return [index for index, entry in enumerate(objects) if entry["area"] > SMALL_AREA]


def _key(row: Mapping[str, Any], index: int, strategy: str) -> dict[str, Any]:
    entry = row["objects"][index]
    return {
        **{name: row[name] for name in ("source", "patient", "image_id")},
        **{name: entry[name] for name in ("object", "instance", "pair")},
        "object_index": index,
        "strategy": strategy,
    }


def _rgb(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture


def _failure(strategy: str) -> dict[str, Any]:
    return {"status": "failed", **nothing(strategy)}
