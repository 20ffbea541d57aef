"""Slices to 8 bits by the protocol's words, and PNG against Pillow."""

import io
import math
import zlib
from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from cosmos1050k.pictures import decode, encode, normalised

INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", ">i2", ">u4"]
FLOATS = ["float16", "float32", "float64", ">f4"]
SHAPES = st.one_of(
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.just(3)),
)


def literal(values: np.ndarray) -> np.ndarray:
    """255·(I − I_min)/(I_max − I_min), all channels together, in float64, truncated; a constant is zeros."""
    flat = [float(value) for value in values.reshape(-1)]
    finite = [value for value in flat if math.isfinite(value)]
    low = min(finite, default=0.0)
    flat = [value if math.isfinite(value) else low for value in flat]
    high = max(flat)
    levels = [0 if high == low else int(255.0 * (value - low) / (high - low)) for value in flat]
    return np.array(levels, np.uint8).reshape(values.shape)


@given(st.data())
def test_integers_are_exact(data: st.DataObject) -> None:
    """Up to 32 bits, the truncated float64 is that of whole numbers without any rounding."""
    dtype = np.dtype(data.draw(st.sampled_from(INTEGERS)))
    values = data.draw(arrays.arrays(dtype, SHAPES))
    whole = [int(value) for value in values.reshape(-1)]
    low, high = min(whole), max(whole)
    levels = [0 if high == low else math.floor(Fraction(255 * (value - low), high - low)) for value in whole]
    found = normalised(values)
    assert found.dtype == np.uint8
    assert found.shape == values.shape
    assert found.reshape(-1).tolist() == levels


@given(st.data())
def test_floats_agree_with_the_protocols_words(data: st.DataObject) -> None:
    """NaN and infinities included; magnitudes whose differences a float64 still holds."""
    dtype = np.dtype(data.draw(st.sampled_from(FLOATS)))
    bits = 8 * dtype.itemsize
    elements = st.floats(-1e300, 1e300) if bits == 64 else st.floats(width=bits)  # type: ignore[arg-type]
    special = st.sampled_from([math.nan, math.inf, -math.inf])
    values = data.draw(arrays.arrays(dtype, SHAPES, elements=st.one_of(elements, special), fill=st.nothing()))
    assert np.array_equal(normalised(values), literal(values))


@given(arrays.arrays(st.sampled_from([np.int64, np.uint64]), SHAPES))
def test_64_bit_integers_agree_with_the_protocols_words(values: np.ndarray) -> None:
    assert np.array_equal(normalised(values), literal(values))


def test_worked_cases() -> None:
    # (−1000, 0, 1000): 255 · 1000 / 2000 = 127.5 → 127
    assert normalised(np.array([[-1000, 0, 1000]], np.int16)).tolist() == [[0, 127, 255]]
    extremes = np.array([[np.iinfo(np.int64).min, 0, np.iinfo(np.int64).max]])
    assert normalised(extremes).tolist() == [[0, 127, 255]]
    # infinity is the finite minimum, not the maximum
    assert normalised(np.array([[np.inf, -np.inf, np.nan, 2.0, 3.0, 4.0]])).tolist() == [
        [0, 0, 0, 0, 127, 255]
    ]
    assert normalised(np.array([[False, True]])).tolist() == [[0, 255]]
    # the channels share one range: red alone reaches 255
    assert normalised(np.array([[[0, 10, 20], [40, 0, 0]]])).tolist() == [[[0, 63, 127], [255, 0, 0]]]
    # 8-bit values of a narrow range are stretched
    assert normalised(np.array([[100, 101, 102]], np.uint8)).tolist() == [[0, 127, 255]]


@pytest.mark.parametrize("value", [0, 7, -3.5, math.nan, math.inf, -math.inf, 1.7e308])
def test_a_constant_picture_is_zeros(value: float) -> None:
    found = normalised(np.full((3, 4), value))
    assert found.dtype == np.uint8
    assert found.tolist() == [[0] * 4] * 3


@pytest.mark.filterwarnings("error")
def test_the_whole_range_of_a_float_is_not_too_much() -> None:
    most = np.finfo(np.float64).max
    assert normalised(np.array([[-most, 0.0, most]])).tolist() == [[0, 127, 255]]
    least = np.nextafter(0, 1)
    assert normalised(np.array([[0.0, least, 2 * least]])).tolist() == [[0, 127, 255]]


def test_the_input_is_left_alone() -> None:
    values = np.array([[1.0, np.nan, 3.0]])
    before = values.copy()
    normalised(values)
    assert np.array_equal(values, before, equal_nan=True)
    frozen = np.frombuffer(values.tobytes(), np.float64).reshape(1, 3)
    assert normalised(frozen).tolist() == [[0, 0, 255]]


@given(arrays.arrays(np.uint8, SHAPES), st.booleans(), st.booleans())
def test_a_png_gives_back_its_pixels_here_and_in_pillow(picture: np.ndarray, flip: bool, turn: bool) -> None:
    """Gray and RGB, of any memory order."""
    if flip:
        picture = picture[::-1, ::-1]
    if turn:
        picture = picture.swapaxes(0, 1)
    png = encode(picture)
    found = decode(png)
    assert found.dtype == np.uint8
    assert np.array_equal(found, picture)
    opened = Image.open(io.BytesIO(png))
    assert (opened.format, opened.mode) == ("PNG", "L" if picture.ndim == 2 else "RGB")
    assert np.array_equal(np.asarray(opened), picture)
    # The header's words: 8 bits; gray (0) or RGB (2), no palette, no alpha.
    assert tuple(png[24:26]) == (8, 0 if picture.ndim == 2 else 2)


def test_pillows_pngs_are_read() -> None:
    red = np.zeros((4, 5, 3), np.uint8)
    red[..., 0] = 200
    for mode, expected in (("RGB", red), ("RGBA", red), ("L", red[..., 0])):
        stream = io.BytesIO()
        Image.fromarray(expected).convert(mode).save(stream, "PNG")
        assert np.array_equal(decode(stream.getvalue()), expected)


def _promising_too_much() -> bytes:
    """A PNG whose header, with a right checksum, promises 2³¹ × 2³¹ pixels."""
    png = bytearray(encode(np.zeros((8, 8), np.uint8)))
    png[16:24] = (2**31 - 1).to_bytes(4, "big") * 2
    png[29:33] = zlib.crc32(png[12:29]).to_bytes(4, "big")
    return bytes(png)


def _noise() -> bytes:
    return encode(np.random.default_rng(0).integers(0, 256, (40, 30), np.uint8))


def _flipped(place: int) -> bytes:
    png = bytearray(_noise())
    png[place] ^= 16
    return bytes(png)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"no picture at all",
        bytes(1000),
        _noise()[:30],
        _noise()[:600],
        _noise()[:-20],
        _flipped(18),
        _flipped(60),
        _flipped(700),
        _promising_too_much(),
        cv2.imencode(".png", np.full((4, 4), 300, np.uint16))[1].tobytes(),
    ],
    ids=[
        "empty",
        "magic",
        "text",
        "zeros",
        "cut30",
        "cut600",
        "cut-20",
        "size",
        "start",
        "middle",
        "huge",
        "16bit",
    ],
)
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(ValueError, match="not a PNG picture of 8 bits"):
        decode(garbage)
