"""What is trained on: rows of the splits train and validation, never of test, in an order of each epoch."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cosmos1050k import pictures, shards
from cosmos1050k.errors import InputError
from cosmos1050k.regions import mask_of
from cosmos1050k.schema import SMALL_AREA

Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")
_COLUMNS = ["image_id", "source", "patient", "split", "image", "mask", "objects"]
#: Row groups that an epoch mixes at a time: what is held, still encoded.
_MIXED = 8


@dataclass(frozen=True)
class Example:
    """An image H×W×3 and its objects of more than 50 pixels, as the row stores them, and their masks H×W."""

    image_id: str
    source: str
    patient: str
    image: NDArray[np.uint8]
    objects: list[dict[str, Any]]
    masks: list[NDArray[np.bool_]]


@dataclass(frozen=True)
class _Group:
    """A row group of a shard, and those of its rows that hold an object to train on."""

    file: Path
    number: int
    rows: tuple[int, ...]


class Examples:
    """The images of one split of built sources, each with an object at least.

    Args:
        data: the folder that holds one folder per built source.
        split: train or validation.

    Raises:
        InputError: a source is not built, or none of them has an image of the split.
        ValueError: another split is asked for.
    """

    def __init__(self, data: Path, sources: Sequence[str], split: Split) -> None:
        if split not in SPLITS:
            raise ValueError(f"{split} is not trained on")
        self.split = split
        self._groups = [group for slug in sources for group in _groups(data / slug, split)]
        self._starts = np.cumsum([0, *(len(group.rows) for group in self._groups)])
        self._read: OrderedDict[int, list[dict[str, Any]]] = OrderedDict()
        if not len(self):
            raise InputError(f"{', '.join(sources)}: no image of the split {split}; name other sources")

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, place: int) -> Example:
        """The image at a place, 0 to len − 1, in the order of the shards."""
        group = int(np.searchsorted(self._starts, place, "right")) - 1
        return _example(self._rows(group)[place - int(self._starts[group])])

    def __iter__(self) -> Iterator[Example]:
        return (self[place] for place in range(len(self)))

    def shuffled(self, seed: int, epoch: int) -> list[int]:
        """All places in the order of an epoch: row groups in any order, their rows mixed a few groups at a
        time, so that a group is read once.
        """
        random = np.random.default_rng([seed, epoch])
        groups, order = random.permutation(len(self._groups)), []
        for start in range(0, len(groups), _MIXED):
            part = [np.arange(*self._starts[[group, group + 1]]) for group in groups[start : start + _MIXED]]
            order += random.permutation(np.concatenate(part)).tolist()
        return order

    def _rows(self, number: int) -> list[dict[str, Any]]:
        if number not in self._read:
            group = self._groups[number]
            with shards.readable(group.file.parent, group.file.name), pq.ParquetFile(group.file) as file:
                table = file.read_row_group(group.number, columns=_COLUMNS)
            self._read[number] = table.take(list(group.rows)).to_pylist()
            if len(self._read) > _MIXED:
                self._read.popitem(last=False)
        self._read.move_to_end(number)
        return self._read[number]


def _groups(folder: Path, split: Split) -> Iterator[_Group]:
    """The row groups of a built source that hold images of the split."""
    shards.load_manifest(folder)
    for name in sorted({case["shard"] for case in shards.load_cases(folder) if case["split"] == split}):
        with shards.readable(folder, name), pq.ParquetFile(folder / name) as file:
            for number in range(file.num_row_groups):
                table = file.read_row_group(number, columns=["split", "objects"]).to_pylist()
                rows = tuple(place for place, row in enumerate(table) if row["split"] == split and _kept(row))
                if rows:
                    yield _Group(folder / name, number, rows)


def _kept(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for entry in row["objects"] if entry["area"] > SMALL_AREA]


def _example(row: dict[str, Any]) -> Example:
    image, regions = (pictures.decode(row[column]["bytes"]) for column in ("image", "mask"))
    objects = _kept(row)
    return Example(
        image_id=row["image_id"],
        source=row["source"],
        patient=row["patient"],
        image=np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image,
        objects=objects,
        masks=[mask_of(regions, entry["values"]) for entry in objects],
    )
