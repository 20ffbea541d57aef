"""Scores one model on every source: parts of cases over processes, each a unit, then one file per source."""

import logging
import os
import time
from collections.abc import Callable, Container, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cosmos1050k import pool, shards, units
from cosmos1050k.errors import InputError
from cosmos1050k.units import MANIFEST
from leaderboard import models, plan, score
from leaderboard.board_rows import strategies_of
from leaderboard.machine import DeviceLost, Dtype, Machine
from leaderboard.models.base import ALL, Declaration, Segmenter, StrategyName
from leaderboard.plan import Task
from leaderboard.strategies import STRATEGIES

SCORES = Path("leaderboard/scores")
_UNIT = "scores.parquet"
#: What one process takes at a time: on a CPU a unit, on a GPU so many images that it seldom waits for more.
_CHUNK_IMAGES = {"cpu": 1, "cuda": 256}

log = logging.getLogger(__name__)


class EvaluateOptions(BaseModel):
    """`evaluate` in params.yaml: what decides which rows are scored, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    strategies: tuple[StrategyName, ...] = ALL
    rows: Literal["board", "all"] = "board"
    #: Where models run that know a GPU; auto: on one if there is one.
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Dtype = "float32"
    #: The encoder by `torch.compile`.
    compiled: bool = False
    #: Gigabytes of encoded images to keep on disk, in half precision; 0: none.
    keep_embeddings: float = Field(default=0, ge=0)


class BoardRows(BaseModel):
    """`board_rows` in params.yaml: how many images of a pair make a board, under S1 and under the others."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    images_per_pair: int = Field(default=500, ge=1)
    images_per_pair_s1: int = Field(default=100, ge=1)


class SourceRun(BaseModel):
    """What a run did with one source.

    `failures`: `case/modality` → why it, or a part of it, could not be scored; `failed_images`: those that
    the model failed on, under any strategy, these cases' among them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: str
    cases: int
    scores: int
    failures: dict[str, str]
    failed_images: list[str]


class RunManifest(BaseModel):
    """The key of a model's scores, and when and how long it took. Timing stands here, never in score rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    protocol_version: int
    declaration: Declaration
    strategies: tuple[str, ...]
    not_applicable: dict[str, str]
    rows: Literal["board", "all"]
    sources: dict[str, SourceRun]
    seconds: float
    #: When it ended, UTC.
    date: str


def manifest_of(path: Path, model: str) -> RunManifest:
    """The manifest of a model's scores.

    Raises:
        InputError: it is missing or damaged.
    """
    again = f"run `cosmos evaluate --model {model}`"
    try:
        return RunManifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: missing; {again}") from None
    except ValidationError:
        raise InputError(f"{path}: damaged or of another release; {again}") from None


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
    image_timeout_s: float = 600,
    image_batch: int | None = None,
    prompt_batch: int | None = None,
    store: units.Units | None = None,
    only: Sequence[str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    here: bool = False,
    cluster: pool.Cluster | None = None,
) -> RunManifest:
    """Scores a model on built sources; writes `<source>.parquet` and `manifest.json` into the folder `out`.

    Args:
        data: the folder that holds one folder per built source.
        sources: all together they decide which cases are on the board.
        workers: processes; if not given as many as cores, or as GPUs.
        image_timeout_s: a part of a case may take so long per image.
        image_batch, prompt_batch: images encoded and prompts decoded together; as suits the device.
        store: where finished parts are kept; only those without a finished unit call the model.
        only: those of the sources to score; all of them if not given.
        progress: is told how many images are done, and of how many, whenever that changes.
        here: scores in this process, which is single-threaded, instead of others.
        cluster: to score on; a GPU that is asked for is looked for there.

    Raises:
        InputError: the model is unknown or a source is not built; `out` is as it was.
    """
    started = time.monotonic()
    options, board_rows = options or EvaluateOptions(), board_rows or BoardRows()
    kind = models.kind(model)
    kind.check()
    machine = machine_of(kind, options, image_batch, prompt_batch, elsewhere=cluster is not None)
    declaration = kind.declared(machine)
    if not sources:
        raise InputError(f"{data}: no built source; build one with `cosmos build SLUG`")
    scored = sources if only is None else [slug for slug in sources if slug in only]
    versions = {slug: shards.load_manifest(data / slug).version for slug in scored}
    board = wanted(declaration, data, sources, options, board_rows)
    cases = [(folder, case, names) for folder, case, names in board if case["source"] in scored]
    tasks = plan.tasks(declaration, machine, cases, protocol_version, store or units.Units("evaluate"))
    failures = _run(tasks, machine, workers, image_timeout_s, progress, here, cluster)
    with units.replacing(out) as folder:
        runs = {}
        for slug in scored:
            own = [task for task in tasks if task.part["source"] == slug]
            table = _assembled(own, failures, declaration, versions[slug])
            pq.write_table(table, folder / f"{slug}.parquet", compression="zstd")
            lost = table.filter(pc.equal(table["status"], "failed"))["image_id"]
            runs[slug] = SourceRun(
                version=versions[slug],
                cases=len({task.case for task in own}),
                scores=table.num_rows,
                failures={task.name: failures[task.key] for task in own if task.key in failures},
                failed_images=pc.unique(lost).to_pylist(),
            )
        manifest = RunManifest(
            protocol_version=protocol_version,
            declaration=declaration,
            strategies=_applied(declaration, options),
            not_applicable=declaration.not_applicable,
            rows=options.rows,
            sources=runs,
            seconds=round(time.monotonic() - started, 3),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n")
    return manifest


def keys(
    model: str,
    data: Path,
    *,
    sources: Sequence[str],
    protocol_version: int,
    options: EvaluateOptions,
    board_rows: BoardRows,
    elsewhere: bool = False,
) -> set[str]:
    """The units that the scores of an evaluation with these arguments of `evaluate` are made of.

    Args:
        elsewhere: as in `machine_of`.

    Raises:
        InputError: the model is unknown, or a source is not built.
    """
    kind = models.kind(model)
    machine = machine_of(kind, options, elsewhere=elsewhere)
    declaration = kind.declared(machine)
    cases = wanted(declaration, data, sources, options, board_rows)
    return {
        task.key
        for task in plan.tasks(declaration, machine, cases, protocol_version, units.Units("evaluate"))
    }


def machine_of(
    kind: type[Segmenter],
    options: EvaluateOptions,
    image_batch: int | None = None,
    prompt_batch: int | None = None,
    *,
    elsewhere: bool = False,
) -> Machine:
    """Where a model of this kind runs; `auto` is a GPU if this machine has one.

    Raises:
        InputError: on a GPU, and there is none, unless it would run `elsewhere`.
    """
    device = options.device
    if "cuda" not in kind.devices:
        device = "cpu"
    elif device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif device == "cuda" and not elsewhere:
        _gpus()
    return Machine(
        device=device,
        dtype=options.dtype,
        compiled=options.compiled,
        embeddings_gb=options.keep_embeddings,
        image_batch=image_batch,
        prompt_batch=prompt_batch,
    )


def wanted(
    declaration: Declaration,
    data: Path,
    sources: Sequence[str],
    options: EvaluateOptions,
    board_rows: BoardRows,
) -> Iterator[tuple[Path, dict[str, Any], tuple[str, ...]]]:
    """The cases of sources, in their order, each with its folder and the strategies to score it under."""
    cases = [case for slug in sources for case in shards.load_cases(data / slug)]
    applied = _applied(declaration, options)
    if options.rows == "all":
        under = dict.fromkeys(map(plan.case_id, cases), applied)
    else:
        under = strategies_of(
            cases,
            applied,
            images=board_rows.images_per_pair,
            images_everything=board_rows.images_per_pair_s1,
        )
    for case in cases:
        yield data / case["source"], case, under.get(plan.case_id(case), ())


def _applied(declaration: Declaration, options: EvaluateOptions) -> tuple[str, ...]:
    """The strategies to score, in the protocol's order: how they were asked for changes no unit's key."""
    return tuple(name for name in STRATEGIES if name in options.strategies and name in declaration.applies)


def _run(
    tasks: Sequence[Task],
    machine: Machine,
    workers: int | None,
    image_timeout_s: float,
    progress: Callable[[int, int], None],
    here: bool,
    cluster: pool.Cluster | None,
) -> dict[str, str]:
    """Scores what has no unit yet; returns key → reason for what could not be scored."""
    if machine.device == "cuda" and cluster is None:
        workers = min(workers or _gpus(), _gpus())
    pending = [task for task in tasks if not task.done]
    total = _images(tasks)
    kept = done = total - _images(pending)
    progress(done, total)
    label = f"evaluate {tasks[0].declaration.name} ({kept} images kept)" if tasks else "evaluate"
    failures: dict[str, str] = {}
    chunks = plan.chunks(pending, _CHUNK_IMAGES[machine.device])
    while chunks:
        again: list[tuple[Task, ...]] = []
        for outcome in pool.run(
            _score,
            chunks,
            workers=workers,
            timeout_s=image_timeout_s,
            label=label,
            unit="image",
            size=_images,
            here=here,
            cluster=cluster,
            gpu=machine.device == "cuda",
        ):
            left = [task for task in outcome.task if not task.done] if outcome.failure else []
            if len(outcome.task) > 1:  # one of them may have taken the others along
                again += [(task,) for task in left]
                done -= _images(left)
                left = []
            done += _images(outcome.task)
            progress(done, total)
            for task in left:
                failures[task.key] = str(outcome.failure)
                log.warning("%s/%s: %s", task.folder.name, task.name, outcome.failure)
        chunks = again
    return failures


def _images(tasks: Sequence[Task]) -> int:
    return sum(task.images for task in tasks)


def _score(chunk: Sequence[Task]) -> None:
    """Runs in a worker: tasks to units. What a case's digest does not cover comes in with `_assembled`."""
    first = chunk[0]
    try:
        model = models.get(first.declaration.name, first.machine)
    except InputError as error:
        raise pool.Fatal(str(error)) from None
    if model.declaration != first.declaration:  # its scores would get the key of another
        raise pool.Fatal(f"{first.declaration.name}: another model than when the run began; run it again")
    rows = (
        row for task in chunk for row in shards.read_case(task.folder, task.part, score.COLUMNS).to_pylist()
    )
    found = score.scores(model, rows, first.strategies, _threads(first.machine))
    try:
        for task in chunk:
            entries = [entry for image in islice(found, task.images) for entry in image]
            table = score.table(entries, model.declaration, source_version="")
            with task.units.write(task.key) as folder:
                pq.write_table(table, folder / _UNIT, compression="zstd")
    except DeviceLost:
        log.exception("the GPU is lost to this process")
        os._exit(1)  # nothing else in it could be computed either


def _threads(machine: Machine) -> int:
    """To measure masks in: beside a GPU the cores that are its share, beside a network on the CPU one."""
    return 1 if machine.device == "cpu" else max(len(os.sched_getaffinity(0)) // _gpus() - 2, 1)


def _gpus() -> int:
    from leaderboard.sam import gpus

    return gpus.count()


def _assembled(
    tasks: Sequence[Task], failures: Container[str], declaration: Declaration, version: str
) -> pa.Table:
    """All scores of one source in the order of its cases; what is among the failures is failed as a whole.

    The source's version and the case's patient are no part of a unit: they may change without its content.
    """
    tables = [score.SCORES_SCHEMA.empty_table()]
    for task in tasks:
        if task.key in failures:
            rows = shards.read_case(task.folder, task.part, score.KEY_COLUMNS)
            table = score.failed(declaration, rows, task.strategies, version)
        else:
            task.units.require(task.key)
            table = pq.read_table(task.units.path(task.key) / _UNIT, schema=score.SCORES_SCHEMA)
        tables.append(_filled(_filled(table, "source_version", version), "patient", task.part["patient"]))
    return pa.concat_tables(tables)


def _filled(table: pa.Table, column: str, value: str) -> pa.Table:
    place = table.schema.get_field_index(column)
    return table.set_column(place, table.field(place), pa.repeat(value, table.num_rows))
