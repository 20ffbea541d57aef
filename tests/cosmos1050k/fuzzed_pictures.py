"""Pictures, TIFF, run lengths: sound files to mutate, and what Pillow, tifffile or csv reads from a file."""

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from PIL import Image
from tifffile import PHOTOMETRIC

from cosmos1050k import readers
from cosmos1050k.readers import Volume, rle
from tests.cosmos1050k.mutations import Files

RNG = np.random.default_rng(1050)
GRAY = RNG.integers(0, 256, (9, 11), np.uint8)
COLOUR = RNG.integers(0, 256, (9, 11, 3), np.uint8)
STACK = RNG.integers(0, 256, (4, 9, 11), np.uint8)


def pages(path: Path) -> np.ndarray:
    """The slices as pictures, one after the other, colours last."""
    return turned(readers.read(path, path.name))


def turned(volume: Volume) -> np.ndarray:
    return volume.array.transpose(2, 1, 0, *range(3, volume.array.ndim)).squeeze()


def _picture(array: np.ndarray, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, form, **options)
    return file.getvalue()


def picture_files(ending: str) -> list[Files]:
    palette = Image.fromarray(COLOUR).quantize(16)
    files = {form: io.BytesIO() for form in ("PNG", "GIF", "BMP")}
    for form, file in files.items():
        palette.save(file, form)
    netpbm = b"P6 11 9 255\n" + COLOUR.tobytes()
    data = {
        "png": [
            _picture(COLOUR, "PNG"), _picture(GRAY, "PNG"), _picture(GRAY > 99, "PNG"),
            _picture(GRAY.astype(np.uint16) * 257, "PNG"), files["PNG"].getvalue(),
            cv2.imencode(".png", COLOUR.astype(np.uint16) * 257)[1].tobytes(),
        ],
        "jpg": [
            _picture(np.kron(COLOUR, np.ones((4, 4, 1), np.uint8)), "JPEG"),
            _picture(np.kron(GRAY, np.ones((4, 4), np.uint8)), "JPEG", progressive=True),
        ],
        "bmp": [_picture(COLOUR, "BMP"), _picture(GRAY > 99, "BMP"), files["BMP"].getvalue()],
        "gif": [_picture(GRAY, "GIF"), files["GIF"].getvalue()],
        "ppm": [
            netpbm, b"P5 11 9 255\n" + GRAY.tobytes(), b"P3 2 1 255\n 1 2 3 44 55 66\n",
            b"P4 11 9\n" + bytes(18),
        ],
        "ppm.gz": [gzip.compress(netpbm, mtime=0)],
    }[ending]  # fmt: skip
    return [{f"a.{ending}": one} for one in data]


def by_pillow(path: Path) -> list[np.ndarray]:
    """As it is, and with its palette, levels or alpha made gray or RGB; deep colours by OpenCV."""
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == ".gz" else data
    found = []
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        if data[:4] == b"\x89PNG" and data[24] == 16 and not picture.mode.startswith("I"):
            deep = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
            return [deep[..., 0].squeeze(), deep[..., 2::-1].squeeze()]
        if picture.mode in ("L", "RGB", "I", "I;16", "I;16B"):
            found.append(np.asarray(picture).squeeze())
        elif picture.mode in ("1", "LA", "P"):
            found.append(np.asarray(picture.convert("L")).squeeze())
        if picture.mode in ("P", "RGBA", "CMYK", "YCbCr"):
            found.append(np.asarray(picture.convert("RGB")).squeeze())
    if data[:1] == b"P" and data.split()[3:4] not in ([b"255"], [b"65535"]) and data[1:2] not in b"14":
        raise ValueError("Pillow rescales it")
    return found


def _tiff(array: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


def tiff_files() -> list[Files]:
    data = [
        _tiff(GRAY, metadata=None),
        _tiff(STACK, photometric="minisblack"),
        _tiff(STACK, photometric="minisblack", compression="deflate", metadata=None),
        _tiff(COLOUR, compression="lzw", predictor=True),
        _tiff(np.kron(GRAY, np.ones((4, 4), np.uint8)), tile=(16, 16), compression="deflate"),
        _tiff(GRAY, rowsperstrip=2, byteorder=">"),
        _tiff(STACK, imagej=True, metadata={"axes": "ZYX"}),
        _tiff(STACK, ome=True, metadata={"axes": "ZYX"}, compression="packbits"),
        _tiff(np.kron(COLOUR, np.ones((4, 4, 1), np.uint8)), compression="jpeg"),
        _tiff(GRAY, photometric="palette", colormap=np.arange(768, dtype="u2").reshape(3, 256) * 85),
        _tiff(GRAY > 99),
        _tiff(GRAY.astype("f4"), bigtiff=True),
    ]
    return [{"a.tif": one} for one in data]


def by_tifffile(path: Path) -> list[np.ndarray]:
    """As stored, of any axis as channels; few bits, palettes and white that is zero by Pillow.

    Where nothing says what zero is, tifffile and Pillow take it for white; here it is black.
    """
    with tifffile.TiffFile(path) as opened:
        page = opened.series[0].keyframe
        gray = page.photometric in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR)
        array = opened.series[0].asarray().squeeze()
    if page.bitspersample == 1:
        array = array.astype(np.uint8) * 255
    if (
        gray and page.bitspersample != 2 and page.bitspersample != 4
    ) or "PhotometricInterpretation" not in page.tags:
        found = [array]
        for axis in range(array.ndim if array.ndim > 2 else 0):
            last = np.moveaxis(array, axis, -1)
            found += [last, last[..., :3], last[..., 0], np.pad(last, [(0, 0)] * (array.ndim - 1) + [(0, 1)])]
        return found
    with Image.open(path) as picture:
        return [np.asarray(picture.convert(mode)).squeeze() for mode in ("L", "RGB")]


def rle_files() -> list[Files]:
    others = "".join(f"image{number}, -1\n" for number in range(20))
    texts = [
        f"{header}\na, 2 3 4 1\n{others}a, 0 1\n"
        for header in ("ImageId, EncodedPixels", "ImageId,EncodedPixels")
    ]
    return [{"a.csv": text.encode()} for text in [*texts, texts[0].replace("\n", "\r\n")]]


def drawn_here(path: Path) -> np.ndarray:
    rle._parsed.cache_clear()  # files of one size, written within a tick of the clock
    return rle.read_rows(path, path.name, "a", (4, 5)).array[:, :, 0].T


def drawn_literally(path: Path) -> list[np.ndarray]:
    """A pixel at a time, down the columns, over what Python's csv reads."""
    rows = list(
        csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""), skipinitialspace=True)
    )
    picture = np.zeros((4, 5), np.uint8)
    for row in rows:
        fields = {(key or "").strip(): value for key, value in row.items() if key}
        if (fields["ImageId"] or "").strip() != "a" or fields["EncodedPixels"].strip() == "-1":
            continue
        numbers, place = [int(text) for text in fields["EncodedPixels"].split()], 0
        while numbers:
            place += numbers.pop(0)
            for _ in range(numbers.pop(0)):
                picture[place % 4, place // 4] = 1
                place += 1
    return [picture]
