"""What objects look like: size, aspect ratio, intensity difference, modality, complexity of the outline.

Once per version of a source, a row per object (protocol, section 6; paper, section 4.8).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cosmos1050k import disk, pool, shards, units
from cosmos1050k.errors import InputError
from cosmos1050k.shards import DATA, Shard
from cosmos1050k.taxonomy import MODALITIES

#: Of the step from a row to its objects' attributes. A change of what it gives needs a new number: a golden
#: test holds the number to the result.
VERSION = 1
#: One file per source, `<slug>.parquet`.
ATTRIBUTES = Path("data/attributes")

#: `object_index` is the place in the row's `objects`; `size` is in pixels, `aspect_ratio` in 0…1,
#: `intensity_difference` in gray levels of the stored picture, `modality_number` in 1…18.
SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("object_index", pa.int32()),
        ("pair", pa.string()),
        ("size", pa.int32()),
        ("aspect_ratio", pa.float64()),
        ("intensity_difference", pa.float64()),
        ("modality_number", pa.int32()),
        ("fourier_order", pa.float64()),
    ]
)
#: The attributes themselves, in the paper's order.
NAMES = ("size", "intensity_difference", "fourier_order", "modality_number", "aspect_ratio")

#: The part of its width and height by which an object's box grows on each side.
_GROWTH = 10
#: Rows that are one unit of work, at least, and rows held at a time.
_UNIT_ROWS, _BATCH = 512, 32
_IMAGE_TIMEOUT_S = 600
_UNIT = "attributes.parquet"
_OBJECT = "objects.list.element"
_COLUMNS = [
    "image_id", "image.bytes", "mask.bytes", "modality",
    *(f"{_OBJECT}.{name}" for name in ("values", "pair", "area", "box")),
]  # fmt: skip


@dataclass(frozen=True)
class _Task:
    """Some row groups of a shard; picklable."""

    folder: Path
    shard: str
    groups: tuple[int, ...]
    rows: int
    units: units.Units
    key: str


def write(
    slug: str, data: Path, target: Path, workers: int | None = None, cluster: pool.Cluster | None = None
) -> None:
    """Writes the attributes of all objects of a built source into one Parquet file, in the shards' order.

    A file that is of this version of the source and of the step stays as it is; a killed run is continued.

    Args:
        data: holds the folder of the built source.
        workers: processes; all cores if not given, and this one alone if 1.
        cluster: to measure on, instead of in processes here.

    Raises:
        InputError: the source is not built, or something of it can't be read or computed; `target` is as it
            was.
    """
    manifest = shards.load_manifest(data / slug)
    told = _told(slug, manifest.version)
    if _says(target, told):
        return
    tasks = list(_plan(data / slug, manifest.shards, units.Units("attributes")))
    pending = [task for task in tasks if not task.units.has(task.key)]
    kept = sum(task.rows for task in tasks) - sum(task.rows for task in pending)
    for outcome in pool.run(
        _measure,
        pending,
        workers=workers,
        timeout_s=_IMAGE_TIMEOUT_S,
        label=f"attributes {slug} ({kept} images kept)",
        unit="image",
        size=lambda task: task.rows,
        here=workers == 1 and cluster is None,
        cluster=cluster,
    ):
        if outcome.failure:
            raise InputError(f"{slug}: no attributes of {outcome.task.shard}: {outcome.failure}")
    schema = SCHEMA.with_metadata(told)
    with disk.replacing(target) as path, pq.ParquetWriter(path, schema, compression="zstd") as file:
        for task in tasks:
            task.units.require(task.key)
            file.write_table(_read(task.units.path(task.key) / _UNIT).cast(schema))


def keys(slug: str, data: Path) -> set[str]:
    """The units that a built source's attributes are made of.

    Raises:
        InputError: the source is not built, or damaged.
    """
    parts = shards.load_manifest(data / slug).shards
    return {task.key for task in _plan(data / slug, parts, units.Units("attributes"))}


def read(slugs: Sequence[str], folder: Path = ATTRIBUTES, data: Path = DATA) -> pa.Table:
    """The attributes of several sources' objects: `SCHEMA`, one source after the other.

    Raises:
        InputError: those of a source are missing, damaged, or of another version than the built one.
    """
    tables = [SCHEMA.empty_table()]
    for slug in slugs:
        told = _told(slug, shards.load_manifest(data / slug).version)
        path = folder / f"{slug}.parquet"
        again = f"run `dvc repro attributes@{slug}`"
        if not path.exists():
            raise InputError(f"{path}: missing; {again}")
        if not _says(path, told):
            raise InputError(f"{path}: damaged, or of another version of the source or of the step; {again}")
        try:
            tables.append(_read(path).cast(SCHEMA))
        except (OSError, pa.ArrowException):
            raise InputError(f"{path}: damaged; remove it and {again}") from None
    return pa.concat_tables(tables)


def of_row(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The attributes of a row's objects, in their order.

    `size` and box are those stored with the object, a side of the box counting its pixels. The intensity
    difference is |mean inside − mean of the rest of the box grown|, where "grown" is by a tenth of width and
    height on each side, truncated, at least 1 pixel, clipped to the picture; null where nothing is left.
    Other objects are part of that rest. In a colour picture gray is the mean of the channels.

    Args:
        row: `image_id`, `image` and `mask` (PNG), `modality`, and of its `objects` `values`, `pair`, `area`,
            `box`, as in a shard.
    """
    from cosmos1050k import pictures  # with OpenCV, which only workers need
    from cosmos1050k.fourier import fourier_order
    from cosmos1050k.regions import mask_of

    picture, regions = (pictures.decode(row[column]["bytes"]) for column in ("image", "mask"))
    found = []
    for index, thing in enumerate(row["objects"]):
        x0, y0, x1, y1 = thing["box"]
        width, height = x1 - x0 + 1, y1 - y0 + 1
        around = _grown(y0, y1, height), _grown(x0, x1, width)
        mask = mask_of(regions[around], thing["values"])
        found.append(
            {
                "image_id": row["image_id"],
                "object_index": index,
                "pair": thing["pair"],
                "size": thing["area"],
                "aspect_ratio": min(width, height) / max(width, height),
                "intensity_difference": _intensity_difference(picture[around], mask),
                "modality_number": MODALITIES.index(row["modality"]) + 1,
                "fourier_order": fourier_order(mask),
            }
        )
    return found


def _grown(first: int, last: int, side: int) -> slice:
    more = max(side // _GROWTH, 1)
    return slice(max(first - more, 0), last + more + 1)


def _intensity_difference(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> float | None:
    import cv2

    inside = mask.view(np.uint8)
    outside = 1 - inside
    if not cv2.hasNonZero(outside):
        return None
    channels = 1 if picture.ndim == 2 else picture.shape[2]
    means = [sum(cv2.mean(picture, where)[:channels]) / channels for where in (inside, outside)]
    return abs(means[0] - means[1])


def _plan(folder: Path, parts: Sequence[Shard], store: units.Units) -> Iterator[_Task]:
    """Row groups in their order, so many together that starting a unit costs nothing."""
    for shard in parts:
        with shards.readable(folder, shard.file):
            metadata = pq.read_metadata(folder / shard.file)
        groups: list[int] = []
        rows = 0
        for number in range(metadata.num_row_groups):
            groups.append(number)
            rows += metadata.row_group(number).num_rows
            if rows >= _UNIT_ROWS or number == metadata.num_row_groups - 1:
                key = units.key(version=VERSION, shard=shard.sha256, groups=groups)
                yield _Task(folder, shard.file, tuple(groups), rows, store, key)
                groups, rows = [], 0


def _measure(task: _Task) -> None:
    """Runs in a worker: row groups to their unit, a few rows in memory at a time."""
    with (
        task.units.write(task.key) as unit,
        pq.ParquetWriter(unit / _UNIT, SCHEMA, compression="zstd") as written,
    ):
        for rows in _batches(task):
            found = [entry for row in rows for entry in of_row(row)]
            written.write_batch(pa.RecordBatch.from_pylist(found, schema=SCHEMA))


def _batches(task: _Task) -> Iterator[list[dict[str, Any]]]:
    with (
        shards.readable(task.folder, task.shard),
        pq.ParquetFile(task.folder / task.shard) as file,
    ):
        for group in task.groups:  # of several together all bytes would be read first
            for batch in file.iter_batches(_BATCH, row_groups=[group], columns=_COLUMNS):
                yield batch.to_pylist()


def _read(path: Path) -> pa.Table:
    with pq.ParquetFile(path) as file:  # read_table would import pandas
        return file.read()


def _told(slug: str, source_version: str) -> dict[bytes, bytes]:
    """What a file says of itself."""
    told = {"source": slug, "source_version": source_version, "version": str(VERSION)}
    return {name.encode(): value.encode() for name, value in told.items()}


def _says(path: Path, told: Mapping[bytes, bytes]) -> bool:
    """Whether a file is there, can be read, and says so of itself."""
    try:
        return bool(pq.read_schema(path).metadata == told)
    except (OSError, pa.ArrowException):
        return False
