"""Header and voxels in two files, .hdr and .img: Analyze 7.5, or NIfTI-1 by its magic; nibabel's header.

Analyze has no affine here. Its header tells sizes, yet not where the patient's sides are: ITK takes the first
axis to run to the left, nibabel to the right, each by a custom of its own. So such a volume is sliced along a
stored axis; the order of its voxels is the same to both.
"""

import logging
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import AGAIN, MAX_BYTES, PARTNERS, Volume, geometry, refuse_size, voxels
from cosmos1050k.readers.messages import shown
from cosmos1050k.readers.voxels import Stored

_LENGTH = 348
_PAIR = b"ni1\0"
#: nibabel logs what it mends in a header as it reads it.
_SILENT = logging.Logger("nibabel")
_SILENT.disabled = True


def read(path: Path, name: str) -> Volume:
    """The voxels as a view of Fortran order; scaled, to float64, only where a NIfTI header says so.

    Raises:
        BadFile: no such header, truncated, damaged, not 2D to 4D, no single numbers, or the .img is missing.
    """
    with path.open("rb") as stream:
        start = stream.read(_LENGTH)
    if len(start) < _LENGTH or _LENGTH not in (_size(start, "little"), _size(start, "big")):
        raise BadFile(name, "not an Analyze or NIfTI header", AGAIN)
    scaling, affine = None, None
    try:
        # Analyze's own types, and those that NIfTI's codes add, as others write them into Analyze too.
        header = nib.nifti1.Nifti1PairHeader(start, check=False)
        dtype = header.get_data_dtype().newbyteorder("=")
        shape, offset = header.get_data_shape(), int(header["vox_offset"])
        if start.endswith(_PAIR):
            header.check_fix(logger=_SILENT)
            slope, intercept = header.get_slope_inter()
            scaling = None if slope is None or (slope, intercept) == (1, 0) else (slope, intercept)
            affine = np.asarray(header.get_best_affine(), np.float64)
    except (HeaderDataError, WrapStructError, LookupError, ValueError, OverflowError) as error:
        raise BadFile(name, f"damaged Analyze header ({shown(error)})", AGAIN) from None
    if dtype.kind not in "iuf":
        raise BadFile(name, f"voxels of type {dtype}, expected one number each", "give a gray volume")
    if len(shape) < 2:
        raise BadFile(name, f"a volume of shape {shape}, expected two to four dimensions", AGAIN)
    refuse_size(name, shape, max(dtype.itemsize, 8 if scaling else 0))
    if affine is not None and not geometry.spans(affine):
        if len(shape) > 2:
            raise BadFile(name, "the header's affine is not invertible", AGAIN)
        affine = None
    partner = _partner(path, name)
    gzipped = partner.name.endswith(".gz")
    if not 0 <= offset <= MAX_BYTES or (gzipped and offset):
        raise BadFile(name, f"damaged Analyze header (voxels from byte {offset})", AGAIN)
    stored = Stored(partner, offset, gzipped, header.endianness)
    array = voxels.read(name, stored, shape, dtype)
    if scaling:
        array = array.astype(np.float64) * scaling[0] + scaling[1]
    return Volume(voxels.three_or_four(array, name), affine)


def _size(start: bytes, order: Literal["little", "big"]) -> int:
    return int.from_bytes(start[:4], order)


def _partner(path: Path, name: str) -> Path:
    """The .img of the header's name, or else the .img.gz."""
    names = [path.stem + ending for ending in PARTNERS[".hdr"]]
    return voxels.beside(path, name, next((n for n in names if path.with_name(n).is_file()), names[0]))
