"""Archives of every kind with given members, written by each format's own library; rar by hand, as stored."""

import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping

import py7zr

#: A name ending in `@` stands for a link to what the content names.
Members = Mapping[str, bytes]

TARS = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}
ENDINGS = [".zip", ".7z", ".rar", *TARS]


def archive(ending: str, members: Members) -> bytes:
    if ending == ".zip":
        return zipped(members)
    if ending == ".7z":
        return seven(members)
    return rar(members) if ending == ".rar" else tarred(members, TARS[ending])


def zipped(members: Members, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as written:
        for name, content in members.items():
            info = zipfile.ZipInfo(name.removesuffix("@"))
            info.compress_type = method
            if name.endswith("@"):
                info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            written.writestr(info, content)
    return file.getvalue()


def tarred(members: Members, mode: str = "w", **more: object) -> bytes:
    """More members: a name and a type (`tarfile.FIFOTYPE`), or a hard link's name and where it leads."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as written:
        for name, content in members.items():
            info = tarfile.TarInfo(name.removesuffix("@"))
            if name.endswith("@"):
                info.type, info.linkname = tarfile.SYMTYPE, content.decode()
                written.addfile(info)
            else:
                info.size = len(content)
                written.addfile(info, io.BytesIO(content))
        for name, kind in more.items():
            info = tarfile.TarInfo(name)
            info.type = kind if isinstance(kind, bytes) else tarfile.LNKTYPE
            info.linkname = kind if isinstance(kind, str) else ""
            written.addfile(info)
    return file.getvalue()


def seven(members: Members, password: str | None = None, header: bool = False) -> bytes:
    file = io.BytesIO()
    with py7zr.SevenZipFile(file, "w", password=password, header_encryption=header) as written:
        for name, content in members.items():
            written.writestr(content, name)
    return file.getvalue()


def rar(members: Members, method: int = 0, encrypted: bool = False) -> bytes:
    """Version 5 of the format (RARLAB's technical note): a block is its checksum, its length, its fields."""
    blocks = [_block(1, 0, b"", _number(0))]
    for name, content in members.items():
        extra = b""
        if name.endswith("@"):
            target = content
            extra = _sized(_number(5) + _number(1) + _number(0) + _number(len(target)) + target)
            content = b""
        elif encrypted:
            extra = _sized(_number(1) + _number(0) + _number(0) + b"\x0f" + bytes(32))
        encoded = name.removesuffix("@").encode()
        fields = (
            _number(4)  # a CRC is given
            + _number(len(content))
            + _number(stat.S_IFREG | 0o644)
            + struct.pack("<I", zlib.crc32(content))
            + bytes([0x80 | method << 7 & 0x7F, method])  # in two bytes, whatever the method
            + _number(1)  # Unix
            + _number(len(encoded))
            + encoded
        )
        blocks.append(_block(2, 2 | bool(extra), extra, fields, content))
    return b"Rar!\x1a\x07\x01\x00" + b"".join(blocks) + _block(5, 0, b"", _number(0))


def _block(kind: int, flags: int, extra: bytes, fields: bytes, content: bytes = b"") -> bytes:
    start = _number(kind) + _number(flags)
    start += _number(len(extra)) if extra else b""
    start += _number(len(content)) if flags & 2 else b""
    sized = _sized(start + fields + extra)
    return struct.pack("<I", zlib.crc32(sized)) + sized + content


def _sized(data: bytes) -> bytes:
    return _number(len(data)) + data


def _number(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the highest bit says that more follow."""
    digits = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        digits.append(low | (0x80 if value else 0))
        if not value:
            return bytes(digits)


def patched(data: bytes, form: str, at: int, value: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(form, changed, at, value)
    return bytes(changed)


def entry(data: bytes, number: int = 0) -> int:
    """Where a zip file's central entry begins."""
    place = -1
    for _ in range(number + 1):
        place = data.index(b"PK\1\2", place + 1)
    return place


def seven_renamed(name: str) -> bytes:
    """py7zr refuses to write such a name: another of the same length is put in its place afterwards."""
    file = io.BytesIO()
    with py7zr.SevenZipFile(file, "w") as written:
        written.set_encoded_header_mode(False)
        for other, content in (("x/a.txt", b"a"), ("q" * len(name), b"out"), ("z.txt", b"z")):
            written.writestr(content, other)
    data = bytearray(file.getvalue())
    place = data.index(("q" * len(name)).encode("utf-16-le"))
    data[place : place + 2 * len(name)] = name.encode("utf-16-le")
    (offset, size) = struct.unpack_from("<QQ", data, 12)
    header = data[32 + offset : 32 + offset + size]
    struct.pack_into("<I", data, 28, zipfile.crc32(header))
    struct.pack_into("<I", data, 8, zipfile.crc32(data[12:32]))
    return bytes(data)
