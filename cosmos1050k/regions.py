"""Overlapping objects in one 8-bit label map: every combination of objects is a region of its own."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from cosmos1050k.instances import Instance

MAX_REGIONS = 255


class TooManyRegions(ValueError):
    """The objects of one picture make more combinations than a label map has values."""


def regions_of(
    instances: Sequence[Instance], size: tuple[int, int]
) -> tuple[NDArray[np.uint8], list[list[int]]]:
    """The regions of a picture and, for each instance, the regions whose union it is (protocol 1, step 6).

    Args:
        instances: n ≥ 1, in the order of the objects.
        size: height and width of the picture.

    Returns:
        The map H×W, 0 where there is no object, and n ascending lists of values 1…255. Regions are numbered
        by the instances they belong to, the last weighing most: 0, 1, 0+1, 2, 0+2, 1+2, 0+1+2, 3, …

    Raises:
        TooManyRegions: there are more than 255.
    """
    picture = np.zeros(size, np.uint8)
    # Per value its instances, as bits, and how many pixels it has. An instance more can only split regions.
    members, areas = [0], [size[0] * size[1]]
    for number, instance in enumerate(instances):
        height, width = instance.mask.shape
        place = picture[instance.top : instance.top + height, instance.left : instance.left + width]
        bit = 1 << number
        mask = instance.mask.view(np.uint8)
        if not cv2.hasNonZero(cv2.min(place, mask)):  # it covers nothing but background
            _refuse_more(len(members))
            place |= mask * np.uint8(len(members))
            members.append(bit)
            areas.append(int(np.count_nonzero(mask)))
            areas[0] -= areas[-1]
            continue
        table = np.arange(256, dtype=np.uint8)
        for value, covered in _covered(place, mask):
            if value and covered == areas[value]:
                members[value] |= bit
            else:
                _refuse_more(len(members))
                table[value] = len(members)
                members.append(members[value] | bit)
                areas[value] -= covered
                areas.append(covered)
        cv2.copyTo(cv2.LUT(place, table), mask, place)
    return _renumbered(picture, members, len(instances))


def _covered(place: NDArray[np.uint8], mask: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """The values under a mask, ascending, and how many pixels of each."""
    if place.size < 2**24:  # what OpenCV's counts, float32, hold exactly
        counts = cv2.calcHist([place], [0], mask, [256], [0, 256]).reshape(-1).astype(np.int64)
    else:
        counts = np.bincount(place[mask > 0])
    return [(value, covered) for value, covered in enumerate(counts.tolist()) if covered]


def _refuse_more(count: int) -> None:
    if count > MAX_REGIONS:
        raise TooManyRegions(f"{count} regions or more in one picture, at most {MAX_REGIONS} fit")


def _renumbered(
    picture: NDArray[np.uint8], members: list[int], count: int
) -> tuple[NDArray[np.uint8], list[list[int]]]:
    """The map with its values in the order of what they belong to, and the values of each instance."""
    order = sorted(range(len(members)), key=members.__getitem__)
    if order != list(range(len(members))):
        table = np.zeros(256, np.uint8)
        table[order] = np.arange(len(members))
        picture = cv2.LUT(picture, table).astype(np.uint8, copy=False)
    values: list[list[int]] = [[] for _ in range(count)]
    for value, old in enumerate(order):
        bits = members[old]
        while bits:
            lowest = bits & -bits
            values[lowest.bit_length() - 1].append(value)
            bits ^= lowest
    return picture, values


def mask_of(regions: NDArray[np.uint8], values: Sequence[int]) -> NDArray[np.bool_]:
    """The mask H×W of an object: the union of its regions."""
    wanted = np.zeros(256, bool)
    wanted[list(values)] = True
    return wanted[regions]
