"""Small NIfTI files, sound and damaged, as bytes."""

import gzip
from collections.abc import Callable

import nibabel as nib
import numpy as np

KINDS = {1: nib.Nifti1Image, 2: nib.Nifti2Image}
AFFINE = np.array([[0, -2.0, 0, 5], [1.5, 0, 0.1, -7], [0, 0, 3, 9], [0, 0, 0, 1]])


def nifti(
    array: np.ndarray,
    affine: np.ndarray = AFFINE,
    *,
    version: int = 1,
    order: str = "<",
    scaling: tuple[float, float] | None = None,
    extension: bytes = b"",
) -> bytes:
    """What nibabel writes for an array of these stored values."""
    kind = KINDS[version]
    header = kind.header_class(endianness=order)
    header.set_data_dtype(array.dtype)
    image = kind(array, affine, header)
    if extension:
        image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", extension))
    if array.dtype.kind == "f":
        image.header.set_slope_inter(1, 0)  # else nibabel scales what is no number
    return changed(image.to_bytes(), scaling=scaling)


def header_of(data: bytes) -> nib.Nifti1Header:
    kind, length = (nib.Nifti2Header, 540) if 540 in _sizes(data) else (nib.Nifti1Header, 348)
    return kind(data[:length], check=False)


def _sizes(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[:4], "little"), int.from_bytes(data[:4], "big")


def changed(data: bytes, *, scaling: tuple[float, float] | None = None, **fields: object) -> bytes:
    """The same file with other values in its header's fields, right or not."""
    header = header_of(data)
    if scaling:
        header["scl_slope"], header["scl_inter"] = scaling
    for name, value in fields.items():
        header[name] = value
    block = header.binaryblock
    return block + data[len(block) :]


def promising(*shape: int, version: int = 1) -> bytes:
    """A header of so many bytes of voxels, and four of them."""
    data = nifti(np.zeros((1, 1, 4), np.uint8), version=version)
    dim = [len(shape), *shape, *[1] * (7 - len(shape))]
    return changed(data, dim=dim)


SOUND = nifti(np.arange(6 * 5 * 4, dtype=np.int16).reshape(6, 5, 4))

#: What is wrong → the file's bytes and what the message must say of it. All are .nii.
DAMAGED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not a NIfTI file"),
    "text": (b"patient,age\n1,50\n" * 40, "not a NIfTI file"),
    "gzip named .nii": (gzip.compress(SOUND), "not a NIfTI file"),
    "magic": (changed(SOUND, magic=b"abc"), "damaged NIfTI header"),
    "pair": (changed(SOUND, magic=b"ni1", vox_offset=0), "only the header of a pair"),
    "one byte": (SOUND[:1], "not a NIfTI file"),
    "half a header": (SOUND[:200], "not a NIfTI file"),
    "header but a byte": (SOUND[:347], "not a NIfTI file"),
    "header alone": (SOUND[:348], "truncated: at most 348 of 592 bytes"),
    "no voxel": (SOUND[:352], "truncated: at most 352 of 592 bytes"),
    "half the voxels": (SOUND[:470], "truncated: at most 470 of 592 bytes"),
    "all but a byte": (SOUND[:-1], "truncated: at most 591 of 592 bytes"),
    "10^12 voxels": (promising(10_000, 10_000, 10_000), "promises 1000000000352 bytes, more than"),
    "NIfTI-2, 10^18": (promising(10**6, 10**6, 10**6, version=2), "bytes, more than"),
    "15 · 10^8 voxels": (promising(1500, 1000, 1000), "truncated: at most"),
    "15 · 10^9, scaled": (changed(promising(1500, 10_000, 1000), scaling=(2, 0)), "promises 12000000000"),
    "0D": (changed(SOUND, dim=[0] * 8), "shape (0, 1, 1), expected two to four dimensions"),
    "5D": (nifti(np.zeros((6, 5, 4, 1, 3), np.uint8)), "shape (6, 5, 4, 1, 3), expected two to four"),
    "no depth": (changed(SOUND, dim=[3, 6, 5, 0, 1, 1, 1, 1]), "shape (6, 5, 0), expected two to four"),
    "negative": (changed(SOUND, dim=[3, -6, 5, 4, 1, 1, 1, 1]), "shape (-6, 5, 4), expected two to four"),
    "two negative": (changed(SOUND, dim=[3, -6, -5, 4, 1, 1, 1, 1]), "shape (-6, -5, 4), expected two to"),
    "surface": (changed(SOUND, dim=[3, -1, 1, 1, 1, 1, 1, 1]), "damaged NIfTI header"),
    "no such type": (changed(SOUND, datatype=5), "damaged NIfTI header"),
    "complex": (nifti(np.zeros((6, 5, 4), np.complex64)), "voxels of type complex64"),
    "RGB": (nifti(np.zeros((6, 5, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])), "voxels of type"),
    "offset too low": (changed(SOUND, vox_offset=100), "damaged NIfTI header"),
    "offset below 0": (changed(SOUND, vox_offset=-1), "damaged NIfTI header"),
    "offset NaN": (changed(SOUND, vox_offset=np.nan), "damaged NIfTI header"),
    "offset infinite": (changed(SOUND, vox_offset=np.inf), "damaged NIfTI header"),
    "offset behind the end": (changed(SOUND, vox_offset=1e9), "truncated: at most 592 of 1000000240"),
    "slope without intercept": (changed(SOUND, scl_slope=2, scl_inter=np.nan), "damaged NIfTI header"),
    "affine NaN": (changed(SOUND, srow_y=np.nan), "affine is not invertible"),
    "affine infinite": (changed(SOUND, srow_y=[1, np.inf, 0, 0]), "affine is not invertible"),
    "affine 0": (changed(SOUND, srow_x=0, srow_y=0, srow_z=0), "affine is not invertible"),
    "affine flat": (changed(SOUND, srow_y=[0, -2, 0, 5], srow_x=[0, -2, 0, 5]), "affine is not invertible"),
    "affine nearly flat": (
        changed(SOUND, srow_x=[1, 1, 0, 0], srow_y=[1, 1, 0, 0], srow_z=[0, 1e-18, 1, 0]),
        "affine is not invertible",
    ),
    "affine beyond float64": (
        changed(nifti(np.zeros((6, 5, 4)), version=2), srow_x=[1e200, 0, 0, 0]),
        "affine is not invertible",
    ),
    "no rotation": (
        changed(SOUND, sform_code=0, qform_code=1, quatern_b=1, quatern_c=1, quatern_d=1),
        "damaged NIfTI header",
    ),
}  # fmt: skip


def _gz(change: Callable[[bytearray], object]) -> bytes:
    data = bytearray(gzip.compress(SOUND, mtime=0))
    change(data)
    return bytes(data)


def _flip(place: int) -> Callable[[bytearray], object]:
    def change(data: bytearray) -> None:
        data[place] ^= 1

    return change


_ZIPPED = "damaged gzip stream"
#: The same for .nii.gz.
DAMAGED_GZ: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not a NIfTI file"),
    "nothing inside": (gzip.compress(b""), "not a NIfTI file"),
    "not compressed": (SOUND, _ZIPPED),
    "text": (b"patient,age\n1,50\n" * 40, _ZIPPED),
    "text inside": (gzip.compress(b"patient,age\n1,50\n" * 40), "not a NIfTI file"),
    "two bytes": (_gz(lambda data: data.__delitem__(slice(2, None))), _ZIPPED),
    "cut in the gzip header": (_gz(lambda data: data.__delitem__(slice(9, None))), _ZIPPED),
    "cut in the middle": (_gz(lambda data: data.__delitem__(slice(len(data) // 2, None))), _ZIPPED),
    "cut before the sum": (_gz(lambda data: data.__delitem__(slice(-8, None))), _ZIPPED),
    "cut in the sum": (_gz(lambda data: data.__delitem__(slice(-3, None))), _ZIPPED),
    "sum": (_gz(_flip(-8)), _ZIPPED),
    "length": (_gz(_flip(-1)), _ZIPPED),
    "garbage behind": (_gz(lambda data: data.extend(b"garbage")), _ZIPPED),
    "half a member behind": (_gz(lambda data: data.extend(data[:30])), _ZIPPED),
    "sum behind more than the header promises": (
        gzip.compress(SOUND + bytes(3_000_000))[:-8] + bytes(8),
        _ZIPPED,
    ),
    "truncated inside": (gzip.compress(SOUND[:-1]), "truncated: 591 of 592 bytes"),
    "10^12 voxels": (gzip.compress(promising(10_000, 10_000, 10_000)), "bytes, more than"),
    "15 · 10^8 voxels": (gzip.compress(promising(1500, 1000, 1000)), "truncated: at most"),
}
