"""Scores, headlines, intervals and ranks of one board (protocol, section 5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from leaderboard.statistics.aggregation import (
    DISTANCES,
    Floats,
    codes,
    image_means,
    pair_scores,
    patient_sums,
    spread,
)
from leaderboard.statistics.bootstrap import (
    FEWEST_PATIENTS,
    above_zero,
    headlines,
    interval,
    places,
    resample,
)

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Board:
    """One metric's board under one strategy and one selection.

    `pairs`: one row per (model, pair), sorted: the columns of `aggregate` and of `spread`, with `low` and
    `high`, both null with fewer than `FEWEST_PATIENTS` behind the mean, and the `rank` among all that have
    a score in the pair.
    `groups`: one row per group of pairs and model, sorted: `name`, `model`; `headline`, the mean over its
    pairs, `low`, `high` (null as in `pairs`); `pairs`, how many the model has a score in, of the group's
    `of_pairs`; `ranked`, whether that is all of them; `rank`, null if not; `patients` behind the headline.
    Where there are too few patients for an interval there is no evidence for an order: the rank is 1.
    """

    pairs: pa.Table
    groups: pa.Table


def board(
    scores: pa.Table,
    metric: str,
    *,
    patients: pa.Table,
    groups: Mapping[str, Sequence[str]],
    seed: int,
    draws: int = 10_000,
    ranks: bool = True,
) -> Board:
    """Aggregate, bootstrap and rank. A model changes no other model's scores, intervals or pairs.

    Args:
        scores, metric: as in `aggregate`, the rows of the board only.
        patients: the board's patients, columns `source` and `patient`, scored by a model or not.
        groups: name → the pairs that a headline is the mean of; together they are the board's pairs. A model
            that lacks a score in one of them is not ranked.
        seed, draws: of the bootstrap. Its memory is 8 bytes × models × pairs × draws, and a few counts.
        ranks: or none, where what stands for the models is not comparable; every rank is 1 then.

    Raises:
        ValueError: as in `aggregate`; or a score is of a patient or a pair that the board does not have.
    """
    names = sorted({pair for pairs in groups.values() for pair in pairs})
    images = image_means(scores, metric)
    sums = patient_sums(images)
    rows = pair_scores(sums)
    models = rows["model"].unique().sort().to_pylist()
    drawn = resample(sums, patients, models=models, pairs=names, seed=seed, draws=draws)

    at = places(rows["pair"], names), places(rows["model"], models)
    means = np.full((len(names), len(models)), np.nan)
    behind = np.zeros(means.shape, np.int64)
    means[at], behind[at] = _floats(rows["mean"]), rows["patients"].to_numpy()
    better = 0 if not ranks else -1 if metric in DISTANCES else 1
    found = [_compared(own, few, better) for own, few in zip(drawn, behind, strict=True)]
    low, high, rank = np.array(found).reshape(len(names), 3, len(models)).transpose(1, 0, 2)
    for name, ends in (("low", low), ("high", high)):
        rows = rows.append_column(name, _nullable(ends[at]))
    rows = rows.append_column("rank", pa.array(rank[at].astype(np.int64), mask=np.isnan(means[at])))
    people = _people(sums, models, names)
    tables = [
        _group(name, [names.index(pair) for pair in sorted(set(pairs))], models, means, drawn, people, better)
        for name, pairs in sorted(groups.items())
    ]
    return Board(_beside(rows, spread(images)), pa.concat_tables(tables))


def _group(
    name: str,
    pairs: Sequence[int],
    models: Sequence[str],
    means: Floats,
    drawn: Floats,
    people: Sequence[Sequence[Counts]],
    better: int,
) -> pa.Table:
    own = means[pairs]
    has = ~np.isnan(own)
    # Pair by pair, as for the draws' headlines: no model's sum depends on how many models there are.
    total = sum(np.nan_to_num(own), start=np.zeros(len(models)))
    headline = np.divide(total, has.sum(axis=0), out=np.full(len(models), np.nan), where=has.any(axis=0))
    ranked = np.asarray(has.all(axis=0))
    behind = np.array([_distinct([of_model[pair] for pair in pairs]) for of_model in people], np.int64)
    low, high, rank = _compared(headlines(drawn[pairs]), behind, better, ranked)
    table = {
        "name": pa.array([name] * len(models), pa.string()),
        "model": pa.array(models, pa.string()),
        "headline": _nullable(headline),
        "low": _nullable(low),
        "high": _nullable(high),
        "pairs": has.sum(axis=0),
        "of_pairs": np.full(len(models), len(pairs)),
        "ranked": ranked,
        "rank": pa.array(rank.astype(np.int64), mask=~ranked),
        "patients": behind,
    }
    return pa.table(table).filter(pa.array(has.any(axis=0)))


def _compared(
    draws: Floats, patients: Counts, better: int, ranked: npt.NDArray[np.bool_] | None = None
) -> tuple[Floats, Floats, Floats]:
    """Low and high ends and ranks of models (n,), by their draws (n, draws) and the patients behind them.

    NaN ends with too few patients; a rank is 1 + the number of ranked models whose paired interval of
    (theirs − this one's) lies above 0.
    """
    low, high = np.full((2, len(draws)), np.nan)
    enough = patients >= FEWEST_PATIENTS
    for row in np.flatnonzero(enough):
        low[row], high[row] = interval(draws[row])
    ranks = np.ones(len(draws))
    compared = np.flatnonzero(enough if ranked is None else enough & ranked)
    for this in compared if better else ():
        ranks[this] += sum(
            above_zero(better * (draws[other] - draws[this])) for other in compared if other != this
        )
    return low, high, ranks


def _people(sums: pa.Table, models: Sequence[str], pairs: Sequence[str]) -> list[list[Counts]]:
    """Of each model, and of each pair, the numbers of the patients with a value."""
    scored = sums.filter(pc.greater(sums["images"], 0))
    patient = codes(scored, ["source", "patient"])
    cell = places(scored["model"], models) * len(pairs) + places(scored["pair"], pairs)
    order = np.argsort(cell, kind="stable")
    ends = np.searchsorted(cell[order], np.arange(1, len(models) * len(pairs)))
    own = np.split(patient[order], ends)
    return [own[start : start + len(pairs)] for start in range(0, len(models) * len(pairs), len(pairs))]


def _distinct(numbers: Sequence[Counts]) -> int:
    return len(np.unique(np.concatenate(numbers)))


def _beside(rows: pa.Table, scatter: pa.Table) -> pa.Table:
    """The columns of both, by model and pair; `scatter` has a row of each that has a mean."""
    valued = pc.is_valid(rows["mean"]).to_numpy()
    at = pa.array(np.cumsum(valued) - 1, mask=~valued)
    for name in scatter.column_names[2:]:
        rows = rows.append_column(name, scatter[name].take(at))
    return rows


def _floats(column: pa.ChunkedArray) -> Floats:
    return pc.fill_null(column, float("nan")).to_numpy()


def _nullable(values: Floats) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))
