"""TIFF pictures and stacks are the arrays that were written, and whatever is none is one clear line."""

import io
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from cosmos1050k.readers import read
from tests.cosmos1050k.bad_input import on_mutations, refused, slices, within
from tests.cosmos1050k.real import real

RNG = np.random.default_rng(1050)
DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]
COMPRESSIONS = [None, "lzw", "deflate", "packbits", "zstd", "lzma"]
GRAY = RNG.integers(0, 256, (9, 11), np.uint8)
COLOUR = RNG.integers(0, 256, (9, 11, 3), np.uint8)
STACK = RNG.integers(0, 256, (6, 9, 11), np.uint8)


def tiff(array: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


def pages_of(path: Path, data: bytes) -> list[np.ndarray]:
    path.write_bytes(data)
    return slices(read(path, path.name))


def check(path: Path, data: bytes, *expected: np.ndarray) -> None:
    found = pages_of(path, data)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other, equal_nan=other.dtype.kind == "f")


@given(st.data())
def test_any_gray_picture_or_stack_is_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    shape = data.draw(st.tuples(*[st.integers(5, 20)] * data.draw(st.integers(2, 3))))
    array = data.draw(arrays.arrays(data.draw(st.sampled_from(DTYPES)), shape))
    options: dict[str, Any] = {
        "photometric": "minisblack",
        "byteorder": data.draw(st.sampled_from("<>")),
        "bigtiff": data.draw(st.booleans()),
        "compression": data.draw(st.sampled_from(COMPRESSIONS)),
        "metadata": data.draw(st.sampled_from([None, {}])),
    }
    if data.draw(st.booleans()):
        options["tile"] = (16, 16)
    elif data.draw(st.booleans()):
        options["rowsperstrip"] = data.draw(st.integers(1, 9))
    predictable = array.dtype.kind in "ui" and array.dtype.itemsize <= 4  # by tifffile
    if options["compression"] in ("lzw", "deflate", "zstd") and predictable:
        options["predictor"] = data.draw(st.booleans())
    path = tmp_path_factory.getbasetemp() / "any.tif"
    check(path, tiff(array, **options), *(array if array.ndim == 3 else [array]))


@given(st.data())
def test_any_colour_picture_or_stack_is_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    count = data.draw(st.integers(2, 6))
    samples = data.draw(st.integers(3, 4))
    planar = data.draw(st.booleans())
    array = data.draw(arrays.arrays(data.draw(st.sampled_from(["u1", "u2", "f4"])), (count, 7, 9, samples)))
    stored = array.transpose(0, 3, 1, 2) if planar else array
    if data.draw(st.booleans()):
        array, stored = array[:1], stored[0]
    written = tiff(
        stored,
        photometric="rgb",
        planarconfig="separate" if planar else "contig",
        compression=data.draw(st.sampled_from(COMPRESSIONS)),
        extrasamples=["unassalpha"] if samples == 4 else None,
    )
    check(tmp_path_factory.getbasetemp() / "any.tif", written, *array[..., :3])


WITH_NOTHING = np.dstack([COLOUR[..., :2], np.zeros_like(GRAY)])
FIRST = COLOUR.transpose(2, 0, 1)
#: What was written, how, and what is read: the rule for axes, case by case.
AXES: dict[str, tuple[np.ndarray, dict[str, Any], list[np.ndarray]]] = {
    "YX": (GRAY, {}, [GRAY]),
    "one page": (GRAY[None], {}, [GRAY]),
    "two pages": (STACK[:2], {}, list(STACK[:2])),
    "pages without a description": (STACK, {"metadata": None}, list(STACK)),
    "channels last": (COLOUR[..., :2], {}, [WITH_NOTHING]),
    "channels last without a description": (COLOUR[..., :2], {"metadata": None}, [WITH_NOTHING]),
    "two samples": (COLOUR[..., :2], {"photometric": "minisblack", "planarconfig": "contig"}, [WITH_NOTHING]),
    "gray with alpha": (
        COLOUR[..., :2],
        {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": ["unassalpha"]},
        [COLOUR[..., 0]],
    ),
    "planes": (FIRST, {"photometric": "minisblack", "planarconfig": "separate"}, [COLOUR]),
    "ImageJ slices": (STACK, {"imagej": True, "metadata": {"axes": "ZYX"}}, list(STACK)),
    "ImageJ frames": (STACK, {"imagej": True, "metadata": {"axes": "TYX"}}, list(STACK)),
    "ImageJ channels": (FIRST[:2], {"imagej": True, "metadata": {"axes": "CYX"}}, [WITH_NOTHING]),
    "ImageJ five channels": (
        STACK[:5], {"imagej": True, "metadata": {"axes": "CYX"}}, [STACK[:3].transpose(1, 2, 0)]
    ),
    "ImageJ stack called channels": (
        np.concatenate([STACK, STACK]), {"imagej": True}, [*STACK, *STACK]
    ),
    "ImageJ slices of channels": (
        STACK.reshape(3, 2, 9, 11),
        {"imagej": True, "metadata": {"axes": "ZCYX"}},
        [np.dstack([a, b, np.zeros_like(a)]) for a, b in STACK.reshape(3, 2, 9, 11)],
    ),
    "ImageJ RGB": (COLOUR, {"imagej": True}, [COLOUR]),
    "ImageJ slices of RGB": (
        np.stack([COLOUR] * 4), {"imagej": True, "metadata": {"axes": "ZYXS"}}, [COLOUR] * 4
    ),
    "OME slices": (STACK, {"ome": True, "metadata": {"axes": "ZYX"}}, list(STACK)),
    "OME channels": (FIRST, {"ome": True, "metadata": {"axes": "CYX"}}, [COLOUR]),
    "OME one of each": (STACK[:1, None, None], {"ome": True, "metadata": {"axes": "TCZYX"}}, [STACK[0]]),
    "OME slices of channels": (
        np.stack([FIRST] * 4), {"ome": True, "metadata": {"axes": "ZCYX"}}, [COLOUR] * 4
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", AXES)
def test_the_rule_for_axes(tmp_path: Path, case: str) -> None:
    array, options, expected = AXES[case]
    check(tmp_path / "a.tif", tiff(array, **options), *expected)


@pytest.mark.parametrize(("axes", "shape"), [("TZYX", (2, 3, 9, 11)), ("TZCYX", (2, 3, 2, 9, 11))])
def test_a_stack_of_stacks(tmp_path: Path, axes: str, shape: tuple[int, ...]) -> None:
    array = RNG.integers(0, 9, shape, np.uint8)
    (tmp_path / "a.tif").write_bytes(tiff(array, ome=True, metadata={"axes": axes}))
    error = refused(tmp_path / "a.tif")
    assert error.problem == f"axes {axes} of lengths {array.shape}, expected one picture or one stack"


def test_bilevel_is_0_and_255(tmp_path: Path) -> None:
    mask = GRAY > 99
    shown = mask * np.uint8(255)
    for photometric in ("minisblack", "miniswhite"):
        data = tiff(mask if photometric == "minisblack" else ~mask, photometric=photometric)
        check(tmp_path / "a.tif", data, shown)
        with Image.open(tmp_path / "a.tif") as image:
            assert np.array_equal(np.asarray(image.convert("L")), shown)
    check(tmp_path / "a.tif", tiff(STACK > 99, photometric="minisblack"), *(STACK > 99) * np.uint8(255))


@pytest.mark.parametrize("compression", ["group3", "group4"])
def test_a_fax(tmp_path: Path, compression: str) -> None:
    mask = np.kron(GRAY > 99, np.ones((8, 8), bool))
    Image.fromarray(mask).save(tmp_path / "a.tif", compression=compression)
    check(tmp_path / "a.tif", (tmp_path / "a.tif").read_bytes(), mask * np.uint8(255))


@pytest.mark.parametrize("bits", [2, 4])
def test_few_bits_of_gray_are_spread_over_a_byte(tmp_path: Path, bits: int) -> None:
    codes = GRAY % 2**bits
    data = tiff(codes, bitspersample=bits, photometric="minisblack")
    check(tmp_path / "a.tif", data, codes * np.uint8({2: 85, 4: 17}[bits]))


def test_twelve_bits_stay_twelve_bits(tmp_path: Path) -> None:
    codes = RNG.integers(0, 4096, (9, 11), np.uint16)
    check(tmp_path / "a.tif", tiff(codes, bitspersample=12, photometric="minisblack"), codes)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_white_is_zero(tmp_path: Path, dtype: type) -> None:
    array = GRAY.astype(dtype) * dtype(np.iinfo(dtype).max // 255)
    data = tiff(np.iinfo(dtype).max - array, photometric="miniswhite")
    check(tmp_path / "a.tif", data, array)


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    colours = RNG.integers(0, 256, (256, 3), np.uint8)
    wide = colours.T.astype(np.uint16) * 257
    check(tmp_path / "a.tif", tiff(GRAY, photometric="palette", colormap=wide), colours[GRAY])
    check(tmp_path / "a.tif", tiff(STACK, photometric="palette", colormap=wide), *colours[STACK])
    grays = RNG.permutation(256).astype(np.uint8)
    data = tiff(GRAY, photometric="palette", colormap=np.stack([grays] * 3).astype(np.uint16) * 257)
    check(tmp_path / "a.tif", data, grays[GRAY])
    # 8 bits in the place of 16, as some write them
    check(
        tmp_path / "a.tif",
        tiff(GRAY, photometric="palette", colormap=colours.T.astype(np.uint16)),
        colours[GRAY],
    )


def test_pages_of_two_palettes(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for factor in (1, 2):
            colours = np.arange(768, dtype=np.uint16).reshape(3, 256) * factor
            file.write(GRAY, photometric="palette", colormap=colours, metadata=None, contiguous=False)
    assert refused(tmp_path / "a.tif").problem == "pages of unlike palettes"


def test_jpeg_in_tiff_is_rgb(tmp_path: Path) -> None:
    smooth = np.kron(COLOUR, np.ones((8, 8, 1), np.uint8))
    data = tiff(smooth, compression="jpeg", compressionargs={"level": 95})
    (found,) = pages_of(tmp_path / "a.tif", data)
    assert tifffile.TiffFile(io.BytesIO(data)).pages[0].photometric.name == "YCBCR"
    assert np.abs(found - smooth.astype(int)).mean() < 12
    assert np.array_equal(found, tifffile.imread(io.BytesIO(data)))


def test_nan_passes(tmp_path: Path) -> None:
    array = np.where(GRAY > 99, np.float32(np.nan), GRAY.astype(np.float32))
    check(tmp_path / "a.tif", tiff(array), array)


def test_a_thumbnail_is_passed_over(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(STACK[0], photometric="minisblack", metadata=None)
        file.write(STACK[0, ::3, ::3], photometric="minisblack", metadata=None, subfiletype=1)
    check(tmp_path / "a.tif", (tmp_path / "a.tif").read_bytes(), STACK[0])


def test_unlike_pages(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(GRAY, metadata=None)
        file.write(GRAY[:, 1:], metadata=None)
    assert "expected one picture or stack" in refused(tmp_path / "a.tif").problem


@pytest.mark.parametrize(
    ("array", "options", "problem"),
    [
        (np.dstack([COLOUR, GRAY]), {"photometric": "separated"}, "colours stored as SEPARATED"),
        (COLOUR, {"photometric": "cielab"}, "colours stored as CIELAB"),
        (COLOUR, {"photometric": "ycbcr"}, "colours stored as YCBCR"),
        (GRAY.astype(np.complex64), {}, "values of type complex64"),
    ],
)
def test_what_no_picture_is_made_of(
    tmp_path: Path, array: np.ndarray, options: dict[str, Any], problem: str
) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(array, **options))
    assert refused(tmp_path / "a.tif").problem.startswith(problem)


def test_what_is_no_tiff(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for data in (b"", b"II", b"II*\0", b"<html>not found</html>", b"II\x2b\0" + bytes(3), b"MM\0\x2b"):
        path.write_bytes(data)
        refused(path)
    path.write_bytes(b"II*\0" + bytes(4))
    assert refused(path).problem == "a TIFF file without a picture"
    path.unlink()
    assert "put the file there" in refused(path).remedy


SOUND = {
    "gray": tiff(GRAY, metadata=None),
    "described": tiff(STACK, photometric="minisblack"),
    "deflated stack": tiff(STACK, photometric="minisblack", compression="deflate", metadata=None),
    "LZW": tiff(COLOUR, compression="lzw", predictor=True),
    "tiles": tiff(np.kron(GRAY, np.ones((4, 4), np.uint8)), tile=(16, 16), compression="deflate"),
    "strips": tiff(GRAY, rowsperstrip=2, byteorder=">"),
    "ImageJ": tiff(STACK, imagej=True, metadata={"axes": "ZYX"}),
    "OME": tiff(STACK, ome=True, metadata={"axes": "ZYX"}, compression="deflate"),
    "JPEG": tiff(np.kron(COLOUR, np.ones((4, 4, 1), np.uint8)), compression="jpeg"),
    "palette": tiff(GRAY, photometric="palette", colormap=np.arange(768, dtype="u2").reshape(3, 256)),
    "bilevel": tiff(GRAY > 99),
    "BigTIFF": tiff(GRAY.astype("f4"), bigtiff=True),
}


@pytest.mark.parametrize("case", SOUND)
def test_a_file_that_breaks_off_anywhere(tmp_path: Path, case: str) -> None:
    path, data = tmp_path / "a.tif", SOUND[case]
    whole = pages_of(path, data)
    for length in range(0, len(data), max(len(data) // 60, 1)):
        path.write_bytes(data[:length])
        if data[length:].strip(b"\0"):
            refused(path)
        else:  # nothing but zeros is missing: what fills up the last strip or tag
            assert all(map(np.array_equal, slices(read(path, path.name)), whole))


def resized(data: bytes, side: int) -> bytes:
    """A little-endian file whose first page says that it has this many rows and columns."""
    changed = bytearray(data)
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    tags = 0
    for place in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, place)[0] in (256, 257):  # ImageWidth, ImageLength
            struct.pack_into("<HII", changed, place + 2, 4, 1, side)
            tags += 1
    assert tags == 2
    return bytes(changed)


def test_pages_in_a_circle(tmp_path: Path) -> None:
    """The last page's link leads back to the first or to itself: tifffile would give the pages before."""
    data = bytearray(tiff(STACK, photometric="minisblack", compression="deflate", metadata=None))
    offsets = [page.offset for page in tifffile.TiffFile(io.BytesIO(data)).pages]
    (count,) = struct.unpack_from("<H", data, offsets[-1])
    for back in (offsets[0], offsets[-1], offsets[2]):
        struct.pack_into("<I", data, offsets[-1] + 2 + 12 * count, back)
        (tmp_path / "a.tif").write_bytes(data)
        assert refused(tmp_path / "a.tif").problem == "its page 6 is followed by an earlier one"
    struct.pack_into("<I", data, offsets[-1] + 2 + 12 * count, len(data) + 8)
    (tmp_path / "a.tif").write_bytes(data)
    assert refused(tmp_path / "a.tif").problem == "truncated: no page 7"


@pytest.mark.parametrize("side", [60_000, 2_000_000])
@pytest.mark.parametrize("case", ["gray", "deflated stack", "LZW", "described"])
def test_a_promise_takes_no_memory(tmp_path: Path, case: str, side: int) -> None:
    (tmp_path / "a.tif").write_bytes(resized(SOUND[case], side))
    within(200, lambda: refused(tmp_path / "a.tif"))


def test_a_stack_is_not_in_memory_twice(tmp_path: Path) -> None:
    stack = RNG.integers(0, 256, (64, 256, 256), np.uint8)
    for options in ({}, {"compression": "deflate"}):
        path = tmp_path / "a.tif"
        path.write_bytes(tiff(stack, photometric="minisblack", **options))
        read(path, path.name)  # what is imported or cached on the way doesn't count
        tracemalloc.start()
        found = read(path, path.name)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert np.array_equal(slices(found), stack)
        assert peak < 1.6 * stack.nbytes


def test_no_other_file_is_read(tmp_path: Path) -> None:
    """An OME file may name others, here for half of its slices: only its own pages are read."""
    data = tiff(255 - STACK, ome=True, metadata={"axes": "ZYX"}, compression="deflate")
    (tmp_path / "other.tif").write_bytes(data)
    xml = tifffile.TiffFile(io.BytesIO(data)).ome_metadata
    assert xml is not None
    here, there = '<TiffData IFD="0" PlaneCount="3"/>', '<TiffData IFD="0" FirstZ="3" PlaneCount="3">'
    uuid = '<UUID FileName="other.tif">urn:uuid:00000000-0000-0000-0000-000000000000</UUID></TiffData>'
    description = xml.replace('<TiffData IFD="0" PlaneCount="6"/>', here + there + uuid).encode()
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in STACK[:3]:
            file.write(page, description=description, metadata=None, contiguous=False)
    assert len(tifffile.imread(tmp_path / "a.tif")) == 6
    check(tmp_path / "a.tif", (tmp_path / "a.tif").read_bytes(), *STACK[:3])


def test_mutations_are_refused_or_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"

    def accepts(data: bytes) -> None:
        path.write_bytes(data)
        assert slices(read(path, path.name))

    assert 6 < on_mutations(list(SOUND.values()), accepts) < 57


@pytest.mark.parametrize(
    ("pattern", "count"), [("drive/**/*.tif", 22), ("sstem/**/*.tif", 20), ("cellseg*/**/*.tif*", 4)]
)
def test_real_files(pattern: str, count: int) -> None:
    """Owners' own files are tifffile's arrays, and Pillow's."""
    paths = real(pattern)
    assert len(paths) >= count
    for path in paths:
        (found,) = slices(read(path, path.name))
        assert found.dtype == tifffile.imread(path).dtype
        assert np.array_equal(found, tifffile.imread(path)), path.name
        with Image.open(path) as image:
            assert np.array_equal(found, np.asarray(image)), path.name
