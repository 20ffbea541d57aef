"""Calls of SimpleITK: without its and its libraries' own messages, and what it raises as one line."""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import AGAIN
from cosmos1050k.readers.messages import shown

sitk.ProcessObject.SetGlobalWarningDisplay(False)

_SCALARS = {
    sitk.sitkInt8: np.int8, sitk.sitkUInt8: np.uint8, sitk.sitkInt16: np.int16, sitk.sitkUInt16: np.uint16,
    sitk.sitkInt32: np.int32, sitk.sitkUInt32: np.uint32, sitk.sitkInt64: np.int64,
    sitk.sitkUInt64: np.uint64, sitk.sitkFloat32: np.float32, sitk.sitkFloat64: np.float64,
}  # fmt: skip
_VECTORS = {
    sitk.sitkVectorInt8: np.int8, sitk.sitkVectorUInt8: np.uint8, sitk.sitkVectorInt16: np.int16,
    sitk.sitkVectorUInt16: np.uint16, sitk.sitkVectorInt32: np.int32, sitk.sitkVectorUInt32: np.uint32,
    sitk.sitkVectorInt64: np.int64, sitk.sitkVectorUInt64: np.uint64, sitk.sitkVectorFloat32: np.float32,
    sitk.sitkVectorFloat64: np.float64,
}  # fmt: skip
#: The standard error is the whole process's: of two threads that turn it away at once one would lose it.
_ONE_AT_A_TIME = threading.Lock()
_DTYPES = {kind: np.dtype(dtype) for kind, dtype in (_SCALARS | _VECTORS).items()}


def header(path: Path, name: str, io: str) -> sitk.ImageFileReader:
    """A reader that has read the header alone.

    Args:
        io: ITK's class for the container, such as `MetaImageIO`.

    Raises:
        BadFile: ITK can't read the header.
    """
    reader = _reader(path, io)
    try:
        with _silent():
            reader.ReadImageInformation()
    except (RuntimeError, OverflowError) as error:
        raise BadFile(name, f"damaged header ({_last_line(error)})", AGAIN) from None
    return reader


def pixels(path: Path, name: str, io: str) -> NDArray[np.generic]:
    """The pixels as ITK decodes them, indexed slowest axis first, channels last.

    Raises:
        BadFile: ITK can't read the file.
    """
    try:
        with _silent():
            image = _reader(path, io).Execute()
    except (RuntimeError, OverflowError) as error:
        raise BadFile(name, f"can't be decoded ({_last_line(error)})", AGAIN) from None
    array: NDArray[np.generic] = sitk.GetArrayFromImage(image)
    return array


def dtype_of(reader: sitk.ImageFileReader, name: str) -> np.dtype:
    """The type of one number of a voxel.

    Raises:
        BadFile: it is no plain number.
    """
    if (kind := reader.GetPixelID()) not in _DTYPES:
        problem = f"voxels of type {sitk.GetPixelIDValueAsString(kind)}, expected one number each"
        raise BadFile(name, problem, "give a gray volume")
    return _DTYPES[kind]


def _reader(path: Path, io: str) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetImageIO(io)
    reader.SetFileName(str(path))
    return reader


def _last_line(error: Exception) -> str:
    """What ITK says at the end, without its source's file and line and its object's address."""
    said = (str(error).strip() or type(error).__name__).splitlines()[-1]
    return shown(re.sub(r"^(sitk::|ITK )?ERROR: (\w+\(0x\w+\): )?", "", said))


@contextmanager
def _silent() -> Iterator[None]:
    """Without what C and C++ code writes to the standard error, past Python and ITK's own switch."""
    with _ONE_AT_A_TIME:
        kept = os.dup(2)
        sink = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(sink, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(sink)
            os.close(kept)
