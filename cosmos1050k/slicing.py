"""From a volume to its slices: along an anatomical plane by the affine, or along a stored axis as it lies."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from cosmos1050k.source import View

#: Anatomical direction of slices, of rows downwards and of columns rightwards, as axis of the RAS+ frame and
#: sign. Slices keep the stored order, and so have no sign.
_PLANES: dict[View, tuple[tuple[int, int], ...]] = {
    "transverse": ((2, 0), (1, -1), (0, -1)),  # rows run to posterior, columns to the patient's left
    "coronal": ((1, 0), (2, -1), (0, -1)),  # rows run to inferior, columns to the patient's left
    "sagittal": ((0, 0), (2, -1), (1, -1)),  # rows run to inferior, columns to posterior
}
#: Slices copied together where neighbours interleave in memory: a cache line is then read once, not often.
_BLOCK = 32
#: cv2 turns elements of these sizes, whatever they mean.
_ELEMENT = {1: np.uint8, 2: np.uint16, 4: np.int32, 8: np.float64}


@dataclass(frozen=True)
class Arrangement:
    """Which stored axes (0…2) slices, rows and columns run along, and whether rows and columns run
    backwards. Slices never do: an index names a slice of the file.
    """

    axes: tuple[int, int, int]
    backwards: tuple[bool, bool] = (False, False)


def anatomical(affine: NDArray[np.float64], view: View) -> Arrangement:
    """The arrangement of a radiological display: the patient's right on the left; transverse with anterior
    up, coronal with superior up, sagittal with superior up and anterior on the left.

    Args:
        affine: 4×4, index → RAS+ mm. An oblique volume takes the nearest axes.
    """
    stored = nib.orientations.io_orientation(affine)  # 3 × [RAS axis, sign]
    places = [int(np.flatnonzero(stored[:, 0] == axis)[0]) for axis, _ in _PLANES[view]]
    rows, columns = (
        bool(sign != stored[place, 1])
        for place, (_, sign) in list(zip(places, _PLANES[view], strict=True))[1:]
    )
    return Arrangement((places[0], places[1], places[2]), (rows, columns))


def stored(axis: int) -> Arrangement:
    """Slices along a stored axis; of the other two the later runs down the rows, as a file's own viewer
    shows it: along axis 2, rows follow axis 1 and columns axis 0.
    """
    rows, columns = sorted({0, 1, 2} - {axis}, reverse=True)
    return Arrangement((axis, rows, columns))


def spacing(affine: NDArray[np.float64], arrangement: Arrangement) -> tuple[float, float]:
    """Millimetres between rows and between columns."""
    sizes = nib.affines.voxel_sizes(affine)
    return float(sizes[arrangement.axes[1]]), float(sizes[arrangement.axes[2]])


class Slices:
    """The slices of a volume, or of a box cut out of one, each rows × columns (× channels).

    Read in order they cost the least: neighbours that interleave in memory are copied a block at a time.

    Args:
        array: (i, j, k) or (i, j, k, c) as stored.
        start: the index of the array's first voxel in the whole volume.
        whole: the shape (i, j, k) of the whole volume, if the array is cut out of it.
    """

    def __init__(
        self,
        array: NDArray[np.generic],
        arrangement: Arrangement,
        start: Sequence[int] = (0, 0, 0),
        whole: Sequence[int] | None = None,
    ) -> None:
        whole = array.shape[:3] if whole is None else whole
        self.first, self.top, self.left = (
            whole[axis] - start[axis] - array.shape[axis] if back else start[axis]
            for axis, back in zip(arrangement.axes, (False, *arrangement.backwards), strict=True)
        )
        self.count = array.shape[arrangement.axes[0]]
        self._stacked = array.transpose(*arrangement.axes, *range(3, array.ndim))
        self._backwards = arrangement.backwards
        self._interleaved = _interleaved(self._stacked)
        self._block_start, self._block = -1, self._stacked[:0]

    def __contains__(self, index: int) -> bool:
        return self.first <= index < self.first + self.count

    def __getitem__(self, index: int) -> NDArray[np.generic]:
        """The slice `index` of the whole volume, C-contiguous; only those it `contains` can be had."""
        place = index - self.first
        if not 0 <= place < self.count:
            raise IndexError(index)
        if not self._interleaved:
            return _straight(self._stacked[place], self._backwards)
        start = place - place % _BLOCK
        if start != self._block_start:
            self._block, self._block_start = _apart(self._stacked[start : start + _BLOCK]), start
        return _straight(self._block[place - start], self._backwards)


def _interleaved(stacked: NDArray[np.generic]) -> bool:
    """Whether slices × rows × columns lie in one piece of memory in which the slice changes fastest."""
    if stacked.ndim != 3 or stacked.dtype.itemsize not in _ELEMENT or min(stacked.shape) < 2:
        return False
    first, rows, columns = stacked.shape
    size = stacked.dtype.itemsize
    return stacked.strides in (
        (size, size * first * columns, size * first),
        (size, size * first, size * first * rows),
    )


def _apart(stacked: NDArray[np.generic]) -> NDArray[np.generic]:
    """Interleaved slices × rows × columns copied, so that each is in one piece."""
    turned = stacked.strides[1] < stacked.strides[2]
    planes = stacked.swapaxes(1, 2) if turned else stacked
    element = _ELEMENT[planes.dtype.itemsize]
    lines = planes.transpose(1, 2, 0).reshape(-1, len(planes))  # a view: a line per place, a column per slice
    copied = cv2.transpose(lines.view(element)).view(planes.dtype).reshape(planes.shape)
    return copied.swapaxes(1, 2) if turned else copied


def _straight(plane: NDArray[np.generic], backwards: tuple[bool, bool]) -> NDArray[np.generic]:
    """A slice with its rows and columns in their order, C-contiguous; copied only if it isn't."""
    rows, columns = backwards
    if plane.ndim != 2 or plane.dtype.itemsize not in _ELEMENT:
        return np.ascontiguousarray(plane[:: -1 if rows else 1, :: -1 if columns else 1])
    element = plane.view(_ELEMENT[plane.dtype.itemsize])
    if plane.strides[0] < plane.strides[1]:
        element = cv2.transpose(element.T).reshape(plane.shape)
    if rows or columns:
        element = cv2.flip(element, -1 if rows and columns else int(columns)).reshape(plane.shape)
    return np.ascontiguousarray(element).view(plane.dtype)
