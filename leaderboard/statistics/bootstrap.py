"""The seeded bootstrap over patients (protocol, section 5)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from leaderboard.statistics.aggregation import Floats, Indices, codes, encode, plain

LEVEL = 0.95  # of every interval
FEWEST_PATIENTS = 20  # fewer are "few cases": no interval

_DRAWS_AT_ONCE = 500  # bounds the memory of the counts; the draws do not depend on it
_TAIL = (1 - LEVEL) / 2


@dataclass(frozen=True)
class _Pair:
    """One pair's patients, a range of the board's or a list of them, and over them (models, k) each model's
    sums and numbers of images; numbers that all models share are one row."""

    patients: slice | Indices
    sums: Floats
    images: Floats


def resample(
    sums: pa.Table, patients: pa.Table, *, models: Sequence[str], pairs: Sequence[str], seed: int, draws: int
) -> Floats:
    """Draws the board's patients with replacement within each source: one draw for all pairs and models.

    Args:
        sums: the rows of `patient_sums`.
        patients: the board's patients, columns `source` and `patient`; order and repeats do not matter.
        models, pairs: the axes of the result; every row of `sums` is of one of them.
        seed: with `patients` it decides the draws, and nothing else does.
        draws: how many.

    Returns:
        The score of every draw (pairs, models, draws), NaN where it has no patient with a value.

    Raises:
        ValueError: a row of `sums` is of a patient or a pair that the board does not have.
    """
    keys = ["source", "patient"]
    distinct = plain(patients, keys).group_by(keys).aggregate([])
    board = distinct.sort_by([(key, "ascending") for key in keys])
    by_pair = _by_pair(sums, board, models, pairs)
    # A stream per source, so that the draws are the same however many are taken at once.
    sizes = pc.value_counts(board["source"]).field("counts").to_numpy()
    streams = np.random.default_rng(seed).spawn(len(sizes))
    scores = np.full((len(pairs), len(models), draws), np.nan)
    for start in range(0, draws, _DRAWS_AT_ONCE):
        now = slice(start, min(start + _DRAWS_AT_ONCE, draws))
        counts = _counts(streams, sizes, now.stop - now.start)
        for score, pair in zip(scores, by_pair, strict=True):
            drawn = counts[pair.patients]
            weight = pair.images @ drawn
            np.divide(pair.sums @ drawn, weight, out=score[:, now], where=weight > 0)
    return scores


def headlines(scores: Floats) -> Floats:
    """The mean over pairs of every draw (models, draws), of `resample`'s scores (pairs, models, draws).

    A pair absent from a draw is left out of that draw's mean; NaN where all are.
    """
    total, present = np.zeros(scores.shape[1:]), np.zeros(scores.shape[1:])
    for score in scores:  # pair by pair, so that no model's sum depends on how many models there are
        has = ~np.isnan(score)
        total += np.where(has, score, 0)
        present += has
    return np.divide(total, present, out=np.full_like(total, np.nan), where=present > 0)


def interval(values: Floats) -> tuple[float, float]:
    """The ends of the percentile interval of `values` (draws,), NaN left out."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [_TAIL, 1 - _TAIL])
    return float(low), float(high)


def above_zero(differences: Floats) -> bool:
    """Whether the interval of `differences` (draws,) lies above 0: `interval(differences)[0] > 0`, faster."""
    known = differences[~np.isnan(differences)]
    if not len(known):
        return False
    below = int(np.count_nonzero(known <= 0))
    # The low end lies between the sorted values number `at` and `at + 1`.
    at = int(np.floor(_TAIL * (len(known) - 1)))
    if below <= at:
        return True
    return below == at + 1 and interval(known)[0] > 0


def _counts(streams: list[np.random.Generator], sizes: npt.NDArray[np.int64], draws: int) -> Floats:
    """How often each patient is drawn, (patients, draws): as many draws in a source as it has patients."""
    counts = np.empty((sizes.sum(), draws))
    for stream, size, end in zip(streams, sizes, np.cumsum(sizes), strict=True):
        cells = stream.integers(size, size=(draws, size)) * draws + np.arange(draws)[:, None]
        counts[end - size : end] = np.bincount(cells.ravel(), minlength=size * draws).reshape(size, draws)
    return counts


def _by_pair(sums: pa.Table, board: pa.Table, models: Sequence[str], pairs: Sequence[str]) -> list[_Pair]:
    model, pair = (places(sums[name], names) for name, names in (("model", models), ("pair", pairs)))
    patient = _patients(sums, board)
    if (patient < 0).any() or (pair < 0).any():
        raise ValueError("scores of a patient or a pair that the board does not have")
    value, images = sums["sum"].to_numpy(), sums["images"].to_numpy()
    order = np.argsort(pair, kind="stable")
    found = []
    for own in np.split(order, np.searchsorted(pair[order], np.arange(1, len(pairs)))):
        who, column = np.unique(patient[own], return_inverse=True)
        where: slice | Indices = who
        size = len(who)
        if size and 2 * size > who[-1] - who[0] + 1:  # dense: a range costs no copy per draw
            where, column = slice(who[0], who[-1] + 1), patient[own] - who[0]
            size = who[-1] - who[0] + 1
        table = np.zeros((2, len(models), size))
        table[0, model[own], column] = value[own]
        table[1, model[own], column] = images[own]
        shared = (table[1] == table[1][:1]).all()
        found.append(_Pair(where, table[0], table[1][:1] if shared else table[1]))
    return found


def places(column: pa.ChunkedArray, names: Sequence[str]) -> Indices:
    """Where each value stands among the names; −1 if it doesn't."""
    encoded = encode(column)
    known = {name: place for place, name in enumerate(names)}
    table = np.array([known.get(name, -1) for name in encoded.dictionary.to_pylist()], np.intp)
    return table[encoded.indices.to_numpy()]


def _patients(sums: pa.Table, board: pa.Table) -> Indices:
    """The row of each patient of `sums` in `board`; −1 if it has none."""
    keys = ["source", "patient"]
    numbers = codes(pa.concat_tables([board.select(keys), plain(sums.select(keys), keys)]), keys)
    known, asked = np.split(numbers, [board.num_rows])
    order = np.argsort(known)
    at = np.minimum(np.searchsorted(known[order], asked), len(known) - 1)
    return np.where(known[order][at] == asked, order[at], -1)
