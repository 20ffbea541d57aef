"""Voxels as one buffer: read from their place in a file, or inflated out of a zlib or gzip stream."""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from cosmos1050k import release
from cosmos1050k.errors import BadFile
from cosmos1050k.readers import AGAIN, refuse_size

#: Deflate can't expand further: a stream that promises more is refused before memory is taken for it.
MOST_EXPANSION = 1032
_NATIVE = "<" if sys.byteorder == "little" else ">"
_CHUNK = 2**20
_GZIP = b"\x1f\x8b"
_EITHER_WRAPPER = 47  # zlib's or gzip's, with the largest window


@dataclass(frozen=True)
class Stored:
    """Where a header says its voxels lie, and how.

    Args:
        file: the file that holds them.
        offset: bytes before them; −1 where they end the file.
        compressed: as one zlib stream or as gzip.
        order: of the bytes, "<" or ">".
    """

    file: Path
    offset: int
    compressed: bool
    order: str


def read(name: str, stored: Stored, sizes: Sequence[int], dtype: np.dtype) -> NDArray[np.generic]:
    """The voxels in Fortran order and the machine's byte order; bytes behind them are ignored.

    Args:
        sizes: of the array's axes, the fastest first.
        dtype: in the machine's byte order.

    Raises:
        BadFile: they are more than `MAX_BYTES` or than the file holds, or the stream is damaged.
    """
    refuse_size(name, sizes, dtype.itemsize)
    count = math.prod(sizes)
    wanted, held = count * dtype.itemsize, stored.file.stat().st_size
    offset = held - wanted if stored.offset < 0 and not stored.compressed else max(stored.offset, 0)
    most = (held - offset) * (MOST_EXPANSION if stored.compressed else 1)
    if offset < 0 or most < wanted:
        raise truncated(name, f"at most {max(most, 0)}", wanted)
    if stored.compressed:
        with stored.file.open("rb") as stream:
            stream.seek(offset)
            array = _inflated(stream, wanted, name).view(dtype)
    else:
        array = np.fromfile(stored.file, dtype, count, offset=offset)
    if stored.order != _NATIVE:
        array.byteswap(inplace=True)
    return array.reshape(sizes, order="F")


def three_or_four(array: NDArray[np.generic], name: str) -> NDArray[np.generic]:
    """Without further axes of length 1; a 2D shape gets one.

    Raises:
        BadFile: it has not two to four dimensions.
    """
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim not in (3, 4):
        raise BadFile(name, f"a volume of shape {array.shape}, expected two to four dimensions", AGAIN)
    return array


def beside(path: Path, name: str, other: str) -> Path:
    """The file `other` beside a header.

    Raises:
        BadFile: it is missing, or a link out of the release.
    """
    partner = path.with_name(other)
    if not partner.is_file():
        raise BadFile(name, f"its voxel file {other} is not beside it", "put the file there")
    if partner.is_symlink() and release.leaves(_root(path, name), partner):
        raise BadFile(name, f"its voxel file {other} is a link out of the release", "put the file there")
    return partner


def _root(path: Path, name: str) -> Path:
    """The folder that `name` is relative to; of a member of an archive, that of the archive's members."""
    same = 0
    for one, another in zip(reversed(path.parts), reversed(Path(name).parts), strict=False):
        if one != another:
            break
        same += 1
    return path.parents[max(same, 1) - 1]


def truncated(name: str, held: str, wanted: int) -> BadFile:
    return BadFile(name, f"truncated: {held} of {wanted} bytes", AGAIN)


def _inflated(stream: IO[bytes], wanted: int, name: str) -> NDArray[np.uint8]:
    """So many bytes of the stream, which is read to its checksum."""
    buffer = np.empty(wanted, np.uint8)
    filled = 0
    try:
        for data in _parts(stream):
            part = np.frombuffer(data, np.uint8)[: wanted - filled]
            buffer[filled : filled + part.size] = part
            filled += part.size
    except (EOFError, isal_zlib.error) as error:  # type: ignore[misc]  # isal's stub
        raise BadFile(name, f"damaged compressed voxels ({error})", AGAIN) from None
    if filled < wanted:
        raise truncated(name, f"{filled}", wanted)
    return buffer


def _parts(stream: IO[bytes]) -> Iterator[bytes]:
    """What a zlib stream or the members of a gzip stream hold, at most `_CHUNK` bytes at a time."""
    data = stream.read(_CHUNK)
    while True:
        inflater = isal_zlib.decompressobj(_EITHER_WRAPPER)
        while not inflater.eof:
            part = inflater.decompress(data, _CHUNK)
            data = inflater.unconsumed_tail
            if part:
                yield part
            elif not inflater.eof:
                more = stream.read(_CHUNK)
                if not more:
                    raise EOFError("they end too early")
                data += more
        data = inflater.unused_data or stream.read(_CHUNK)
        if not data.startswith(_GZIP):
            return
