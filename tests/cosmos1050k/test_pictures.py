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
from tests.cosmos1050k import literal, packs

INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", ">i2", ">u4"]
FLOATS = ["float16", "float32", "float64", ">f4"]
SHAPES = st.one_of(
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.just(3)),
)


@st.composite
def slices(draw: st.DrawFn) -> list[np.ndarray]:
    """A pack of slices of one dtype, gray or in colours, of values that hypothesis chose or of any bits."""
    dtype = np.dtype(draw(st.sampled_from([*INTEGERS, *FLOATS, "bool", "int64", "uint64", ">i8"])))
    shape = draw(SHAPES)
    bits = draw(st.sampled_from([1, 2, 4]))
    special = dtype.kind == "f" and draw(st.booleans())
    elements = _floats(dtype, special) if dtype.kind == "f" else None
    table = draw(arrays.arrays(dtype, 1 << bits, elements=elements, fill=st.nothing()))
    if dtype.kind in "iu" and draw(st.booleans()):  # any value of 8 or 16 bits, or a high byte of more
        levels = draw(packs.codes((packs.PACK, *shape), 8))
        pack = levels.astype(dtype) * table[:1]
    else:
        pack = table[draw(packs.codes((packs.PACK, *shape), bits))]
    return list(pack.astype(dtype, order=draw(st.sampled_from("CF"))))


def _floats(dtype: np.dtype, special: bool) -> st.SearchStrategy[float]:
    """Magnitudes whose differences a float64 still holds; NaN and infinities if asked for."""
    most = min(1e300, float(np.finfo(dtype).max))
    finite = st.floats(-most, most, width=8 * dtype.itemsize)  # type: ignore[arg-type]
    return st.one_of(finite, st.sampled_from([math.nan, math.inf, -math.inf])) if special else finite


def test_many_slices() -> None:
    def check(values: np.ndarray) -> None:
        found = normalised(values)
        assert found.dtype == np.uint8
        assert np.array_equal(found, literal.normalised(values))

    packs.on_many(slices(), check)


@pytest.mark.parametrize("dtype", [*INTEGERS, "int64", "uint64"])
def test_every_range_of_levels(dtype: str) -> None:
    """Larger pictures of every span up to some thousands, at either end of the dtype and around zero."""
    random = np.random.default_rng(1050)
    info = np.iinfo(dtype)
    for span in [
        *range(40),
        127,
        254,
        255,
        256,
        257,
        511,
        512,
        1000,
        4095,
        4096,
        5000,
        65534,
        65535,
        65536,
        70000,
    ]:
        for low in (info.min, max(info.min, -span // 2), info.max - span):
            if not info.min <= low <= low + span <= info.max:
                continue
            offsets = random.integers(0, span, (40, 40), endpoint=True).astype(object)
            offsets[0, 0], offsets[-1, -1] = 0, span
            values = (offsets + low).astype(dtype)
            assert np.array_equal(normalised(values), literal.normalised(values)), (span, low)


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
