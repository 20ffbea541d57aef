"""A stranger's weights, checked before any library sees them: no pickle is opened, little memory is taken.

Only a regular file is read, and only as safetensors: eight bytes with the header's length, the header in
JSON, the tensors. Whatever the bytes are, the answer is what they hold, or `Refused`.
"""

import errno
import hashlib
import json
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from cosmos1050k.errors import BadFile
from leaderboard.sam import tensors
from leaderboard.submissions.declared import Part
from leaderboard.submissions.refusals import Refused

#: Of a header: its bytes, the tables and lists in it (the largest network needs 1,783), those of metadata.
MOST_HEADER, MOST_NESTED, MOST_METADATA = 1_000_000, 10_000, 100_000
#: Of a tensor: characters of its name, dimensions, digits of a number.
MOST_NAME, MOST_DIMENSIONS, MOST_DIGITS = 300, 8, 15

_PIECE = 4 * 2**20
_DECODER = "mask_decoder."
_FIELDS = {"dtype", "shape", "data_offsets"}
#: Of a type: its bits as an integer, and those of the exponent, all set in infinities and NaN alone.
_TYPES = {"F32": ("<u4", 0x7F800000), "F16": ("<u2", 0x7C00), "BF16": ("<u2", 0x7F80)}

_PICKLES = re.compile(rb"\x80[\x00-\x05]|\(?[ci]\w[\w.]*\n\w[\w.]*\n|\([dl]p\d|[\]}]q\x00", re.ASCII)
#: What an ONNX file begins with: the format's version, then its producer or its graph.
_ONNX = re.compile(rb"\x08[\x01-\x7f][\x12\x1a\x22\x28\x32\x3a\x42]")
_ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_OTHERS = {
    b"\x89HDF\r\n": "an HDF5 file",
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\x7fELF": "a program",
    b"GGUF": "a GGUF file",
    b"\x93NUMPY": "a NumPy array",
    b"<!": "a page of the web",
    b"<html": "a page of the web",
    b"version https://git-lfs": "the pointer of Git LFS, not the file that it stands for",
}
_CONVERT = "run `cosmos convert FILE NEW.safetensors` and send what it writes"
_AGAIN = "save it anew as safetensors"
_LISTED = "`cosmos convert` lists what does not match; declare the architecture that it is of"


@dataclass(frozen=True)
class Tensor:
    """A tensor of a file: `dtype` as safetensors names it, `start` and `stop` of its bytes in the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class Checked:
    """A file that is right.

    Args:
        tensors_sha256: as `leaderboard.finetuned.tensors_sha256` makes it: the same for the same weights,
            whatever their order in the file and its metadata.
    """

    part: Part
    tensors_sha256: str
    file_sha256: str
    bytes: int


def header(path: Path, most_bytes: int) -> dict[str, Tensor]:
    """The tensors that a safetensors file holds, which fill it without overlap or holes.

    Raises:
        Refused: it is something else, too large, or its header is not sound.
        InputError: it can't be read.
    """
    with _opened(path) as (stream, size):
        return _header(stream, size, most_bytes)


def check(path: Path, network: str, most_bytes: int) -> Checked:
    """Holds a file against an architecture: its names and shapes exactly, finite numbers of the types taken.

    It is read twice at the disk's speed, since one sum takes the tensors by name and one the file as it lies;
    never more than some MB of it are in memory.

    Args:
        network: one of `leaderboard.weights.PARAMETERS`.

    Raises:
        Refused: it is not such a model, nor the mask decoder of one.
        InputError: it can't be read.
    """
    with _opened(path) as (stream, size):
        found = _header(stream, size, most_bytes)
        part = _part(found, network)
        buffer = memoryview(bytearray(_PIECE))
        own, file = hashlib.sha256(), hashlib.sha256()
        for name in sorted(found):
            tensor = found[name]
            own.update(json.dumps([name, tensor.dtype, list(tensor.shape)]).encode())
            bits, exponent = _TYPES[tensor.dtype]
            for piece in _pieces(stream, tensor.start, tensor.stop, buffer):
                own.update(piece)
                values = np.frombuffer(piece, bits)
                values &= exponent
                if (values == exponent).any():
                    problem = f"the tensor {_shown(name)} holds NaN or infinity"
                    raise Refused("not-finite", f"{problem}; send other weights")
        for piece in _pieces(stream, 0, size, buffer):
            file.update(piece)
    return Checked(part, own.hexdigest(), file.hexdigest(), size)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BufferedReader, int]]:
    """A regular file, which does not change meanwhile, and its size in bytes."""
    try:
        # Not blocking: a pipe that nobody writes to would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Refused("no-safetensors", "a link, not a file; give the file itself") from None
        raise BadFile(str(path), f"can't be read ({error.strerror})", "check the name") from None
    before = os.fstat(descriptor)
    if not stat.S_ISREG(before.st_mode):
        os.close(descriptor)
        raise Refused("no-safetensors", "a folder, pipe or device, not a file; give a safetensors file")
    with os.fdopen(descriptor, "rb") as stream:
        yield stream, before.st_size
        after = os.fstat(descriptor)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise _changed()


def _changed() -> Refused:
    return Refused("truncated", "the file changed while it was read; send it again once it is whole")


def _pieces(stream: BufferedReader, start: int, stop: int, buffer: memoryview) -> Iterator[memoryview]:
    """The bytes of a file from `start` up to `stop`, one piece after the other in the same buffer."""
    stream.seek(start)
    for place in range(start, stop, len(buffer)):
        piece = buffer[: stop - place]
        if stream.readinto(piece) < len(piece):
            raise _changed()
        yield piece


def _header(stream: BufferedReader, size: int, most_bytes: int) -> dict[str, Tensor]:
    begin = stream.read(64)
    if not begin:
        raise Refused("empty", "the file is empty; send a safetensors file")
    length = int.from_bytes(begin[:8], "little")
    if begin[8:9] != b"{" or not 2 <= length <= MOST_HEADER:
        raise _foreign(begin)
    if size > most_bytes:
        most = f"{most_bytes / 1e6:,.0f} MB at most are taken"
        raise Refused("too-large", f"the file has {size / 1e6:,.0f} MB, {most}; save it as F16 or BF16")
    if 8 + length > size:
        raise Refused("truncated", f"the file ends within its header; {_AGAIN}, and send all of it")
    stream.seek(8)
    return _laid_out(_tables(stream.read(length)), 8 + length, size)


def _foreign(begin: bytes) -> Refused:
    """What a file is that is no safetensors, by how it begins."""
    if begin.startswith(_ARCHIVES):
        return Refused("pickle", f"a zip archive, as torch saves pickles, which is never opened; {_CONVERT}")
    if _PICKLES.match(begin):
        return Refused("pickle", f"a pickle, which is never opened; {_CONVERT}")
    if _ONNX.match(begin):
        return Refused("no-safetensors", "an ONNX graph; only who runs the platform can add one, ask them")
    for magic, what in _OTHERS.items():
        if begin.startswith(magic):
            return Refused("no-safetensors", f"{what}; send a safetensors file")
    if len(begin) < 9:
        return Refused("truncated", f"the file has {len(begin)} bytes; {_AGAIN}, and send all of it")
    if begin[8:9] == b"{":
        length = int.from_bytes(begin[:8], "little")
        return _unsound(f"has {length:,} bytes, not from 2 to {MOST_HEADER:,}")
    return Refused("no-safetensors", "no safetensors file: no header where it should begin; " + _CONVERT)


def _unsound(problem: str) -> Refused:
    return Refused("header", f"the header {problem}; {_AGAIN}")


def _tables(raw: bytes) -> dict[str, Any]:
    """The header's JSON without its metadata: only what Python and the safetensors library read alike."""
    if raw.count(b"{") + raw.count(b"[") > MOST_NESTED:
        raise _unsound(f"has more than {MOST_NESTED:,} lists and tables")
    try:
        found = json.loads(
            raw.decode(), object_pairs_hook=_once, parse_int=_whole, parse_float=_never, parse_constant=_never
        )
        _metadata(found.pop("__metadata__", {}))
    except RecursionError:
        raise _unsound("is nested too deeply") from None
    except ValueError as error:
        raise _unsound(f"is no JSON in UTF-8 ({_cut(str(error), 80)})") from None
    return dict(found)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A table of JSON, in which nothing is named twice."""
    made = dict(pairs)
    if len(made) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise Refused("duplicate-keys", f"the header names {_shown(twice)} twice; {_AGAIN}")
    return made


def _whole(digits: str) -> int:
    if not digits.isdigit() or len(digits) > MOST_DIGITS:
        raise _unsound(f"holds the number {_cut(digits, 30)}, negative or too large")
    return int(digits)


def _never(number: str) -> None:
    raise _unsound(f"holds {_cut(number, 30)}, no whole number")


def _metadata(given: object) -> None:
    """Texts by name and not many; their content is never used.

    Raises:
        ValueError: they hold halves of surrogate pairs, which are no text.
    """
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise _unsound("has metadata other than texts by name")
    size = len("".join([*given, *given.values()]).encode())
    if size > MOST_METADATA:
        raise _unsound(f"has {size:,} bytes of metadata, {MOST_METADATA:,} at most are taken")


def _laid_out(tables: Mapping[str, Any], begin: int, size: int) -> dict[str, Tensor]:
    """The tensors of a header, whose bytes lie one after the other from `begin` up to the file's size."""
    found = {name: _tensor(name, fields, begin) for name, fields in tables.items()}
    place = begin
    for name, tensor in sorted(found.items(), key=lambda item: (item[1].start, item[1].stop)):
        if tensor.start != place:
            how = "overlaps another" if tensor.start < place else "leaves a hole before it"
            raise Refused("layout", f"the tensor {_shown(name)} {how}; {_AGAIN}")
        place = tensor.stop
    if place != size:
        problem = f"the file has {size:,} bytes, {place:,} by its header"
        raise Refused("truncated", f"{problem}; send all of it and nothing else")
    return found


def _tensor(name: str, fields: Any, begin: int) -> Tensor:
    if len(name) > MOST_NAME:
        raise _unsound(f"has the name {_shown(name)} of {len(name):,} characters")
    if not isinstance(fields, dict) or fields.keys() != _FIELDS:
        raise _unsound(f"says of {_shown(name)} more or less than dtype, shape and data_offsets")
    dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not isinstance(dtype, str) or not _counts(shape, 0, MOST_DIMENSIONS) or not _counts(offsets, 2, 2):
        raise _unsound(f"says of {_shown(name)} no type, shape and two places")
    if dtype not in _TYPES:
        raise Refused(
            "dtypes", f"the tensor {_shown(name)} is {_cut(dtype, 20)}; save it as F32, F16 or BF16"
        )
    start, stop = offsets
    expected = prod(shape) * np.dtype(_TYPES[dtype][0]).itemsize
    if stop - start != expected:
        problem = f"the tensor {_shown(name)} has {stop - start:,} bytes, {expected:,} by its shape"
        raise Refused("layout", f"{_cut(problem, 250)}; {_AGAIN}")
    return Tensor(dtype, tuple(shape), begin + start, begin + stop)


def _counts(given: object, least: int, most: int) -> bool:
    """Whether it is a list of so many whole numbers; JSON's true is one to Python, not here."""
    if not isinstance(given, list) or not least <= len(given) <= most:
        return False
    return all(type(value) is int for value in given)


def _part(found: Mapping[str, Tensor], network: str) -> Part:
    """What the tensors are of an architecture: all, or its mask decoder's."""
    wanted = tensors.shapes(network)
    part: Part = "whole"
    if found and all(name.startswith(_DECODER) for name in found):
        part = "mask_decoder"
        wanted = {name: shape for name, shape in wanted.items() if name.startswith(_DECODER)}
    missing = [name for name in wanted if name not in found]
    extra = [name for name in found if name not in wanted]
    if missing or extra:
        lacks = f"lacks {_some(missing, 2 if extra else 3)}" if missing else ""
        has = f"has {_some(extra, 1 if missing else 3)}, not of {network}" if extra else ""
        raise Refused("tensors", f"the file {' and '.join(filter(None, (lacks, has)))}; {_LISTED}")
    other = [name for name, shape in wanted.items() if found[name].shape != shape]
    if other:
        first = other[0]
        shapes = f"{_cut(str(list(found[first].shape)), 60)}, not {list(wanted[first])}"
        more = f", and {len(other) - 1} more have other shapes than {network}'s" if other[1:] else ""
        raise Refused("shapes", f"the tensor {_shown(first)} has the shape {shapes}{more}; {_LISTED}")
    return part


def _some(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(_shown, names[:most])) + more


def _shown(name: str) -> str:
    """A stranger's name, short and in plain characters on one line."""
    return _cut(ascii(name[: MOST_NAME + 1]), 80)


def _cut(text: str, most: int) -> str:
    text = text if text.isascii() and text.isprintable() else ascii(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"
