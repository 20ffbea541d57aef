"""Volume to rows: against the obvious way, against what can't be spared, and over processes and planes."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nibabel as nib
import numpy as np
import pyarrow as pa
from PIL import Image

from cosmos1050k import build, index, pictures, readers, sources, units
from cosmos1050k.index import RawIndex
from cosmos1050k.rows import KEEP_ABOVE, rows_of
from cosmos1050k.source import Case, Label
from tests.bench import volumes
from tests.cosmos1050k import literal

#: The objects in a slice of one mask, and what it weighs.
Objects = Callable[[np.ndarray, Sequence[Label]], tuple[list[np.ndarray], int]]
#: The regions of a picture's masks.
Regions = Callable[[list[np.ndarray]], np.ndarray]


@dataclass
class Work:
    """Cases and the folder of their files."""

    root: Path
    cases: Sequence[Case]

    def ours(self) -> list[pa.Table]:
        """The rows of each."""
        tables = []
        for case in self.cases:
            paths, sums = {name: self.root / name for name in case.files}, dict.fromkeys(case.files, "")
            tables.append(rows_of(case, "bench", "train", paths, sums).table)
        return tables

    @cached_property
    def count(self) -> int:
        """The number of all rows."""
        return sum(table.num_rows for table in self.ours())

    def some(self, start: int, stop: int) -> "Work":
        """Of the first case that has them the slices start…stop − 1 alone."""
        cases = (
            case for case in self.cases if case.slices is None or case.slices[0] <= start < case.slices[1]
        )
        return Work(self.root, [next(cases).model_copy(update={"slices": (start, stop)})])

    def least(self, encoded: Sequence[np.ndarray]) -> None:
        """What can't be spared: the files of a case decompressed, which are needed together, and the same
        pictures encoded.
        """
        for case in self.cases:
            held = [readers.read(self.root / name, name) for name in case.files]
            del held
        for picture in encoded:
            pictures.encode(picture)

    def obvious(self, objects: Objects, regions: Regions) -> int:
        """The same rows the obvious way, each PNG a file; returns their number."""
        with tempfile.TemporaryDirectory() as folder:
            done = 0
            for case in self.cases:
                for picture, label_map, _ in self._obvious_rows(case, objects, regions):
                    Image.fromarray(picture).save(Path(folder) / f"{done}_image.png")
                    Image.fromarray(label_map).save(Path(folder) / f"{done}_mask.png")
                    done += 1
        return done

    def _obvious_rows(self, case: Case, objects: Objects, regions: Regions) -> Iterator[tuple]:
        image = nib.as_closest_canonical(nib.load(self.root / case.image)).get_fdata()
        masks = [nib.as_closest_canonical(nib.load(self.root / mask.file)).get_fdata() for mask in case.masks]
        start, stop = case.slices or (0, image.shape[2])
        for z in range(start, min(stop, image.shape[2])):
            found, total = [], 0
            for volume, mask in zip(masks, case.masks, strict=True):
                own, weight = objects(volume[::-1, ::-1, z].T, mask.labels)
                found += own
                total += weight
            if total <= KEEP_ABOVE:
                continue
            values = image[::-1, ::-1, z].T
            low, high = values.min(), values.max()
            picture = (255 * (values - low) / (high - low)).astype(np.uint8)
            yield picture, regions(found), [literal.prompts(mask) for mask in found]


def objects_by_words(mask: np.ndarray, labels: Sequence[Label]) -> tuple[list[np.ndarray], int]:
    found = []
    for _, _, pixels in literal.instances(mask, labels):
        one = np.zeros(mask.shape, bool)
        one[tuple(zip(*((y, x) for x, y in pixels), strict=True))] = True
        found.append(one)
    return found, literal.sum_of_values(mask, labels)


def regions_by_words(masks: list[np.ndarray]) -> np.ndarray:
    height, width = masks[0].shape
    pixels = [frozenset(zip(*np.nonzero(mask)[::-1], strict=True)) for mask in masks]
    return np.array(literal.regions(pixels, width, height)[0], np.uint8)


def objects_by_numpy(mask: np.ndarray, labels: Sequence[Label]) -> tuple[list[np.ndarray], int]:
    masks = [mask == label.value if label.values else mask > label.above for label in labels]
    weight = sum(int(one.sum()) * (label.value or 1) for one, label in zip(masks, labels, strict=True))
    return [one for one in masks if one.any()], weight


def regions_by_numpy(masks: list[np.ndarray]) -> np.ndarray:
    codes = sum(mask.astype(np.int64) << place for place, mask in enumerate(masks))
    return np.searchsorted(np.unique([0, *np.unique(codes)]), codes).astype(np.uint8)


def sample() -> Work:
    module = sources.get("sample")
    root = sources.raw_root(module.SOURCE)
    return Work(root, [case for case in module.cases(root) if isinstance(case, Case)])


def ct(folder: Path, shape: tuple[int, int, int], **case: object) -> Work:
    """One volume like CT; `case` as `volumes.case` takes it."""
    if not folder.exists():
        volumes.write(folder, shape)
    return Work(folder, [volumes.case(**case)])  # type: ignore[arg-type]


def release(folder: Path, work: Work, count: int) -> RawIndex:
    """A release in KiTS21's layout of so many equal cases, and its index."""
    for number in range(count):
        place = folder / f"case_{number:05d}"
        place.mkdir(parents=True)
        os.link(work.root / "image.nii.gz", place / "imaging.nii.gz")
        os.link(work.root / "organs.nii.gz", place / "aggregated_MAJ_seg.nii.gz")
    return index.scan(sources.get("kits21").SOURCE, folder, memory=folder.with_name("seen"))


def built(raw: Path, found: RawIndex, workers: int) -> int:
    """The release built by so many processes, from nothing; returns the number of rows."""
    with tempfile.TemporaryDirectory() as folder:
        store = units.Units("build", Path(folder) / "units")
        out = Path(folder) / "kits21"
        return build.build("kits21", found, out, raw=raw, workers=workers, store=store).rows
