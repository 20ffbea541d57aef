"""Builds the DuckDB file of one board from the built sources and the models' score files."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from cosmos1050k import shards
from cosmos1050k.errors import InputError
from leaderboard import paper
from leaderboard.evaluate import BoardRows
from leaderboard.store import aggregates, described, facts, files
from leaderboard.store.runs import BoardInput, LeftOut, Run, admitted, numerics
from leaderboard.verify import scores_sum

BOARD = Path("leaderboard/leaderboard.duckdb")
#: Of the step from scores to the board's file; a change of what it holds needs a new number.
VERSION = 4
#: What the database may hold in memory before it goes on on disk.
_MEMORY = "3GB"


class BoardOptions(BaseModel):
    """`board` in params.yaml: the bootstrap behind intervals and ranks."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    bootstrap_draws: int = Field(default=10_000, ge=100)
    seed: int = Field(default=0, ge=0)


_BOARDS = pa.schema(
    [
        ("build_id", pa.string()),
        ("dataset_version", pa.string()),
        ("protocol_version", pa.int64()),
        ("sources", pa.list_(pa.string())),
        ("phantoms", pa.list_(pa.string())),
        ("bootstrap_draws", pa.int64()),
        ("seed", pa.int64()),
        ("numerics", pa.string()),
    ]
)


@dataclass(frozen=True)
class Built:
    """A board's id, and the scores that are not on it."""

    build_id: str
    left_out: tuple[LeftOut, ...]


def build_board(
    given: BoardInput, path: Path, *, rows: BoardRows | None = None, options: BoardOptions | None = None
) -> Built:
    """Writes the board to `path`, in one step when it is whole.

    Scores that do not fit the board, or are damaged, are left out of it, whole files at a time.

    Args:
        rows: how many images a pair needs; as the models were scored.

    Raises:
        InputError: no score is left, a source is not built, or the disk is at fault; `path` is as it was.
    """
    rows, options = rows or BoardRows(), options or BoardOptions()
    manifests = {slug: shards.load_manifest(given.data / slug) for slug in given.sources}
    versions = {slug: manifest.version for slug, manifest in manifests.items()}
    phantoms = [slug for slug, manifest in manifests.items() if manifest.phantom]
    runs, left = admitted(given, versions)
    sums = {run.model: scores_sum(run.folder, run.sources) for run in runs}
    with (
        files.writing(path),
        files.locked(path.parent),
        files.replacing(path) as temporary,
        duckdb.connect(str(temporary), config={"memory_limit": _MEMORY}) as connection,
    ):
        connection.execute("set preserve_insertion_order = false")  # what is in order is ordered
        runs, wrong = facts.load(connection, given, rows, runs)
        left += wrong
        if not runs:
            problem = f": {left[0]}" if left else "; add a strategy that applies to `evaluate`"
            raise InputError(f"no model has a score on the board{problem}")
        reported, kinds = paper.table(), connection.sql("select * from kinds order by all")
        tables = described.tables(runs, given, sums) | {"left_out": [asdict(one) for one in left]}
        made_of = {
            "version": VERSION,
            "sources": list(versions.items()),
            "phantoms": phantoms,
            "protocol": given.protocol_version,
            "rows": rows.model_dump(),
            "options": options.model_dump(),
            "scores": sums,
            "kinds": kinds.to_arrow_table().to_pylist(),
            "paper": reported.to_pylist(),
            # But for the timing: equal scores make equal boards.
            "tables": {name: found for name, found in tables.items() if name != "runs"},
        }
        build_id = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]
        aggregates.load(connection, runs, phantoms, seed=options.seed, draws=options.bootstrap_draws)
        for name, found in tables.items():
            files.create(connection, name, pa.Table.from_pylist(found, schema=described.SCHEMAS[name]))
        files.create(connection, "paper", reported)
        _boards(connection, build_id, given, versions, phantoms, options, runs)
    return Built(build_id, tuple(left))


def _boards(
    connection: duckdb.DuckDBPyConnection,
    build_id: str,
    given: BoardInput,
    versions: Mapping[str, str],
    phantoms: Sequence[str],
    options: BoardOptions,
    runs: Sequence[Run],
) -> None:
    """Table `boards`, one row; written last, it says that all the others are there."""
    reference = numerics(runs)
    row = {
        "build_id": build_id,
        "dataset_version": shards.dataset_version(versions),
        "protocol_version": given.protocol_version,
        "sources": list(given.sources),
        "phantoms": list(phantoms),
        "bootstrap_draws": options.bootstrap_draws,
        "seed": options.seed,
        "numerics": ", ".join(reference),
    }
    connection.register("arrow", pa.Table.from_pylist([row], schema=_BOARDS))
    connection.execute(
        """create table boards as select *,
            (select count(distinct (source, patient)) from board_objects) as patients,
            (select count(distinct image_id) from board_objects) as images,
            (select count(*) from board_objects) as objects,
            (select count(*) from pairs) as pairs
        from arrow"""
    )
    connection.unregister("arrow")
