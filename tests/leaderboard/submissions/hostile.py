"""Files that nobody should open: the same ones for a seed, each with the codes that may refuse it.

They are of the architecture `tiny`, or claim to be.
"""

import gzip
import io
import json
import pickle
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from random import Random
from typing import Any

from leaderboard.sam.tensors import shapes
from tests.leaderboard.submissions.files import NETWORK, SIZES, File, framed


@dataclass(frozen=True)
class Hostile:
    """A file, the codes of which one refuses it, and what it is."""

    path: Path
    codes: frozenset[str]
    what: str


class _Canary:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


def _zipped(content: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, held in content.items():
            archive.writestr(name, held)
    return stream.getvalue()


@dataclass(frozen=True)
class _Given:
    """What a file is made with: `full` if it should be as large as its kind is."""

    random: Random
    canary: Path
    full: bool


_Maker = Callable[[_Given], bytes]
_KINDS: list[tuple[str, frozenset[str], _Maker]] = []


def _kind(what: str, *codes: str) -> Callable[[_Maker], _Maker]:
    def named(maker: _Maker) -> _Maker:
        _KINDS.append((what, frozenset(codes), maker))
        return maker

    return named


def hostile(folder: Path, count: int, seed: int = 0) -> Iterator[Hostile]:
    """Hostile files in a folder, kind after kind; those that are pickles make `canary(folder)` if opened."""
    for number in range(count):
        what, codes, maker = _KINDS[number % len(_KINDS)]
        given = _Given(Random(f"{seed}-{number}"), canary(folder), full=number < len(_KINDS))
        path = folder / f"hostile-{number:03}.safetensors"
        path.write_bytes(maker(given))
        yield Hostile(path, codes, what)


def canary(folder: Path) -> Path:
    """What must never be there."""
    return folder / "canary"


@_kind("a renamed pickle", "pickle")
def _pickle(given: _Given) -> bytes:
    content = {"state_dict": _Canary(given.canary)}
    return pickle.dumps(given.random.choice([content, content["state_dict"]]), given.random.randrange(2, 6))


@_kind("a pickle of the oldest protocol", "pickle")
def _text_pickle(given: _Given) -> bytes:
    return pickle.dumps(_Canary(given.canary), given.random.randrange(2))


@_kind("a checkpoint as torch saves it", "pickle")
def _torch(given: _Given) -> bytes:
    held = pickle.dumps(_Canary(given.canary), 2)
    return _zipped({"archive/data.pkl": held, "archive/data/0": b"\0" * 64, "archive/version": b"3\n"})


@_kind("a checkpoint as torch saved it once", "pickle")
def _old_torch(given: _Given) -> bytes:
    parts = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, _Canary(given.canary))
    return b"".join(pickle.dumps(part, 2) for part in parts)


@_kind("a zip", "pickle")
def _zip(given: _Given) -> bytes:
    held = {"../../model.safetensors": File(given.random).bytes()}
    return _zipped(given.random.choice([held, {}]))


@_kind("a zip bomb", "pickle")
def _bomb(given: _Given) -> bytes:
    return _zipped({"weights.safetensors": b"\0" * (20_000_000 if given.full else 1_000_000)})


@_kind("a file of another make", "no-safetensors")
def _other(given: _Given) -> bytes:
    makes = (
        b"\x89HDF\r\n\x1a\n",
        b"\x7fELF\x02\x01",
        b"<!DOCTYPE html>",
        b"version https://git-lfs.github.com",
    )
    packed = gzip.compress(File(given.random).bytes(), mtime=0)
    return given.random.choice([packed, *(start + given.random.randbytes(5000) for start in makes)])


@_kind("an empty file", "empty")
def _empty(given: _Given) -> bytes:
    return b""


@_kind("random bytes", "no-safetensors", "header", "truncated", "pickle")
def _noise(given: _Given) -> bytes:
    return given.random.randbytes(given.random.randrange(1, 3000))


@_kind("a header's length and random bytes", "header")
def _noisy_header(given: _Given) -> bytes:
    return framed(b"{" + given.random.randbytes(given.random.randrange(9, 3000)))


@_kind("tensors of 10^12 elements", "truncated", "layout")
def _huge(given: _Given) -> bytes:
    file = File(given.random)
    shape = given.random.choice([[10**12], [10**6, 10**6], [10**3] * 4, [10**12, 10**12]])
    size = 4 * prod(shape) if given.random.random() < 0.5 else 64
    last = list(file.fields.values())[-1]
    last["shape"], last["data_offsets"] = shape, [last["data_offsets"][0], last["data_offsets"][0] + size]
    if len(str(last["data_offsets"][1])) > 15:
        last["data_offsets"][1] = 10**14
    return file.bytes()


@_kind("numbers without end", "header")
def _long_number(given: _Given) -> bytes:
    file = File(given.random)
    file.fields[file.name()]["shape"] = "@"
    return file.bytes(file.header().replace('"@"', "[" + "9" * given.random.randrange(16, 20_000) + "]"))


@_kind("tensors that overlap", "layout")
def _overlap(given: _Given) -> bytes:
    file, back = File(given.random), 4 * given.random.randrange(1, 8)
    if given.random.random() < 0.5:  # all bytes are some tensor's
        for fields in list(file.fields.values())[given.random.randrange(1, len(file.fields)) :]:
            fields["data_offsets"] = [place - back for place in fields["data_offsets"]]
        del file.data[-back:]
        return file.bytes()
    alike = [name for name, shape in file.wanted.items() if shape == (32, 32)]
    first, second = given.random.sample(alike, 2)
    file.fields[first]["data_offsets"] = file.fields[second]["data_offsets"]
    return file.bytes()


@_kind("a hole between the tensors", "layout")
def _hole(given: _Given) -> bytes:
    file, hole = File(given.random), given.random.randrange(1, 5000)
    after = given.random.randrange(len(file.fields) - 1)
    for fields in list(file.fields.values())[after:]:
        fields["data_offsets"] = [place + hole for place in fields["data_offsets"]]
    return file.bytes() + b"\0" * hole


@_kind("places below zero", "header")
def _negative(given: _Given) -> bytes:
    file, back = File(given.random), given.random.randrange(1, 2**40)
    fields = file.fields[file.name()]
    fields["data_offsets"] = [place - back - fields["data_offsets"][1] for place in fields["data_offsets"]]
    return file.bytes()


@_kind("places in the wrong order", "layout")
def _reversed(given: _Given) -> bytes:
    file = File(given.random)
    fields = file.fields[file.name()]
    fields["data_offsets"] = fields["data_offsets"][::-1]
    return file.bytes()


@_kind("empty tensors without number", "header", "tensors")
def _many(given: _Given) -> bytes:
    count = 600_000 if given.full else given.random.randrange(1000, 30_000)
    nothing = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    return framed("{" + ",".join(f'"{number}":{nothing}' for number in range(count)) + "}")


@_kind("a lot of metadata", "header")
def _metadata(given: _Given) -> bytes:
    size = 50_000_000 if given.full else given.random.randrange(100_001, 3_000_000)
    file = File(given.random)
    return file.bytes('{"__metadata__":{"note":"' + "x" * size + '"},' + file.header()[1:])


@_kind("metadata of other things than texts", "header")
def _deep_metadata(given: _Given) -> bytes:
    file = File(given.random)
    contents: list[Any] = [[], "text", None, 1, {"a": {"b": "c"}}, {"a": 1}, {"a": None}, {"a": ["b"]}]
    return file.bytes(json.dumps({"__metadata__": given.random.choice(contents), **file.fields}))


@_kind("a tensor named twice", "duplicate-keys")
def _twice(given: _Given) -> bytes:
    file = File(given.random)
    name = file.name()
    again = json.dumps({name: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}})
    if given.random.random() < 0.5:  # the same name in other letters of JSON
        again = again.replace(name[0], f"\\u{ord(name[0]):04x}", 1)
    return file.bytes(again[:-1] + "," + file.header()[1:])


@_kind("a field given twice", "duplicate-keys")
def _twice_within(given: _Given) -> bytes:
    file = File(given.random)
    again = given.random.choice(['"dtype":"F32"', '"shape":[1]', '"data_offsets":[0,4]', ""])
    if again:
        return file.bytes(file.header().replace("}", f",{again}" + "}", 1))
    return file.bytes('{"__metadata__":{"a":"b","a":"c"},' + file.header()[1:])


@_kind("NaN or an infinity among the weights", "not-finite")
def _not_finite(given: _Given) -> bytes:
    bits = {
        "F32": (0x7F800000, 0xFF800000, 0x7FC00000, 0x7F800001, 0xFFFFFFFF),
        "F16": (0x7C00, 0xFC00, 0x7E00, 0x7C01),
        "BF16": (0x7F80, 0xFF80, 0x7FC0, 0x7F81),
    }
    dtype, values = given.random.choice(list(bits.items()))
    file, size = File(given.random, dtype), SIZES[dtype]
    place = given.random.choice([0, len(file.data) - size, given.random.randrange(0, len(file.data), size)])
    file.data[place : place + size] = given.random.choice(values).to_bytes(size, "little")
    return file.bytes()


@_kind("shapes that are not the architecture's", "shapes")
def _shapes(given: _Given) -> bytes:
    file = File(given.random)
    fields = file.fields[given.random.choice([name for name in file.fields if name.endswith("lin1.weight")])]
    shape = fields["shape"]
    fields["shape"] = given.random.choice([shape[::-1], [prod(shape)], [*shape, 1], [1, *shape]])
    return file.bytes()


@_kind("one tensor of no elements", "shapes")
def _none(given: _Given) -> bytes:
    file = File(given.random)
    name = given.random.choice(["mask_decoder.iou_token.weight", "prompt_encoder.no_mask_embed.weight"])
    return File(given.random, wanted={**file.wanted, name: (0, 32)}).bytes()


@_kind("numbers of types that are not taken", "dtypes")
def _dtypes(given: _Given) -> bytes:
    return File(given.random, given.random.choice(["I64", "F64", "BOOL", "U8", "I32", "F8_E4M3"])).bytes()


@_kind("a type that there is not", "dtypes", "header")
def _no_dtype(given: _Given) -> bytes:
    file = File(given.random)
    types = ["", "f32", "F32\n", "x" * 5000, None, 32, ["F32"]]
    file.fields[file.name()]["dtype"] = given.random.choice(types)
    return file.bytes()


@_kind("tensors that are missing", "tensors")
def _missing(given: _Given) -> bytes:
    wanted = shapes(NETWORK)
    for name in given.random.sample(list(wanted), given.random.choice([1, 4, 60])):
        del wanted[name]
    return File(given.random, wanted=wanted).bytes()


@_kind("no tensors", "tensors", "no-safetensors")
def _nothing(given: _Given) -> bytes:
    return framed(given.random.choice(["{}", '{"__metadata__":{}}', "[]", "null", "0", '""']))


@_kind("tensors that the architecture has not", "tensors")
def _extra(given: _Given) -> bytes:
    added = {f"adapter.{number}.weight": (3, number) for number in range(given.random.choice([1, 5, 500]))}
    return File(given.random, wanted={**shapes(NETWORK), **added}).bytes()


@_kind("a mask decoder and one tensor more", "tensors")
def _decoder(given: _Given) -> bytes:
    own = {name: shape for name, shape in shapes(NETWORK).items() if name.startswith("mask_decoder.")}
    name = given.random.choice(["mask_decoder.more", "prompt_encoder.no_mask_embed.weight", "mask_decoder_"])
    return File(given.random, wanted={**own, name: (1, 32)}).bytes()


@_kind("names that are paths, or no names", "tensors", "header")
def _names(given: _Given) -> bytes:
    names = (
        "../../etc/passwd", "..", "/etc/passwd", "C:\\x", "a\0b", "\0", "", "\r\nSet-Cookie: a", "\x1b[2J",
        "<script>alert(1)</script>", "\u202egpj", "\u2028", "x" * 100_000, "é" * 301, "{}[]" * 70,
        "\U0001f9a0" * 99,
    )  # fmt: skip
    file = File(given.random)
    old, new = file.name(), given.random.choice(names)
    file.fields[new] = file.fields.pop(old)
    return file.bytes()


@_kind("JSON that is deep", "header")
def _deep(given: _Given) -> bytes:
    depth = given.random.choice([2_000, 4_900, 200_000])
    start, end = given.random.choice([("[", "]"), ('{"a":', "}")])
    return framed('{"a":' + start * depth + "0" + end * depth + "}")


@_kind("a header's length that can't be", "header")
def _length(given: _Given) -> bytes:
    length = given.random.choice([2**63, 2**64 - 1, 2**63 - 1, 2**32, 1_000_001, 0, 1])
    return length.to_bytes(8, "little") + File(given.random).bytes()[8:]


@_kind("a file that ends too early", "truncated")
def _truncated(given: _Given) -> bytes:
    made = File(given.random).bytes()
    begin = 8 + int.from_bytes(made[:8], "little")
    least, most = given.random.choice([(1, 9), (9, begin), (begin, len(made)), (len(made) - 1, len(made))])
    return made[: given.random.randrange(least, most)]


@_kind("a file with something behind it", "truncated")
def _appended(given: _Given) -> bytes:
    behind = given.random.choice([b"\0", _zip(given), given.random.randbytes(5000), b" " * 8])
    return File(given.random).bytes() + behind


@_kind(
    "a header with a bit turned",
    "header", "duplicate-keys", "layout", "truncated", "tensors", "shapes", "dtypes", "no-safetensors",
)  # fmt: skip
def _flipped(given: _Given) -> bytes:
    made = bytearray(File(given.random).bytes())
    length = int.from_bytes(made[:8], "little")
    # Two could make up for each other; after one the header is never what it was.
    made[given.random.randrange(8 + length)] ^= 1 << given.random.randrange(8)
    return bytes(made)


@_kind("numbers that are none", "header")
def _numbers(given: _Given) -> bytes:
    file = File(given.random)
    file.fields[file.name()][given.random.choice(["shape", "data_offsets"])] = "@"
    value = given.random.choice(
        ["NaN", "[NaN]", "[Infinity,0]", "[-Infinity]", "[1.0,2]", "[1e9,1]", "[true,false]", '["1","2"]',
         "null", "{}", "[[1],[2]]", "[0,0,0,0,0,0,0,0,0]", "7", "[-0,0]", "[1,]", "[01]", "[0x10,1]"]
    )  # fmt: skip
    return file.bytes(file.header().replace('"@"', value))


@_kind("halves of surrogate pairs", "header", "tensors")
def _surrogates(given: _Given) -> bytes:
    file, half = File(given.random), f"\\u{given.random.randrange(0xD800, 0xE000):04x}"
    if given.random.random() < 0.5:
        return file.bytes(file.header().replace(file.name(), half, 1))
    return file.bytes('{"__metadata__":{"a":"' + half + '"},' + file.header()[1:])


@_kind("a header that is not UTF-8", "header")
def _not_text(given: _Given) -> bytes:
    file, wrong = File(given.random), given.random.choice([b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xc3"])
    return file.bytes(file.header().encode().replace(b"pos_embed", b"pos_embed" + wrong, 1))


@_kind("fields that there are not", "header")
def _fields(given: _Given) -> bytes:
    file = File(given.random)
    fields = file.fields[file.name()]
    if given.random.random() < 0.5:
        del fields[given.random.choice(list(fields))]
    else:
        fields["offsets"] = [0, 0]
    return file.bytes()
