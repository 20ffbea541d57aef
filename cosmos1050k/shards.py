"""A built source on disk: Parquet shards of one modality and split each, a table of its cases, a manifest."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cosmos1050k.errors import InputError
from cosmos1050k.units import MANIFEST

#: Built sources, one folder each, in the project's folder.
DATA = Path("cosmos1050k/data")
CASES = "cases.parquet"

#: One row per case and modality: where its rows lie and, per pair, in how many of its images it is scored.
CASES_SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("case", pa.string()),
        ("modality", pa.string()),
        ("patient", pa.string()),
        ("split", pa.string()),
        ("shard", pa.string()),
        ("first_row", pa.int64()),
        ("rows", pa.int64()),
        ("digest", pa.string()),
        ("pairs", pa.list_(pa.struct([("pair", pa.string()), ("images", pa.int64())]))),
    ]
)


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Shard(_Closed):
    file: str
    rows: int
    bytes: int
    sha256: str


class Count(_Closed):
    images: int
    instances: int


class Skipped(_Closed):
    case: str
    reason: str


class Excluded(_Closed):
    """What `exclusions.csv` left out: a case, or one slice of it."""

    case: str
    slice: int | None
    reason: str


class Manifest(_Closed):
    """What a build of one source holds. `version` is the sha256 over its cases' decoded content, in order.

    `phantom`: it was built from synthetic files, and its numbers say nothing about the source. `cases` have
    rows; `empty` were read too, and no slice of them holds an object that is kept. `excluded` is not written
    when there is none.
    """

    source: str
    phantom: bool
    version: str
    rows: int
    cases: int
    empty: int
    patients: int
    splits: dict[str, int]
    modalities: dict[str, int]
    objects: dict[str, Count]
    pairs: dict[str, Count]
    shards: tuple[Shard, ...]
    skipped: tuple[Skipped, ...]
    excluded: tuple[Excluded, ...] = Field(default=(), exclude_if=lambda excluded: not excluded)


def load_manifest(folder: Path) -> Manifest:
    """The manifest of a built source.

    Raises:
        InputError: the folder holds none, or it is damaged.
    """
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: missing; build the source with `cosmos build {folder.name}`") from None
    except ValidationError:
        raise InputError(f"{path}: damaged; build the source again") from None


def built(data: Path) -> tuple[str, ...]:
    """The sources that have a manifest below `data`, sorted."""
    return tuple(sorted(path.parent.name for path in data.glob(f"[!.]*/{MANIFEST}")))


def dataset_version(versions: Mapping[str, str]) -> str:
    """The version of a dataset: 16 hexadecimal digits over its sources and their versions."""
    return hashlib.sha256(json.dumps(dict(versions), sort_keys=True).encode()).hexdigest()[:16]


def load_cases(folder: Path) -> list[dict[str, Any]]:
    """The rows of `cases.parquet` (`CASES_SCHEMA`) of a built source, in the order they are stored in.

    Raises:
        InputError: the file is missing or damaged.
    """
    with readable(folder, CASES):
        return pq.read_table(folder / CASES, schema=CASES_SCHEMA).to_pylist()


def read_case(folder: Path, case: dict[str, Any], columns: list[str] | None = None) -> pa.Table:
    """The rows of one case, in order, from its shard; only the row groups it lies in are read.

    Raises:
        InputError: the shard is missing or damaged.
    """
    with readable(folder, case["shard"]), pq.ParquetFile(folder / case["shard"]) as file:
        start, stop = case["first_row"], case["first_row"] + case["rows"]
        groups, offset, before = [], 0, 0
        for number in range(file.num_row_groups):
            size = file.metadata.row_group(number).num_rows
            if offset < stop and offset + size > start:
                groups.append(number)
            elif offset + size <= start:
                before = offset + size
            offset += size
        return file.read_row_groups(groups, columns=columns).slice(start - before, case["rows"])


@contextmanager
def readable(folder: Path, name: str) -> Iterator[None]:
    """Turns an error of reading a built file into one line."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        what = "missing" if isinstance(error, FileNotFoundError) else "damaged"
        raise InputError(f"{folder / name}: {what}; build the source again") from None
