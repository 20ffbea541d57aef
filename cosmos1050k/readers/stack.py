"""A volume from files of one slice each: a DICOM series, or pictures."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import Volume, geometry, read, refuse_size

_FIT = "give files of one series"


def read_stack(files: Sequence[tuple[Path, str]], by_position: bool) -> tuple[Volume, tuple[int, ...]]:
    """The slices in the order given or, of DICOM files, along their normal.

    The affine runs from the first slice to the last in even steps: where slices are missing between them, or
    spaced unevenly, it is right at both ends only. Pictures have none, nor have slices that go back and forth
    in the order given.

    Args:
        files: path and name of each slice, at least one.
        by_position: sort by position; the slices then need one each.

    Returns:
        The volume, in a dtype that holds the values of all slices, and the order of its slices: the place in
        `files` of each.

    Raises:
        BadFile: a file is missing or damaged, has not one slice, or differs from the first in shape, kind or
            orientation; by position also one that has none, or another's.
    """
    slices = _Slices(files)
    for place in range(len(files)):
        slices.add(place)
    order = tuple(range(len(files)))
    if by_position:
        order = slices.order()
        slices.sort(order)
    affine = slices.affine(order)
    return Volume(slices.array, affine, slices.colour), order


class _Slices:
    """The slices read so far, in the memory of the whole volume, and where each lies."""

    def __init__(self, files: Sequence[tuple[Path, str]]) -> None:
        self._files = files
        self._affines: list[NDArray[np.float64] | None] = []
        self._first = read(*files[0])
        self.colour = self._first.colour
        self.array = self._memory(self._first.array.dtype)

    def add(self, place: int) -> None:
        path, name = self._files[place]
        found = self._first if place == 0 else read(path, name)
        self._check(found, name)
        self.array = self._holding(found.array.dtype, place, name)
        self.array[:, :, place] = found.array[:, :, 0]
        self._affines.append(found.affine)

    def order(self) -> tuple[int, ...]:
        """The places of the slices along their normal."""
        heights = []
        for affine, (_, name) in zip(self._affines, self._files, strict=True):
            if affine is None or self._affines[0] is None:
                raise BadFile(name, "a slice without a position", "give DICOM files that have one")
            heights.append(float(affine[:3, 3] @ geometry.normal(self._affines[0])))
        order = sorted(range(len(heights)), key=heights.__getitem__)
        for one, other in itertools.pairwise(order):
            if heights[other] - heights[one] < geometry.SAME_PLACE_MM:
                problem = f"lies where {self._files[one][1]} lies"
                raise BadFile(self._files[other][1], problem, "give the slices of one volume")
        return tuple(order)

    def sort(self, order: Sequence[int]) -> None:
        """Puts slice `order[n]` at n for every n, with room for one slice more."""
        order = list(order)
        for start in range(len(order)):
            kept, place = self.array[:, :, start].copy(), start
            while order[place] != start:  # along the cycle, which is left in place behind
                source, order[place] = order[place], place
                self.array[:, :, place] = self.array[:, :, source]
                place = source
            self.array[:, :, place], order[place] = kept, place

    def affine(self, order: Sequence[int]) -> NDArray[np.float64] | None:
        placed = [affine for affine in self._affines if affine is not None]
        if len(placed) < len(self._files):
            return None
        places = np.array([placed[place][:3, 3] for place in order])
        return geometry.stacked(placed[order[0]], places)

    def _memory(self, dtype: np.dtype) -> NDArray[np.generic]:
        """Of the whole volume; a slice is one block of it, rows in rows as pictures have them."""
        width, height, _, *channels = self._first.array.shape
        shape = (len(self._files), height, width, *channels)
        refuse_size(self._files[0][1], shape, dtype.itemsize)
        return np.empty(shape, dtype).transpose(2, 1, 0, *range(3, len(shape)))

    def _holding(self, dtype: np.dtype, filled: int, name: str) -> NDArray[np.generic]:
        """The memory, in a dtype that also holds this one's values."""
        if (wide := np.result_type(self.array.dtype, dtype)) == self.array.dtype:
            return self.array
        integral = [kind.itemsize for kind in (self.array.dtype, dtype) if kind.kind in "iu"]
        if (
            wide.kind == "f" and max(integral, default=0) >= wide.itemsize
        ):  # its fraction is too short for them
            raise BadFile(name, f"voxels of type {dtype}, other slices have {self.array.dtype}", _FIT)
        memory = self._memory(wide)
        memory[:, :, :filled] = self.array[:, :, :filled]
        return memory

    def _check(self, found: Volume, name: str) -> None:
        first, other = self._first, self._files[0][1]
        shape, expected = found.array.shape, first.array.shape
        if shape[2] != 1:
            raise BadFile(name, f"{shape[2]} slices where one is expected", _FIT)
        if shape != expected or found.colour != first.colour:
            raise BadFile(name, f"a slice of shape {shape}, but {other} has {expected}", _FIT)
        if (found.affine is None) != (first.affine is None):
            odd = "no position" if found.affine is None else "a position"
            raise BadFile(name, f"{odd}, unlike {other}", _FIT)
        if found.affine is None or first.affine is None:
            return
        if not geometry.parallel(first.affine, found.affine):
            raise BadFile(name, f"is turned or scaled unlike {other}", _FIT)
