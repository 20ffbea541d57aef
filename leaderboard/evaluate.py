"""Scores one model on every source: cases over processes, each a unit on disk, then one file per source."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from cosmos1050k import pool, shards, units
from cosmos1050k.errors import InputError
from cosmos1050k.units import MANIFEST
from leaderboard import models, score
from leaderboard.board_rows import CaseId, strategies_of
from leaderboard.models.base import Declaration, StrategyName
from leaderboard.strategies import STRATEGIES

SCORES = Path("leaderboard/scores")
_UNIT = "scores.parquet"
#: What of a model's declaration decides its masks.
_DECIDES = {"name", "version", "preprocessing", "candidates", "weights_sha256", "device", "dtype"}

log = logging.getLogger(__name__)


class EvaluateOptions(BaseModel):
    """`evaluate` in params.yaml: what decides which rows are scored, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    strategies: tuple[StrategyName, ...] = ("S1", "S2", "S3", "S4", "S5", "S6")
    rows: Literal["board", "all"] = "board"


class BoardRows(BaseModel):
    """`board_rows` in params.yaml: how many images of a pair make a board, under S1 and under the others."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    images_per_pair: int = Field(default=500, ge=1)
    images_per_pair_s1: int = Field(default=100, ge=1)


class SourceRun(BaseModel):
    """What a run did with one source; `failures`: `case/modality` → why it could not be scored."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: str
    cases: int
    scores: int
    failures: dict[str, str]


class RunManifest(BaseModel):
    """The key of a model's scores and what their making took. Timing stands here, never in score rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    protocol_version: int
    declaration: Declaration
    strategies: tuple[str, ...]
    not_applicable: dict[str, str]
    rows: Literal["board", "all"]
    sources: dict[str, SourceRun]
    seconds: float


@dataclass(frozen=True)
class _Task:
    """One case under some strategies, to turn into a unit; picklable."""

    model: str
    folder: Path
    case: dict[str, Any]
    strategies: tuple[str, ...]
    units: units.Units
    key: str


def evaluate(
    model: str,
    data: Path,
    out: Path,
    *,
    sources: Sequence[str],
    protocol_version: int,
    options: EvaluateOptions | None = None,
    board_rows: BoardRows | None = None,
    workers: int | None = None,
    case_timeout_s: float = 3600,
    store: units.Units | None = None,
) -> RunManifest:
    """Scores a model on built sources; writes `<source>.parquet` and `manifest.json` into the folder `out`.

    Args:
        data: the folder that holds one folder per built source.
        workers: processes; all cores if not given.
        store: where finished cases are kept; only those without a finished unit call the model.

    Raises:
        InputError: the model is unknown or a source is not built; `out` is as it was.
    """
    started = time.monotonic()
    options, board_rows = options or EvaluateOptions(), board_rows or BoardRows()
    store = store or units.Units("evaluate")
    kind = models.kind(model)
    kind.check()
    declaration = kind.declaration
    if not sources:
        raise InputError(f"{data}: no built source; build one with `cosmos build SLUG`")
    versions = {slug: shards.load_manifest(data / slug).version for slug in sources}
    tasks = _plan(declaration, data, sources, protocol_version, options, board_rows, store)
    failures = _run(tasks, workers, case_timeout_s)
    with units.replacing(out) as folder:
        runs = {}
        for slug in sources:
            own = [task for task in tasks if task.case["source"] == slug]
            table = _assembled(own, versions[slug])
            pq.write_table(table, folder / f"{slug}.parquet", compression="zstd")
            runs[slug] = SourceRun(
                version=versions[slug],
                cases=len({_id(task.case) for task in own}),
                scores=table.num_rows,
                failures={_name(task): failures[task.key] for task in own if task.key in failures},
            )
        manifest = RunManifest(
            protocol_version=protocol_version,
            declaration=declaration,
            strategies=_applied(declaration, options),
            not_applicable=declaration.not_applicable,
            rows=options.rows,
            sources=runs,
            seconds=round(time.monotonic() - started, 3),
        )
        (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n")
    return manifest


def _plan(
    declaration: Declaration,
    data: Path,
    sources: Sequence[str],
    protocol_version: int,
    options: EvaluateOptions,
    board_rows: BoardRows,
    store: units.Units,
) -> list[_Task]:
    """One task per case and group of strategies, in the order of sources and their cases."""
    cases = [case for slug in sources for case in shards.load_cases(data / slug)]
    applied = _applied(declaration, options)
    if options.rows == "all":
        wanted = dict.fromkeys((_id(case) for case in cases), applied)
    else:
        wanted = strategies_of(
            cases,
            applied,
            images=board_rows.images_per_pair,
            images_everything=board_rows.images_per_pair_s1,
        )
    tasks = []
    for case in cases:
        for group in _groups(wanted.get(_id(case), ())):
            key = units.key(
                version=score.VERSION,
                protocol=protocol_version,
                model=declaration.model_dump(mode="json", include=_DECIDES),
                source=case["source"],
                case=case["digest"],
                strategies=group,
            )
            tasks.append(_Task(declaration.name, data / case["source"], case, group, store, key))
    return tasks


def _applied(declaration: Declaration, options: EvaluateOptions) -> tuple[str, ...]:
    """The strategies to score, in the protocol's order: how they were asked for changes no unit's key."""
    return tuple(name for name in STRATEGIES if name in options.strategies and name in declaration.applies)


def _id(case: dict[str, Any]) -> CaseId:
    return CaseId(case["source"], case["case"], case["modality"])


def _name(task: _Task) -> str:
    return f"{task.case['case']}/{task.case['modality']}"


def _groups(strategies: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Everything apart from the rest: its board is smaller, and leaving it must not undo the others."""
    everything = tuple(name for name in strategies if STRATEGIES[name].everything)
    return [group for group in (everything, tuple(n for n in strategies if n not in everything)) if group]


def _run(tasks: list[_Task], workers: int | None, timeout_s: float) -> dict[str, str]:
    """Scores what has no unit yet; returns key → reason for the cases that could not be scored."""
    pending = [task for task in tasks if not task.units.has(task.key)]
    kept = len(tasks) - len(pending)
    label = f"evaluate {tasks[0].model} ({kept} cases kept)" if tasks else "evaluate"
    failures = {}
    for outcome in pool.run(_score_case, pending, workers=workers, timeout_s=timeout_s, label=label):
        if outcome.failure:
            failures[outcome.task.key] = outcome.failure
            log.warning("%s/%s: %s", outcome.task.folder.name, _name(outcome.task), outcome.failure)
    return failures


def _score_case(task: _Task) -> None:
    """Runs in a worker: one case to its unit. What its digest does not cover comes in with `_assembled`."""
    rows = shards.read_case(task.folder, task.case, score.COLUMNS)
    table = score.score(models.get(task.model), rows, task.strategies, source_version="")
    with task.units.write(task.key) as folder:
        pq.write_table(table, folder / _UNIT, compression="zstd")


def _assembled(tasks: list[_Task], version: str) -> pa.Table:
    """All scores of one source in the order of its cases; a case without a unit is failed as a whole.

    The source's version and the case's patient are no part of a unit: they may change without its content.
    """
    tables = [score.SCORES_SCHEMA.empty_table()]
    for task in tasks:
        if task.units.has(task.key):
            table = pq.read_table(task.units.path(task.key) / _UNIT, schema=score.SCORES_SCHEMA)
        else:
            rows = shards.read_case(task.folder, task.case, score.KEY_COLUMNS)
            table = score.failed(models.kind(task.model).declaration, rows, task.strategies, version)
        tables.append(_filled(_filled(table, "source_version", version), "patient", task.case["patient"]))
    return pa.concat_tables(tables)


def _filled(table: pa.Table, column: str, value: str) -> pa.Table:
    place = table.schema.get_field_index(column)
    return table.set_column(place, table.field(place), pa.repeat(value, table.num_rows))
