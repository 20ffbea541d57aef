"""Readers, one module per container. Each gives the voxels as stored, uncopied, and their geometry.

Whatever the container, an array is indexed (i, j, k): column, row, slice, as NIfTI stores them. A picture is
one slice, a page of a stack another; colours come last.
"""

import importlib
import math
import os
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cosmos1050k.errors import BadFile

Result = TypeVar("Result")

AGAIN = "fetch the file again"
TOO_LARGE = "fetch the file again or, if it is sound, build it on a larger machine"
#: A volume of 2000³ 16-bit voxels is allowed, if three of its size fit into memory, as a worker may need; a
#: header that promises more is damaged or hostile.
MAX_BYTES = min(2 * 2000**3, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 3)

#: File name ending → module of this package with `read(path, name) -> Volume`.
CONTAINERS = {
    ".nii.gz": "nifti",
    ".nii": "nifti",
    ".mha": "itk",
    ".mhd": "itk",
    ".nrrd": "itk",
    ".nhdr": "itk",
    ".hdr": "analyze",
    ".dcm": "dicom",
    ".png": "picture",
    ".jpg": "picture",
    ".jpeg": "picture",
    ".bmp": "picture",
    ".gif": "picture",
    ".ppm": "picture",
    ".ppm.gz": "picture",
    ".pgm": "picture",
    ".tif": "tiff",
    ".tiff": "tiff",
}

#: A header's ending → the endings of the voxel file beside it, of the same name. No other place is read.
PARTNERS = {
    ".mhd": (".raw", ".zraw", ".raw.gz"),
    ".nhdr": (".raw", ".raw.gz"),
    ".hdr": (".img", ".img.gz"),
}


@dataclass(frozen=True)
class Volume:
    """Voxels in their stored dtype.

    Args:
        array: (i, j, k), or (i, j, k, c): c volumes of one 4D file, or channels where `colour` is set.
        affine: 4×4, index → RAS+ millimetres; None where the container has no geometry.
    """

    array: NDArray[np.generic]
    affine: NDArray[np.float64] | None = None
    colour: bool = False


def partners(name: str, present: Container[str]) -> tuple[str, ...]:
    """The voxel files that belong to a header, of those present."""
    stem, dot, ending = name.rpartition(".")
    return tuple(stem + other for other in PARTNERS.get(dot + ending.lower(), ()) if stem + other in present)


def read(path: Path, name: str, channel: int | None = None, picture: bool = False) -> Volume:
    """Reads one raw file by the reader of its container.

    Args:
        name: the file relative to its source's folder; it is what a message names.
        channel: which volume of a 4D file, or which channel (R, G, B) of one in colour.
        picture: the file holds pictures, of which a channel may be a plane of the third axis.

    Raises:
        BadFile: the file is missing, damaged, in no known container, or has no such channel.
    """
    module = next((CONTAINERS[ending] for ending in CONTAINERS if name.lower().endswith(ending)), None)
    if module is None:
        raise BadFile(name, "not a container that can be read", f"known are {', '.join(CONTAINERS)}")
    found = guarded(importlib.import_module(f"{__name__}.{module}").read, path, name)
    if picture and channel is not None and found.array.ndim == 3:
        found = Volume(found.array[:, :, None, :], found.affine)
    return chosen(found, name, channel)


def guarded(reader: Callable[..., Result], path: Path, name: str, *more: object) -> Result:
    """Calls a reader; what the operating system refuses becomes one line.

    Raises:
        BadFile: the file is missing or can't be read.
    """
    try:
        return reader(path, name, *more)
    except FileNotFoundError:
        raise BadFile(name, f"not in {path.parent}", "put the file there or fetch the source again") from None
    except PermissionError:
        raise BadFile(name, "not readable", "change its permissions") from None
    except OSError as error:
        raise BadFile(name, f"can't be read ({error.strerror or error})", "put a file in its place") from None


def chosen(found: Volume, name: str, channel: int | None) -> Volume:
    """The wanted volume of a 4D file, or channel of one in colour; a 3D file is its own only one.

    Raises:
        BadFile: there is no such channel.
    """
    if found.colour and channel is not None and channel < found.array.shape[3]:
        return Volume(found.array[..., channel].copy(order="K"), found.affine)
    if found.array.ndim == 3 or found.colour:
        if channel:
            raise BadFile(name, f"one volume, but number {channel} is wanted", AGAIN)
        return found
    count = found.array.shape[3]
    if channel is None:
        raise BadFile(name, f"a volume of shape {found.array.shape}, expected three dimensions", AGAIN)
    if channel >= count:
        raise BadFile(name, f"{count} volumes, but number {channel} is wanted", AGAIN)
    return Volume(found.array[..., channel], found.affine)


def refuse_size(name: str, shape: Sequence[int], itemsize: int) -> None:
    """Refuses what a header promises before memory is taken for it.

    Raises:
        BadFile: there are no voxels, or more than `MAX_BYTES` of them.
    """
    if min(shape) < 1:
        raise BadFile(name, f"a picture or volume of shape {tuple(shape)}", AGAIN)
    if (promised := math.prod(shape) * itemsize) > MAX_BYTES:
        raise BadFile(name, f"the header promises {promised} bytes, more than {MAX_BYTES}", TOO_LARGE)
