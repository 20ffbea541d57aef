"""Safetensors files of the architecture `tiny`, made without torch and without the safetensors library."""

import json
import struct
from dataclasses import dataclass, field
from math import prod
from random import Random
from typing import Any

import numpy as np

from leaderboard.sam.tensors import shapes

NETWORK = "tiny"
#: A name of a tensor of `tiny`, and its shape.
POSITION, POSITION_SHAPE = "image_encoder.pos_embed", [1, 16, 16, 64]

#: Bytes of a number.
SIZES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "U8": 1, "BOOL": 1, "F8_E4M3": 1}


@dataclass
class File:
    """A safetensors file that is right until it is changed: its header's fields, its bytes.

    Args:
        dtype: of all its tensors.
    """

    random: Random
    dtype: str = "F32"
    wanted: dict[str, tuple[int, ...]] = field(default_factory=lambda: shapes(NETWORK))

    def __post_init__(self) -> None:
        self.fields: dict[str, dict[str, Any]] = {}
        place = 0
        for name, shape in self.wanted.items():
            stop = place + prod(shape) * SIZES[self.dtype]
            self.fields[name] = {"dtype": self.dtype, "shape": list(shape), "data_offsets": [place, stop]}
            place = stop
        # Bits of the exponent are never all set in these, so all are finite numbers of any type.
        values = np.random.default_rng(self.random.getrandbits(32)).integers(0, 0x3C, place, np.uint8)
        self.data = bytearray(values.tobytes())

    def name(self) -> str:
        return self.random.choice(list(self.fields))

    def header(self) -> str:
        return json.dumps(self.fields, separators=(",", ":"))

    def bytes(self, header: str | bytes | None = None) -> bytes:
        return framed(self.header() if header is None else header, self.data)


def framed(header: str | bytes, data: bytes | bytearray = b"") -> bytes:
    """The bytes of a file with this header, padded as the library pads it."""
    raw = header if isinstance(header, bytes) else header.encode()
    raw += b" " * (-len(raw) % 8)
    return struct.pack("<Q", len(raw)) + raw + data
