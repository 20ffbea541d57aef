"""Masks that were saved with no more than the box round what they mark, as 3D Slicer can save one."""

import numpy as np

from cosmos1050k.readers import Volume

#: How far from a voxel's centre, in voxels, the part's first one may be said to lie.
_ROUNDING = 0.02


def completed(part: Volume, whole: Volume) -> Volume:
    """A mask of a box in the grid of `whole`, zero around it; any other mask as it is.

    Args:
        part: (i, j, k); a box of whole voxels, by the affines, of the same axes.
    """
    shape = whole.array.shape[:3]
    if part.array.ndim != 3 or part.array.shape == shape or part.affine is None or whole.affine is None:
        return part
    to_voxels = np.linalg.inv(whole.affine) @ part.affine
    start = np.rint(to_voxels[:3, 3]).astype(np.int64)
    expected = np.eye(4)
    expected[:3, 3] = start
    reach = np.array([*part.array.shape, 1])  # what rounding the axes adds up to at the last voxel
    if (np.abs(to_voxels - expected) * reach > _ROUNDING).any():
        return part
    if (start < 0).any() or (start + part.array.shape > shape).any():
        return part
    box = tuple(slice(first, first + size) for first, size in zip(start, part.array.shape, strict=True))
    array = np.zeros(shape, part.array.dtype, order="F")
    array[box] = part.array
    return Volume(array, whole.affine)
