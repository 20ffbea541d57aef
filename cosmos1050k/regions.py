"""Overlapping objects in one 8-bit label map: every combination of objects is a region of its own."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MAX_REGIONS = 255


class TooManyRegions(ValueError):
    """The objects of one picture make more combinations than a label map has values."""


def label_map(masks: Sequence[NDArray[np.bool_]]) -> tuple[NDArray[np.uint8], list[list[int]]]:
    """The regions of a picture and, for each mask, the regions whose union it is (protocol, section 1, step 6).

    Args:
        masks: n masks H×W, in the order of the objects; none empty.

    Returns:
        The map H×W, 0 where there is no object, and n ascending lists of values 1…255. Regions are numbered by
        the masks they belong to: those of the first mask alone come first.

    Raises:
        TooManyRegions: there are more than 255.
    """
    codes = _codes(masks)
    if codes.dtype == np.uint64 or len(masks) > 16:
        present, inverse = np.unique(codes, return_inverse=True)
        inverse = inverse.reshape(codes.shape)
    else:
        present = np.flatnonzero(np.bincount(codes.reshape(-1), minlength=1))
        inverse = None
    combinations = [int(code) for code in present if code]
    if len(combinations) > MAX_REGIONS:
        raise TooManyRegions(f"{len(combinations)} regions in one picture, at most {MAX_REGIONS} fit")
    values = [
        [number for number, code in enumerate(combinations, start=1) if code >> place & 1]
        for place in range(len(masks))
    ]
    if inverse is not None:
        offset = 0 if present[0] == 0 else 1
        return (inverse + offset).astype(np.uint8), values
    table = np.zeros(int(present[-1]) + 1, np.uint8)
    table[combinations] = np.arange(1, len(combinations) + 1)
    return table[codes], values


def _codes(masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.unsignedinteger]:
    """Per pixel a number whose bit p is set where mask p covers it."""
    if len(masks) > 64:
        raise TooManyRegions(f"{len(masks)} objects in one picture, at most 64 can overlap")
    kind = np.uint16 if len(masks) <= 16 else np.uint64
    codes = np.zeros(masks[0].shape, kind)
    for place, mask in enumerate(masks):
        codes |= mask.astype(kind) << kind(place)
    return codes


def mask_of(regions: NDArray[np.uint8], values: Sequence[int]) -> NDArray[np.bool_]:
    """The mask H×W of an object: the union of its regions."""
    wanted = np.zeros(256, bool)
    wanted[list(values)] = True
    return wanted[regions]
