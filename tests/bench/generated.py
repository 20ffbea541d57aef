"""Built sources and scores of any size: metadata and random numbers, no picture."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cosmos1050k import shards
from cosmos1050k.schema import OBJECT, SCHEMA
from cosmos1050k.units import MANIFEST
from leaderboard.evaluate import RunManifest, SourceRun
from leaderboard.models.base import Declaration
from leaderboard.score import SCORES_SCHEMA
from leaderboard.strategies import STRATEGIES

#: Of COSMOS 1050K (paper, section 2): masks, object–modality pairs, sources.
MASKS, PAIRS, SOURCES = 6_033_198, 125, 53
#: Masks of an image, images of a case, and one case in five is a test case.
OBJECTS, CASE, TEST = 6, 20, 5
#: Pairs of a source: an image has each, one of them twice.
OWN = 5


@dataclass(frozen=True)
class Generated:
    """Folders of built sources and of scores, as `evaluate` with `rows: all` leaves them."""

    data: Path
    scores: Path
    sources: tuple[str, ...]
    models: tuple[str, ...]
    rows: int


def generate(folder: Path, models: int, masks: int = MASKS, sources: int = SOURCES) -> Generated:
    """Sources and scores of so many masks: metadata alone, the pictures are empty."""
    cases = round(masks / (sources * OBJECTS * CASE))
    made = Generated(
        folder / "data",
        folder / "scores",
        tuple(f"source_{place:02}" for place in range(sources)),
        tuple(f"model_{place}" for place in range(models)),
        sources * cases * CASE * OBJECTS * len(STRATEGIES) * models,
    )
    for place, slug in enumerate(made.sources):
        rows = _rows(slug, place, cases)
        _source(made.data / slug, slug, rows)
        for number, model in enumerate(made.models):
            _scores(made.scores / model, model, slug, rows, seed=place * 1000 + number)
    for model in made.models:
        _manifest(made, model, cases)
    return made


@dataclass(frozen=True)
class _Rows:
    """The images of a source in order: their ids, cases, and the pairs of their masks."""

    image_ids: pa.Array
    cases: pa.Array
    pairs: list[str]


def _rows(slug: str, place: int, cases: int) -> _Rows:
    pairs = [f"Object {(place * OWN + own) % PAIRS}-CT" for own in range(OWN)]
    names = [f"case{number:05}" for number in range(cases)]
    ids = [f"{slug}/{name}/ct/{index:04}" for name in names for index in range(CASE)]
    return _Rows(pa.array(ids), pa.array(np.repeat(names, CASE)), [pairs[0], *pairs])


def _source(folder: Path, slug: str, rows: _Rows) -> None:
    (folder / "ct").mkdir(parents=True)
    count, tests = len(rows.image_ids), []
    is_test = np.arange(count) // CASE % TEST == 0
    for split, chosen in (("test", is_test), ("train", ~is_test)):
        table = _images(slug, rows, np.flatnonzero(chosen), split)
        pq.write_table(table, folder / "ct" / f"{split}-00000-of-00001.parquet", row_group_size=4096)
    names = rows.cases.take(pa.array(np.arange(0, count, CASE))).to_pylist()
    first = {"test": 0, "train": 0}
    counted = [{"pair": pair, "images": CASE} for pair in sorted(set(rows.pairs))]
    for number, name in enumerate(names):
        split = "test" if number % TEST == 0 else "train"
        tests.append(
            {
                "source": slug, "case": name, "modality": "CT", "patient": name, "split": split,
                "shard": f"ct/{split}-00000-of-00001.parquet", "first_row": first[split], "rows": CASE,
                "digest": name, "pairs": counted,
            }
        )  # fmt: skip
        first[split] += CASE
    pq.write_table(pa.Table.from_pylist(tests, schema=shards.CASES_SCHEMA), folder / shards.CASES)
    manifest = shards.Manifest(
        source=slug, phantom=False, version=slug, rows=count, cases=len(names), empty=0, patients=len(names),
        splits={}, modalities={"CT": count}, objects={}, pairs={}, shards=(), skipped=(),
    )  # fmt: skip
    (folder / MANIFEST).write_text(manifest.model_dump_json())


def _images(slug: str, rows: _Rows, chosen: NDArray[np.intp], split: str) -> pa.Table:
    count = len(chosen)
    values: dict[str, Any] = {
        "image_id": rows.image_ids.take(pa.array(chosen)),
        "patient": rows.cases.take(pa.array(chosen)),
        "case": rows.cases.take(pa.array(chosen)),
        "slice_index": pa.array(chosen % CASE, pa.int32()),
        "objects": _objects(rows.pairs, count),
    }
    constant = {"source": slug, "view": "transverse", "modality": "CT", "split": split, "height": 512}
    values |= {name: pa.repeat(value, count) for name, value in constant.items()}
    columns = [
        values[field.name].cast(field.type) if field.name in values else pa.nulls(count, field.type)
        for field in SCHEMA
    ]
    return pa.table(columns, schema=SCHEMA)


def _objects(pairs: list[str], count: int) -> pa.Array:
    total = count * len(pairs)
    repeated = pa.array(np.tile(np.array(pairs), count))
    values = {
        "object": pa.array(np.tile(np.array([pair.split("-")[0] for pair in pairs]), count)),
        "instance": pa.array(np.tile(np.array(["left", "right", *[""] * (len(pairs) - 2)]), count)),
        "pair": repeated,
        "area": pa.repeat(pa.scalar(400, pa.int32()), total),
    }
    fields = [values.get(field.name, pa.nulls(total, field.type)) for field in OBJECT]
    entries = pa.StructArray.from_arrays(fields, fields=list(OBJECT))
    offsets = pa.array(np.arange(count + 1) * len(pairs), pa.int32())
    return pa.ListArray.from_arrays(offsets, entries)


def _scores(folder: Path, model: str, slug: str, rows: _Rows, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    objects, strategies = len(rows.pairs), list(STRATEGIES)
    images = len(rows.image_ids)
    total = images * objects * len(strategies)
    image = pa.array(np.repeat(np.arange(images, dtype=np.int32), objects * len(strategies)))
    entry = np.tile(np.repeat(np.arange(objects, dtype=np.int32), len(strategies)), images)
    strategy = np.tile(np.arange(len(strategies), dtype=np.int32), images * objects)

    def coded(indices: Any, names: Any) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(indices), pa.array(names))

    dice = rng.beta(5, 2, total)
    distance = np.sqrt(rng.integers(1, 20_000, total))
    no_rating = strategy == 0
    values: dict[str, Any] = {
        "model": coded(np.zeros(total, np.int32), [model]),
        "source": coded(np.zeros(total, np.int32), [slug]),
        "patient": pa.DictionaryArray.from_arrays(image, rows.cases),
        "image_id": pa.DictionaryArray.from_arrays(image, rows.image_ids),
        "object_index": pa.array(entry),
        "object": coded(entry, [pair.split("-")[0] for pair in rows.pairs]),
        "instance": coded(entry, ["left", "right", *[""] * (objects - 2)]),
        "pair": coded(entry, rows.pairs),
        "strategy": coded(strategy, strategies),
        "status": coded(np.zeros(total, np.int32), ["scored"]),
        "source_version": coded(np.zeros(total, np.int32), [slug]),
    }
    for selection, shift in (("oracle", 0.0), ("predicted_iou", 0.01)):
        null = no_rating if selection == "predicted_iou" else None
        of = partial(pa.array, mask=null)
        own = np.clip(dice - shift, 0, 1)
        values[f"dice_{selection}"] = of(own)
        values[f"jaccard_{selection}"] = of(own / (2 - own))
        values[f"hausdorff_{selection}"] = of(distance + shift)
        values[f"assd_{selection}"] = of(distance / 5 + shift)
        values[f"candidate_{selection}"] = of((entry % 3).astype(np.int32))
        values[f"predicted_iou_{selection}"] = of(own.astype(np.float32))
    columns = [values[field.name].cast(field.type) for field in SCORES_SCHEMA]
    table = pa.table(columns, schema=SCORES_SCHEMA)
    pq.write_table(table, folder / f"{slug}.parquet", compression="zstd")


def _manifest(made: Generated, model: str, cases: int) -> None:
    everything = tuple(STRATEGIES)
    declaration = Declaration(
        name=model, kind="baseline", description="", version=1, preprocessing="none", candidates=3,
        applies=everything, made_for=everything, dtype="float32",
    )  # fmt: skip
    runs = {
        slug: SourceRun(
            version=slug, cases=cases, scores=made.rows // len(made.models) // len(made.sources),
            failures={}, failed_images=[],
        )
        for slug in made.sources
    }  # fmt: skip
    manifest = RunManifest(
        protocol_version=1, declaration=declaration, strategies=everything, not_applicable={}, rows="all",
        sources=runs, seconds=1.0, date="2026-01-01",
    )  # fmt: skip
    (made.scores / model / MANIFEST).write_text(manifest.model_dump_json())
