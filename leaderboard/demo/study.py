"""A study: what a person tries a model on, a picture or a volume, and its slices along each plane."""

import operator
from typing import Any, TypeVar

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from cosmos1050k import pictures, slicing
from cosmos1050k.errors import InputError
from cosmos1050k.readers import Volume
from cosmos1050k.slicing import Arrangement
from cosmos1050k.source import View
from leaderboard.demo.windows import WINDOWS, Window, windowed

#: Planes of what has no anatomical ones: one 2D picture, and a stack without geometry, along its third axis.
PICTURE, STORED = "picture", "stored"
_ANATOMICAL: tuple[View, ...] = ("transverse", "coronal", "sagittal")
#: Air has −1000 Hounsfield units, fat −100: no other common scale of gray reaches so low.
_BELOW_TISSUE = -500
#: How many times as far apart slices lie along another axis than along the third, if they were taken there.
_COARSER = 2.0

Number = TypeVar("Number", bound=np.generic)


class Study:
    """One picture, or one volume with the planes that it can be sliced along. Nothing in it changes.

    A volume with an affine has the three anatomical planes, radiological: the patient's right is on the left.
    So has one slice with an affine its orientation, though it is one `picture`.

    Args:
        name: of the file or the series, plain text for show.
        stored: the voxels; a 4D file's with all its volumes.
        number: which volume of a 4D file this is, from 0.
        note: a sentence on what was chosen of that which was brought; "" where there was no choice.
        header: of a NIfTI file its own, which masks are to have too.

    Attributes:
        volume: the voxels of this volume.
        frames: how many volumes the file holds.
        planes: the first is the one that the slices were taken in.
        windows: `WINDOWS` if the values look like Hounsfield units, gray, signed or fractions, and somewhere
            below −500; else none.
    """

    def __init__(
        self,
        name: str,
        stored: Volume,
        number: int = 0,
        note: str = "",
        header: nib.Nifti1Header | None = None,
    ) -> None:
        several = stored.array.ndim == 4 and not stored.colour
        self.name, self.note, self.header = name, note, header
        self.stored, self.number = stored, number
        self.frames = stored.array.shape[3] if several else 1
        if not 0 <= number < self.frames:
            raise InputError(f"{name} has {self.frames} volumes, and no number {number}")
        self.volume = Volume(stored.array[..., number], stored.affine) if several else stored
        self._arrangements = _arrangements(self.volume)
        self.planes = tuple(self._arrangements)
        self.windows = WINDOWS if _has_air(self.volume) else ()

    def frame(self, number: int) -> "Study":
        """Another volume of the same 4D file, from 0; its voxels are shared.

        Raises:
            InputError: there is no such volume.
        """
        return Study(self.name, self.stored, number, self.note, self.header)

    @property
    def nbytes(self) -> int:
        """The bytes of all voxels, those of a 4D file's other volumes too."""
        return self.stored.array.nbytes

    def depth(self, plane: str) -> int:
        """The number of slices. Raises InputError: there is no such plane."""
        return self.volume.array.shape[self._arrangement(plane).axes[0]]

    def size(self, plane: str) -> tuple[int, int]:
        """Height and width of a slice in pixels. Raises InputError: there is no such plane."""
        _, rows, columns = self._arrangement(plane).axes
        return self.volume.array.shape[rows], self.volume.array.shape[columns]

    def spacing(self, plane: str) -> tuple[float, float] | None:
        """Millimetres between rows and between columns; None without geometry.

        Raises:
            InputError: there is no such plane.
        """
        arrangement = self._arrangement(plane)
        return None if self.volume.affine is None else slicing.spacing(self.volume.affine, arrangement)

    def picture(self, plane: str, index: int, window: Window | None = None) -> NDArray[np.uint8]:
        """A slice as it is shown and as a model sees it: H×W gray, or H×W×3 RGB.

        Without a window it is the protocol's (section 1, step 4): min–max of the slice, and a 2D picture of 8
        bits as it is.

        Raises:
            InputError: there is no such plane or slice.
        """
        values = np.ascontiguousarray(self.cut(self.volume.array, plane, index))
        if window is not None:
            return windowed(values, window)
        if plane == PICTURE and values.dtype == np.uint8:
            return values.view(np.uint8)
        return pictures.normalised(values)

    def cut(self, array: NDArray[Number], plane: str, index: int) -> NDArray[Number]:
        """A slice of an array of the study's (i, j, k), rows × columns as shown; a view, so that what is
        written into it is written at the voxels' places.

        Raises:
            InputError: there is no such plane or slice.
        """
        arrangement = self._arrangement(plane)
        try:
            place = operator.index(index)
        except TypeError:
            raise InputError(f"{index!r} is no number of a slice") from None
        if not 0 <= place < self.depth(plane):
            raise InputError(f"no slice {place}: {self.name} has {self.depth(plane)} in its plane {plane}")
        rows, columns = (slice(None, None, -1 if back else None) for back in arrangement.backwards)
        return array.transpose(*arrangement.axes, *range(3, array.ndim))[place, rows, columns]

    def _arrangement(self, plane: str) -> Arrangement:
        if plane not in self._arrangements:
            raise InputError(f"no plane {plane!r}: {self.name} has {', '.join(self.planes)}")
        return self._arrangements[plane]


def _arrangements(volume: Volume) -> dict[str, Arrangement]:
    """The planes by name, the one that the slices were taken in first."""
    shape = volume.array.shape[:3]
    if volume.affine is None:
        return {PICTURE if shape[2] == 1 else STORED: slicing.stored(2)}
    anatomical = {view: slicing.anatomical(volume.affine, view) for view in _ANATOMICAL}
    through = _through(volume.affine, shape)
    first = min(anatomical, key=lambda view: anatomical[view].axes[0] != through)
    if shape[through] == 1:
        return {PICTURE: anatomical[first]}
    return {view: anatomical[view] for view in (first, *_ANATOMICAL)}


def _through(affine: NDArray[np.float64], shape: tuple[int, ...]) -> int:
    """The axis along which the slices lie: the only one of length 1; else the third, where files have it,
    unless the voxels are much longer along another.
    """
    if sum(length == 1 for length in shape) == 1:
        return shape.index(1)
    sizes = nib.affines.voxel_sizes(affine)
    longest = int(np.argmax(sizes))
    return longest if sizes[longest] > _COARSER * sizes[2] and shape[2] > 1 else 2


def _has_air(volume: Volume) -> bool:
    values: NDArray[Any] = volume.array
    if volume.colour or values.dtype.kind not in "if":
        return False
    slices = (values[:, :, place] for place in range(values.shape[2]))
    return any(bool((np.isfinite(one) & (one < _BELOW_TISSUE)).any()) for one in slices)
