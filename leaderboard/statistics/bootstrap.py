"""The seeded bootstrap over patients (protocol, section 5)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

LEVEL = 0.95  # of every interval
FEWEST_PATIENTS = 20  # fewer are "few cases": no interval

_DRAWS_AT_ONCE = 500  # bounds the memory of the counts; the draws do not depend on it

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Draws:
    """What every draw gives: `pairs` (pairs, models, draws) and `headlines` (models, draws).

    NaN where the draw has no patient with a value: the pair is left out of that draw's headline.
    """

    pairs: Floats
    headlines: Floats


@dataclass(frozen=True)
class _Pair:
    """One pair's patients (k,), and each model's sums and numbers of images over them (models, k)."""

    patients: npt.NDArray[np.intp]
    sums: Floats
    images: Floats


def resample(
    sums: pa.Table, patients: pa.Table, *, models: Sequence[str], pairs: Sequence[str], seed: int, draws: int
) -> Draws:
    """Draw the board's patients with replacement within each source: one draw for all pairs and models.

    Args:
        sums: the rows of `patient_sums`.
        patients: the board's patients, columns `source` and `patient`; order and repeats do not matter.
        models, pairs: the axes of the result; every row of `sums` is of one of them.
        seed: with `patients` it decides the draws, and nothing else does.
        draws: how many.

    Raises:
        ValueError: a row of `sums` is of a patient or a pair that the board does not have.
    """
    keys = ["source", "patient"]
    board = patients.group_by(keys).aggregate([]).sort_by([(key, "ascending") for key in keys])
    by_pair = _by_pair(sums, board, models, pairs)
    sizes = np.unique(board["source"].to_numpy(), return_counts=True)[1]
    # A stream per source, so that the draws are the same however many are taken at once.
    streams = np.random.default_rng(seed).spawn(len(sizes))

    scores = np.full((len(pairs), len(models), draws), np.nan)
    total = np.zeros((len(models), draws))
    present = np.zeros((len(models), draws))
    for start in range(0, draws, _DRAWS_AT_ONCE):
        now = slice(start, min(start + _DRAWS_AT_ONCE, draws))
        counts = _counts(streams, sizes, now.stop - now.start)
        for score, pair in zip(scores, by_pair, strict=True):
            drawn = counts[pair.patients]
            weight = pair.images @ drawn
            np.divide(pair.sums @ drawn, weight, out=score[:, now], where=weight > 0)
            total[:, now] += np.where(weight > 0, score[:, now], 0)
            present[:, now] += weight > 0
    headlines = np.divide(total, present, out=np.full_like(total, np.nan), where=present > 0)
    return Draws(scores, headlines)


def interval(values: Floats) -> tuple[float, float]:
    """The ends of the percentile interval of `values` (draws,), NaN left out."""
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _counts(streams: list[np.random.Generator], sizes: npt.NDArray[np.intp], draws: int) -> Floats:
    """How often each patient is drawn, (patients, draws): as many draws in a source as it has patients."""
    counts = np.empty((sizes.sum(), draws))
    for stream, size, end in zip(streams, sizes, np.cumsum(sizes), strict=True):
        cells = stream.integers(size, size=(draws, size)) * draws + np.arange(draws)[:, None]
        counts[end - size : end] = np.bincount(cells.ravel(), minlength=size * draws).reshape(size, draws)
    return counts


def _by_pair(sums: pa.Table, board: pa.Table, models: Sequence[str], pairs: Sequence[str]) -> list[_Pair]:
    numbered = board.append_column("row", pa.array(np.arange(len(board))))
    rows = sums.join(numbered, ["source", "patient"], join_type="left outer")
    model = pc.index_in(rows["model"], pa.array(models, pa.string()))
    pair = pc.index_in(rows["pair"], pa.array(pairs, pa.string()))
    if rows["row"].null_count or pair.null_count:
        raise ValueError("scores of a patient or a pair that the board does not have")
    model, pair, patient = (column.to_numpy().astype(np.intp) for column in (model, pair, rows["row"]))
    value = pc.fill_null(rows["sum"], 0.0).to_numpy()
    images = rows["images"].to_numpy()

    order = np.argsort(pair, kind="stable")
    found = []
    for own in np.split(order, np.searchsorted(pair[order], np.arange(1, len(pairs)))):
        who, column = np.unique(patient[own], return_inverse=True)
        table = np.zeros((2, len(models), len(who)))
        table[0, model[own], column] = value[own]
        table[1, model[own], column] = images[own]
        found.append(_Pair(who, table[0], table[1]))
    return found
