"""Small boards of hand-made images, scored by the platform's own calls."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cosmos1050k import pictures, shard_writer, taxonomy
from cosmos1050k.prompts import prompts_of
from cosmos1050k.schema import SCHEMA
from cosmos1050k.shard_writer import BuiltCase
from cosmos1050k.units import MANIFEST
from leaderboard import models, score
from leaderboard.evaluate import RunManifest, SourceRun
from leaderboard.store.build import BoardOptions, build_board
from leaderboard.store.runs import BoardInput
from tests.label_maps import label_map

#: A submitter's words that would run as HTML or as a template of Gradio's, if nothing escaped them.
HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'> ${1+1} {{value}} `"
HOSTILE_SOURCE = "<img src=x onerror='window.hacked = 1'>"
HOSTILE_OBJECT = "<script>Gland</script>"
MODELS = ("box", "grabcut")
STRATEGIES = ("S2", "S5", "S6")
SIZE = 64


@dataclass(frozen=True)
class Made:
    """A board file and its build id."""

    path: Path
    build_id: str


def make_board(
    folder: Path, source: str, *, patients: int, slices: int, seed: int, phantom: bool = False
) -> Made:
    """A board of the models box and grabcut on a hand-made source."""
    rows, version = write_source(folder, source, patients, slices, seed, phantom)
    for model in MODELS:
        write_scores(folder / "scores" / model, model, source, rows, version)
    path = folder / "leaderboard.duckdb"
    none = folder / "none"
    given = BoardInput(folder / "data", folder / "scores", none, none, (source,), MODELS, protocol_version=1)
    return Made(path, build_board(given, path, options=BoardOptions(bootstrap_draws=200)).build_id)


def write_scores(out: Path, model: str, source: str, rows: pa.Table, version: str) -> None:
    """What `evaluate` writes, without its processes; grabcut gets a hostile description."""
    segmenter = models.get(model)
    declaration = segmenter.declaration
    if model == "grabcut":
        declaration = declaration.model_copy(update={"description": HOSTILE})
    table = score.score(segmenter, rows, STRATEGIES, source_version=version)
    manifest = RunManifest(
        protocol_version=1,
        declaration=declaration,
        strategies=tuple(name for name in STRATEGIES if name in declaration.applies),
        not_applicable=declaration.not_applicable,
        rows="board",
        sources={
            source: SourceRun(version=version, cases=1, scores=table.num_rows, failures={}, failed_images=[])
        },
        seconds=0,
        date="2026-01-01T00:00:00+00:00",
    )
    out.mkdir(parents=True)
    pq.write_table(table, out / f"{source}.parquet")
    (out / MANIFEST).write_text(manifest.model_dump_json())


def write_source(
    folder: Path, source: str, patients: int, slices: int, seed: int, phantom: bool
) -> tuple[pa.Table, str]:
    """The source's rows, all of the test split, and its version."""
    random = np.random.default_rng(seed)
    cases, tables = [], []
    for number in range(patients):
        case = f"case{number:02d}"
        rows = [_row(random, source, case, index) for index in range(slices)]
        tables.append(pa.Table.from_pylist(rows, schema=SCHEMA))
        path = folder / f"{case}.parquet"
        shard_writer.write_rows(path, tables[-1], row_group_rows=slices)
        cases.append(BuiltCase(case, case, "CT", "test", f"{seed}/{case}", slices, path))
    out = folder / "data" / source
    out.mkdir(parents=True)
    manifest = shard_writer.write_source(
        out, source, cases, [], row_group_rows=8, shard_bytes=2**20, phantom=phantom
    )
    return pa.concat_tables(tables), manifest.version


def _row(random: np.random.Generator, source: str, case: str, index: int) -> dict[str, object]:
    """A bright rectangle, which its box fills, and a bright disc, which it doesn't, on a noisy ground."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    top, left = random.integers(4, 12, 2)
    liver = (rows >= top) & (rows < top + 16) & (columns >= left) & (columns < left + 20)
    gland = (rows - 46) ** 2 + (columns - 44) ** 2 < random.integers(80, 140)
    picture = random.integers(0, 90, (SIZE, SIZE)) + 80 * liver + 150 * gland
    regions, members = label_map([liver, gland])
    return {
        "image_id": f"{source}/{case}/CT/{index}",
        "image": {"bytes": pictures.encode(picture.astype(np.uint8)), "path": None},
        "mask": {"bytes": pictures.encode(regions), "path": None},
        "source": source,
        "patient": case,
        "case": case,
        "slice_index": index,
        "view": "transverse",
        "modality": "CT",
        "split": "test",
        "height": SIZE,
        "width": SIZE,
        "spacing_mm": None,
        "objects": [
            _object(name, mask, values)
            for name, mask, values in zip(("Liver", HOSTILE_OBJECT), (liver, gland), members, strict=True)
        ],
        "raw_sha256": "0" * 64,
    }


def _object(name: str, mask: np.ndarray, values: Sequence[int]) -> dict[str, object]:
    prompts = prompts_of(mask)
    return {
        "values": values,
        "object": name,
        "instance": None,
        "pair": taxonomy.pair(name, "CT"),
        "area": prompts.area,
        "box": prompts.box,
        "points_pos": prompts.positive,
        "points_neg": prompts.negative,
    }
