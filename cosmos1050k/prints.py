"""The hashes of built sources: each shard's once for good, then all pictures' side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cosmos1050k import hashes, pictures, pool, units
from cosmos1050k.errors import InputError
from cosmos1050k.shards import load_cases, load_manifest, readable

Patient = tuple[str, str]  # source and patient

_TIMEOUT_S = 3600.0
_PRINTS, _THUMBNAILS = "prints.npy", "thumbnails.npy"


@dataclass(frozen=True)
class _Task:
    """One shard to hash; picklable."""

    folder: Path
    file: str
    rows: int
    store: units.Units
    key: str


class Case(NamedTuple):
    """A case of one modality; its pictures are the rows from `first` on, over all sources."""

    patient: Patient
    split: str
    first: int
    rows: int

    @staticmethod
    def of(case: dict[str, Any], shard_begins: int) -> "Case":
        patient = case["source"], case["patient"]
        return Case(patient, case["split"], shard_begins + case["first_row"], case["rows"])


def keys(slug: str, data: Path) -> set[str]:
    """The units of a built source's prints.

    Raises:
        InputError: the source is not built, or damaged.
    """
    return {task.key for task in _tasks(data / slug, units.Units("duplicates"))}


def _tasks(folder: Path, store: units.Units) -> list[_Task]:
    return [
        _Task(folder, part.file, part.rows, store, units.key(version=hashes.VERSION, shard=part.sha256))
        for part in load_manifest(folder).shards
    ]


def _hashed(folder: Path, workers: int | None, store: units.Units) -> list[_Task]:
    """A built source's shards, all hashed."""
    tasks = _tasks(folder, store)
    pending = [task for task in tasks if not store.has(task.key)]
    for outcome in pool.run(
        _hash, pending, workers=workers, timeout_s=_TIMEOUT_S, label=f"hash {folder.name}",
        unit="shard", here=workers == 1,
    ):  # fmt: skip
        if outcome.failure:
            shard = "" if outcome.task.file in outcome.failure else f"{folder / outcome.task.file}: "
            raise InputError(f"{shard}{outcome.failure}")
    return tasks


def _hash(task: _Task) -> None:
    """Runs in a worker: the prints and thumbnails of one shard to its unit."""
    prints = np.zeros(task.rows, hashes.PRINT)
    thumbnails: list[NDArray[np.uint8]] = []
    with readable(task.folder, task.file), pq.ParquetFile(task.folder / task.file) as file:
        for batch in file.iter_batches(batch_size=16, columns=["image"]):
            for image in batch["image"].to_pylist():
                try:
                    picture = pictures.decode(image["bytes"])
                except ValueError:
                    raise InputError(f"{task.folder / task.file}: damaged; build the source again") from None
                small = hashes.thumbnail(picture)
                prints[len(thumbnails)] = hashes.print_of(picture, small)
                thumbnails.append(small)
    with task.store.write(task.key) as unit:
        np.save(unit / _PRINTS, prints)
        np.save(unit / _THUMBNAILS, np.stack(thumbnails))


def load(
    data: Path, slugs: Sequence[str], *, workers: int | None = None, store: units.Units | None = None
) -> "Pictures":
    """All pictures of the built sources `slugs` below `data`; shards that no one hashed yet are hashed first.

    Args:
        workers: processes; all cores if not given, and none but this for one.
        store: where shards' hashes are kept.

    Raises:
        InputError: a source is not built, or damaged.
    """
    store = store or units.Units("duplicates")
    cases: list[Case] = []
    parts: list[_Task] = []
    first = 0
    for slug in slugs:
        begins = {}
        for task in _hashed(data / slug, workers, store):
            begins[task.file] = first
            first += task.rows
            parts.append(task)
        cases += [Case.of(case, begins[case["shard"]]) for case in load_cases(data / slug)]
    return Pictures(cases, parts)


@dataclass(frozen=True)
class Looks:
    """What pictures look like, in arrays that processes share by keeping them in a folder.

    Attributes:
        bounds: where each case's pictures begin, and where the last one's end.
        place: of each picture, where in its case it is.
        hashes: of all pictures in their order, in every way that each may be turned, N×BYTES.
        ways: where each picture's hashes begin, and where the last one's end.
        rows: of each picture, its row over all shards.
        begins: of each shard, its first row; and how many rows there are.
        files: of each shard, the file of its thumbnails.
    """

    bounds: NDArray[np.int64]
    place: NDArray[np.int64]
    hashes: NDArray[np.uint8]
    ways: NDArray[np.int64]
    rows: NDArray[np.int64]
    begins: NDArray[np.int64]
    files: NDArray[np.str_]

    def keep(self, folder: Path) -> None:
        for name, values in vars(self).items():
            np.save(folder / name, values)

    @staticmethod
    @lru_cache(maxsize=1)
    def kept(folder: Path) -> "Looks":
        """Those that were kept in the folder; mapped, so that processes share them."""
        arrays = {part.name: np.load(folder / f"{part.name}.npy", mmap_mode="r") for part in fields(Looks)}
        return Looks(**{name: np.asarray(values) for name, values in arrays.items()})

    def thumbnails(self, pictures: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The thumbnails of some pictures, N×SIDE×SIDE."""
        rows = self.rows[pictures]
        parts = np.searchsorted(self.begins, rows, side="right") - 1
        found = np.empty((len(rows), hashes.SIDE, hashes.SIDE), np.uint8)
        for part in np.unique(parts).tolist():
            chosen = parts == part
            found[chosen] = _mapped(str(self.files[part]))[rows[chosen] - self.begins[part]]
        return found


@lru_cache(maxsize=128)  # each holds a file open
def _mapped(thumbnails: str) -> NDArray[np.uint8]:
    """Mapped, not read: of a million thumbnails few are looked at."""
    found: NDArray[np.uint8] = np.load(thumbnails, mmap_mode="r")
    return found


def _kept(part: _Task) -> NDArray[np.void]:
    """A shard's prints.

    Raises:
        InputError: something else than `_hash` wrote them, or did away with a part.
    """
    unit = part.store.path(part.key)
    try:
        prints: NDArray[np.void] = np.load(unit / _PRINTS)
        whole = (prints.dtype, prints.shape) == (hashes.PRINT, (part.rows,))
        whole = whole and len(np.load(unit / _THUMBNAILS, mmap_mode="r")) == part.rows
    except (OSError, ValueError, EOFError):
        whole = False
    if not whole:
        raise InputError(f"{unit}: damaged; remove it and run it again")
    return prints


class Pictures:
    """The telling pictures of all cases, in the cases' order: where they are and what they look like."""

    def __init__(self, cases: Sequence[Case], parts: Sequence[_Task]) -> None:
        self.cases = cases
        prints = np.concatenate([_kept(part) for part in parts])
        self.number = len(prints)
        counts = [case.rows for case in cases]
        rows = np.concatenate([np.arange(case.first, case.first + case.rows) for case in cases])
        telling = prints["telling"][rows]
        rows = rows[telling]
        #: Of each telling picture, its case, and what its pixels are.
        self.case = np.repeat(np.arange(len(cases)), counts)[telling]
        self.exact = prints["exact"][rows]
        near, picture = hashes.turned(prints["near"][rows], prints["doubt"][rows])
        order = np.argsort(picture, kind="stable")
        #: Of each hash of `looks`, its picture.
        self.picture = picture[order]
        files = [str(part.store.path(part.key) / _THUMBNAILS) for part in parts]
        self.looks = Looks(
            bounds=np.searchsorted(self.case, np.arange(len(cases) + 1)),
            place=rows - np.array([case.first for case in cases])[self.case],
            hashes=near[order],
            ways=np.searchsorted(self.picture, np.arange(len(rows) + 1)),
            rows=rows,
            begins=np.cumsum([0, *(part.rows for part in parts)]),
            files=np.array(files, np.str_),
        )
