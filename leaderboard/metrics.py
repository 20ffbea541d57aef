"""DICE, Jaccard, Hausdorff distance, ASSD of a 2D mask (protocol, section 4; paper, section 4.2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

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
    return Truth.of(truth).score(prediction)


@dataclass(frozen=True)
class Truth:
    """The true mask of an object, for one prediction after the other: what lies outside its box is nothing.

    Args:
        shape: H×W of the picture.
        box: rows and columns of the box around the mask, tight.
        inside: the mask's pixels in it.
    """

    shape: tuple[int, ...]
    box: tuple[slice, slice]
    inside: NDArray[np.bool_]

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> "Truth":
        """That of a mask H×W bool."""
        box = _box(mask)
        return cls(mask.shape, box, mask[box].copy())

    @cached_property
    def area(self) -> int:
        return int(np.count_nonzero(self.inside))

    def score(self, prediction: NDArray[np.bool_]) -> dict[str, float | None]:
        """As `score_masks`."""
        if prediction.shape != self.shape:
            raise ValueError(f"a prediction of shape {prediction.shape} for a truth of {self.shape}")
        if not self.area:
            raise ValueError("an empty truth can't be scored")
        found = np.count_nonzero(prediction)
        if not found:
            return {"dice": 0.0, "jaccard": 0.0, "hausdorff": None, "assd": None}
        both = np.count_nonzero(prediction[self.box] & self.inside)
        crop = _around(_box(prediction), self.box)
        truth = np.zeros([side.stop - side.start for side in crop], bool)
        truth[_within(self.box, crop)] = self.inside
        hausdorff, assd = _distances(prediction[crop], truth)
        return {
            "dice": float(2.0 * both / (found + self.area)),
            "jaccard": float(both / (found + self.area - both)),
            "hausdorff": hausdorff,
            "assd": assd,
        }


def dices(prediction: NDArray[np.bool_], truths: Sequence[Truth]) -> NDArray[np.float64]:
    """2|A∩B|/(|A|+|B|) of a prediction H×W with each of m truths; 0 where both are empty."""
    shared = [np.count_nonzero(prediction[truth.box] & truth.inside) for truth in truths]
    sizes = np.count_nonzero(prediction) + np.array([truth.area for truth in truths], np.int64)
    return 2.0 * np.array(shared, np.int64) / np.maximum(sizes, 1)


def _distances(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Hausdorff distance and ASSD of two masks on the box around both: what lies outside changes nothing."""
    a, b = _border(prediction), _border(truth)
    if np.hypot(*a.shape) >= _EXACT_BELOW or (
        (np.count_nonzero(a) + np.count_nonzero(b)) * _TREE_FACTOR < a.size
    ):
        there, back = _by_tree(a, b)
    else:
        there, back = _by_transform(a, b)
    both = np.concatenate([there, back])
    return float(both.max()), float(both.mean())


def _around(one: tuple[slice, slice], other: tuple[slice, slice]) -> tuple[slice, slice]:
    """The box around two."""
    rows, columns = (
        slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True)
    )
    return rows, columns


def _within(box: tuple[slice, slice], crop: tuple[slice, slice]) -> tuple[slice, ...]:
    """A box in the places of a crop."""
    return tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, crop, strict=True))


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
