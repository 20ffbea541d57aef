"""Overlapping objects in one 8-bit label map: every combination of objects is a region of its own."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cosmos1050k.instances import Instance

MAX_REGIONS = 255
#: Masks taken together: with at most 256 combinations of earlier ones, a code has 16 bits and can be counted.
_TOGETHER = 8


class TooManyRegions(ValueError):
    """The objects of one picture make more combinations than a label map has values."""


def regions_of(
    instances: Sequence[Instance], size: tuple[int, int]
) -> tuple[NDArray[np.uint8], list[list[int]]]:
    """The same as `label_map` of the instances' masks in a picture of this height and width.

    Raises:
        TooManyRegions: there are more than 255.
    """
    picture = np.zeros(size, np.uint8)
    if len(instances) <= MAX_REGIONS:
        for number, instance in enumerate(instances, start=1):
            place = picture[_box(instance)]
            if place[instance.mask].any():  # overlap: regions must be counted
                break
            place[instance.mask] = number
        else:
            return picture, [[number] for number in range(1, len(instances) + 1)]
    boxes = np.array([(i.top, i.left, i.top + i.mask.shape[0], i.left + i.mask.shape[1]) for i in instances])
    top, left = boxes[:, :2].min(axis=0)
    bottom, right = boxes[:, 2:].max(axis=0)
    masks = []
    for instance in instances:
        mask = np.zeros((bottom - top, right - left), bool)
        mask[_box(instance, top, left)] = instance.mask
        masks.append(mask)
    regions, values = label_map(masks)
    picture[...] = 0
    picture[top:bottom, left:right] = regions
    return picture, values


def _box(instance: Instance, top: int = 0, left: int = 0) -> tuple[slice, slice]:
    height, width = instance.mask.shape
    y, x = instance.top - top, instance.left - left
    return slice(y, y + height), slice(x, x + width)


def label_map(masks: Sequence[NDArray[np.bool_]]) -> tuple[NDArray[np.uint8], list[list[int]]]:
    """The regions of a picture and, for each mask, the regions whose union it is (protocol 1, step 6).

    Args:
        masks: n ≥ 1 masks H×W, in the order of the objects; none empty.

    Returns:
        The map H×W, 0 where there is no object, and n ascending lists of values 1…255. Regions are numbered
        by the masks they belong to, the last mask weighing most: 0, 1, 0+1, 2, 0+2, 1+2, 0+1+2, 3, …

    Raises:
        TooManyRegions: there are more than 255.
    """
    numbers = np.zeros(masks[0].size, np.uint8)  # per pixel its combination of the masks so far, in order
    members = np.zeros((0, 1), bool)  # masks so far × their combinations
    background = True
    for start in range(0, len(masks), _TOGETHER):
        some = masks[start : start + _TOGETHER]
        codes = _codes(some)
        codes *= np.uint16(members.shape[1])
        codes += numbers
        present = np.flatnonzero(np.bincount(codes))
        background &= bool(present[0] == 0)
        count = present.size - background
        if count > MAX_REGIONS:
            raise TooManyRegions(f"{count} regions or more in one picture, at most {MAX_REGIONS} fit")
        bits, earlier = np.divmod(present, members.shape[1])
        own = bits >> np.arange(len(some))[:, None] & 1
        members = np.concatenate([members[:, earlier], own.astype(bool)])
        table = np.zeros(int(present[-1]) + 1, np.uint8)
        table[present] = np.arange(present.size)
        numbers = table[codes]
    if not background:  # only the pixels of no mask have the value 0
        numbers += np.uint8(1)
    values = [(np.flatnonzero(row) + (not background)).tolist() for row in members]
    return numbers.reshape(masks[0].shape), values


def _codes(masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.uint16]:
    """Per pixel a number whose bit p is set where mask p covers it."""
    codes = np.zeros(masks[0].size, np.uint16)
    for place, mask in enumerate(masks):
        codes |= mask.reshape(-1).astype(np.uint16) << np.uint16(place)
    return codes


def mask_of(regions: NDArray[np.uint8], values: Sequence[int]) -> NDArray[np.bool_]:
    """The mask H×W of an object: the union of its regions."""
    wanted = np.zeros(256, bool)
    wanted[list(values)] = True
    return wanted[regions]
