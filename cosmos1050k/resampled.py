"""Masks on a grid of their own, brought onto their image's by the nearest voxel."""

import numpy as np
from numpy.typing import NDArray

from cosmos1050k.readers import Volume

#: Rounding must not decide where a voxel of the image lies in the middle between two of the mask's.
_IN_THE_MIDDLE = 1e-6


def onto(mask: Volume, image: Volume) -> Volume:
    """The mask on the image's grid, 0 where it doesn't reach; one without an affine as it is.

    Args:
        mask: (i, j, k), anywhere in the space of `image`, its axes in any order and direction.
    """
    if mask.affine is None or image.affine is None or mask.array.ndim != 3:
        return mask
    whole = image.array.shape[:3]
    to_mask = np.linalg.inv(mask.affine) @ image.affine
    found = np.zeros(whole, mask.array.dtype, order="F")
    across = [np.arange(size, dtype=np.float64) for size in whole[:2]]
    for level in range(whole[2]):  # one by one: places take 24 bytes a voxel
        start = to_mask[:3, 2] * level + to_mask[:3, 3]
        places, inside = [], np.ones(whole[:2], bool)
        for axis, size in enumerate(mask.array.shape):
            along = np.add.outer(to_mask[axis, 0] * across[0], to_mask[axis, 1] * across[1]) + start[axis]
            nearest: NDArray[np.float64] = np.floor(along + 0.5 + _IN_THE_MIDDLE)
            inside &= (nearest >= 0) & (nearest < size)
            places.append(nearest)
        indices = tuple(place[inside].astype(np.int64) for place in places)
        found[:, :, level][inside] = mask.array[indices]
    return Volume(found, image.affine)
