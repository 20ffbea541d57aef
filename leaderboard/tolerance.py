"""What batch sizes, threads, data types and devices change of a model's scores (protocol, section 5).

Numerics whose tolerance is small enough may share a board.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from tqdm import tqdm

from cosmos1050k import shards
from cosmos1050k.errors import InputError
from leaderboard import models, score
from leaderboard.board_images import board_images
from leaderboard.machine import MEASURED, Machine
from leaderboard.selection import SELECTIONS

TOLERANCES = MEASURED / "tolerance"
#: Numerics that differ by less than this in every pair's score may share a board.
SHARED_BELOW = 1e-3


class Run(BaseModel):
    """One way to run a model, and how far its DICE is from that of the reference.

    Args:
        objects: the largest difference of one object's DICE under one strategy, of either selection.
        pairs: the largest difference of a pair's score under one strategy, as the board counts it.
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
        images: so many test images of the sources, spread over pairs and cases.

    Raises:
        InputError: the model is unknown, its weights are missing, or a source is not built.
    """
    kind = models.kind(model)
    kind.check()
    if "cuda" not in kind.devices:
        raise InputError(f"{model}: computes the same whatever the batch, data type or device")
    rows = board_images(data, sources, images)
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
        found = score.score(models.kind(model).on(machine), rows, strategies, source_version="")
    finally:
        torch.set_num_threads(before)
    if lost := found.filter(pc.equal(found["status"], "failed"))["image_id"].to_pylist():
        raise InputError(f"{model} failed on {lost[0]} with {machine.device}, {machine.numerics}; see above")
    return found


def _differences(expected: pa.Table, found: pa.Table) -> dict[str, float]:
    columns = [f"dice_{selection}" for selection in SELECTIONS]
    keys = [tuple(row.values()) for row in expected.select(["pair", "strategy", "image_id"]).to_pylist()]
    gaps = [_values(found, column) - _values(expected, column) for column in columns]
    # Everything has one selection: what is null in both is no difference.
    gaps = [np.nan_to_num(gap) for gap in gaps]
    every = np.concatenate([*gaps, np.zeros(1)])
    return {
        "objects": float(np.abs(every).max()),
        "pairs": max(_of_pairs(keys, gap) for gap in gaps),
        "changed": float(np.count_nonzero(every) / len(every)),
    }


def _of_pairs(keys: Sequence[tuple[str, ...]], gaps: NDArray[np.float64]) -> float:
    """The largest difference of a pair's score: the mean over images of the mean over their objects."""
    images: dict[tuple[str, ...], list[float]] = {}
    for key, gap in zip(keys, gaps.tolist(), strict=True):
        images.setdefault(key, []).append(gap)
    pairs: dict[tuple[str, ...], list[float]] = {}
    for key, own in images.items():
        pairs.setdefault(key[:2], []).append(fmean(own))
    return max((abs(fmean(own)) for own in pairs.values()), default=0.0)


def _values(table: pa.Table, column: str) -> NDArray[np.float64]:
    return np.array(table[column].to_pylist(), np.float64)
