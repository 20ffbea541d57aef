"""Which of a model's masks is an object's, and what it scores (protocol, section 3)."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboard.metrics import Truth, dices
from leaderboard.models.base import Answer
from leaderboard.strategies import STRATEGIES

SELECTIONS = ("oracle", "predicted_iou")
METRICS = ("dice", "jaccard", "hausdorff", "assd")
#: What a selection gives besides the metrics.
CHOICE = ("candidate", "predicted_iou")

Mask = NDArray[np.bool_]


def chosen(strategy: str, answer: Answer, truth: Truth) -> dict[str, Any]:
    """Status and, per selection, the metrics of the candidate it chooses; ties go to the lowest index.

    Raises:
        ValueError: a mask is not bool or of another size, or ratings are missing or no numbers.
    """
    masks, ratings = answer.masks, answer.predicted_iou
    for mask in masks:
        _check(mask, truth)
    if len(ratings) != len(masks) or not np.isfinite(ratings).all():
        raise ValueError(f"{len(masks)} masks are rated {ratings}")
    if not len(masks):
        return {"status": "empty", **nothing(strategy)}
    found = [float(dices(mask, [truth])[0]) for mask in masks]
    choices = {"oracle": int(np.argmax(found)), "predicted_iou": int(np.argmax(ratings))}
    measured = {
        place: _measured(masks[place], truth, place, float(ratings[place])) for place in set(choices.values())
    }
    result = {
        f"{name}_{selection}": value
        for selection, place in choices.items()
        for name, value in measured[place].items()
    }
    return {"status": _status(masks[choices["oracle"]]), **result}


def best_of(masks: Iterable[Mask], truths: Sequence[Truth]) -> list[tuple[int, Mask] | None]:
    """Under everything (S1), per object the mask with the highest DICE, the first of equals, and its place.

    One mask is held at a time, and per object its best; None if there is no mask at all.

    Raises:
        ValueError: a mask is not bool or of another size.
    """
    highest = [-1.0] * len(truths)
    best: list[tuple[int, Mask] | None] = [None] * len(truths)
    for place, mask in enumerate(masks):
        _check(mask, truths[0])
        for number, dice in enumerate(dices(mask, truths).tolist()):
            if dice > highest[number]:
                highest[number], best[number] = dice, (place, mask)
    return best


def of_everything(best: tuple[int, Mask] | None, truth: Truth) -> dict[str, Any]:
    """Status and metrics of what `best_of` found for an object: the oracle's selection, the only one."""
    if best is None:
        return {"status": "empty", **nothing("S1")}
    place, mask = best
    measured = _measured(mask, truth, place, None)
    return {"status": _status(mask), **{f"{name}_oracle": value for name, value in measured.items()}}


def nothing(strategy: str) -> dict[str, Any]:
    """The score where there is no mask: everything has the oracle's selection alone."""
    selections = SELECTIONS[:1] if STRATEGIES[strategy].everything else SELECTIONS
    return {
        f"{name}_{selection}": 0.0 if name in ("dice", "jaccard") else None
        for selection in selections
        for name in (*METRICS, *CHOICE)
    }


def _check(mask: Mask, truth: Truth) -> None:
    if mask.dtype != bool or mask.shape != truth.shape:
        raise ValueError(f"a mask is not bool of shape {truth.shape}")


def _measured(mask: Mask, truth: Truth, place: int, rating: float | None) -> dict[str, Any]:
    return {**truth.score(mask), "candidate": place, "predicted_iou": rating}


def _status(oracle: Mask) -> str:
    """Of the oracle's mask, which is empty only if no candidate has a pixel of the truth."""
    return "scored" if oracle.any() else "empty"
