"""What a file is by its content, whatever it is called, and how much its header states."""

import math
import re
import struct
import sys
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from isal import isal_zlib

if TYPE_CHECKING:
    import nibabel as nib

#: Enough of a file for every sign below, and for the text headers, which say late where their voxels are.
_START, _TEXT = 560, 2**16
_GZIPPED = b"\x1f\x8b"
#: First bytes → the ending by which `readers` choose.
_MAGIC = {
    b"\x89PNG\r\n\x1a\n": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"GIF87a": ".gif",
    b"GIF89a": ".gif",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
    b"II+\0": ".tif",
    b"MM\0+": ".tif",
    b"PK\3\4": ".zip",
    b"PK\5\6": ".zip",
}
_BMP_RESERVED = slice(6, 10)
_DICOM = slice(128, 132)
#: Signs of what is often mistaken for a picture: place, bytes, and what to call it.
_FOREIGN = (
    (0, b"%PDF", "a PDF document"),
    (0, b"7z\xbc\xaf'\x1c", "a 7z archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ", "an xz archive"),
    (257, b"ustar", "a tar archive"),
    (4, b"ftyp", "a video or a HEIF picture"),
    (0, b"\x1aE\xdf\xa3", "a video"),
    (8, b"WEBP", "a WebP picture"),
    (8, b"AVI ", "a video"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\x89HDF", "an HDF5 file"),
    (0, _GZIPPED, "gzipped, but no NIfTI"),
)
#: A NIfTI header begins with its own length, which tells the version; where each has its magic.
_FIRST, _SECOND = 348, 540
_NIFTI = {_FIRST: slice(344, 348), _SECOND: slice(4, 8)}
_PAIRED = (b"ni1\0", b"ni2\0")
_META = re.compile(rb"(?:^|\n)ElementDataFile[ \t]*=[ \t]*([^\r\n]*?)[ \t]*(?:\r?\n|$)")
_META_START = re.compile(rb"\s*(ObjectType|NDims|Comment|ObjectSubType|ID|Name)[ \t]*=")
_NRRD_DATA = re.compile(rb"\ndata ?file:[ \t]*([^\r\n]*)")
_NRRD_END = re.compile(rb"\n\r?\n")
#: Of a text header whose voxels lie in the same file.
_LOCAL = ("LOCAL", "Local", "local")
_GZIP_WRAPPER = 31  # with the largest window
#: What Pillow and tifffile raise for damaged files.
_DAMAGED = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, AssertionError,
    OverflowError, ZeroDivisionError, EOFError, struct.error, zlib.error,
)  # fmt: skip


def ending(path: Path) -> str:
    """The ending that a file of this content should have; "" if it is nothing that is opened here."""
    start = _start(path)
    if start[_DICOM] == b"DICM":  # before it may stand another kind's first bytes
        return ".dcm"
    for magic, found in _MAGIC.items():
        if start.startswith(magic):
            return found
    if start.startswith(b"BM") and start[_BMP_RESERVED] == b"\0\0\0\0":
        return ".bmp"
    if start.startswith(_GZIPPED):
        return ".nii.gz" if _nifti(_start(path, gzipped=True)) == ".nii" else ""
    if start.startswith(b"NRRD000"):
        return ".nhdr" if voxel_file(path) else ".nrrd"
    if _META_START.match(start):
        return ".mhd" if voxel_file(path) else ".mha"
    return _nifti(start)


def voxel_file(path: Path) -> str | None:
    """The file that a text header names for its voxels; None where they follow it, or nothing is named."""
    text = _read(path, _TEXT)
    if text.startswith(b"NRRD000"):
        end = _NRRD_END.search(text)
        found = _NRRD_DATA.search(text, 0, end.start() + 1 if end else len(text))
    else:
        found = _META.search(text)
    name = found[1].decode("latin-1").strip() if found else None
    return None if name in (None, *_LOCAL) else name


def described(path: Path) -> str:
    """What to call a file that is not opened here."""
    start = _start(path)
    if not start:
        return "empty"
    for place, magic, what in _FOREIGN:
        if start[place:].startswith(magic):
            return what
    if start.startswith(b"\x80") and start[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return "a pickled Python object"
    return "text" if b"\0" not in start and _is_text(start) else "of no known kind"


def _is_text(start: bytes) -> bool:
    try:
        start.decode()
    except UnicodeDecodeError as error:
        return error.start > len(start) - 4 and error.reason == "unexpected end of data"
    return True


def promised(path: Path, name: str, kind: str) -> int:
    """How many numbers a file's header states, before memory is taken for them; 0 if nothing can be made of
    it, which its reader then says better.

    Args:
        kind: its ending, as `ending` gives it, of a volume or a picture.

    Raises:
        BadFile: a text header that its reader refuses, or DICOM that is damaged.
    """
    if kind in (".nii", ".nii.gz", ".hdr"):
        return _promised_nifti(_start(path, gzipped=kind == ".nii.gz"))
    if kind in (".mha", ".mhd"):
        from cosmos1050k.readers.text_headers import metaimage

        return math.prod(metaimage(path, name).sizes)
    if kind in (".nrrd", ".nhdr"):
        from cosmos1050k.readers.text_headers import nrrd

        return math.prod(nrrd(path, name).sizes)
    if kind == ".dcm":
        return _promised_dicom(path, name)
    return _promised_tiff(path) if kind == ".tif" else _promised_picture(path)


def _promised_dicom(path: Path, name: str) -> int:
    from cosmos1050k.readers.dicom_header import damaged, read_dataset

    header = read_dataset(path, name)
    try:
        fields = (header.get("Rows"), header.get("Columns"), header.get("SamplesPerPixel"))
        return math.prod(int(value or 0) for value in (*fields, header.get("NumberOfFrames") or 1))
    except Exception as error:
        raise damaged(name, error) from error


def nifti_header(path: Path, kind: str) -> "nib.Nifti1Header | None":
    """The header of a sound NIfTI file, a NIfTI-2 one for that version; None of other kinds."""
    if kind not in (".nii", ".nii.gz"):
        return None
    import nibabel as nib

    start = _start(path, gzipped=kind == ".nii.gz")
    header = nib.Nifti2Header if _nifti_length(start) == _SECOND else nib.Nifti1Header
    return header(start[: header.sizeof_hdr], check=False)


def is_gzipped(path: Path) -> bool:
    return _read(path, 2) == _GZIPPED


def _promised_nifti(start: bytes) -> int:
    """The product of the header's sizes, in either version and byte order."""
    length = _nifti_length(start)
    if len(start) < max(length, 1):
        return 0
    order = "<" if int.from_bytes(start[:4], "little") == length else ">"
    form, place = ("8q", 16) if length == _SECOND else ("8h", 40)
    count, *sizes = struct.unpack_from(f"{order}{form}", start, place)
    return math.prod(max(size, 1) for size in sizes[: max(count, 0)])


def _promised_picture(path: Path) -> int:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes, which are looked at here
            with Image.open(path) as image:
                return image.width * image.height * len(image.getbands())
    except Image.DecompressionBombError:
        return sys.maxsize
    except _DAMAGED:
        return 0


def _promised_tiff(path: Path) -> int:
    import tifffile

    try:
        with tifffile.TiffFile(path, _multifile=False) as opened:
            return sum(math.prod(series.shape) for series in opened.series)
    except (tifffile.TiffFileError, *_DAMAGED):
        return 0


def _nifti_length(start: bytes) -> int:
    """How long the header says that it is, in either byte order; 0 if no NIfTI header says so."""
    sizes = {int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big")}
    return next((length for length in _NIFTI if length in sizes), 0)


def _nifti(start: bytes) -> str:
    """The ending of one NIfTI file, or of a header beside its voxels; "" of what is neither."""
    length = _nifti_length(start)
    if not length or len(start) < _FIRST:
        return ""
    # Analyze's header has no magic, and no voxels behind it.
    return ".hdr" if start[_NIFTI[length]] in _PAIRED or len(start) == _FIRST else ".nii"


def _start(path: Path, gzipped: bool = False) -> bytes:
    """The first bytes of a file, or of what is gzipped in it as far as that can be had."""
    if not gzipped:
        return _read(path, _START)
    try:
        return bytes(isal_zlib.decompressobj(_GZIP_WRAPPER).decompress(_read(path, _TEXT), _START))
    except isal_zlib.error:  # type: ignore[misc]  # isal's stub
        return b""


def _read(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)
