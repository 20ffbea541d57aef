"""Opens a case: reads its files, checks that they fit each other, and lays their slices side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmos1050k import cropped, instances, readers, resampled, sides, slicing, votes
from cosmos1050k.errors import BadFile
from cosmos1050k.readers import Volume
from cosmos1050k.source import ANATOMICAL, Case, Files, Label, Mask

#: Owners round affines when they save masks: a hundredth of a millimetre is not another place.
_SAME_PLACE_MM = 1e-2
#: A mask of 24 values, saved in 8 bits with a scale, comes back within 0.05 of them.
_ROUNDING = 0.1


@dataclass(frozen=True)
class Layer:
    """One mask of a case, sliced like its image, and the labels to take from it.

    `pixel_weight` replaces the labels' own weights in the keep rule: for a mask that was made from another.
    """

    file: str
    slices: slicing.Slices
    labels: tuple[Label, ...]
    pixel_weight: int | None = None


@dataclass(frozen=True)
class Opened:
    """A case ready to slice: `size` is height and width of its slices, `depth` their number."""

    image: slicing.Slices
    layers: list[Layer]
    size: tuple[int, int]
    depth: int
    spacing: tuple[float, float] | None


def open_case(case: Case, paths: Mapping[str, Path]) -> Opened:
    """Reads image and masks.

    Args:
        paths: where each of the case's files lies.

    Raises:
        BadFile: a file is missing or damaged, or image and mask don't fit each other.
    """
    image, order = _read(case.image, paths, case.channel, case.by_position, picture=case.view == "picture")
    if image.array.dtype.kind == "f" and not np.isfinite(image.array).any():
        raise BadFile(first(case.image), "not one finite value", readers.AGAIN)
    arrangement = _arrangement(case, image)
    layers = []
    several = len({mask.file for mask in case.masks}) > 1
    last: tuple[tuple[Files, int | None], Volume] | None = None  # kept for the next mask of the same file
    for mask in case.masks:
        named = (mask.file, mask.channel)
        if mask.segment is not None or mask.row is not None:
            volume = _rasterised(mask, paths, image)
        elif mask.annotators:
            volume = votes.majority([(paths[name], name) for name in mask.file], mask.annotators)
        elif named == (case.image, case.channel):
            volume = image
        elif last is not None and last[0] == named:
            volume = last[1]
        else:
            last, volume = None, image  # the mask before is let go: no two are in memory
            own_order = None if mask.by_position else order
            volume, _ = _read(mask.file, paths, mask.channel, mask.by_position, own_order)
            last = named, volume
        volume = resampled.onto(volume, image) if mask.own_grid else cropped.completed(volume, image)
        _check_fit(mask, volume, case, image)
        volume = _whole(mask, volume)
        _check_values(mask, volume)
        layers += _layers(mask, volume, image, arrangement, several)
    shape = image.array.shape
    size = (shape[arrangement.axes[1]], shape[arrangement.axes[2]])
    return Opened(
        slicing.Slices(image.array, arrangement),
        layers,
        size,
        shape[arrangement.axes[0]],
        None if image.affine is None else slicing.spacing(image.affine, arrangement),
    )


def first(files: Files) -> str:
    """The file a message names."""
    return files if isinstance(files, str) else files[0]


def _read(
    files: Files,
    paths: Mapping[str, Path],
    channel: int | None,
    by_position: bool = False,
    order: Sequence[int] | None = None,
    picture: bool = False,
) -> tuple[Volume, Sequence[int] | None]:
    """A container or a stack of files, and for a stack ordered by position the order."""
    if isinstance(files, str):
        return readers.read(paths[files], files, channel, picture), None
    from cosmos1050k.readers.stack import read_stack

    if order is not None and len(order) == len(files):
        files = tuple(files[place] for place in order)
    volume, found = read_stack([(paths[name], name) for name in files], by_position)
    return readers.chosen(volume, files[0], channel), found if by_position else None


def _rasterised(mask: Mask, paths: Mapping[str, Path], image: Volume) -> Volume:
    """A mask that has no grid of its own: a DICOM segment, or rows of run lengths."""
    name = first(mask.file)
    if mask.segment is not None:
        from cosmos1050k.readers.dicom_seg import read_segment

        return readers.guarded(read_segment, paths[name], name, mask.segment, image)
    from cosmos1050k.readers.rle import read_rows

    width, height = image.array.shape[:2]
    return readers.guarded(read_rows, paths[name], name, mask.row, (height, width))


def _arrangement(case: Case, image: Volume) -> slicing.Arrangement:
    if case.axis is not None:
        return slicing.stored(case.axis)
    if case.view in ANATOMICAL:
        if image.affine is None:
            raise BadFile(first(case.image), "no geometry to find a plane by", "give a file that has one")
        return slicing.anatomical(image.affine, case.view)
    if image.array.shape[2] != 1:
        problem = f"{image.array.shape[2]} slices where one picture is expected"
        raise BadFile(first(case.image), problem, readers.AGAIN)
    return slicing.stored(2)


def _check_fit(mask: Mask, volume: Volume, case: Case, image: Volume) -> None:
    name, whole = first(mask.file), first(case.image)
    if volume.array.shape[:3] != image.array.shape[:3]:
        raise BadFile(
            name,
            f"shape {volume.array.shape[:3]}, but its image {whole} has {image.array.shape[:3]}",
            "fetch both files again",
        )
    if volume.affine is None or image.affine is None:
        return
    if not np.allclose(volume.affine, image.affine, rtol=0, atol=_SAME_PLACE_MM):
        raise BadFile(name, f"lies elsewhere in space than its image {whole}", "fetch both again")


def _whole(mask: Mask, volume: Volume) -> Volume:
    """A mask of values that were stored with a scale, and so come back a little beside whole numbers, is
    rounded. One that was interpolated has values far from any: it is left as it is, and refused.
    """
    values = volume.array
    if values.dtype.kind != "f" or not any(label.values for label in mask.labels):
        return volume
    rounded = np.rint(values)
    if not (np.abs(values - rounded) < _ROUNDING).all():  # or not a number
        return volume
    return Volume(rounded, volume.affine, volume.colour)


def _check_values(mask: Mask, volume: Volume) -> None:
    """A mask holds what its labels speak of: what fits none would otherwise be background without a word."""
    values = volume.array
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise BadFile(first(mask.file), "a mask with NaN or infinity", readers.AGAIN)
    if not any(label.values or label.instances == "values" for label in mask.labels):
        return
    if values.dtype.kind == "f" and not (values == np.rint(values)).all():
        raise BadFile(first(mask.file), "a mask of fractions, but its labels are whole values", readers.AGAIN)
    if values.dtype.kind in "if" and values.min() < 0:
        raise BadFile(first(mask.file), "a mask with negative values", readers.AGAIN)
    if mask.others is not None:
        known = {0, *mask.others, *(value for label in mask.labels for value in label.values)}
        unknown = sorted(set(np.unique(values).tolist()) - known)
        if unknown:
            problem = f"the value {unknown[0]:g}, which the owner gives no meaning"
            raise BadFile(first(mask.file), problem, "fetch the file again, or look which release it is of")


def _layers(
    mask: Mask, volume: Volume, image: Volume, arrangement: slicing.Arrangement, several: bool
) -> list[Layer]:
    """The mask's labels over its slices; a paired organ's two sides are told apart here, in 3D."""
    name = first(mask.file)
    whole = volume.array.shape[:3]
    plain = tuple(label for label in mask.labels if label.instances != "sides")
    layers = []
    if plain:
        array, start = volume.array, (0, 0, 0)
        if several and not any(label.colour for label in plain):  # a colour may be black
            array, start = _cut(array)
        if array.size:
            layers.append(Layer(name, slicing.Slices(array, arrangement, start, whole), plain))
    for label in mask.labels:
        if label.instances == "sides":
            layers += _sides(name, label, volume, image, arrangement)
    return layers


def _sides(
    name: str, label: Label, volume: Volume, image: Volume, arrangement: slicing.Arrangement
) -> list[Layer]:
    organ, start = _cut(instances.chosen(label, volume.array))
    if not organ.size:
        return []
    parts, names = sides.parted(organ, image.affine)
    labels = tuple(
        Label(object=label.object, value=number, instance=part or None)
        for number, part in enumerate(names, start=1)
    )
    weight = label.values[0] if label.values else label.weight
    return [Layer(name, slicing.Slices(parts, arrangement, start, volume.array.shape[:3]), labels, weight)]


def _cut(array: NDArray[Any]) -> tuple[NDArray[Any], tuple[int, int, int]]:
    """What is not zero, cut out tightly and copied, so that many masks of one case fit into memory, and the
    index of its first voxel. Nothing of an array that is all zero; the whole where little would be saved.
    """
    bits = array.view(f"u{array.dtype.itemsize}") if array.dtype.itemsize <= 8 else array != 0
    within = tuple(range(2, array.ndim))
    plane = np.bitwise_or.reduce(bits, axis=within)  # two passes along the memory, of any order
    used = plane.any(axis=1), plane.any(axis=0), np.bitwise_or.reduce(bits, axis=(0, 1, *within[1:]))
    ends = [np.flatnonzero(one)[[0, -1]].tolist() for one in used] if plane.any() else [(0, -1)] * 3
    box = tuple(slice(first, last + 1) for first, last in ends)
    cut = array[box]
    if 2 * cut.size > array.size:
        return array, (0, 0, 0)
    return cut.copy(order="K"), (ends[0][0], ends[1][0], ends[2][0])
