"""What batch sizes, threads, data types and devices change of a model's scores (protocol, section 5).

Numerics whose tolerance is small enough may share a board.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from tqdm import tqdm

from cosmos1050k import shards
from leaderboard import models, score
from leaderboard.board_rows import board_cases
from leaderboard.machine import Machine
from leaderboard.plan import case_id
from leaderboard.selection import SELECTIONS

TOLERANCES = Path("leaderboard/state/tolerance")
#: Numerics that differ by less than this in every pair's score may share a board.
SHARED_BELOW = 1e-3


class Run(BaseModel):
    """One way to run a model, and how far its DICE is from that of the reference.

    Args:
        objects: the largest difference of one object's DICE under one strategy, of either selection.
        pairs: the largest difference of a mean over the objects of a pair under one strategy.
        changed: the share of objects' DICE values that differ at all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    machine: Machine
    threads: int | None
    objects: float
    pairs: float
    changed: float

    @property
    def name(self) -> str:
        batches = (("images", self.machine.image_batch), ("prompts", self.machine.prompt_batch))
        more = [f"{count} {what} at a time" for what, count in batches if count]
        threads = [f"{self.threads} threads"] if self.threads else []
        return ", ".join([self.machine.device, self.machine.numerics, *more, *threads])


class Tolerance(BaseModel):
    """What was measured of one model's weights, against one machine, on so many images of some sources."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    model: str
    weights_sha256: str | None
    sources: dict[str, str]
    images: int
    scores: int
    reference: Machine
    runs: tuple[Run, ...]


def measure(
    model: str, data: Path, sources: Sequence[str], strategies: Sequence[str], images: int
) -> Tolerance:
    """Scores the same images in every way this machine can, against float32, one by one, on the CPU.

    Args:
        images: the first so many of the board.

    Raises:
        InputError: the model is unknown, its weights are missing, or a source is not built.
    """
    kind = models.kind(model)
    kind.check()
    rows = pa.Table.from_batches(
        [batch for table in _rows(data, sources, images) for batch in table.to_batches()]
    ).slice(0, images)
    reference = Machine(image_batch=1, prompt_batch=1)
    expected = _scores(model, reference, None, rows, strategies)
    runs = []
    for machine, threads in tqdm(list(_ways()), desc=f"tolerance {model}", unit=" way", disable=None):
        found = _scores(model, machine, threads, rows, strategies)
        runs.append(Run(machine=machine, threads=threads, **_differences(expected, found)))
    declared = kind.declared(reference)
    return Tolerance(
        model=model,
        weights_sha256=declared.weights_sha256,
        sources={slug: shards.load_manifest(data / slug).version for slug in sources},
        images=rows.num_rows,
        scores=expected.num_rows,
        reference=reference,
        runs=tuple(runs),
    )


def _rows(data: Path, sources: Sequence[str], images: int) -> Iterator[pa.Table]:
    """The board's cases, those of each pair in turn, until there are images enough."""
    cases = [case for slug in sources for case in shards.load_cases(data / slug)]
    by_id = {case_id(case): case for case in cases}
    queues = [list(chosen) for chosen in board_cases(cases, images).values()]
    taken: dict[Any, int] = {}
    while any(queues) and sum(taken.values()) < images:
        for queue in queues:
            if queue and (case := queue.pop(0)) not in taken:
                taken[case] = by_id[case]["rows"]
    for case in taken:
        entry = by_id[case]
        yield shards.read_case(data / entry["source"], entry, score.COLUMNS)


def _ways() -> Iterator[tuple[Machine, int | None]]:
    """Machine and threads of every run beside the reference."""
    import torch

    yield Machine(image_batch=1, prompt_batch=1), 1
    yield Machine(image_batch=4, prompt_batch=8), None
    yield Machine(prompt_batch=64), None
    yield Machine(round_embeddings=True), None
    yield Machine(dtype="bfloat16"), None
    if torch.cuda.is_available():
        yield Machine(device="cuda"), None
        yield Machine(device="cuda", image_batch=1, prompt_batch=1), None
        yield Machine(device="cuda", dtype="bfloat16"), None
        yield Machine(device="cuda", dtype="float16"), None
        yield Machine(device="cuda", dtype="float16", compiled=True), None


def _scores(
    model: str, machine: Machine, threads: int | None, rows: pa.Table, strategies: Sequence[str]
) -> pa.Table:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        return score.score(models.kind(model).on(machine), rows, strategies, source_version="")
    finally:
        torch.set_num_threads(before)


def _differences(expected: pa.Table, found: pa.Table) -> dict[str, float]:
    columns = [f"dice_{selection}" for selection in SELECTIONS]
    groups = expected.select(["pair", "strategy"]).to_pylist()
    names = np.array([f"{group['pair']} {group['strategy']}" for group in groups])
    gaps = [_values(found, column) - _values(expected, column) for column in columns]
    # Everything has one selection: what is null in both is no difference.
    gaps = [np.nan_to_num(gap) for gap in gaps]
    every = np.concatenate(gaps) if len(names) else np.zeros(1)
    means = [abs(float(gap[names == name].mean())) for gap in gaps for name in np.unique(names)]
    return {
        "objects": float(np.abs(every).max()),
        "pairs": max(means, default=0.0),
        "changed": float(np.count_nonzero(every) / len(every)),
    }


def _values(table: pa.Table, column: str) -> NDArray[np.float64]:
    return np.array(table[column].to_pylist(), np.float64)
