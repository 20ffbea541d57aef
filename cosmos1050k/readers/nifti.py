"""NIfTI-1 and NIfTI-2, plain or gzipped: nibabel's header and geometry over a buffer that igzip fills."""

import math
from pathlib import Path

import nibabel as nib
import numpy as np
from isal import igzip, isal_zlib
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import Volume

AGAIN = "fetch the file again"
#: A volume of 2000³ 16-bit voxels is allowed; a header that promises more is damaged or hostile.
MAX_BYTES = 2 * 2000**3


def read(path: Path, name: str) -> Volume:
    """The stored voxels as a view of Fortran order in their own dtype; float64 only where the header scales them.

    Raises:
        BadFile: truncated, not NIfTI, failing its checksum, not 3D, or larger than `MAX_BYTES`.
    """
    opener = igzip.open if name.lower().endswith(".gz") else open
    try:
        with opener(path, "rb") as stream:
            start = stream.read(540)
            header = _header(start, name)
            promised = _promised_bytes(header, name)
            # One byte past the promise makes the reader reach the end, where gzip checks its sum.
            data = start + stream.read(promised - len(start) + 1)
    except (EOFError, isal_zlib.error, igzip.BadGzipFile) as error:
        raise BadFile(name, f"damaged gzip stream ({error})", AGAIN) from None
    if len(data) < promised:
        raise BadFile(name, f"truncated: {len(data)} of {promised} bytes", AGAIN)
    shape = header.get_data_shape()
    offset = int(header["vox_offset"])
    count = math.prod(shape)
    array = np.frombuffer(data, header.get_data_dtype(), count, offset).reshape(shape, order="F")
    affine = np.asarray(header.get_best_affine(), np.float64)
    if not np.isfinite(affine).all() or np.linalg.det(affine[:3, :3]) == 0:
        raise BadFile(name, "the header's affine is not invertible", AGAIN)
    return Volume(_scaled(array, header), affine)


def _header(start: bytes, name: str) -> nib.Nifti1Header:
    """The header at the start of the file; NIfTI-2 by its size field, in either byte order."""
    size = start[:4]
    kind, length = (nib.Nifti2Header, 540) if 540 in _either_order(size) else (nib.Nifti1Header, 348)
    if length not in _either_order(size) or len(start) < length:
        raise BadFile(name, "not a NIfTI file", AGAIN)
    try:
        return kind(start[:length], check=True)
    except (HeaderDataError, WrapStructError, ValueError) as error:
        raise BadFile(name, f"damaged NIfTI header ({error})", AGAIN) from None


def _either_order(size: bytes) -> tuple[int, int]:
    return int.from_bytes(size, "little"), int.from_bytes(size, "big")


def _promised_bytes(header: nib.Nifti1Header, name: str) -> int:
    shape = header.get_data_shape()
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or min(shape) < 1:
        raise BadFile(name, f"a volume of shape {shape}, expected three dimensions", AGAIN)
    header.set_data_shape(shape)
    promised = int(header["vox_offset"]) + math.prod(shape) * header.get_data_dtype().itemsize
    if promised > MAX_BYTES:
        raise BadFile(name, f"the header promises {promised} bytes, more than {MAX_BYTES}", AGAIN)
    return promised


def _scaled(array: np.ndarray, header: nib.Nifti1Header) -> np.ndarray:
    slope, intercept = header.get_slope_inter()
    if (slope, intercept) in ((None, None), (1.0, 0.0)):
        return array
    return array * np.float64(slope) + np.float64(intercept)
