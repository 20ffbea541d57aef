"""The process that scores a submission, in its workspace: a quick check, then what `evaluate` does.

It ends with 0 when the scores are there, with `REFUSED` and a line of JSON when the model is at fault, with
anything else when it is not.
"""

import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmos1050k import pool, shards, units
from cosmos1050k.errors import InputError
from leaderboard import finetuned, models, score
from leaderboard.evaluate import SourceRun, evaluate, machine_of, wanted
from leaderboard.machine import Machine
from leaderboard.strategies import STRATEGIES
from leaderboard.submissions import workspace
from leaderboard.submissions.refusals import Refused
from leaderboard.submissions.workspace import REFUSED, SCORES, Job, job_of, scored, tell

#: How often parts are tried that no process got to the end with: each may have been killed.
_TRIES = 3
#: Estimates of a process's memory on a CPU: its own and an encoded image's, and a network's per number.
_PROCESS_BYTES, _NUMBER_BYTES = 1.5e9, 8
_TELL_S = 1.0


@dataclass(frozen=True)
class _Sample:
    """Images of a case to try a model on; picklable."""

    model: str
    machine: Machine
    folder: Path
    case: Mapping[str, Any]
    images: int
    strategies: tuple[str, ...]


def run(job: Job) -> None:
    """Scores a submission in its workspace, the present folder.

    Raises:
        Refused: the model is at fault.
        InputError: something else is.
    """
    order = job.order
    # To load the network in one more process takes longer than many a run; what a crash costs is tried again.
    here = job.workers == 1 and order.evaluate.device == "cpu"
    if here:
        pool.single_threaded()
    for slug, version in order.sources.items():
        if shards.load_manifest(job.data / slug).version != version:
            raise InputError(f"{slug}: of another version than the board's; build it again")
    # What its base was trained on is told here: the server and the worker do without torch.
    workspace.write_record(finetuned.on_base(order.record))
    kind = models.kind(order.record.name)
    kind.check()
    machine = machine_of(kind, order.evaluate, job.image_batch, job.prompt_batch)
    tell("quick check", 0, 0)
    _check(job, list(_samples(job, machine)))
    told = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal told
        if done == total or time.monotonic() - told >= _TELL_S:
            tell("scores", done, total)
            told = time.monotonic()

    for _ in range(_TRIES):
        manifest = evaluate(
            order.record.name,
            job.data,
            SCORES,
            sources=tuple(order.sources),
            only=scored(order),
            protocol_version=order.protocol_version,
            options=order.evaluate,
            board_rows=order.board_rows,
            workers=_workers(job, machine),
            image_timeout_s=order.limits.image_timeout_s,
            image_batch=job.image_batch,
            prompt_batch=job.prompt_batch,
            store=units.Units("evaluate", job.units or units.UNITS),
            progress=progress,
            here=here,
        )
        left = _unscored(manifest.sources)
        if not left:
            return
    raise InputError(f"{len(left)} parts could not be scored: {left[0]}; try again")


def _unscored(runs: Mapping[str, SourceRun]) -> list[str]:
    return [f"{slug}/{name}: {why}" for slug, run in runs.items() for name, why in run.failures.items()]


def _workers(job: Job, machine: Machine) -> int | None:
    """So many processes as the run may have memory for; each holds the network."""
    if job.workers or machine.device == "cuda":
        return job.workers
    each = _PROCESS_BYTES + _NUMBER_BYTES * models.kind(job.order.record.name).declaration.parameters
    return max(min(pool.workers_or_all(None), int(job.order.limits.memory_gb * 1e9 / each)), 1)


def _samples(job: Job, machine: Machine) -> Iterator[_Sample]:
    """About `check_images` images of the board, spread over the sources and, in each, over its cases."""
    order = job.order
    declaration = models.kind(order.record.name).declared(machine)
    sources = scored(order)
    most = -(-order.limits.check_images // len(sources))
    board = list(wanted(declaration, job.data, tuple(order.sources), order.evaluate, order.board_rows))
    for slug in sources:
        own = [(folder, case, names) for folder, case, names in board if case["source"] == slug and names]
        cases = own[:: max(len(own) // most, 1)][:most]
        for folder, case, names in cases:
            # Everything takes minutes; a model that answers no prompt finds nothing without one either.
            prompted = tuple(name for name in names if not STRATEGIES[name].everything) or names
            yield _Sample(order.record.name, machine, folder, case, -(-most // len(cases)), prompted)


def _check(job: Job, samples: list[_Sample]) -> None:
    """Tries the model on images, until it gives an answer for one.

    Raises:
        Refused: it fails on all of them.
    """
    if not samples:
        return
    failure = _failure(samples, job.order.limits.image_timeout_s)
    if failure is not None:
        raise Refused("fails", f"the model fails on every image of the quick check ({failure}); mend it")


def _failure(samples: list[_Sample], image_timeout_s: float) -> str | None:
    """What the model fails with on every image, if it does."""
    if samples[0].machine.device == "cpu":
        return _tried(samples)  # here: to load it in another process takes longer than to ask it
    timeout_s = image_timeout_s * sum(sample.images for sample in samples)
    for _ in range(_TRIES):
        # In a process of its own, which gives the GPU back when it ends.
        (outcome,) = pool.run(_tried, [samples], workers=1, timeout_s=timeout_s, label="quick check")
        if outcome.failure is None:
            return outcome.result
    raise InputError(f"quick check: {outcome.failure}")


def _tried(samples: list[_Sample]) -> str | None:
    """What the model fails with, or None once it gave an answer."""
    try:
        model = models.get(samples[0].model, samples[0].machine)
    except InputError as error:
        raise pool.Fatal(str(error)) from None
    said = _First()
    logging.getLogger(score.__name__).addHandler(said)
    rows = 0
    for sample in samples:
        table = shards.read_case(sample.folder, dict(sample.case), score.COLUMNS).slice(0, sample.images)
        statuses = score.score(model, table, sample.strategies, "")["status"].to_pylist()
        if any(status != "failed" for status in statuses):
            return None
        rows += len(statuses)
    return said.text if rows else None


class _First(logging.Handler):
    """Keeps the first line that is logged."""

    text = "without a word"

    def emit(self, record: logging.LogRecord) -> None:
        self.text = " ".join(record.getMessage().split())[:300]
        self.setLevel(logging.CRITICAL)


def main() -> None:
    logging.basicConfig(format="%(levelname)s: %(message)s")
    try:
        run(job_of(Path()))
    except Refused as refused:
        print(json.dumps({"code": refused.code, "message": str(refused)}))  # noqa: T201 (read by the worker)
        sys.exit(REFUSED)
    except InputError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
