"""One case to its rows: read, slice, keep, normalise, number the regions, compute the prompts, encode."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cosmos1050k import opening, pictures, readers
from cosmos1050k.errors import BadFile
from cosmos1050k.instances import Instance, NotOneLabel, instances_of, weight
from cosmos1050k.opening import Layer, Opened
from cosmos1050k.prompts import prompts_of
from cosmos1050k.regions import TooManyRegions, regions_of
from cosmos1050k.schema import IMAGE_COLUMNS, SCHEMA
from cosmos1050k.source import Case
from cosmos1050k.taxonomy import pair

#: A slice is kept when its label values sum to more than this (protocol, section 1, step 3).
KEEP_ABOVE = 50
#: Rows that are Python objects at a time: pictures would else be in memory twice.
_BATCH = 32


@dataclass(frozen=True)
class CaseRows:
    """The rows of one case, the sha256 over their decoded content, row by row, and what was left out."""

    table: pa.Table
    digest: str
    left_out: tuple[int, ...]


@dataclass(frozen=True)
class Tile:
    """A part of a picture with few enough regions: its place, its label map and what lies in it."""

    top: int
    left: int
    regions: NDArray[np.uint8]
    members: list[list[int]]
    instances: list[Instance]


def rows_of(
    case: Case,
    source: str,
    split: str,
    paths: Mapping[str, Path],
    sums: Mapping[str, str],
    without: Collection[int] = (),
) -> CaseRows:
    """Builds the rows of one case.

    Args:
        source: the source's slug.
        split: train, validation or test.
        paths: raw file → where it lies, for every file of the case.
        sums: raw file → sha256, for the same files and those that belong to them (`readers.partners`).
        without: slices to leave out, as `slice_index` has them.

    Raises:
        BadFile: a file is missing or damaged, or image and mask don't fit each other.
    """
    opened = opening.open_case(case, paths)
    shared = {
        "source": source,
        "patient": case.patient,
        "view": case.view,
        "modality": case.modality,
        "split": split,
        "spacing_mm": None if opened.spacing is None else list(opened.spacing),
        "raw_sha256": _raw_sha256(case, sums),
    }
    content = hashlib.sha256()
    rows: list[dict[str, Any]] = []
    batches: list[pa.RecordBatch] = []
    left_out: list[int] = []
    for index in _wanted(case, opened.depth):
        instances = kept(opened, index)
        if not instances:
            continue
        number = -1 if case.view == "picture" else index
        if number in without:
            left_out.append(number)
            continue
        picture = _picture(case, opened.image[index])
        place = {**shared, "slice_index": number}
        for tile in tiles(instances, opened.size):
            row, digest = _row(case.case, picture, tile, opened.size, place)
            rows.append(row)
            content.update(digest)
        if len(rows) >= _BATCH:
            batches.append(pa.RecordBatch.from_pylist(rows, schema=SCHEMA))
            rows.clear()
    batches.append(pa.RecordBatch.from_pylist(rows, schema=SCHEMA))
    return CaseRows(pa.Table.from_batches(batches), content.hexdigest(), tuple(left_out))


def _raw_sha256(case: Case, sums: Mapping[str, str]) -> str:
    """Of the image file; of an image in several files, over their sums in the case's order."""
    beside = (other for name in case.image_files for other in readers.partners(name, sums))
    files = [*case.image_files, *beside]
    if len(files) == 1:
        return sums[files[0]]
    return hashlib.sha256("".join(sums[name] for name in files).encode()).hexdigest()


def _wanted(case: Case, depth: int) -> range:
    start, stop = case.slices or (0, depth)
    return range(start, min(stop, depth))


def kept(opened: Opened, index: int) -> list[Instance]:
    """The instances of a slice, in the order of masks and labels; none if the keep rule drops it."""
    layers = [layer for layer in opened.layers if index in layer.slices]
    found = []
    for layer in layers:
        top, left = layer.slices.top, layer.slices.left
        for one in _in_layer(layer, index):
            found.append(Instance(one.object, one.instance, one.mask, one.top + top, one.left + left))
    # A labelled pixel weighs 1 or more, so that an instance of more pixels than that decides.
    if any(np.count_nonzero(one.mask) > KEEP_ABOVE for one in found):
        return found
    total = sum(weight(layer.slices[index], layer.labels, layer.pixel_weight) for layer in layers if found)
    return found if total > KEEP_ABOVE else []


def _in_layer(layer: Layer, index: int) -> list[Instance]:
    try:
        return list(instances_of(layer.slices[index], layer.labels))
    except NotOneLabel as error:
        raise BadFile(layer.file, f"slice {index}: {error}", "fetch the file again") from None


def _picture(case: Case, values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """8 bits: a picture that has them stays as it is (protocol, section 1, step 4)."""
    if case.view == "picture" and values.dtype == np.uint8:
        return np.ascontiguousarray(values).view(np.uint8)
    return pictures.normalised(values)


def tiles(instances: Sequence[Instance], size: tuple[int, int]) -> Iterator[Tile]:
    """The picture, or its halves along the longer side, and so on, until each has 255 regions or fewer."""
    waiting = [(0, 0, *size)]
    while waiting:
        top, left, bottom, right = waiting.pop(0)
        height, width = bottom - top, right - left
        parts = (one.within(top, left, bottom, right) for one in instances)
        inside = list(instances) if (height, width) == size else [part for part in parts if part is not None]
        if not inside:
            continue
        try:
            regions, members = regions_of(inside, (height, width))
        except TooManyRegions:
            middle = (top + height // 2, left + width // 2)
            halves = (
                [(top, left, middle[0], right), (middle[0], left, bottom, right)]
                if height >= width
                else [(top, left, bottom, middle[1]), (top, middle[1], bottom, right)]
            )
            waiting[:0] = halves
            continue
        yield Tile(top, left, regions, members, inside)


def _row(
    case: str, picture: NDArray[np.uint8], tile: Tile, size: tuple[int, int], place: dict[str, Any]
) -> tuple[dict[str, Any], bytes]:
    """A row and the sha256 of its decoded content (id, pixels, mask, objects, split)."""
    height, width = tile.regions.shape
    if (height, width) != size:
        case = f"{case}+y{tile.top}x{tile.left}"
        picture = picture[tile.top : tile.top + height, tile.left : tile.left + width]
    objects = []
    for one, numbers in zip(tile.instances, tile.members, strict=True):
        prompts = prompts_of(one.mask, one.top, one.left, (height, width))
        objects.append(
            {
                "values": numbers,
                "object": one.object,
                "instance": one.instance,
                "pair": pair(one.object, place["modality"]),
                "area": prompts.area,
                "box": prompts.box,
                "points_pos": prompts.positive,
                "points_neg": prompts.negative,
            }
        )
    encoded = {
        name: {"bytes": pictures.encode(data), "path": None}
        for name, data in zip(IMAGE_COLUMNS, (picture, tile.regions), strict=True)
    }
    image_id = f"{place['source']}/{case}/{place['modality']}/{place['slice_index']}"
    digest = hashlib.sha256(json.dumps([image_id, place["split"], objects, picture.shape]).encode())
    for pixels in (picture, tile.regions):
        digest.update(np.ascontiguousarray(pixels).data)
    row = {"image_id": image_id, "case": case, **place, **encoded, "height": height, "width": width}
    return {**row, "objects": objects}, digest.digest()
