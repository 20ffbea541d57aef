"""PNG, JPEG, BMP, GIF and PPM/PGM, also gzipped: one picture, one slice, as Pillow decodes it.

Equal pictures give equal numbers, whatever they are stored in:

- gray of 8 or 16 bits is as stored; of 1, 2 or 4 bits it is spread over 0…255: a bilevel mask is 0 and 255;
- a palette is looked up: a gray one gives its gray values, any other RGB;
- alpha is dropped, never blended; CMYK and YCbCr become RGB;
- of an animation the first frame counts;
- EXIF orientation is not applied: a mask has none and must stay on its image.
"""

import math
import re
import struct
import warnings
import zlib
from pathlib import Path
from typing import IO

import cv2
import numpy as np
from isal import igzip, isal_zlib
from numpy.typing import NDArray
from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, PpmImagePlugin
from PIL.Image import DecompressionBombError
from PIL.ImageFile import ImageFile

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import AGAIN, Volume, refuse_size
from cosmos1050k.readers.messages import shown
from cosmos1050k.readers.pixels import as_volume, looked_up

#: First bytes → Pillow's class. Opened by it, not by `Image.open`, whose own limit of pixels would warn at 89
#: million; `refuse_size` and `_MOST_EXPANSION` are the limits here.
_FORMATS: dict[bytes, type[ImageFile]] = {
    b"\x89PNG\r\n\x1a\n": PngImagePlugin.PngImageFile,
    b"\xff\xd8\xff": JpegImagePlugin.JpegImageFile,
    b"BM": BmpImagePlugin.BmpImageFile,
    b"GIF87a": GifImagePlugin.GifImageFile,
    b"GIF89a": GifImagePlugin.GifImageFile,
    b"P1": PpmImagePlugin.PpmImageFile,
    b"P4": PpmImagePlugin.PpmImageFile,
}
#: No format here gives more bytes of pixels per byte of file: a bilevel PNG (deflate's 1032, 8 pixels to a
#: byte) gives the most. A header that promises more is refused before memory is taken for it.
_MOST_EXPANSION = 8 * 1032
_GZIP_EXPANSION = 1032
#: Characters of a value in a plain PGM or PPM, blanks included.
_LONGEST_VALUE = 16
#: PGM and PPM with gray or colour values: kind, width, height, highest value. Pillow would rescale them.
_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_NETPBM = re.compile(rb"P([2356])" + _GAP.join([b"", *[rb"(\d{1,10})"] * 3]) + rb"\s")
#: Where a PNG states its bit depth and its kind; gray with alpha is 4.
_PNG_DEPTH, _PNG_KIND = 24, 25
#: What Pillow's and isal's decoders raise for damaged files.
_DAMAGED = (
    SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, AttributeError, AssertionError,
    struct.error, zlib.error, isal_zlib.error, DecompressionBombError,
)  # fmt: skip


def read(path: Path, name: str) -> Volume:
    """The picture as one slice, uint8 or uint16, gray or RGB.

    Raises:
        BadFile: not a picture of these formats, damaged, truncated, or larger than `readers.MAX_BYTES`.
    """
    gzipped = name.lower().endswith(".gz")
    most = path.stat().st_size * _MOST_EXPANSION * (_GZIP_EXPANSION if gzipped else 1)
    with path.open("rb") as file:
        try:
            stream = igzip.open(file) if gzipped else file
            start = stream.read(4096)
            stream.seek(0)
            if header := _NETPBM.match(start):
                picture = _netpbm(header, stream, name, most)
            else:
                picture = _by_pillow(start, stream, name, most)
        except OSError as error:
            if error.errno:
                raise  # of the system, not of the picture
            raise _damaged(name, error) from None
        except _DAMAGED as error:  # type: ignore[misc]  # isal's stub
            raise _damaged(name, error) from None
    return as_volume(picture[None])


def _damaged(name: str, error: Exception) -> BadFile:
    return BadFile(name, f"damaged picture ({shown(error)})", AGAIN)


def _refuse_promise(name: str, shape: tuple[int, ...], itemsize: int, most: int) -> None:
    """Refuses a header that promises too much, or more than the file can hold."""
    refuse_size(name, shape, itemsize)
    if (promised := math.prod(shape) * itemsize) > most:
        raise BadFile(name, f"truncated: {promised} bytes promised, at most {most} held", AGAIN)


def _by_pillow(start: bytes, stream: IO[bytes], name: str, most: int) -> NDArray[np.generic]:
    plugin = next((_FORMATS[magic] for magic in _FORMATS if start.startswith(magic)), None)
    if plugin is None:
        raise BadFile(name, "not a PNG, JPEG, BMP, GIF or PPM picture", AGAIN)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of metadata that is not read
        image = plugin(stream)
        channels = max(len(image.getbands()), 3 if image.mode == "P" else 1)
        _refuse_promise(name, (image.width, image.height, channels), 2 if "16" in image.mode else 1, most)
        if isinstance(image, PngImagePlugin.PngImageFile):
            image.verify()  # checksums, which decoding alone leaves out
            stream.seek(0)
            image = plugin(stream)
        image.load()
    if plugin is PngImagePlugin.PngImageFile and start[_PNG_DEPTH] == 16 and image.mode != "I;16":
        return _deep_png(stream, name, gray=start[_PNG_KIND] == 4)
    if image.mode == "P":
        palette = np.frombuffer(image.im.getpalette("RGB", "RGB"), np.uint8).reshape(-1, 3)
        return looked_up(np.asarray(image), palette, name)
    if image.mode in ("1", "LA"):
        return np.asarray(image.convert("L"))
    if image.mode in ("RGBA", "CMYK", "YCbCr"):
        return np.asarray(image.convert("RGB"))
    if image.mode in ("L", "RGB") or image.mode.startswith("I;16"):
        return np.asarray(image)
    raise BadFile(name, f"pixels of the kind {image.mode}, expected gray, palette or RGB", AGAIN)


def _deep_png(stream: IO[bytes], name: str, gray: bool) -> NDArray[np.generic]:
    """16 bits per channel, which Pillow reduces to 8 where there is more than gray."""
    stream.seek(0)
    picture = cv2.imdecode(np.frombuffer(stream.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.dtype != np.uint16 or picture.ndim != 3:
        raise BadFile(name, "a PNG of 16 bits that OpenCV can't read", AGAIN)
    return picture[:, :, 0] if gray else picture[:, :, 2::-1]  # BGR or BGRA


def _netpbm(header: re.Match[bytes], stream: IO[bytes], name: str, most: int) -> NDArray[np.generic]:
    """The values as stored, whatever the highest one that the header names."""
    kind, width, height, highest = (int(text) for text in header.groups())
    shape = (height, width, 3) if kind in (3, 6) else (height, width)
    if not 0 < highest < 2**16:
        raise BadFile(name, f"a highest value of {highest}, expected 1 to 65535", AGAIN)
    dtype = np.dtype(np.uint8 if highest < 2**8 else ">u2")
    _refuse_promise(name, shape, dtype.itemsize, most)
    count = math.prod(shape)
    stream.seek(header.end())
    if kind > 3:
        data = stream.read(count * dtype.itemsize)
        held = len(data) // dtype.itemsize
    else:
        texts = stream.read(_LONGEST_VALUE * count).split(maxsplit=count)[:count]
        held = len(texts)
    if held < count:
        raise BadFile(name, f"truncated: {held} of {count} values", AGAIN)
    if kind > 3:
        values = np.frombuffer(data, dtype, count)
    else:
        values = np.array([int(text) for text in texts])
        if values.min() < 0 or values.max() > highest:
            raise BadFile(name, f"values of {values.min()} to {values.max()}, expected 0 to {highest}", AGAIN)
    return values.astype(dtype.newbyteorder("="), copy=False).reshape(shape)
