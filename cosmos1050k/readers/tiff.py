"""TIFF: one picture, or a stack of pages as slices, as tifffile decodes it.

What an axis means is taken from tifffile's letters for the file's one series of pages:

- `Y` and `X` are the rows and columns of a picture;
- `S`, the samples of a pixel, are channels; where there is none, `C` is, if it is no longer than the seven
  channels that ImageJ knows (a longer one is a stack whose axis nobody named);
- any other axis (`Z`, `T`, `Q`, `I`, a `C` beside `S`) is a stack; there may be one, along k;
- but pages of at most four columns, along a `Q` or `I` that nobody named, are the rows of one picture whose
  channels were stored last.

One channel is gray, two are red and green, of more the first three are RGB; alpha is dropped. A palette is
looked up, and gray of 1, 2 or 4 bits spread over 0…255, as for other pictures (`picture`); what is stored as
"white is zero" is inverted, so that the numbers are those of the picture shown. Orientation is not applied.
"""

import logging
import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import PHOTOMETRIC, TiffFrame, TiffPage, TiffPageSeries

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import AGAIN, Volume, refuse_size
from cosmos1050k.readers.messages import shown
from cosmos1050k.readers.pixels import as_volume, looked_up

# What is wrong with a file is one line of this module's.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

_IMAGEJ_CHANNELS = 7
_LAST_CHANNELS = 4
#: No compression in use gives more: a blank row of a fax is one bit of the file.
_MOST_EXPANSION = 2**16
_MOST_TAGS = 4096
#: Tags from here on are a program's own; their values are of no use here and often damaged by other programs.
_PRIVATE = 32768
#: Type of a tag's value → bytes.
_BYTES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8,
}  # fmt: skip
#: Of the tag ExtraSamples; and the tag that says what zero looks like.
_ALPHA = (1, 2)
_PHOTOMETRIC_TAG = 262
_GRAY = (PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK)
_JPEG = 7
#: What tifffile and imagecodecs raise for damaged files (imagecodecs' errors are RuntimeErrors).
_DAMAGED = (
    tifffile.TiffFileError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, AssertionError,
    OverflowError, ZeroDivisionError, EOFError, ImportError, struct.error, zlib.error,
)  # fmt: skip


def read(path: Path, name: str) -> Volume:
    """Pages as slices, in their stored dtype of 8 to 64 bits; bilevel as uint8.

    Raises:
        BadFile: not TIFF, damaged, truncated, larger than `readers.MAX_BYTES`, of unlike pages, or of colours
            that are neither gray, nor RGB, nor a palette.
    """
    with path.open("rb") as file:
        _follow_pages(file, name)
    try:
        # Other files that an OME file names are not read.
        with tifffile.TiffFile(path, _multifile=False) as opened:
            series = _only_series(opened.series, name)
            layout = _layout(series, name)
            _refuse(series, opened.filehandle.size, name)
            array = series.asarray(maxworkers=1)  # the parallelism is in the processes
            return as_volume(_pictures(layout.pages(array), series, name))
    except OSError as error:
        if error.errno:
            raise  # of the system, not of the file
        raise _damaged(name, error) from None
    except _DAMAGED as error:
        raise _damaged(name, error) from None


def _damaged(name: str, error: Exception) -> BadFile:
    return BadFile(name, f"damaged TIFF ({shown(error)})", AGAIN)


def _follow_pages(file: IO[bytes], name: str) -> None:
    """Refuses what breaks off or runs in a circle, where tifffile would do with the pages or tags it has."""
    start = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(start[:2], "")
    version = struct.unpack(f"{order}H", start[2:4])[0] if order and len(start) >= 8 else 0
    if version not in (42, 43):
        raise BadFile(name, "not a TIFF file", AGAIN)
    # BigTIFF, version 43, has wider counts and offsets; a tag is code, type, count, and value or its offset.
    number, tag, offset_form = ("H", "HHII", "I") if version == 42 else ("Q", "HHQQ", "Q")
    width, size = struct.calcsize(offset_form), file.seek(0, 2)
    seen: set[int] = set()
    try:
        (offset,) = struct.unpack_from(order + offset_form, start, width)
        while offset:
            if offset in seen:
                raise BadFile(name, f"its page {len(seen)} is followed by an earlier one", AGAIN)
            seen.add(offset)
            file.seek(offset)
            (count,) = struct.unpack(order + number, file.read(struct.calcsize(number)))
            if count > _MOST_TAGS:
                raise BadFile(name, f"a page of {count} tags", AGAIN)
            tags = file.read(count * struct.calcsize(f"={tag}"))
            (offset,) = struct.unpack(order + offset_form, file.read(width))
            for code, kind, length, place in struct.iter_unpack(order + tag, tags):
                bytes_of = length * _BYTES.get(kind, 0)
                if code < _PRIVATE and bytes_of > width and place + bytes_of > size:
                    raise BadFile(name, f"truncated: the value of its tag {code} is missing", AGAIN)
    except (struct.error, OverflowError, ValueError):  # the last two of a seek too far
        raise BadFile(name, f"truncated: no page {max(len(seen), 1)}", AGAIN) from None


def _only_series(found: Sequence[TiffPageSeries], name: str) -> TiffPageSeries:
    """The picture or stack of a file, which may have thumbnails too."""
    if not found:
        raise BadFile(name, "a TIFF file without a picture", AGAIN)
    first, *others = found
    for other in others:
        if not all(_length(other, axis) < _length(first, axis) for axis in "YX"):
            problem = f"pages of shapes {first.shape} and {other.shape}, expected one picture or stack"
            raise BadFile(name, problem, "give each a file of its own")
    return first


def _length(series: TiffPageSeries, axis: str) -> int:
    return series.shape[series.axes.index(axis)] if axis in series.axes else 1


class _Layout(NamedTuple):
    """The lengths of a series' axes, ones left out, and which of them are pages and channels."""

    shape: tuple[int, ...]
    rows: int
    columns: int
    stack: int | None
    channels: int | None

    def pages(self, array: NDArray[np.generic]) -> NDArray[np.generic]:
        """The array as k×H×W or k×H×W×C."""
        axes = [self.stack, self.rows, self.columns, self.channels]
        turned = array.reshape(self.shape).transpose([axis for axis in axes if axis is not None])
        return turned if self.stack is not None else turned[None]


def _layout(series: TiffPageSeries, name: str) -> _Layout:
    """What the axes mean, by the rule above."""
    lengths = [(axis, n) for axis, n in zip(series.axes, series.shape, strict=True) if n > 1 or axis in "YX"]
    axes, shape = "".join(axis for axis, _ in lengths), tuple(length for _, length in lengths)
    if axes in ("QYX", "IYX") and shape[2] <= _LAST_CHANNELS < shape[1]:
        axes = "YXS"
    named = "C" if "C" in axes and shape[axes.index("C")] <= _IMAGEJ_CHANNELS else ""
    channel = "S" if "S" in axes else named
    stacks = [axis for axis in axes if axis not in ("Y", "X", channel)]
    if sorted(axes) != sorted(["Y", "X", *channel, *stacks]) or len(stacks) > 1:
        raise BadFile(name, f"axes {axes} of lengths {shape}, expected one picture or one stack", AGAIN)
    at = axes.index
    return _Layout(
        shape, at("Y"), at("X"), at(stacks[0]) if stacks else None, at(channel) if channel else None
    )


def _refuse(series: TiffPageSeries, size: int, name: str) -> None:
    """Refuses what can't be read, or would not be whole, before memory is taken for it."""
    page = series.keyframe
    if page.photometric not in (*_GRAY, PHOTOMETRIC.RGB, PHOTOMETRIC.PALETTE) and not (
        page.photometric == PHOTOMETRIC.YCBCR and page.compression == _JPEG  # which the decoder makes RGB
    ):
        kind = page.photometric.name if isinstance(page.photometric, PHOTOMETRIC) else "unknown"
        raise BadFile(name, f"colours stored as {kind}, expected gray, RGB or a palette", "convert it to RGB")
    if page.dtype is None or page.dtype.kind not in "buif" or isinstance(page.bitspersample, tuple):
        raise BadFile(name, f"values of type {page.dtype or 'unknown'}, expected one number each", AGAIN)
    refuse_size(name, series.shape, page.dtype.itemsize)
    promised = math.prod(series.shape) * page.bitspersample // 8
    if series.dataoffset is not None:
        held, most = size - series.dataoffset, 1
    else:
        held, most = sum(_held(part, page, size, name) for part in series), _MOST_EXPANSION
    if held * most < promised:
        raise BadFile(name, f"truncated: {promised} bytes of pixels promised, {held} held", AGAIN)


def _held(part: TiffPage | TiffFrame | None, page: TiffPage, size: int, name: str) -> int:
    """The bytes of a page's strips or tiles, all of which must lie in the file."""
    if part is None:
        raise BadFile(name, "a page of its stack is missing", AGAIN)
    pieces = list(zip(part.dataoffsets, part.databytecounts, strict=False))
    whole = all(count > 0 and 0 < offset <= size - count for offset, count in pieces)
    if not whole or len(pieces) != math.prod(page.chunked):
        raise BadFile(name, "truncated: strips or tiles of a page are missing", AGAIN)
    return sum(count for _, count in pieces)


def _pictures(pages: NDArray[np.generic], series: TiffPageSeries, name: str) -> NDArray[np.generic]:
    """The values to show: k×H×W gray or k×H×W×3 RGB."""
    page = series.keyframe
    pages = pages.astype(pages.dtype.newbyteorder("="), copy=False)
    if page.photometric == PHOTOMETRIC.PALETTE:
        return looked_up(pages, _palette(series, name), name)
    if pages.dtype == bool:
        pages = pages.view(np.uint8)
    bits = page.bitspersample
    if (
        page.photometric == PHOTOMETRIC.MINISWHITE
        and pages.dtype.kind == "u"
        and _PHOTOMETRIC_TAG in page.tags
    ):
        pages = (2**bits - 1) - pages
    if bits in (1, 2, 4):
        pages = pages.astype(np.uint8) * np.uint8(255 // (2**bits - 1))
    if pages.ndim == 3:
        return pages
    alphas = sum(kind in _ALPHA for kind in page.extrasamples)
    return _rgb(pages[..., : max(pages.shape[3] - alphas, 1)])


def _rgb(pages: NDArray[np.generic]) -> NDArray[np.generic]:
    """Channels as gray or RGB: k×H×W×C to k×H×W or k×H×W×3."""
    count = pages.shape[3]
    if count == 1:
        return pages[..., 0]
    if count == 2:
        return np.concatenate([pages, np.zeros_like(pages[..., :1])], axis=3)
    return pages[..., :3]


def _palette(series: TiffPageSeries, name: str) -> NDArray[np.uint8]:
    """The one palette of all pages: n×3."""
    assert series.parent is not None
    pages = [page.aspage() for page in series.parent.pages]
    first, *others = [np.asarray(page.colormap) for page in pages if page.shape == series.keyframe.shape]
    if any(not np.array_equal(other, first) for other in others):
        raise BadFile(name, "pages of unlike palettes", "give each a file of its own")
    # Some write 8 bits into the 16 that the format has; libtiff takes them so too.
    return np.asarray(first >> 8 if first.max() > 255 else first, np.uint8).T
