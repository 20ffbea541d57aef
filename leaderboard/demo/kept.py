"""Masks that a person keeps of one study, slice by slice, and the file that they take home."""

import io
import re
from typing import NamedTuple

import nibabel as nib
import numpy as np
from isal import igzip
from numpy.typing import NDArray

from cosmos1050k.errors import InputError
from leaderboard.demo.notice import NOTICE
from leaderboard.demo.study import PICTURE, Study

#: What a NIfTI header says of the place of its voxels, besides the voxels' size.
_PLACE = (
    "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z",
    "srow_x", "srow_y", "srow_z", "xyzt_units",
)  # fmt: skip
#: NIfTI's code for the scanner's own frame.
_SCANNER = 1
_ENDINGS = re.compile(r"(\.(nii|gz|mha|mhd|nrrd|nhdr|hdr|dcm|png|jpe?g|tiff?|bmp|gif|zip))+$", re.IGNORECASE)


class _Packed(NamedTuple):
    """A mask without its empty rim: where it begins, its size, eight pixels to a byte."""

    top: int
    left: int
    shape: tuple[int, int]
    bits: NDArray[np.uint8]


class Kept:
    """At most one mask of each slice of each plane; what a voxel is in any of them, it is in the file."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._masks: dict[tuple[str, int], _Packed] = {}

    def keep(self, plane: str, index: int, mask: NDArray[np.bool_]) -> None:
        """Keeps the mask of a slice, in place of an earlier one; an empty one only removes that.

        Args:
            mask: H×W, as the study's `picture` shows the slice.

        Raises:
            InputError: there is no such plane or slice, or the mask is not of its size.
        """
        size = self._study.size(plane)
        if mask.shape != size:
            raise InputError(f"a mask of {mask.shape}, but the slices of plane {plane} have {size}")
        if not 0 <= index < self._study.depth(plane):
            raise InputError(f"no slice {index} in plane {plane}")
        self._masks.pop((plane, index), None)
        if mask.any():
            self._masks[plane, index] = _packed(mask)

    def remove(self, plane: str, index: int) -> None:
        """Forgets the mask of a slice, if there is one."""
        self._masks.pop((plane, index), None)

    def mask(self, plane: str, index: int) -> NDArray[np.bool_] | None:
        """The mask kept of this slice in this plane, H×W; None where there is none."""
        if (packed := self._masks.get((plane, index))) is None:
            return None
        whole = np.zeros(self._study.size(plane), bool)
        _lay(packed, whole)
        return whole

    def __len__(self) -> int:
        return len(self._masks)

    def file(self) -> tuple[str, bytes]:
        """The file's name and content.

        A volume, and a single slice that has an affine, give NIfTI, gzipped: 0 and 1, in the shape of the
        study and with its geometry, a NIfTI file's as that file states it. A picture without one gives PNG, 0
        and 255. The notice stands in the NIfTI's `descrip`, and in the PNG's text "Disclaimer".
        """
        study = self._study
        voxels = np.zeros(study.volume.array.shape[:3], np.uint8, order="F")
        for (plane, index), packed in self._masks.items():
            _lay(packed, study.cut(voxels, plane, index))
        stem = _stem(study.name)
        if study.volume.affine is None and study.planes == (PICTURE,):
            picture = np.ascontiguousarray(study.cut(voxels, study.planes[0], 0)) * np.uint8(255)
            return f"{stem}_mask.png", _png(picture)
        return f"{stem}_mask.nii.gz", _nifti(voxels, study)


def _packed(mask: NDArray[np.bool_]) -> _Packed:
    (top, bottom), (left, right) = (np.flatnonzero(mask.any(axis=axis))[[0, -1]].tolist() for axis in (1, 0))
    cut = mask[top : bottom + 1, left : right + 1]
    return _Packed(top, left, (bottom + 1 - top, right + 1 - left), np.packbits(cut))


def _lay(packed: _Packed, onto: NDArray[np.bool_] | NDArray[np.uint8]) -> None:
    """Sets the mask's pixels in a slice, and leaves the others."""
    height, width = packed.shape
    bits = np.unpackbits(packed.bits, count=height * width).reshape(packed.shape)
    onto[packed.top : packed.top + height, packed.left : packed.left + width] |= bits.astype(onto.dtype)


def _stem(name: str) -> str:
    """A name without endings, in characters that every system takes in the name of a file."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", _ENDINGS.sub("", name)).strip("._-")
    return stem[:80] or "picture"


def _png(picture: NDArray[np.uint8]) -> bytes:
    from PIL import Image, PngImagePlugin

    told, file = PngImagePlugin.PngInfo(), io.BytesIO()
    told.add_text("Disclaimer", NOTICE)
    Image.fromarray(picture).save(file, "PNG", pnginfo=told)
    return file.getvalue()


def _nifti(voxels: NDArray[np.uint8], study: Study) -> bytes:
    header = _header(study)
    header.set_data_dtype(np.uint8)
    header["descrip"] = NOTICE
    kind = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    packed = io.BytesIO()
    with igzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as stream:
        kind(voxels, None, header).to_stream(stream)
    return packed.getvalue()


def _header(study: Study) -> nib.Nifti1Header:
    """A header with the study's geometry: as its file states it, or its affine as both of NIfTI's forms."""
    affine, own = study.volume.affine, study.header
    if own is not None:
        header = nib.Nifti2Header() if isinstance(own, nib.Nifti2Header) else nib.Nifti1Header()
        for field in _PLACE:
            header[field] = own[field]
        header["pixdim"][:4] = own["pixdim"][:4]
        return header
    header = nib.Nifti1Header()
    if affine is not None:
        header.set_data_shape(study.volume.array.shape[:3])
        header.set_sform(affine, _SCANNER)
        header.set_qform(affine, _SCANNER)
        header.set_xyzt_units("mm")
        if not np.allclose(
            header.get_qform(), affine, rtol=1e-5, atol=1e-3
        ):  # the axes are not at right angles
            header["qform_code"] = 0
    return header
