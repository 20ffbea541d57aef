"""Pictures are what Pillow, OpenCV or the written array say, and whatever is none is one clear line."""

import gzip
import io
import struct
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import picture, read
from tests.cosmos1050k.bad_input import on_mutations, refused, slices, within
from tests.cosmos1050k.real import real

RNG = np.random.default_rng(1050)
GRAY = RNG.integers(0, 256, (5, 7), np.uint8)
COLOUR = RNG.integers(0, 256, (5, 7, 3), np.uint8)
DEEP = RNG.integers(0, 65536, (5, 7), np.uint16)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def by_pillow(data: bytes, mode: str) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert(mode) if mode else image)


def png(array: np.ndarray, kind: int, depth: int) -> bytes:
    """A PNG made by hand: kind 0 gray, 2 RGB, 3 palette, 4 gray with alpha, 6 RGBA; depth in bits."""
    rows, columns = array.shape[:2]
    if depth < 8:
        bits = array[..., None] >> np.arange(depth - 1, -1, -1) & 1
        lines = np.packbits(bits.reshape(rows, -1).astype(np.uint8), axis=1)
    else:
        lines = array.reshape(rows, -1).astype(f">u{depth // 8}")
    body = b"".join(b"\0" + line.tobytes() for line in lines)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", columns, rows, depth, kind, 0, 0, 0))]
    if kind == 3:
        parts.append((b"PLTE", bytes(range(100, 100 + 3 * 2**depth))))
    return png_of([*parts, (b"IDAT", zlib.compress(body)), (b"IEND", b"")])


def png_of(parts: list[tuple[bytes, bytes]]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))
        for tag, data in parts
    )


def only(path: Path, data: bytes) -> np.ndarray:
    """The one slice that is read from these bytes."""
    path.write_bytes(data)
    (found,) = slices(read(path, path.name))
    return found


def check(path: Path, data: bytes, expected: np.ndarray) -> None:
    found = only(path, data)
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))


@given(st.data())
def test_any_lossless_picture_is_the_array_that_was_written(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    size = data.draw(sizes)
    kind = data.draw(st.sampled_from(["gray", "colour", "bilevel"]))
    form, ending = data.draw(
        st.sampled_from([("PNG", ".png"), ("BMP", ".bmp"), ("PPM", ".ppm"), ("PPM", ".ppm.gz")])
    )
    if kind == "bilevel":
        array = data.draw(arrays.arrays(bool, size))
    else:
        array = data.draw(arrays.arrays(np.uint8, size + ((3,) if kind == "colour" else ())))
    written = saved(Image.fromarray(array), form)
    path = tmp_path_factory.getbasetemp() / f"any{ending}"
    path.write_bytes(gzip.compress(written) if ending.endswith(".gz") else written)
    (found,) = slices(picture.read(path, path.name))
    assert found.dtype == np.uint8
    assert np.array_equal(found, array * np.uint8(255) if kind == "bilevel" else array)


@given(array=arrays.arrays(np.uint8, sizes))
def test_any_gif_is_what_pillow_shows(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray) -> None:
    path = tmp_path_factory.getbasetemp() / "any.gif"
    check(path, saved(Image.fromarray(array), "GIF"), array)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_is_pillows(tmp_path: Path, mode: str) -> None:
    smooth = cv2.resize(COLOUR, (70, 50))
    data = saved(Image.fromarray(smooth).convert(mode), "JPEG", quality=90)
    check(tmp_path / "a.jpg", data, by_pillow(data, "L" if mode == "L" else "RGB"))
    if mode == "RGB":  # and close to what was meant, in this order of channels
        assert np.abs(only(tmp_path / "a.jpg", data) - smooth.astype(int)).mean() < 30


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_few_bits_of_gray_are_spread_over_a_byte(tmp_path: Path, depth: int) -> None:
    codes = GRAY % 2**depth
    check(tmp_path / "a.png", png(codes, 0, depth), codes * np.uint8({1: 255, 2: 85, 4: 17}[depth]))


def test_sixteen_bits_stay_sixteen_bits(tmp_path: Path) -> None:
    deep_colour = RNG.integers(0, 65536, (5, 7, 4), np.uint16)
    check(tmp_path / "a.png", png(DEEP, 0, 16), DEEP)
    check(tmp_path / "a.png", png(deep_colour[..., :3], 2, 16), deep_colour[..., :3])
    check(tmp_path / "a.png", png(deep_colour, 6, 16), deep_colour[..., :3])
    check(tmp_path / "a.png", png(deep_colour[..., :2], 4, 16), deep_colour[..., 0])
    data = cv2.imencode(".png", deep_colour[..., 2::-1])[1].tobytes()
    check(tmp_path / "a.png", data, deep_colour[..., :3])


def test_alpha_is_dropped_not_blended(tmp_path: Path) -> None:
    clear = np.dstack([COLOUR, np.zeros_like(GRAY)])
    check(tmp_path / "a.png", png(clear, 6, 8), COLOUR)
    check(tmp_path / "a.png", png(np.dstack([GRAY, np.zeros_like(GRAY)]), 4, 8), GRAY)


@pytest.mark.parametrize("form", ["png", "bmp", "gif"])
def test_a_palette_is_looked_up(tmp_path: Path, form: str) -> None:
    indices = GRAY % 20
    colours = RNG.integers(0, 256, (20, 3), np.uint8)
    image = Image.fromarray(indices)
    image.putpalette(colours.tobytes())
    check(tmp_path / f"a.{form}", saved(image, form.upper()), colours[indices])


@pytest.mark.parametrize("form", ["png", "bmp", "gif"])
def test_a_gray_palette_is_gray(tmp_path: Path, form: str) -> None:
    levels = RNG.permutation(256).astype(np.uint8)
    image = Image.fromarray(GRAY)
    image.putpalette(np.repeat(levels, 3).tobytes())
    check(tmp_path / f"a.{form}", saved(image, form.upper()), levels[GRAY])


def test_a_channel_of_a_picture_in_colour(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(COLOUR, 2, 8))
    for channel, plane in enumerate(np.moveaxis(COLOUR, 2, 0)):
        found = read(tmp_path / "a.png", "a.png", channel)
        assert not found.colour
        assert np.array_equal(found.array[:, :, 0].T, plane)
    with pytest.raises(BadFile, match="one volume, but number 3 is wanted"):
        read(tmp_path / "a.png", "a.png", 3)


def test_a_colour_that_the_palette_lacks(tmp_path: Path) -> None:
    data = png(GRAY % 4, 3, 2)
    check(tmp_path / "a.png", data, np.arange(100, 112, dtype=np.uint8).reshape(4, 3)[GRAY % 4])
    (tmp_path / "b.png").write_bytes(data.replace(b"PLTE" + bytes(range(100, 112)), b"PLTE"))
    refused(tmp_path / "b.png")
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", 2, 1, 8, 3, 0, 0, 0)), (b"PLTE", bytes(6)),
        (b"IDAT", zlib.compress(b"\0\1\2")), (b"IEND", b""),
    ]  # fmt: skip
    (tmp_path / "c.png").write_bytes(png_of(parts))
    assert refused(tmp_path / "c.png").problem == "colour 2 of a palette of 2"


@pytest.mark.parametrize("highest", [1, 17, 254, 255, 256, 4095, 65535])
@pytest.mark.parametrize("kind", [2, 3, 5, 6])
def test_netpbm_values_are_as_stored(tmp_path: Path, highest: int, kind: int) -> None:
    dtype = np.uint8 if highest < 256 else np.uint16
    array = RNG.integers(0, highest + 1, (5, 7, 3) if kind in (3, 6) else (5, 7)).astype(dtype)
    head = b"P%d # of a test\n# 9 9\n7 5\n%d\n" % (kind, highest)
    if kind > 3:
        body = array.astype(f">u{array.itemsize}").tobytes()
    else:
        body = " ".join(map(str, array.ravel())).encode() + b"\n"
    check(tmp_path / "a.pgm", head + body, array)
    (tmp_path / "b.ppm").write_bytes(head + body.rstrip()[:-6])
    assert "truncated" in refused(tmp_path / "b.ppm").problem


def test_what_a_netpbm_file_must_not_say(tmp_path: Path) -> None:
    for data, problem in {
        b"P2 2 1 7 3 8": "values of 3 to 8, expected 0 to 7",
        b"P2 2 1 7 3 -1": "values of -1 to 3, expected 0 to 7",
        b"P2 2 1 0 0 0": "a highest value of 0, expected 1 to 65535",
        b"P5 1 1 65536\n\0\0": "a highest value of 65536, expected 1 to 65535",
        b"P5 0 1 255\n": "a picture or volume of shape (1, 0)",
    }.items():
        (tmp_path / "a.pgm").write_bytes(data)
        assert refused(tmp_path / "a.pgm").problem == problem
    (tmp_path / "a.pgm").write_bytes(b"P2 2 1 7 3 x")
    assert "damaged" in refused(tmp_path / "a.pgm").problem


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_exif_turns_nothing(tmp_path: Path, form: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    data = saved(Image.fromarray(COLOUR), form, exif=exif)
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif()[0x0112] == 6
    check(tmp_path / "a.jpg", data, by_pillow(data, "RGB"))
    assert only(tmp_path / "a.jpg", data).shape == COLOUR.shape


def test_of_an_animation_the_first_frame(tmp_path: Path) -> None:
    frames = [Image.fromarray(frame) for frame in (GRAY, 255 - GRAY)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(data)).n_frames == 2
    check(tmp_path / "a.gif", data, GRAY)


def test_the_content_counts_not_the_ending(tmp_path: Path) -> None:
    check(tmp_path / "a.jpg", saved(Image.fromarray(GRAY), "PNG"), GRAY)


def test_a_large_picture_is_read_without_a_warning(tmp_path: Path) -> None:
    """More than the 89 million pixels from which Pillow warns of a bomb."""
    path = tmp_path / "a.png"
    Image.new("1", (10_000, 9_000), 1).save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read(path, path.name).array
    assert found.shape == (10_000, 9_000, 1)
    assert found[::999, ::999].min() == 255


SOUND = {
    "png": saved(Image.fromarray(COLOUR), "PNG"),
    "deep.png": png(RNG.integers(0, 65536, (5, 7, 3)), 2, 16),
    "palette.png": png(GRAY % 4, 3, 2),
    "jpg": saved(Image.fromarray(cv2.resize(COLOUR, (70, 50))), "JPEG"),
    "bmp": saved(Image.fromarray(COLOUR), "BMP"),
    "gif": saved(Image.fromarray(GRAY), "GIF"),
    "pgm": b"P5 7 5 255\n" + GRAY.tobytes(),
    "plain.ppm": b"P3 1 2 255\n 1 2 3 44 55 66\n",
    "bilevel.pgm": b"P4 7 5\n" + bytes(5),
    "ppm.gz": gzip.compress(b"P6 7 5 255\n" + COLOUR.tobytes(), mtime=0),
}


@pytest.mark.parametrize("ending", SOUND)
def test_a_file_that_breaks_off_anywhere(tmp_path: Path, ending: str) -> None:
    data = SOUND[ending]
    path = tmp_path / f"a.{ending}"
    path.write_bytes(data)
    picture.read(path, path.name)
    # The last bytes only end the file or fill a row up; a plain value may lose a digit.
    idle = {"plain.ppm": 2, "jpg": 2, "gif": 3, "bmp": 3}.get(ending, 4 if ending.endswith("png") else 0)
    for length in range(0, len(data) - idle, max(len(data) // 60, 1)):
        path.write_bytes(data[:length])
        with pytest.raises(BadFile) as caught:
            picture.read(path, path.name)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "gif", "ppm"])
def test_what_is_no_picture(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    for data in (b"", b"\0", b"<html>not found</html>", b"II*\0" + bytes(50), bytes(1000)):
        path.write_bytes(data)
        assert refused(path).problem == "not a PNG, JPEG, BMP, GIF or PPM picture"
    path.unlink()
    assert "put the file there" in refused(path).remedy


def test_a_flipped_bit_fails_a_pngs_checksum(tmp_path: Path) -> None:
    data = bytearray(saved(Image.fromarray(RNG.integers(0, 256, (60, 60), np.uint8)), "PNG"))
    data[data.index(b"IDAT") + 1000] ^= 4
    (tmp_path / "a.png").write_bytes(data)
    assert "damaged" in refused(tmp_path / "a.png").problem


def large_png(side: int) -> bytes:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return png_of([(b"IHDR", header), (b"IDAT", zlib.compress(bytes(99))), (b"IEND", b"")])


LARGE = {
    "png": large_png(10**6),
    "still allowed.png": large_png(70_000),
    "bmp": SOUND["bmp"][:18] + struct.pack("<ii", 10**6, 10**6) + SOUND["bmp"][26:],
    "gif": SOUND["gif"][:6] + struct.pack("<HH", 65535, 65535) + SOUND["gif"][10:],
    "jpg": SOUND["jpg"].replace(struct.pack(">HH", 50, 70), struct.pack(">HH", 65500, 65500), 1),
    "pgm": b"P5 1000000 1000000 65535\n" + bytes(99),
    "ppm": b"P6 70000 70000 255\n" + bytes(99),
    "plain.ppm": b"P3 70000 70000 255\n 1 2 3",
    "ppm.gz": gzip.compress(b"P6 70000 70000 255\n" + bytes(10**6)),
}  # fmt: skip


@pytest.mark.parametrize("ending", LARGE)
def test_a_promise_takes_no_memory(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_bytes(LARGE[ending])

    def promised() -> None:
        with pytest.raises(BadFile, match="promise"):
            picture.read(path, path.name)

    within(200, promised)


def test_a_frame_of_a_gif_larger_than_its_screen(tmp_path: Path) -> None:
    """Pillow then refuses it as a bomb, by an error of its own kind."""
    frame = SOUND["gif"].index(b",\0\0\0\0" + struct.pack("<HH", 7, 5)) + 5
    data = SOUND["gif"][:frame] + struct.pack("<HH", 65535, 65535) + SOUND["gif"][frame + 4 :]
    (tmp_path / "a.gif").write_bytes(data)
    assert "exceeds limit" in refused(tmp_path / "a.gif").problem
    within(200, lambda: refused(tmp_path / "a.gif"))


@pytest.mark.parametrize("ending", [".png", ".ppm.gz"])
def test_mutations_are_refused_or_read(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    gzipped = ending.endswith(".gz")

    def accepts(data: bytes) -> None:
        path.write_bytes(gzip.compress(data, 1) if gzipped else data)
        assert slices(picture.read(path, path.name))

    assert 6 < on_mutations(list(SOUND.values()), accepts) < 57


@pytest.mark.parametrize(
    ("pattern", "count"),
    [("drive/**/*.gif", 44), ("kvasir_seg/**/*.jpg", 10), ("sstem/**/*.png", 80), ("cellseg*/**/*.png", 2)],
)
def test_real_pictures(pattern: str, count: int) -> None:
    """Owners' own files: Pillow's values, and OpenCV's where it reads the container losslessly."""
    paths = real(pattern)
    assert len(paths) >= count
    for path in paths:
        (found,) = slices(read(path, path.name))
        with Image.open(path) as image:
            expected = np.asarray(image.convert("L") if image.mode == "1" else image)
        assert np.array_equal(found, expected), path.name
        if path.suffix == ".png":
            by_cv2 = cv2.imread(path, cv2.IMREAD_UNCHANGED)
            assert np.array_equal(found, by_cv2 if found.ndim == 2 else by_cv2[..., ::-1]), path.name
