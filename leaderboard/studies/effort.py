"""Human Correction Effort: how many clicks a person needs to mend a mask (protocol, section 6, table 7).

The measure of Qin et al., Highly Accurate Dichotomous Image Segmentation (ECCV 2022).
"""

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

#: Errors less thick than this are tolerated: so many times the masks are eroded, and errors grown back.
RELAX = 5
#: A polygon's point is needed where the outline leaves its side by more pixels than this.
_TOLERANCE = 2.0
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)

Mask = NDArray[np.bool_]
Clicks = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Effort(BaseModel):
    """Clicks of masks, as means: over all objects, and over images of the sum of their objects."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    per_object: Clicks
    per_image: Clicks

    @classmethod
    def of(cls, clicks: Sequence[Sequence[int]]) -> "Effort":
        """Of one image or more, those of its objects; there is one at least."""
        every = [own for image in clicks for own in image]
        return cls(per_object=round(fmean(every), 6), per_image=round(sum(every) / len(clicks), 6))


def correction_effort(prediction: Mask, truth: Mask, relax: int = RELAX) -> int:
    """Clicks to mend a mask: points of polygons along wrong outlines, and one for each wrong region apart.

    Where errors touch what is right, their common border has to be drawn; a region without such a border is
    chosen with one click. Thin errors are tolerated, except where a part of the truth's skeleton is missing.

    Args:
        prediction, truth: H×W bool, of one shape; either may be empty.

    Raises:
        ValueError: the shapes differ.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"a prediction of shape {prediction.shape} for a truth of {truth.shape}")
    from skimage.morphology import skeletonize  # takes long to import

    part = _around(prediction | truth, relax + 1)
    if part is None:
        return 0
    prediction, truth = prediction[part], truth[part]
    union = prediction | truth
    core = _eroded(union, relax)
    surplus = _thick(prediction & ~truth, core, ~truth, relax)
    missing = _thick(truth & ~prediction, core, ~prediction, relax)
    missing |= skeletonize(truth) & ~prediction
    right = prediction & truth
    return _clicks(surplus, right | missing) + _clicks(missing, ~(right | surplus | missing))


def _around(mask: Mask, margin: int) -> tuple[slice, slice] | None:
    """Rows and columns that hold a mask and what errors can grow through; None if it is empty."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    if not width:
        return None
    rows, columns = (
        slice(max(start - margin, 0), start + size + margin) for start, size in ((y, height), (x, width))
    )
    return rows, columns


def _eroded(mask: Mask, times: int) -> Mask:
    """By the cross; what lies beyond the picture takes nothing away."""
    return cv2.erode(mask.astype(np.uint8), _CROSS, iterations=times).astype(bool)


def _dilated(mask: Mask) -> Mask:
    return cv2.dilate(mask.astype(np.uint8), _CROSS).astype(bool)


def _thick(error: Mask, core: Mask, free: Mask, relax: int) -> Mask:
    """The parts of an error that reach into the core of both masks, grown back within what is free."""
    grown = error & core
    for _ in range(relax):
        grown = _dilated(grown) & free
    return grown & error


def _clicks(error: Mask, beside: Mask) -> int:
    """To correct an error: the points of its borders with what is beside it, and its regions without one."""
    contours, _ = cv2.findContours(error.astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return 0
    near = _dilated(beside)
    regions, labels = cv2.connectedComponents(error.astype(np.uint8), connectivity=8)
    paths = [contour.reshape(-1, 2).astype(np.int32, copy=False) for contour in contours]
    borders = list(_borders(paths, near))
    met = {int(labels[y, x]) for border in borders for x, y in border.tolist()}
    points = sum(len(cv2.approxPolyDP(border.reshape(-1, 1, 2), _TOLERANCE, False)) for border in borders)
    return points + (regions - 1 - len(met))


def _borders(contours: Sequence[NDArray[np.int32]], near: Mask) -> Iterator[NDArray[np.int32]]:
    """The stretches of contours n×2 (x, y) that lie near; a pixel counts where a contour meets it first."""
    every = np.concatenate(contours)
    x, y = every.T
    first = np.zeros(len(every), bool)
    first[np.unique(y.astype(np.int64) * near.shape[1] + x, return_index=True)[1]] = True
    wanted = first & near[y, x]
    ends = np.cumsum([len(contour) for contour in contours])
    for contour, taken in zip(contours, np.split(wanted, ends[:-1]), strict=True):
        edges = np.flatnonzero(np.diff(taken.astype(np.int8), prepend=0, append=0))
        stretches = [contour[start:stop] for start, stop in edges.reshape(-1, 2).tolist()]
        if len(stretches) > 1 and np.abs(stretches[0][0] - stretches[-1][-1]).max() == 1:
            # One stretch that the contour's start cuts in two. The measure's authors join its second half
            # the wrong way round, and so do we: the numbers are to be theirs.
            stretches[-1] = np.concatenate([stretches[-1], stretches[0][::-1]])
            del stretches[0]
        yield from stretches
