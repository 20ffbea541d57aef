"""The left and the right of a paired organ that its owner gives in one value (protocol 1, step 5)."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

_TOUCHING = np.ones((3, 3, 3), np.uint8)


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
    numbers, count = ndimage.label(organ, _TOUCHING)
    if count < 2:
        return organ.astype(np.uint8), [""] * count
    sizes = np.bincount(numbers.reshape(-1))[1:]
    # Of equal sizes the one that comes first in the file.
    largest = np.argsort(-sizes, kind="stable")[:2] + 1
    side_of = np.zeros(count + 1, np.uint8)
    side_of[largest] = 1, 2
    if count > 2:
        _join_fragments(numbers, largest, side_of, affine)
    names = ["1", "2"]
    if affine is not None:
        across = [_mean_across(numbers == number, affine) for number in largest]
        if across[0] > across[1]:
            side_of = np.array([0, 2, 1], np.uint8)[side_of]
        names = ["left", "right"]
    return side_of[numbers], names


def _join_fragments(
    numbers: NDArray[np.integer],
    largest: NDArray[np.integer],
    side_of: NDArray[np.uint8],
    affine: NDArray[np.float64] | None,
) -> None:
    """Gives every smaller component the side whose voxels come nearer to one of its own."""
    trees = [cKDTree(_millimetres(_border(numbers == number), affine)) for number in largest]
    for number, box in enumerate(ndimage.find_objects(numbers), start=1):
        if side_of[number]:
            continue
        own = np.argwhere(numbers[box] == number) + [part.start for part in box]
        distances = [float(tree.query(_millimetres(own, affine))[0].min()) for tree in trees]
        side_of[number] = 1 if distances[0] <= distances[1] else 2


def _border(component: NDArray[np.bool_]) -> NDArray[np.integer]:
    """The indices of the voxels that have a neighbour outside: no other can be the nearest to one outside."""
    return np.argwhere(component & ~ndimage.binary_erosion(component))


def _millimetres(indices: NDArray[np.integer], affine: NDArray[np.float64] | None) -> NDArray[np.generic]:
    return indices if affine is None else indices @ affine[:3, :3].T


def _mean_across(component: NDArray[np.bool_], affine: NDArray[np.float64]) -> float:
    """Where the component lies from the patient's left to right, but for a constant."""
    return float((np.argwhere(component).mean(axis=0) @ affine[:3, :3].T)[0])
