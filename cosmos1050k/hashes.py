"""What a picture looks like, in few bits: equal pixels, alike pixels, whichever way it was turned.

A picture is shrunk to a thumbnail whose contrast is evened out. The signs of its lowest cosine frequencies
are its hash: compression, size and window hardly move them, and a flip changes known ones. Each hash is of
one of the eight ways to turn the picture, which the picture itself decides.
"""

import hashlib
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

#: Of all that follows: a change of what it gives needs a new number.
VERSION = 1
SIDE = 48
#: A hash in bytes. Byte k is block k, of bits of low and high frequency alike.
BYTES = 16
BITS = 8 * BYTES
#: A thumbnail that spans fewer of 256 gray levels is blank for us: its hash would be of noise.
FEWEST_LEVELS = 8.0
#: The contrast of a gray level is raised at most so many times: no rank transform, which would make a picture
#: of the noise in an even background.
_MOST_CONTRAST = 2.0
_LEVELS = 64
#: Gray levels that are given another's: few, so that strangers don't become alike.
_GRADES = 32
#: A picture turns either way if what decides it is smaller than this share of all its contrast. In doubt both
#: ways are searched.
_DOUBT = 0.01
#: Frequencies that decide on the way to turn: the lowest, which edits change least.
_DECIDING = 5

#: What is kept of a picture: `exact` of its pixels, `near` its hash, `doubt` the turns (1 left–right,
#: 2 up–down, 4 transposed) that may as well be made, `telling` whether the hash means anything.
PRINT = np.dtype([("exact", "<u8", 2), ("near", np.uint8, BYTES), ("doubt", np.uint8), ("telling", np.bool_)])


def thumbnail(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """SIDE×SIDE gray of a picture H×W or H×W×3."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) if picture.ndim == 3 else picture
    return cv2.resize(gray, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def print_of(picture: NDArray[np.uint8], small: NDArray[np.uint8]) -> NDArray[np.void]:
    """The one PRINT, shape (), of a picture H×W or H×W×3 and its thumbnail."""
    found = np.zeros((), PRINT)
    found["exact"] = np.frombuffer(_digest(picture), "<u8")
    low, high = np.quantile(small, (0.01, 0.99))
    found["telling"] = high - low >= FEWEST_LEVELS
    found["near"], found["doubt"] = _near(small)
    return found


def _digest(picture: NDArray[np.uint8]) -> bytes:
    """Of shape and pixels; a gray picture stored in three equal channels is that gray picture."""
    if picture.ndim == 3 and (picture == picture[..., :1]).all():
        picture = picture[..., 0]
    state = hashlib.blake2b(repr(picture.shape).encode(), digest_size=16)
    state.update(np.ascontiguousarray(picture).data)
    return state.digest()


def _evened(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The thumbnail from 0 to 1: its histogram flattened, but no level's contrast beyond _MOST_CONTRAST."""
    values = small.astype(np.float32)
    low, high = np.quantile(values, (0.01, 0.99))
    values = np.clip((values - low) / max(high - low, 1e-6), 0, 1)
    share = np.histogram(values, _LEVELS, (0, 1))[0] / values.size
    most = _MOST_CONTRAST / _LEVELS
    share = np.minimum(share, most) + np.maximum(share - most, 0).sum() / _LEVELS
    rising = np.concatenate([[0.0], np.cumsum(share)])
    return np.interp(values, np.linspace(0, 1, _LEVELS + 1), rising).astype(np.float32)


@cache
def _frequencies() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the BITS lowest frequencies, in the order of the hash's bits."""
    found = [(u, v) for u in range(SIDE) for v in range(SIDE) if u + v]
    found.sort(key=lambda one: (one[0] ** 2 + one[1] ** 2, max(one), one))
    # With (9, 9) the set, of which a transposed frequency must be a member too, would be of an odd number.
    found.remove((9, 9))
    rows, columns = (np.array(side).reshape(8, BYTES).T.ravel() for side in zip(*found[:BITS], strict=True))
    return rows, columns


@cache
def _transposing() -> NDArray[np.int64]:
    """Which bit of a hash is which of the transposed picture's."""
    rows, columns = _frequencies()
    place = {pair: number for number, pair in enumerate(zip(rows.tolist(), columns.tolist(), strict=True))}
    return np.array([place[v, u] for u, v in zip(rows.tolist(), columns.tolist(), strict=True)])


def _near(small: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """The hash of a thumbnail turned its own way, and the turns that are in doubt."""
    evened = _evened(small)
    waves = cv2.dct(evened - evened.mean())
    low = waves[:_DECIDING, :_DECIDING]
    unsure = _DOUBT * max(float(np.linalg.norm(waves)), 1e-6)
    # A flip turns the sign of odd frequencies, a transposition swaps two: each sum below changes its sign.
    across, down = float(low[::2, 1::2].sum()), float(low[1::2, ::2].sum())
    size = np.abs(low)
    skew = float(np.tril(size, -1).sum() - np.triu(size, 1).sum())
    rows, columns = _frequencies()
    signs = np.where((across < 0) & (columns % 2 == 1), -1, 1) * np.where((down < 0) & (rows % 2 == 1), -1, 1)
    bits = waves[rows, columns] * signs > 0
    if skew < 0:
        bits = bits[_transposing()]
        across, down = down, across
    doubt = (abs(across) < unsure) + 2 * (abs(down) < unsure) + 4 * (abs(skew) < unsure)
    return np.packbits(bits), int(doubt)


def turned(near: NDArray[np.uint8], doubt: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Every way in which hashes may be turned: the hashes N×BYTES and, for each, the place of its picture.

    The first len(near) are the given ones, in their order; then come those in doubt, turn by turn.
    """
    rows, columns = _frequencies()
    flips = [np.packbits(columns % 2 == 1), np.packbits(rows % 2 == 1)]
    hashes, places = [near], [np.arange(len(near))]
    for turn in range(1, 8):
        chosen = np.flatnonzero((doubt & turn) == turn)
        made = near[chosen]
        for bit, mask in enumerate(flips):
            if turn >> bit & 1:
                made = made ^ mask  # a cosine's sign is its bit, so that a flip is an exclusive or
        if turn & 4:
            made = np.packbits(np.unpackbits(made, axis=1)[:, _transposing()], axis=1)
        hashes.append(made)
        places.append(chosen)
    return np.concatenate(hashes), np.concatenate(places)


def likeness(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """How well two thumbnails' details agree, turned as they fit best: 1 for the same, 0 for strangers.

    Two patients' organs look alike at large; small edges and texture are a picture's own. Another window
    makes no other picture: each is compared as it is and with the other's gray levels.
    """
    details = _details(one)
    ways = [
        flipped for way in (other, other.T) for half in (way, way[::-1]) for flipped in (half, half[:, ::-1])
    ]
    fits = [_agreement(details, _details(way)) for way in ways]
    way = ways[int(np.argmax(fits))]
    return max(
        *fits,
        _agreement(_details(_regraded(one, way)), _details(way)),
        _agreement(details, _details(_regraded(way, one))),
    )


def _agreement(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    return float((first * second).sum())


def _regraded(small: NDArray[np.uint8], model: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The thumbnail with, for each of its gray levels, the mean of what the other shows there."""
    levels = np.minimum((_evened(small) * _GRADES).astype(np.int64), _GRADES - 1).ravel()
    sums = np.bincount(levels, model.ravel().astype(np.float64), minlength=_GRADES)
    means = sums / np.maximum(np.bincount(levels, minlength=_GRADES), 1)
    return means[levels].round().astype(np.uint8).reshape(small.shape)


def _details(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The thumbnail's edges and texture, of norm 1."""
    evened = _evened(small)
    edges = cv2.GaussianBlur(evened, (0, 0), 0.7) - cv2.GaussianBlur(evened, (0, 0), 2)
    edges = np.sign(edges) * np.sqrt(np.abs(edges))  # so that a few strong edges don't decide
    return np.asarray(edges / max(float(np.linalg.norm(edges)), 1e-6), np.float32)
