"""The hashes of built sources: each shard's once for good, then all pictures' side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
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


def _hashed(folder: Path, workers: int | None, store: units.Units) -> list[_Task]:
    """A built source's shards, all hashed."""
    tasks = [
        _Task(folder, part.file, part.rows, store, units.key(version=hashes.VERSION, shard=part.sha256))
        for part in load_manifest(folder).shards
    ]
    pending = [task for task in tasks if not store.has(task.key)]
    for outcome in pool.run(
        _hash, pending, workers=workers, timeout_s=_TIMEOUT_S, label=f"hash {folder.name}",
        unit="shard", here=workers == 1,
    ):  # fmt: skip
        if outcome.failure:
            raise InputError(outcome.failure)
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


class Pictures:
    """The telling pictures of all cases, in the cases' order: where they are and what they look like."""

    def __init__(self, cases: Sequence[Case], parts: Sequence[_Task]) -> None:
        self.cases = cases
        prints = np.concatenate([np.load(part.store.path(part.key) / _PRINTS) for part in parts])
        self.number = len(prints)
        self._files = [part.store.path(part.key) / _THUMBNAILS for part in parts]
        self._begins = np.cumsum([0, *(part.rows for part in parts)])
        counts = [case.rows for case in cases]
        rows = np.concatenate([np.arange(case.first, case.first + case.rows) for case in cases])
        telling = prints["telling"][rows]
        #: Of each telling picture, its row, its case and its place there.
        self.rows = rows[telling]
        self.case = np.repeat(np.arange(len(cases)), counts)[telling]
        self.place = self.rows - np.array([case.first for case in cases])[self.case]
        self.exact = prints["exact"][self.rows]
        self.near, self.doubt = prints["near"][self.rows], prints["doubt"][self.rows]
        self.bounds = np.searchsorted(self.case, np.arange(len(cases) + 1))

    @cached_property
    def turned(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """The hashes, each in every way it may be turned, by picture; and each one's picture."""
        near, place = hashes.turned(self.near, self.doubt)
        order = np.argsort(place, kind="stable")
        return near[order], place[order]

    def thumbnail(self, picture: int) -> NDArray[np.uint8]:
        row = int(self.rows[picture])
        part = int(np.searchsorted(self._begins, row, side="right")) - 1
        return np.asarray(_mapped(self._files[part])[row - self._begins[part]])


@lru_cache(maxsize=128)  # each holds a file open
def _mapped(thumbnails: Path) -> NDArray[np.uint8]:
    """Mapped, not read: of a million thumbnails few are looked at."""
    found: NDArray[np.uint8] = np.load(thumbnails, mmap_mode="r")
    return found
