"""NIfTI-1 and NIfTI-2, plain or gzipped: nibabel's header and geometry over a buffer that igzip fills."""

import math
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from isal import igzip, isal_zlib
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import AGAIN, MAX_BYTES, TOO_LARGE, Volume

#: Deflate can't expand further: a stream that promises more is refused before memory is taken for it.
_MOST_EXPANSION = 1032
_CHUNK = 2**20


@dataclass(frozen=True)
class _Layout:
    """What the header says of the voxels: how many, of which kind, where, scaled how, and placed where."""

    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int
    scaling: tuple[float, float] | None
    affine: NDArray[np.float64]

    @property
    def end(self) -> int:
        return self.offset + math.prod(self.shape) * self.dtype.itemsize

    @property
    def bytes_needed(self) -> int:
        """The most memory its voxels take, stored or scaled."""
        return max(self.end, math.prod(self.shape) * 8 if self.scaling else 0)


def read(path: Path, name: str) -> Volume:
    """The stored voxels as a view of Fortran order in their own dtype; float64 where the header scales them.

    A 2D file is one slice; a 4D file keeps its volumes on the last axis.

    Bytes beyond the voxels are ignored, as nibabel does, but a gzip stream is read to its checksum.

    Raises:
        BadFile: truncated, not NIfTI, failing its checksum, not 2D to 4D, or larger than `MAX_BYTES`.
    """
    gzipped = name.lower().endswith(".gz")
    opener = igzip.open if gzipped else open
    try:
        with opener(path, "rb") as stream:
            layout = _layout(stream.read(540), name)
            most = path.stat().st_size * (_MOST_EXPANSION if gzipped else 1)
            if most < layout.end:
                raise _truncated(name, f"at most {most}", layout)
            # The start is still buffered; one read of the whole spares a copy of all voxels.
            stream.seek(0)
            data = stream.read(layout.end)
            while gzipped and stream.read(_CHUNK):
                pass
    except (EOFError, isal_zlib.error, igzip.BadGzipFile) as error:  # type: ignore[misc]  # isal's stub
        raise BadFile(name, f"damaged gzip stream ({error})", AGAIN) from None
    if len(data) < layout.end:
        raise _truncated(name, f"{len(data)}", layout)
    array = np.frombuffer(data, layout.dtype, math.prod(layout.shape), layout.offset)
    array = array.reshape(layout.shape, order="F")
    if layout.scaling:
        slope, intercept = layout.scaling
        array = array * np.float64(slope) + np.float64(intercept)
    return Volume(array, layout.affine)


def _truncated(name: str, held: str, layout: _Layout) -> BadFile:
    return BadFile(name, f"truncated: {held} of {layout.end} bytes", AGAIN)


def _layout(start: bytes, name: str) -> _Layout:
    """The header at the start of the file, understood and checked."""
    header = _header(start, name)
    try:
        shape = _three_or_four(header.get_data_shape())
        slope, intercept = header.get_slope_inter()
        layout = _Layout(
            shape=shape,
            dtype=header.get_data_dtype(),
            offset=header.get_data_offset(),
            scaling=None if slope is None or (slope, intercept) == (1, 0) else (slope, intercept),
            affine=_spanning(np.asarray(header.get_best_affine(), np.float64), shape),
        )
    except (HeaderDataError, ValueError, OverflowError) as error:
        raise _damaged(name, error) from None
    if len(shape) > 4 or min(shape) < 1:
        raise BadFile(name, f"a volume of shape {shape}, expected two to four dimensions", AGAIN)
    if layout.dtype.kind not in "iuf":
        raise BadFile(name, f"voxels of type {layout.dtype}, expected one number each", "give a gray volume")
    if layout.bytes_needed > MAX_BYTES:
        raise BadFile(
            name, f"the header promises {layout.bytes_needed} bytes, more than {MAX_BYTES}", TOO_LARGE
        )
    if not _invertible(layout.affine):
        raise BadFile(name, "the header's affine is not invertible", AGAIN)
    return layout


def _header(start: bytes, name: str) -> nib.Nifti1Header:
    """nibabel's header: NIfTI-2 by its size field, in either byte order; not of an .hdr/.img pair."""
    sizes = int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big")
    kind, length = (nib.Nifti2Header, 540) if 540 in sizes else (nib.Nifti1Header, 348)
    if length not in sizes or len(start) < length:
        raise BadFile(name, "not a NIfTI file", AGAIN)
    try:
        header = kind(start[:length], check=True)
    except (HeaderDataError, WrapStructError, ValueError, OverflowError) as error:
        raise _damaged(name, error) from None
    if header["magic"].item() != kind.single_magic:
        raise BadFile(name, "only the header of a pair of NIfTI files", "give one .nii or .nii.gz file")
    return header


def _damaged(name: str, error: Exception) -> BadFile:
    return BadFile(name, f"damaged NIfTI header ({' '.join(str(error).split())})", AGAIN)


def _three_or_four(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without further axes of length 1; a 2D shape gets one."""
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return shape + (1,) * (3 - len(shape))


def _spanning(affine: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """A 2D file often gives its third axis no length: then it is the normal, 1 mm long."""
    if shape[2] == 1 and not affine[:3, 2].any():
        normal = np.cross(affine[:3, 0], affine[:3, 1])
        affine[:3, 2] = normal / (np.linalg.norm(normal) or 1.0)
    return affine


def _invertible(affine: NDArray[np.float64]) -> bool:
    """Whether the stored axes span the space, whatever their lengths."""
    if not np.isfinite(affine).all():
        return False
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.isfinite(axes).all() and np.linalg.matrix_rank(axes) == 3)
