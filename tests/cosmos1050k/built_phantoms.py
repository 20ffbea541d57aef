"""A phantom release, built, beside the rows that were written down while it was drawn."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosmos1050k import build, index, pictures, pool, shards, sources, units
from cosmos1050k.errors import InputError
from cosmos1050k.source import Case, Source
from tests.phantoms.truth import TrueRow


@dataclass(frozen=True)
class Built:
    """A phantom and what came of it."""

    source: Source
    raw: Path
    found: index.RawIndex
    manifest: shards.Manifest
    truth: list[TrueRow]
    rows: list[dict[str, Any]]
    cases: dict[tuple[str, str], Case]

    def both(self) -> list[tuple[TrueRow, dict[str, Any]]]:
        """Each true row beside the row of its modality, slice and picture; of equal ones by patient, mask."""
        true = sorted(self.truth, key=lambda one: (*true_key(one), one.patient, mark(labelled(one))))
        rows = sorted(self.rows, key=lambda row: (*key(row), row["patient"], mark(row["mask"] > 0)))
        return list(zip(true, rows, strict=True))

    def case(self, row: dict[str, Any]) -> Case:
        return self.cases[re.sub(r"\+y\d+x\d+$", "", row["case"]), row["modality"]]


def in_this_process(function: Any, tasks: list[Any], **_: Any) -> Iterator[pool.Outcome]:
    """What `pool.run` does, without its processes, which take longer to start than a phantom to build."""
    for task in tasks:
        try:
            yield pool.Outcome(task, function(task))
        except InputError as error:
            yield pool.Outcome(task, None, str(error))


def built_from(slug: str, truth: list[TrueRow], folder: Path) -> Built:
    """Indexes and builds the release in `folder/raw`."""
    module, raw, out = sources.get(slug), folder / "raw", folder / "out"
    found = index.scan(module.SOURCE, raw, memory=folder / "seen")
    store = units.Units("build", folder / "units")
    manifest = build.build(slug, found, out, raw=raw, workers=2, store=store)
    rows = []
    for case in shards.load_cases(out):
        for row in shards.read_case(out, case).to_pylist():
            rows.append(row | {name: pictures.decode(row[name]["bytes"]) for name in ("image", "mask")})
    cases = {(case.case, case.modality): case for case in module.cases(raw) if isinstance(case, Case)}
    return Built(module.SOURCE, raw, found, manifest, truth, rows, cases)


def mark(array: np.ndarray) -> str:
    array = np.ascontiguousarray(array)
    return hashlib.sha256(f"{array.shape} {array.dtype} ".encode() + array.tobytes()).hexdigest()


def key(row: dict[str, Any]) -> tuple[str, int, str]:
    return row["modality"], row["slice_index"], mark(row["image"])


def true_key(one: TrueRow) -> tuple[str, int, str]:
    return one.modality, one.slice_index, mark(expected_picture(one))


def expected_picture(one: TrueRow) -> np.ndarray:
    """The protocol's words: 255·(I − I_min)/(I_max − I_min) over the slice, float64, truncated to uint8;
    a constant slice is zeros; what is not finite counts as the finite minimum.
    """
    if one.as_is:
        return one.values.astype(np.uint8)
    values = one.values.astype(np.float64)
    values = np.where(np.isfinite(values), values, values[np.isfinite(values)].min())
    low, high = values.min(), values.max()
    if low == high:
        return np.zeros(values.shape, np.uint8)
    return np.trunc(255 * (values - low) / (high - low)).astype(np.uint8)


def labelled(one: TrueRow) -> np.ndarray:
    return np.any([thing.mask for thing in one.things], axis=0)


def rows_are_true(built: Built) -> None:
    """The rows are the true ones and no other, by modality, slice and picture."""
    expected, found = Counter(map(true_key, built.truth)), Counter(map(key, built.rows))
    lost, extra = expected - found, found - expected
    assert not lost + extra, (
        f"lost {[(o.patient, o.modality, o.slice_index) for o in built.truth if true_key(o) in lost]}, "
        f"extra {[row['image_id'] for row in built.rows if key(row) in extra]}, "
        f"skipped {[entry.reason for entry in built.manifest.skipped]}"
    )


def masks_are_true(built: Built) -> None:
    """Objects and instances are the true ones; the union of their regions is their mask, in place."""
    for one, row in built.both():
        true = sorted(one.things, key=lambda thing: (thing.object, str(thing.instance), mark(thing.mask)))
        masks = [np.isin(row["mask"], entry["values"]) for entry in row["objects"]]
        order = sorted(
            range(len(masks)),
            key=lambda place: (
                row["objects"][place]["object"], str(row["objects"][place]["instance"]), mark(masks[place])
            ),
        )  # fmt: skip
        objects, masks = [row["objects"][place] for place in order], [masks[place] for place in order]
        names = [(entry["object"], entry["instance"]) for entry in objects]
        assert names == [(thing.object, thing.instance) for thing in true], row["image_id"]
        for thing, entry, mask in zip(true, objects, masks, strict=True):
            where = f"{row['image_id']}: {thing.object} {thing.instance}"
            assert np.array_equal(mask, thing.mask), where
            assert entry["pair"] == f"{thing.object}-{one.modality}", where
            assert entry["area"] == thing.mask.sum() > 0, where
            ys, xs = np.nonzero(thing.mask)
            assert entry["box"] == [xs.min(), ys.min(), xs.max(), ys.max()], where
        assert np.array_equal(row["mask"] > 0, labelled(one)), row["image_id"]
        # Each combination of objects that overlap is one region, not several.
        regions = np.unique(row["mask"])[1 if (row["mask"] == 0).any() else 0 :]
        members = [tuple(region in entry["values"] for entry in objects) for region in regions.tolist()]
        assert len(set(members)) == len(members), row["image_id"]
