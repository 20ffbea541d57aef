"""The left and the right of a paired organ that its owner gives in one value (protocol 1, step 5)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

_TOUCHING = np.ones((3, 3, 3), np.uint8)
#: Rounding must not decide between two as near.
_AS_NEAR_MM = 1e-6


def parted(
    organ: NDArray[np.bool_], affine: NDArray[np.float64] | None
) -> tuple[NDArray[np.uint8], list[str]]:
    """The organ's two largest 3D components, 26-connected; every fragment joins the nearer of them.

    Args:
        organ: (i, j, k).
        affine: 4×4, index → RAS+ mm: nearer is by millimetres, and the names tell the patient's side.
            Without one, nearer is by voxels.

    Returns:
        A map (i, j, k), 0 outside the organ, and the names of its values 1 and 2: `left` and `right`, or `1`
        and `2`, the larger first, where the side isn't known. An organ in one piece has no name (`""`).
    """
    # Transposed it is numbered as a file stores it: of equal sizes the one that comes first there is larger.
    turned, count = ndimage.label(organ.T, _TOUCHING)
    if count < 2:
        return organ.astype(np.uint8), [""] * count
    sizes = np.zeros(count + 1, np.int64)
    for plane in turned:
        sizes += np.bincount(plane.reshape(-1), minlength=count + 1)
    largest = np.argsort(-sizes[1:], kind="stable")[:2] + 1
    side_of = np.zeros(count + 1, np.uint8)
    side_of[largest] = 1, 2
    numbers = turned.T
    boxes = ndimage.find_objects(numbers)
    pair = [_Component(numbers, number, boxes[number - 1]) for number in largest.tolist()]
    if count > 2:
        _join_fragments(numbers, pair, side_of, affine)
    names = ["1", "2"]
    if affine is not None:
        if pair[0].across(affine) > pair[1].across(affine):
            side_of = np.array([0, 2, 1], np.uint8)[side_of]
        names = ["left", "right"]
    parts = np.empty(turned.shape, np.uint8)
    for plane, sides in zip(turned, parts, strict=True):  # one by one: an index takes eight bytes a voxel
        np.take(side_of, plane, out=sides)
    return parts.T, names


class _Component:
    """One component of a map of numbers, cut out: `mask` (i, j, k) and the index of its first voxel."""

    def __init__(self, numbers: NDArray[np.integer], number: int, box: tuple[slice, slice, slice]) -> None:
        self.mask = numbers[box] == number
        self.start = np.array([part.start for part in box])

    def border(self) -> NDArray[np.integer]:
        """The indices of the voxels that have a neighbour outside: no other can be the nearest to one there,
        unless the axes are far from square to each other.
        """
        return np.argwhere(self.mask & ~ndimage.binary_erosion(self.mask)) + self.start

    def across(self, affine: NDArray[np.float64]) -> float:
        """Where its middle lies from the patient's left to right, but for a constant."""
        middle = []
        for axis in range(3):
            counts = self.mask.sum(axis=tuple(other for other in range(3) if other != axis))
            middle.append(counts @ np.arange(counts.size) / counts.sum() + self.start[axis])
        return float(affine[0, :3] @ middle)


def _join_fragments(
    numbers: NDArray[np.integer],
    pair: Sequence[_Component],
    side_of: NDArray[np.uint8],
    affine: NDArray[np.float64] | None,
) -> None:
    """Gives every smaller component the side whose voxels come nearer to one of its own."""
    own = np.argwhere(_fragments(numbers, side_of))
    number_of = numbers[tuple(own.T)]
    near = np.full((2, side_of.size), np.inf)
    for nearest, component in zip(near, pair, strict=True):
        tree = cKDTree(_millimetres(component.border(), affine))
        np.minimum.at(nearest, number_of, tree.query(_millimetres(own, affine))[0])
    joined = np.where(near[0] <= near[1] + _AS_NEAR_MM, 1, 2)
    side_of[1:] = np.where(side_of[1:] > 0, side_of[1:], joined[1:])


def _fragments(numbers: NDArray[np.integer], side_of: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The voxels of the components that have no side yet."""
    first, second = np.flatnonzero(side_of)
    found = numbers != 0
    found &= numbers != first
    found &= numbers != second
    return found


def _millimetres(indices: NDArray[np.integer], affine: NDArray[np.float64] | None) -> NDArray[np.generic]:
    return indices if affine is None else indices @ affine[:3, :3].T
