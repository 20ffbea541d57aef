"""From a volume to its slices, oriented as a radiologist looks at them."""

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from cosmos1050k.source import View

#: Anatomical direction of growing slice index, of rows downwards and of columns rightwards, as axis of the
#: RAS+ frame and sign. The slice axis keeps the stored order (sign 0): an index names a slice of the file.
_PLANES: dict[View, tuple[tuple[int, int], ...]] = {
    "transverse": ((2, 0), (1, -1), (0, -1)),  # rows run to posterior, columns to the patient's left
    "coronal": ((1, 0), (2, -1), (0, -1)),  # rows run to inferior, columns to the patient's left
    "sagittal": ((0, 0), (2, -1), (1, -1)),  # rows run to inferior, columns to posterior
}


def oriented(array: NDArray[np.generic], affine: NDArray[np.float64], view: View) -> NDArray[np.generic]:
    """The volume as slices × rows × columns of `view`: a view of the same memory, nothing is copied.

    Args:
        array: shape (i, j, k) as stored.
        affine: 4×4, index → RAS+ mm. An oblique volume takes the nearest axes.

    Rows and columns lie as in radiological display: the patient's right on the left; transverse with anterior
    up, coronal with superior up, sagittal with superior up and anterior on the left.
    """
    stored = _orientation(affine)
    order, flips = [], []
    for axis, sign in _PLANES[view]:
        place = int(np.flatnonzero(stored[:, 0] == axis)[0])
        order.append(place)
        flips.append(slice(None, None, -1) if sign and sign != stored[place, 1] else slice(None))
    return array.transpose(order)[tuple(flips)]


def spacing(affine: NDArray[np.float64], view: View) -> tuple[float, float]:
    """Millimetres between rows and between columns of `view`."""
    stored = _orientation(affine)
    sizes = nib.affines.voxel_sizes(affine)
    rows, columns = (
        float(sizes[int(np.flatnonzero(stored[:, 0] == axis)[0])]) for axis, _ in _PLANES[view][1:]
    )
    return rows, columns


def _orientation(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """nibabel's orientation (3 × [RAS axis, sign]): which anatomical axis each stored axis follows."""
    return nib.orientations.io_orientation(affine)
