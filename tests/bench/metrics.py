"""The metrics' bench.

All four metrics of a pair of masks, against medpy's four functions, over six pairs per size; DICE of many
predictions with many objects, against the formula in numpy.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from medpy.metric import binary
from numpy.typing import NDArray

from leaderboard.metrics import Truth, dices, score_masks

Mask = NDArray[np.bool_]
Pair = tuple[Mask, Mask]


def pairs(size: int) -> list[Pair]:
    """Blobs of 0.5 to 30 % of the picture, each with a prediction that is near and one that is off."""
    random = np.random.default_rng(size)

    def blob(share: float) -> NDArray[np.bool_]:
        field = cv2.GaussianBlur(random.standard_normal((size, size)), (0, 0), size / 16)
        return field > np.quantile(field, 1 - share)

    made = []
    for share in (0.005, 0.05, 0.3):
        truth = blob(share)
        near = cv2.dilate(truth.view(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
        made += [(near, truth), (blob(share), truth)]
    return made


def ours(made: Sequence[Pair]) -> None:
    for prediction, truth in made:
        score_masks(prediction, truth)


def obvious(made: Sequence[Pair]) -> None:
    for prediction, truth in made:
        for metric in (binary.dc, binary.jc, binary.hd, binary.assd):
            metric(prediction, truth)


def everything(size: int, predictions: int, objects: int) -> tuple[list[Mask], list[Mask]]:
    """Masks of discs, as many as a model finds under everything and as an image holds objects."""
    random = np.random.default_rng(size)

    def disc() -> Mask:
        mask = np.zeros((size, size), np.uint8)
        x, y = random.integers(size, size=2).tolist()
        cv2.circle(mask, (x, y), int(random.integers(size // 64, size // 6)), 1, thickness=-1)
        return mask.view(bool)

    return [disc() for _ in range(predictions)], [disc() for _ in range(objects)]


def matched(predictions: Sequence[Mask], truths: Sequence[Mask]) -> NDArray[np.float64]:
    against = [Truth.of(truth) for truth in truths]
    return np.array([dices(prediction, against) for prediction in predictions])


def matched_by_numpy(predictions: Sequence[Mask], truths: Sequence[Mask]) -> NDArray[np.float64]:
    return np.array([[2 * (p & t).sum() / (p.sum() + t.sum()) for t in truths] for p in predictions])
