"""One model on the rows of one case: prompts, masks, choice among them, metrics (protocol, sections 2–4)."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cosmos1050k import pictures
from cosmos1050k.regions import mask_of
from cosmos1050k.schema import SMALL_AREA
from leaderboard.metrics import dices, score_masks
from leaderboard.models.base import Candidates, Declaration, Segmenter
from leaderboard.strategies import STRATEGIES, prompts

#: Of the step from a case's rows to its scores; a change of what it gives needs a new number.
VERSION = 2

SELECTIONS = ("oracle", "predicted_iou")
METRICS = ("dice", "jaccard", "hausdorff", "assd")
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
    wanted = [name for name in strategies if name in model.declaration.applies]
    scores: list[dict[str, Any]] = []
    for row in rows.select(COLUMNS).to_pylist():
        scores += _score_row(model, row, wanted)
    return _table(scores, model.declaration, source_version)


def failed(
    declaration: Declaration, rows: pa.Table, strategies: Sequence[str], source_version: str
) -> pa.Table:
    """The scores of rows on which a model gave no answer at all: every object failed."""
    wanted = [name for name in strategies if name in declaration.applies]
    scores = [
        {**_key(row, index, name), **_failure(name)}
        for row in rows.select(KEY_COLUMNS).to_pylist()
        for index in _scored(row["objects"])
        for name in wanted
    ]
    return _table(scores, declaration, source_version)


def _table(scores: list[dict[str, Any]], declaration: Declaration, source_version: str) -> pa.Table:
    for entry in scores:
        entry |= {"model": declaration.name, "source_version": source_version}
    return pa.Table.from_pylist(scores, schema=SCORES_SCHEMA)


def _scored(objects: Sequence[Mapping[str, Any]]) -> list[int]:
    return [index for index, entry in enumerate(objects) if entry["area"] > SMALL_AREA]


def _score_row(model: Segmenter, row: dict[str, Any], strategies: Sequence[str]) -> list[dict[str, Any]]:
    """All scores of one image, by object, then by strategy. The image is encoded once."""
    indices = _scored(row["objects"])
    objects = [row["objects"][index] for index in indices]
    regions = pictures.decode(row["mask"]["bytes"])
    truths = [mask_of(regions, entry["values"]) for entry in objects]
    found: dict[str, list[dict[str, Any]]] = {}
    embeddings: list[Any] = []
    for name in strategies if objects else ():
        try:
            embeddings = embeddings or model.embed([_rgb(pictures.decode(row["image"]["bytes"]))])
            answers = _answers(model, embeddings[0], name, objects)
            found[name] = [_chosen(name, *pair) for pair in zip(answers, truths, strict=True)]
        except Exception as error:  # noqa: BLE001 (a model's fault is its failure)
            log.warning("%s failed on %s under %s: %r", model.declaration.name, row["image_id"], name, error)
            found[name] = [_failure(name) for _ in objects]
    return [
        {**_key(row, index, name), **found[name][place]}
        for place, index in enumerate(indices)
        for name in strategies
    ]


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


def _answers(
    model: Segmenter, embedding: Any, strategy: str, objects: Sequence[Mapping[str, Any]]
) -> Iterator[Candidates | Sequence[NDArray[np.bool_]]]:
    """Per object the candidates it was prompted for; under everything, for each the same masks."""
    if not STRATEGIES[strategy].everything:
        yield from model.prompt(embedding, prompts(STRATEGIES[strategy], objects))
        return
    masks = list(model.everything(embedding))
    yield from (masks for _ in objects)


def _chosen(
    strategy: str, answer: Candidates | Sequence[NDArray[np.bool_]], truth: NDArray[np.bool_]
) -> dict[str, Any]:
    """Status and, per selection, the metrics of the candidate it chooses; ties go to the lowest index.

    Raises:
        ValueError: a mask is not bool or of another size, or ratings are missing or no numbers.
    """
    masks = answer.masks if isinstance(answer, Candidates) else answer
    ratings = answer.predicted_iou if isinstance(answer, Candidates) else None
    if any(mask.dtype != bool or mask.shape != truth.shape for mask in masks):
        raise ValueError(f"a mask is not bool of shape {truth.shape}")
    if ratings is not None and (len(ratings) != len(masks) or not np.isfinite(ratings).all()):
        raise ValueError(f"{len(masks)} masks are rated {ratings}")
    if not len(masks):
        return {"status": "empty", **_nothing(strategy)}
    choices = {"oracle": int(np.argmax(dices(masks, truth)))}
    if ratings is not None:
        choices["predicted_iou"] = int(np.argmax(ratings))
    measured = {
        place: {
            **score_masks(masks[place], truth),
            "candidate": place,
            "predicted_iou": float(ratings[place]) if ratings is not None else None,
        }
        for place in set(choices.values())
    }
    result = {
        f"{name}_{selection}": value
        for selection, place in choices.items()
        for name, value in measured[place].items()
    }
    # The status is of the oracle's mask, which is empty only if no candidate has a pixel of the truth.
    return {"status": "scored" if masks[choices["oracle"]].any() else "empty", **result}


def _nothing(strategy: str) -> dict[str, Any]:
    """The score where there is no mask: everything has the oracle's selection alone (protocol, section 3)."""
    selections = SELECTIONS[:1] if STRATEGIES[strategy].everything else SELECTIONS
    return {
        f"{name}_{selection}": 0.0 if name in ("dice", "jaccard") else None
        for selection in selections
        for name, _ in _CHOSEN
    }


def _failure(strategy: str) -> dict[str, Any]:
    return {"status": "failed", **_nothing(strategy)}
