"""The instances in one slice: which pixels of a mask file are which object (protocol, section 1, step 5)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cosmos1050k.source import Label

_EIGHT = np.ones((3, 3), np.uint8)
#: Labels by value are looked for one by one; where there are more, only those that occur.
_FEW = 4
#: Values up to here are looked up in a table; a mask with larger ones is sorted instead.
_TABLE = 2**16


@dataclass(frozen=True)
class Instance:
    """One instance: its object, its name, and its mask h×w, cut out tightly at (`top`, `left`)."""

    object: str
    instance: str | None
    mask: NDArray[np.bool_]
    top: int
    left: int

    def within(self, top: int, left: int, bottom: int, right: int) -> "Instance | None":
        """The part of it in a tile, bounds of the picture with the ends left out, or None; the tile's own
        coordinates.
        """
        rows = slice(max(top - self.top, 0), max(bottom - self.top, 0))
        columns = slice(max(left - self.left, 0), max(right - self.left, 0))
        part = np.ascontiguousarray(self.mask[rows, columns])
        at_top, at_left = max(self.top, top) - top, max(self.left, left) - left
        return _tight(self.object, self.instance, part, at_top, at_left)


class NotOneLabel(ValueError):
    """The pixels of a mask don't fit the rule of its labels; the text says how."""


def instances_of(values: NDArray[np.generic], labels: Sequence[Label]) -> Iterator[Instance]:
    """The instances of `labels` that have a pixel in a mask, in the labels' order.

    Args:
        values: the slice of one mask file, H×W or H×W×3.

    Raises:
        NotOneLabel: a colour mask for labels by value, or fractions as instances by value.
    """
    for label, mask, gray, top, left in _found(values, labels):
        if label.instances == "values":
            yield from _by_value(label, np.where(mask, gray, 0), top, left)
        elif label.instances == "parts":
            for whole in _by_value(label, np.where(mask, gray, 0), top, left):
                yield from _parts(label, whole)
        elif label.instances == "components":
            numbers, count = ndimage.label(mask, _EIGHT)
            yield from _numbered(label, numbers, range(1, count + 1), top, left)
        elif (one := _tight(label.object, label.instance, mask, top, left)) is not None:
            yield one


def weight(values: NDArray[np.generic], labels: Sequence[Label], pixel: int | None = None) -> int:
    """What a slice of one mask file adds to the sum of the keep rule (protocol, section 1, step 3).

    Each pixel of a label once: with the file's own value, or with the weight of the first label that it fits
    where that is by value in neither its pixels nor its instances; `pixel` for every pixel where it is given.
    """
    if pixel is not None:
        return pixel * int(np.count_nonzero(values))
    counted = np.zeros(values.shape[:2], bool)
    total = 0
    for label in sorted(labels, key=lambda label: not label.values):
        own = _matching(label, values) & ~counted
        counted |= own
        if label.values or label.by_value:
            total += int(sum(_gray(values)[own].tolist()))
        else:
            total += label.weight * int(np.count_nonzero(own))
    return total


def _found(
    values: NDArray[np.generic], labels: Sequence[Label]
) -> Iterator[tuple[Label, NDArray[np.bool_], NDArray[np.generic], int, int]]:
    """Each label with its pixels and the values, both cut out to where anything is labelled at all."""
    if any(label.colour is not None for label in labels):
        top = left = 0
        cut = values  # black may be a colour too
    else:
        anything = values if values.ndim == 2 and values.dtype == np.uint8 else values != 0
        left, top, width, height = cv2.boundingRect(_flat(anything))
        if not width:
            return
        cut = values[top : top + height, left : left + width]
    present = None
    if sum(len(label.values) for label in labels) > _FEW and cut.dtype == np.uint8 and cut.ndim == 2:
        counts = cv2.calcHist([np.ascontiguousarray(cut)], [0], None, [256], [0, 256])
        present = set(np.flatnonzero(counts).tolist())
    for label in labels:
        if present is not None and label.values and present.isdisjoint(label.values):
            continue
        mask = _matching(label, cut)
        if cv2.hasNonZero(np.ascontiguousarray(mask).view(np.uint8)):
            yield label, mask, _gray(cut) if label.by_value else cut, top, left


def _flat(anything: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Not 0 where any channel isn't."""
    flat = anything if anything.ndim == 2 else anything.any(axis=2)
    return np.ascontiguousarray(flat).view(np.uint8)


def chosen(label: Label, values: NDArray[Any], channels: int = 1) -> NDArray[np.bool_]:
    """Which elements of an array fit a label by `value` or by `above`, whatever its shape.

    Args:
        channels: how many channels each element is the sum of; their mean is compared, without a fraction.
    """
    if label.values:
        mask = values == label.values[0]
        for value in label.values[1:]:
            mask |= values == value
        return mask
    mask = values > (label.above or 0) * channels
    if label.up_to is not None:
        mask &= values <= label.up_to * channels
    return mask


def _matching(label: Label, values: NDArray[np.generic]) -> NDArray[np.bool_]:
    """The pixels of a label in a slice H×W or H×W×3."""
    if label.colour is not None:
        if values.ndim == 2:
            return _shade(label, values)
        difference = np.abs(values.astype(np.int32) - np.asarray(label.colour, np.int32))
        return difference.max(axis=2) <= label.within
    if label.values or values.ndim == 2:
        return chosen(label, _gray(values))
    total = values.sum(axis=2, dtype=np.float64 if values.dtype.kind == "f" else np.int64)
    return chosen(label, total, values.shape[2])


def _shade(label: Label, values: NDArray[Any]) -> NDArray[np.bool_]:
    """The pixels of a label by colour in a gray slice, each of whose pixels has three equal channels."""
    assert label.colour is not None
    shade = label.colour[0]
    if set(label.colour) != {shade}:
        raise NotOneLabel("a gray mask, but its labels are colours")
    return (values >= shade - label.within) & (values <= shade + label.within)


def _gray(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """A mask that was saved in colour though it is gray."""
    if values.ndim == 2:
        return values
    if not (values == values[..., :1]).all():
        raise NotOneLabel("a mask in colour, but its labels are values")
    return values[..., 0]


def _by_value(label: Label, values: NDArray[np.generic], top: int, left: int) -> Iterator[Instance]:
    """Every value one instance, named by it; 0 is none."""
    if values.dtype.kind == "f":
        whole = values.astype(np.int64)
        if not (whole == values).all():
            raise NotOneLabel("fractions, but each value should be an instance")
        values = whole
    if int(values.max()) < _TABLE:
        numbers = values.astype(np.int32)
        names = np.flatnonzero(np.bincount(numbers.reshape(-1)))
        yield from _numbered(label, numbers, names[names > 0].tolist(), top, left)
        return
    found, places = np.unique(values, return_inverse=True)
    named = found.tolist()
    numbers = places.reshape(values.shape) + (named[0] != 0)
    named = [0] * (named[0] != 0) + named
    for part in _numbered(label, numbers, range(1, len(named)), top, left):
        yield Instance(part.object, str(named[int(part.instance or 0)]), part.mask, part.top, part.left)


def _parts(label: Label, whole: Instance) -> Iterator[Instance]:
    """The 8-connected components of an instance: itself, or with their numbers behind its name."""
    numbers, count = ndimage.label(whole.mask, _EIGHT)
    if count == 1:
        yield whole
        return
    for part in _numbered(label, numbers, range(1, count + 1), whole.top, whole.left):
        yield replace(part, instance=f"{whole.instance}.{part.instance}")


def _numbered(
    label: Label, numbers: NDArray[np.integer], names: Sequence[int], top: int, left: int
) -> Iterator[Instance]:
    """The instances of a map of numbers, of which 0 is none."""
    boxes = ndimage.find_objects(numbers)
    for name in names:
        rows, columns = boxes[name - 1]
        mask = numbers[rows, columns] == name
        yield Instance(label.object, str(name), mask, top + rows.start, left + columns.start)


def _tight(name: str, instance: str | None, mask: NDArray[np.bool_], top: int, left: int) -> Instance | None:
    """An instance of a mask that may have empty margins; None if it is empty."""
    if not mask.size:
        return None
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    if not width:
        return None
    return Instance(name, instance, mask[y : y + height, x : x + width], top + y, left + x)
