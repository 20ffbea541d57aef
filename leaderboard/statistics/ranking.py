"""Scores, headlines, intervals and ranks of one board (protocol, section 5)."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from leaderboard.statistics.aggregation import DISTANCES, pair_scores, patient_sums
from leaderboard.statistics.bootstrap import FEWEST_PATIENTS, Floats, interval, resample


@dataclass(frozen=True)
class Board:
    """One metric's board under one strategy and one selection.

    `pairs`: one row per (model, pair), sorted: the columns of `aggregate`, with `low`, `high` after `mean`;
    both null with fewer than `FEWEST_PATIENTS` behind the mean.
    `models`: one row per model, sorted: `model`; `headline`, `low`, `high` (null as in `pairs`); `pairs`, how
    many it has a score in, of the board's `of_pairs`; `ranked`, whether that is all of them; `rank`, null if
    not; `patients` behind the headline.
    `intervals`: whether the board has patients enough for any. Without one there is no evidence for an order,
    and a ranked model has rank 1.
    """

    pairs: pa.Table
    models: pa.Table
    intervals: bool


def board(
    scores: pa.Table,
    metric: str,
    *,
    patients: pa.Table,
    pairs: Iterable[str],
    seed: int,
    draws: int = 10_000,
) -> Board:
    """Aggregate, bootstrap and rank. A model changes no other model's scores, intervals or pairs.

    Args:
        scores, metric: as in `aggregate`, the rows of the board only.
        patients: the board's patients, columns `source` and `patient`, scored by a model or not.
        pairs: the board's pairs; a model that lacks a score in one of them is not ranked.
        seed, draws: of the bootstrap. Its memory is 8 bytes × models × pairs × draws, and a few counts.

    Raises:
        ValueError: as in `aggregate`; or a score is of a patient or a pair that the board does not have.
    """
    names = sorted(set(pairs))
    sums = patient_sums(scores, metric)
    rows = pair_scores(sums)
    models = sorted(rows["model"].unique().to_pylist())
    drawn = resample(sums, patients, models=models, pairs=names, seed=seed, draws=draws)

    at = (
        pc.index_in(rows["pair"], pa.array(names, pa.string())).to_numpy(),
        pc.index_in(rows["model"], pa.array(models, pa.string())).to_numpy(),
    )
    means = np.full((len(names), len(models)), np.nan)
    behind = np.zeros(means.shape, dtype=np.int64)
    means[at] = rows["mean"].to_numpy()
    behind[at] = rows["patients"].to_numpy()
    ends = [_intervals(values, enough) for values, enough in zip(drawn.pairs, behind, strict=True)]
    low, high = np.array(ends).reshape(len(names), 2, len(models)).transpose(1, 0, 2)
    rows = rows.add_column(3, "low", _nullable(low[at])).add_column(4, "high", _nullable(high[at]))

    people = _patients(sums, models)
    table = _models(models, means, drawn.headlines, people, lower_is_better=metric in DISTANCES)
    distinct = patients.group_by(["source", "patient"]).aggregate([]).num_rows
    return Board(rows, table, intervals=distinct >= FEWEST_PATIENTS)


def _models(
    models: list[str],
    means: Floats,
    draws: Floats,
    patients: npt.NDArray[np.int64],
    *,
    lower_is_better: bool,
) -> pa.Table:
    has = ~np.isnan(means)
    # Pair by pair, as for the draws' headlines: no model's sum depends on how many models there are.
    total = sum(np.nan_to_num(means), start=np.zeros(len(models)))
    headline = np.divide(total, has.sum(axis=0), out=np.full(len(models), np.nan), where=has.any(axis=0))
    low, high = _intervals(draws, patients)
    ranked = has.all(axis=0)
    places = _ranks(-draws if lower_is_better else draws, ranked & ~np.isnan(low))
    return pa.table(
        {
            "model": pa.array(models, pa.string()),
            "headline": _nullable(headline),
            "low": _nullable(low),
            "high": _nullable(high),
            "pairs": has.sum(axis=0),
            "of_pairs": np.full(len(models), len(means)),
            "ranked": ranked,
            "rank": pa.array(places, mask=~ranked),
            "patients": patients,
        }
    )


def _ranks(headlines: Floats, compared: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """1 + the number of compared models whose paired interval of (theirs − this one's) lies above 0."""
    ranks = np.ones(len(headlines), dtype=np.int64)
    for this in np.flatnonzero(compared):
        ranks[this] += sum(interval(other - headlines[this])[0] > 0 for other in headlines[compared])
    return ranks


def _intervals(draws: Floats, patients: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Ends (n,) for each row of `draws` (n, draws), NaN where too few patients (n,) are behind it."""
    low, high = np.full((2, len(draws)), np.nan)
    for row in np.flatnonzero(patients >= FEWEST_PATIENTS):
        low[row], high[row] = interval(draws[row])
    return low, high


def _patients(sums: pa.Table, models: list[str]) -> npt.NDArray[np.int64]:
    scored = sums.filter(pc.greater(sums["images"], 0)).group_by(["model", "source", "patient"]).aggregate([])
    which = pc.index_in(scored["model"], pa.array(models, pa.string())).to_numpy()
    return np.bincount(which, minlength=len(models))


def _nullable(values: Floats) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))
