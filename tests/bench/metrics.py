"""All four metrics of a pair of masks: against medpy's four functions, over six pairs per size."""

from collections.abc import Sequence

import cv2
import numpy as np
from medpy.metric import binary
from numpy.typing import NDArray

from leaderboard.metrics import score_masks

Pair = tuple[NDArray[np.bool_], NDArray[np.bool_]]


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
