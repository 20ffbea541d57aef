"""What a file is by its first bytes, where a name says what it should be."""

import gzip
import os
import tarfile
import zipfile
from pathlib import Path

_GZIP, _BZIP, _XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"
#: File name ending → what such a file is, and the bytes one of which it starts with.
_KINDS: dict[str, tuple[str, tuple[bytes, ...]]] = {
    ".zip": ("zip archive", (b"PK\x03\x04", b"PK\x05\x06")),
    ".7z": ("7z archive", (b"7z\xbc\xaf\x27\x1c",)),
    ".rar": ("rar archive", (b"Rar!\x1a\x07",)),
    ".gz": ("gzip file", (_GZIP,)),
    ".tgz": ("gzip file", (_GZIP,)),
    ".bz2": ("bzip2 file", (_BZIP,)),
    ".tbz2": ("bzip2 file", (_BZIP,)),
    ".xz": ("xz file", (_XZ,)),
    ".txz": ("xz file", (_XZ,)),
    ".png": ("PNG picture", (b"\x89PNG\r\n",)),
    ".jpg": ("JPEG picture", (b"\xff\xd8\xff",)),
    ".jpeg": ("JPEG picture", (b"\xff\xd8\xff",)),
    ".gif": ("GIF picture", (b"GIF8",)),
    ".bmp": ("BMP picture", (b"BM",)),
    ".tif": ("TIFF picture", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    ".tiff": ("TIFF picture", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
}
_TEXTS = {".csv", ".txt", ".json", ".tsv"}
_CHUNK = 2**20
#: Enough of a file for all that is looked at here.
START = 1024


def is_page(start: bytes) -> bool:
    """Whether these first bytes are a web page's."""
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return text.startswith((b"<!doctype html", b"<html", b"<head"))


def problem(path: Path, name: str) -> str | None:
    """Why a file can't be what `name` says it is; None if it may be.

    Raises:
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        start = file.read(START)
    ending = name[name.rfind(".") :].lower()
    if not start:
        return "it is empty"
    if is_page(start) and ending not in (".html", ".htm"):
        return "it is a web page"
    if ending == ".tar":
        tar = start[257:262] == b"ustar" or start.startswith((_GZIP, _BZIP, _XZ))
        return None if tar else "it is no tar archive"
    if ending in _TEXTS:
        return "it is no text" if b"\0" in start else None
    kind, magics = _KINDS.get(ending, ("", (b"",)))
    if not start.startswith(magics):
        return f"it is no {kind}"
    if ending == ".zip" and not zipfile.is_zipfile(path):
        return "it is cut off: a zip archive without its end"
    return None


def ends(path: Path) -> bool | None:
    """Whether a file comes to the end that its kind marks: zip, 7z, rar, tar, gzip by their first bytes.

    Returns:
        None if its kind marks none, or none that is found without much work.

    Raises:
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        start = file.read(START)
    if start.startswith(b"PK\x03\x04"):
        return zipfile.is_zipfile(path)
    if start.startswith(b"7z\xbc\xaf\x27\x1c"):
        header = [int.from_bytes(start[place : place + 8], "little") for place in (12, 20)]
        return path.stat().st_size >= 32 + sum(header)
    if start.startswith(b"Rar!\x1a\x07"):
        return _rar_ends(path)
    if start[257:262] == b"ustar":
        return _tar_ends(path)
    return _gzip_ends(path) if start.startswith(_GZIP) else None


def _rar_ends(path: Path) -> bool | None:
    import rarfile

    blocks: list[rarfile.RarInfo] = []
    try:
        rarfile.RarFile(path, info_callback=blocks.append, part_only=True).close()
    except rarfile.Error:
        return None
    if any(block.type == rarfile.RAR_BLOCK_ENDARC for block in blocks):
        return True
    whole = all(block.data_offset + block.add_size <= path.stat().st_size for block in blocks)
    return None if whole else False  # before version 3 nothing marked it


def _tar_ends(path: Path) -> bool:
    try:
        with tarfile.open(path, "r:") as archive:
            while archive.next():
                pass  # or a million of them would fill the memory
    except tarfile.TarError:
        return False
    with path.open("rb") as file:
        file.seek(-tarfile.BLOCKSIZE, os.SEEK_END)
        return not any(file.read())


def _gzip_ends(path: Path) -> bool:
    from isal import igzip, isal_zlib

    try:
        with igzip.open(path) as stream:
            while stream.read(_CHUNK):
                pass
    except (EOFError, gzip.BadGzipFile, isal_zlib.error):  # type: ignore[misc]  # isal's stub
        return False
    return True
