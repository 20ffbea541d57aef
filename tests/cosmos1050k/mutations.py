"""Sound files made wrong, the same in every run: bytes, blocks, lengths, fields at extremes, files spliced.

Where a container has checksums or is compressed, every other mutation is made beneath them: else they alone
would be tested.
"""

import gzip
import math
import re
import struct
import tarfile
import zlib
from collections.abc import Callable, Sequence

import numpy as np

#: A case on the disk: each file's name and content; the first is the one that a reader is given.
Files = dict[str, bytes]

#: Most mutations lie where headers do.
_HEAD = 400
_NUMBER = re.compile(rb"\d+(\.\d+)?")
_TEXTS = (
    b"0", b"-1", b"1", b"2", b"7", b"255", b"256", b"65535", b"65536", b"2147483647", b"2147483648",
    b"4294967296", b"9223372036854775807", b"18446744073709551616", b"1e400", b"1e-320", b"nan", b"-inf",
    b"0.5", b"", b"9" * 40,
)  # fmt: skip
_AS_IT_IS = (bytes, bytes)
_FLOATS = (0.0, -1.0, 0.5, 1e30, -1e30, 1e-40, math.inf, -math.inf, math.nan)


def mutant(cases: Sequence[Files], random: np.random.Generator) -> Files:
    """One of the cases with one of its files mutated once or twice."""
    case = dict(cases[int(random.integers(len(cases)))])
    names = list(case)
    name = names[0] if random.random() < 0.5 else names[int(random.integers(len(names)))]
    other = [files[name] for files in cases if name in files]
    kinds = 1 + int(random.random() < 0.3)
    unpack, pack = (
        _INNER.get(name[name.index(".") :], (bytes, bytes)) if random.random() < 0.5 else (bytes, bytes)
    )
    data = unpack(case[name])
    for _ in range(kinds):
        mutation = _MUTATIONS[int(random.integers(len(_MUTATIONS)))]
        data = mutation(data, unpack(other[int(random.integers(len(other)))]), random)
    case[name] = pack(data)
    return case


def _place(data: bytes, random: np.random.Generator) -> int:
    most = min(_HEAD, len(data)) if random.random() < 0.7 else len(data)
    return int(random.integers(most + 1))


def _flipped(data: bytes, other: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(int(random.integers(1, 6)) if data else 0):
        place = min(_place(data, random), len(data) - 1)
        changed[place] = int(
            random.choice([changed[place] ^ 1 << int(random.integers(8)), random.integers(256)])
        )
    return bytes(changed)


def _cut(data: bytes, other: bytes, random: np.random.Generator) -> bytes:
    return data[: _place(data, random)] if random.random() < 0.5 else data[: -int(random.integers(1, 64))]


def _inserted(data: bytes, other: bytes, random: np.random.Generator) -> bytes:
    place, length = _place(data, random), int(random.choice([1, 2, 3, 4, 8, 64, 512]))
    block = random.bytes(length) if random.random() < 0.5 else bytes(length)
    return data[:place] + block + data[place:]


def _repeated(data: bytes, other: bytes, random: np.random.Generator) -> bytes:
    place, length = _place(data, random), int(random.integers(1, 200))
    return (
        data[:place] + data[place : place + length] * int(random.choice([2, 3, 20])) + data[place + length :]
    )


def _removed(data: bytes, other: bytes, random: np.random.Generator) -> bytes:
    place = _place(data, random)
    return data[:place] + data[place + int(random.choice([1, 2, 4, 16, 100])) :]


def _extreme(data: bytes, other: bytes, random: np.random.Generator) -> bytes:
    """A field of 1 to 8 bytes, of either order, at the least or most it can hold, or a float that is odd."""
    order, place = "<>"[int(random.integers(2))], _place(data, random) // 2 * 2
    if random.random() < 0.25:
        form = order + "fd"[int(random.integers(2))]
        field = struct.pack(form, _FLOATS[int(random.integers(len(_FLOATS)))])
    else:
        size = int(random.choice([1, 2, 4, 8]))
        top = 1 << 8 * size
        number = (0, 1, top // 2 - 1, top // 2, top - 2, top - 1)[int(random.integers(6))]
        field = number.to_bytes(size, "little" if order == "<" else "big")
    return (data[:place] + field + data[place + len(field) :])[: max(len(data), place)]


def _extreme_text(data: bytes, other: bytes, random: np.random.Generator) -> bytes:
    """A number that is written out; where there is none, a binary one."""
    found = list(_NUMBER.finditer(data, 0, 2000))
    if not found:
        return _extreme(data, other, random)
    number = found[int(random.integers(len(found)))]
    return data[: number.start()] + _TEXTS[int(random.integers(len(_TEXTS)))] + data[number.end() :]


def _spliced(data: bytes, other: bytes, random: np.random.Generator) -> bytes:
    """The start of one file and the end of another, of the same place or not."""
    place = _place(data, random)
    return data[:place] + other[place if random.random() < 0.5 else _place(other, random) :]


_MUTATIONS: list[Callable[[bytes, bytes, np.random.Generator], bytes]] = [
    _flipped, _flipped, _cut, _inserted, _repeated, _removed, _extreme, _extreme, _extreme_text, _spliced,
]  # fmt: skip


def _png_sums(data: bytes) -> bytes:
    """With every chunk's checksum right, as far as there are whole chunks."""
    changed, place = bytearray(data), 8
    while place + 12 <= len(data):
        end = place + 8 + int.from_bytes(data[place : place + 4], "big")
        if end + 4 > len(data):
            break
        struct.pack_into(">I", changed, end, zlib.crc32(data[place + 4 : end]))
        place = end + 4
    return bytes(changed)


def _tar_sums(data: bytes) -> bytes:
    """With a checksum in every block that has ustar's magic."""
    changed = bytearray(data)
    for place in range(0, len(data) - 511, tarfile.BLOCKSIZE):
        block = data[place : place + 512]
        if block[257:262] == b"ustar":
            total = sum(block[:148]) + 8 * 32 + sum(block[156:])
            changed[place + 148 : place + 156] = b"%06o\0 " % total
    return bytes(changed)


def _rar_sums(data: bytes) -> bytes:
    """With a checksum before every block of version 5 that can be followed from the first."""
    changed, place = bytearray(data), 8
    while place + 7 < len(data):
        length, start = _number(data, place + 4)
        end = start + length
        if end > len(data) or not length:
            break
        struct.pack_into("<I", changed, place, zlib.crc32(data[place + 4 : end]))
        _, after_kind = _number(data, start)
        flags, after_flags = _number(data, after_kind)
        content = 0
        if flags & 1:
            _, after_flags = _number(data, after_flags)
        if flags & 2:
            content, _ = _number(data, after_flags)
        place = end + content
    return bytes(changed)


def _number(data: bytes, place: int) -> tuple[int, int]:
    """RAR's number of seven bits a byte, and where it ends."""
    value = shift = 0
    while place < len(data):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            break
    return value, place


def _seven_sums(data: bytes) -> bytes:
    """With the checksums of the header at its end, and of the start that says where this lies."""
    if len(data) < 32:
        return data
    changed = bytearray(data)
    offset, length = struct.unpack_from("<QQ", data, 12)
    struct.pack_into("<I", changed, 28, zlib.crc32(data[32 + offset : 32 + offset + length]))
    struct.pack_into("<I", changed, 8, zlib.crc32(changed[12:32]))
    return bytes(changed)


def _gzipped(data: bytes) -> bytes:
    return gzip.compress(data, 1, mtime=0)


#: A name's endings → what lies beneath checksum or compression, and the way back.
_INNER: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    ".nii.gz": (gzip.decompress, _gzipped),
    ".img.gz": (gzip.decompress, _gzipped),
    ".raw.gz": (gzip.decompress, _gzipped),
    ".ppm.gz": (gzip.decompress, _gzipped),
    ".zraw": (zlib.decompress, zlib.compress),
    ".png": (bytes, _png_sums),
    ".tar": (bytes, _tar_sums),
    ".tar.gz": (gzip.decompress, lambda data: _gzipped(_tar_sums(data))),
    ".rar": (bytes, _rar_sums),
    ".7z": (bytes, _seven_sums),
}
