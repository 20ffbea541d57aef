"""One case to its rows: read, slice, keep, normalise, number the regions, compute the prompts, encode."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cosmos1050k import pictures, readers, slicing
from cosmos1050k.errors import BadFile
from cosmos1050k.prompts import prompts_of
from cosmos1050k.regions import TooManyRegions, label_map
from cosmos1050k.schema import IMAGE_COLUMNS, SCHEMA
from cosmos1050k.source import Case, Label
from cosmos1050k.taxonomy import pair

#: A slice is kept when its label values sum to more than this (protocol, section 1, step 3).
KEEP_ABOVE = 50


@dataclass(frozen=True)
class CaseRows:
    """The rows of one case and the sha256 over their decoded content, row by row."""

    table: pa.Table
    digest: str


@dataclass(frozen=True)
class _Slices:
    """A case opened: image and masks as slices × rows × columns of the case's view."""

    image: NDArray[np.generic]
    masks: list[tuple[NDArray[np.generic], tuple[Label, ...]]]
    spacing: tuple[float, float]


def rows_of(case: Case, source: str, split: str, root: Path, sums: Mapping[str, str]) -> CaseRows:
    """Builds the rows of one case.

    Args:
        source: the source's slug.
        split: train, validation or test.
        root: the folder the case's files are relative to.
        sums: raw file → sha256; the image's is kept with every row.

    Raises:
        BadFile: a file is missing or damaged, or image and mask don't fit each other.
    """
    opened = _open(case, root)
    content = hashlib.sha256()
    rows = []
    for index in _wanted(case, opened.image.shape[0]):
        instances = list(_instances(opened, index))
        if sum(int(mask.sum()) * label.counts_as for label, mask in instances) <= KEEP_ABOVE:
            continue
        shared = {
            "image_id": f"{source}/{case.case}/{case.modality}/{index}",
            "source": source,
            "patient": case.patient,
            "case": case.case,
            "slice_index": index,
            "view": case.view,
            "modality": case.modality,
            "split": split,
            "spacing_mm": list(opened.spacing),
            "raw_sha256": sums[case.image],
        }
        try:
            row, digest = _row(opened.image[index], instances, shared)
        except TooManyRegions as error:
            raise BadFile(case.image, f"slice {index}: {error}", "the source must split it") from None
        rows.append(row)
        content.update(digest)
    return CaseRows(pa.Table.from_pylist(rows, schema=SCHEMA), content.hexdigest())


def _open(case: Case, root: Path) -> _Slices:
    image = readers.read(root, case.image)
    volumes = {case.image: image}
    masks = []
    for mask in case.masks:
        if mask.file not in volumes:
            volumes[mask.file] = readers.read(root, mask.file)
        volume = volumes[mask.file]
        if volume.array.shape != image.array.shape:
            raise BadFile(
                mask.file,
                f"shape {volume.array.shape}, but its image {case.image} has {image.array.shape}",
                "fetch both files again",
            )
        # Owners round affines when they save masks: a hundredth of a millimetre is not another place.
        if not np.allclose(volume.affine, image.affine, rtol=0, atol=1e-2):
            raise BadFile(
                mask.file, f"lies elsewhere in space than its image {case.image}", "fetch both again"
            )
        masks.append((slicing.oriented(volume.array, volume.affine, case.view), mask.labels))
    picture = slicing.oriented(image.array, image.affine, case.view)
    return _Slices(picture, masks, slicing.spacing(image.affine, case.view))


def _wanted(case: Case, depth: int) -> range:
    start, stop = case.slices or (0, depth)
    return range(start, min(stop, depth))


def _instances(opened: _Slices, index: int) -> Iterator[tuple[Label, NDArray[np.bool_]]]:
    """The labels that have a pixel in one slice, in their declared order."""
    for volume, labels in opened.masks:
        values = volume[index]
        for label in labels:
            mask = values == label.value if label.value is not None else values >= label.at_least
            if mask.any():
                yield label, mask


def _row(
    values: NDArray[np.generic], instances: list[tuple[Label, NDArray[np.bool_]]], shared: dict[str, Any]
) -> tuple[dict[str, Any], bytes]:
    """A row and the sha256 of its decoded content (id, pixels, mask, objects, split)."""
    picture = pictures.normalised(values)
    regions, members = label_map([mask for _, mask in instances])
    objects = []
    for (label, mask), numbers in zip(instances, members, strict=True):
        prompts = prompts_of(mask)
        objects.append(
            {
                "values": numbers,
                "object": label.object,
                "instance": label.instance,
                "pair": pair(label.object, shared["modality"]),
                "area": prompts.area,
                "box": prompts.box,
                "points_pos": prompts.positive,
                "points_neg": prompts.negative,
            }
        )
    encoded = {
        name: {"bytes": pictures.encode(data), "path": None}
        for name, data in zip(IMAGE_COLUMNS, (picture, regions), strict=True)
    }
    size = {"height": picture.shape[0], "width": picture.shape[1]}
    digest = hashlib.sha256(
        json.dumps([shared["image_id"], shared["split"], objects, picture.shape]).encode()
    )
    digest.update(picture.tobytes())
    digest.update(regions.tobytes())
    return {**shared, **encoded, **size, "objects": objects}, digest.digest()
