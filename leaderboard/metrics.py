"""DICE, Jaccard, Hausdorff distance, ASSD of a 2D mask (protocol, section 4; paper, section 4.2)."""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

#: A tree over the borders beats a distance transform of the crop while they are this many times smaller
#: (measured).
_TREE_FACTOR = 15
#: OpenCV's transform is float32: below this distance rounding its square gives the whole number it is.
_EXACT_BELOW = 2048
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


def score_masks(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> dict[str, float | None]:
    """All four metrics of one mask.

    Args:
        prediction, truth: H×W bool, of one shape; the truth is not empty.

    Returns:
        `dice` and `jaccard` in 0…1; in pixels, of the distances of each border's pixels to the other border,
        `hausdorff`, the maximum, and `assd`, the mean. An empty prediction gives 0, 0, None, None. Equal to
        `medpy.metric.binary` (0.5) where neither mask is empty.

    Raises:
        ValueError: the shapes differ or the truth is empty.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"a prediction of shape {prediction.shape} for a truth of {truth.shape}")
    true = np.count_nonzero(truth)
    if not true:
        raise ValueError("an empty truth can't be scored")
    found = np.count_nonzero(prediction)
    if not found:
        return {"dice": 0.0, "jaccard": 0.0, "hausdorff": None, "assd": None}
    both = np.count_nonzero(prediction & truth)
    hausdorff, assd = _distances(prediction, truth)
    return {
        "dice": float(2.0 * both / (found + true)),
        "jaccard": float(both / (found + true - both)),
        "hausdorff": hausdorff,
        "assd": assd,
    }


def dice(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """2|A∩B|/(|A|+|B|) of two masks H×W; 0 where both are empty."""
    return dices([prediction], truth)[0]


def dices(predictions: Iterable[NDArray[np.bool_]], truth: NDArray[np.bool_]) -> list[float]:
    """`dice` of each prediction."""
    found: list[float] = dice_matrix(predictions, [truth])[:, 0].tolist()
    return found


def dice_matrix(
    predictions: Iterable[NDArray[np.bool_]], truths: Sequence[NDArray[np.bool_]]
) -> NDArray[np.float64]:
    """`dice` of each of n predictions with each of m truths, n×m; one prediction is held at a time."""
    against = Truths(truths)
    rows = [against.dices(prediction) for prediction in predictions]
    return np.array(rows, np.float64).reshape(len(rows), len(truths))


class Truths:
    """The true masks H×W of one image, for one prediction after the other.

    Of each it keeps the area and the pixels in its box, and seeks there alone what a prediction shares.
    """

    def __init__(self, masks: Sequence[NDArray[np.bool_]]) -> None:
        self._areas = np.array([np.count_nonzero(mask) for mask in masks], np.int64)
        boxes = [_box(mask) for mask in masks]
        self._parts = [(box, mask[box].copy()) for box, mask in zip(boxes, masks, strict=True)]

    def dices(self, prediction: NDArray[np.bool_]) -> NDArray[np.float64]:
        """`dice` of a prediction with each of the m truths."""
        shared = [np.count_nonzero(prediction[box] & inside) for box, inside in self._parts]
        sizes = np.count_nonzero(prediction) + self._areas
        return 2.0 * np.array(shared, np.int64) / np.maximum(sizes, 1)


def _distances(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Hausdorff distance and ASSD, on the box around both masks: what lies outside changes nothing."""
    crop = _box(prediction | truth)
    a, b = _border(prediction[crop]), _border(truth[crop])
    if np.hypot(*a.shape) >= _EXACT_BELOW or (
        (np.count_nonzero(a) + np.count_nonzero(b)) * _TREE_FACTOR < a.size
    ):
        there, back = _by_tree(a, b)
    else:
        there, back = _by_transform(a, b)
    both = np.concatenate([there, back])
    return float(both.max()), float(both.mean())


def _box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of the box around a mask; nothing of an empty one."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return slice(y, y + height), slice(x, x + width)


def _border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask minus its erosion by the 4-connected cross; outside the picture is background."""
    stored = np.ascontiguousarray(mask).view(np.uint8)
    inner = cv2.erode(stored, _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return mask & ~inner.astype(bool)


def _by_tree(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    points = [_points(border) for border in (a, b)]
    trees = [cKDTree(one, balanced_tree=False, compact_nodes=False) for one in points]
    return trees[1].query(points[0])[0], trees[0].query(points[1])[0]


def _points(border: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Rows and columns n×2 of its pixels; by flat places, several times faster than `argwhere`."""
    rows, columns = np.divmod(np.flatnonzero(border), border.shape[1])
    return np.stack([rows, columns], axis=1).astype(np.float64)


def _by_transform(
    a: NDArray[np.bool_], b: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    def distance_to(border: NDArray[np.bool_], at: NDArray[np.bool_]) -> NDArray[np.float64]:
        away = cv2.distanceTransform((~border).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[at]
        return np.sqrt(np.rint(away.astype(np.float64) ** 2))

    # Intel's transform, which OpenCV calls where it has one thread, is wrong from 885 pixels on (measured).
    used = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)
    try:
        return distance_to(b, a), distance_to(a, b)
    finally:
        cv2.ipp.setUseIPP(used)
