"""What a picture looks like, in few bits: equal pixels, alike pixels, whichever way it was turned.

A picture is shrunk to a thumbnail whose contrast is evened out. The signs of its lowest cosine frequencies
are its hash: compression, size and window hardly move them, and a flip changes known ones. Each hash is of
one of the eight ways to turn the picture, which the picture itself decides.
"""

import hashlib
from functools import cache
from typing import Any

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
#: Details that agree less than this before gray levels are matched don't agree after it.
_LEAST_FIT = 0.5
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
    low, high = _span(_counts(small[None]))
    found["telling"] = (high - low).item() >= FEWEST_LEVELS
    found["near"], found["doubt"] = _near(small)
    return found


def _digest(picture: NDArray[np.uint8]) -> bytes:
    """Of shape and pixels; a gray picture stored in three equal channels is that gray picture."""
    if picture.ndim == 3 and (picture == picture[..., :1]).all():
        picture = picture[..., 0]
    state = hashlib.blake2b(repr(picture.shape).encode(), digest_size=16)
    state.update(np.ascontiguousarray(picture).data)
    return state.digest()


def _evened(smalls: NDArray[np.uint8]) -> NDArray[np.float32]:
    """N×SIDE×SIDE from 0 to 1: their histograms flattened, but no contrast beyond _MOST_CONTRAST."""
    levels = smalls.reshape(len(smalls), -1).astype(np.int64)
    return np.take_along_axis(_evening(_counts(smalls)), levels, axis=1).reshape(smalls.shape)


def _span(counts: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The quantiles 0.01 and 0.99 of gray levels, each of N×1, by how many pixels N×256 have which."""
    rising = counts.cumsum(axis=1)
    sides = []
    for share in (0.01, 0.99):
        place = share * (SIDE * SIDE - 1)
        before, after = ((rising <= rank).sum(axis=1) for rank in (int(place), int(place) + 1))
        sides.append((before + (after - before) * (place - int(place)))[:, None])
    return sides[0], sides[1]


def _counts(smalls: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How many pixels of thumbnails N×… have which of 256 gray levels, N×256."""
    own = smalls.reshape(len(smalls), -1) + 256 * np.arange(len(smalls))[:, None]
    return np.bincount(own.ravel(), minlength=256 * len(smalls)).reshape(-1, 256)


def _evening(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """What `_evened` makes of each gray level, N×256, by how many pixels N×256 have which."""
    low, high = _span(counts)
    values = np.clip((np.arange(256) - low) / np.maximum(high - low, 1e-6), 0, 1)
    bins = np.minimum((values * _LEVELS).astype(np.int64), _LEVELS - 1)
    places = bins + _LEVELS * np.arange(len(bins))[:, None]
    share = np.bincount(places.ravel(), counts.ravel(), minlength=_LEVELS * len(bins)) / (SIDE * SIDE)
    share = share.reshape(-1, _LEVELS)
    most = _MOST_CONTRAST / _LEVELS
    share = np.minimum(share, most) + np.maximum(share - most, 0).sum(axis=1, keepdims=True) / _LEVELS
    rising = np.zeros((len(bins), _LEVELS + 1))
    np.cumsum(share, axis=1, out=rising[:, 1:])
    start, end = (np.take_along_axis(rising, bins + more, axis=1) for more in (0, 1))
    evened = (end - start) * _LEVELS * (values - bins / _LEVELS) + start
    return np.where(values == 1, rising[:, -1:], evened).astype(np.float32)


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
    (evened,) = _evened(small[None])
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


@cache
def _turns() -> NDArray[np.int64]:
    """Of each of the eight ways to turn a thumbnail, which pixel comes where, 8×SIDE²."""
    own = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    ways = [flipped for way in (own, own.T) for half in (way, way[::-1]) for flipped in (half, half[:, ::-1])]
    return np.stack([way.ravel() for way in ways])


def likeness(
    smalls: NDArray[np.uint8], one: NDArray[np.int64], other: NDArray[np.int64]
) -> NDArray[np.float32]:
    """How well pairs of thumbnails' details agree, turned as they fit best: 1 for the same, 0 for strangers.

    Two patients' organs look alike at large; small edges and texture are a picture's own. Another window
    makes no other picture: each is compared as it is and, if it fits at all, with the other's gray levels.

    Args:
        smalls: thumbnails N×SIDE×SIDE.
        one: of each pair, the first's place among them; fastest if equal ones are neighbours.
        other: the second's place.
    """
    if not len(one):
        return np.empty(0, np.float32)
    evened = np.concatenate([_evened(some) for some in _few(smalls)])
    details = _details(evened)
    back = np.argsort(_turns(), axis=1)  # turning the one back is turning the other
    fits = np.empty((len(one), len(back)), np.float32)
    begins = np.flatnonzero(np.diff(one, prepend=-1)).tolist()
    for begin, end in zip(begins, [*begins[1:], len(one)], strict=True):
        np.matmul(details[other[begin:end]], details[one[begin]][back].T, out=fits[begin:end])
    found, turn = fits.max(axis=1), fits.argmax(axis=1)
    grays = smalls.reshape(len(smalls), -1)
    grades = np.minimum((evened * _GRADES).astype(np.uint8), _GRADES - 1).reshape(grays.shape)
    for some in _few(np.flatnonzero(found >= _LEAST_FIT)):
        first, second, way = one[some], other[some][:, None], _turns()[turn[some]]
        pairs = [(grays[first], grades[first], details[first])]
        pairs.append(tuple(values[second, way] for values in (grays, grades, details)))
        for (_, own, _), (model, _, aim) in (pairs, pairs[::-1]):
            regraded = _details(_evened(_regraded(own, model)))
            found[some] = np.maximum(found[some], (regraded * aim).sum(axis=1))
    return found


def _few(values: NDArray[Any]) -> list[NDArray[Any]]:
    """By so many that what is made of them stays in the processor's cache."""
    return [values[first : first + 64] for first in range(0, len(values), 64)]


def _regraded(grades: NDArray[np.uint8], model: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Thumbnails N×SIDE² with, for each of their grades, the mean of what the other shows there."""
    own = grades + _GRADES * np.arange(len(grades))[:, None]
    size = _GRADES * len(grades)
    sums = np.bincount(own.ravel(), model.ravel(), minlength=size)
    means = sums / np.maximum(np.bincount(own.ravel(), minlength=size), 1)
    return means.round().astype(np.uint8)[own].reshape(-1, SIDE, SIDE)


def _details(evened: NDArray[np.float32]) -> NDArray[np.float32]:
    """The edges and texture of thumbnails N×SIDE×SIDE, N×SIDE² of norm 1."""
    found = np.empty((len(evened), SIDE * SIDE), np.float32)
    for own, values in zip(found, evened, strict=True):
        edges = (cv2.GaussianBlur(values, (0, 0), 0.7) - cv2.GaussianBlur(values, (0, 0), 2)).ravel()
        # The root, so that a few strong edges don't decide.
        np.copysign(np.sqrt(np.abs(edges)), edges, out=own)
        own /= max(float(np.linalg.norm(own)), 1e-6)
    return found
