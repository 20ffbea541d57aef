"""Spearman's partial correlation (protocol, section 6; paper, table 6)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import stdtr

Floats = npt.NDArray[np.float64]

#: Of a column's spread: less is left by rounding alone when others explain it whole.
_NOTHING = 1e-9
#: So near to 1 a correlation is 1.
_ROUNDING = 1e-12


class Partial(NamedTuple):
    """A partial correlation and its two-sided p, null where it is not defined, and the rows behind it."""

    rho: float | None
    p: float | None
    rows: int


def spearman_partial(table: pa.Table, first: str, second: str, held: Sequence[str]) -> Partial:
    """The correlation of two columns' ranks, those of others held: of what least squares on them leave over.

    Ties share their mean rank. p is Student's, of n − 2 − k degrees of freedom. A row with a null or NaN in
    one of these columns is left out, of this call alone. A held column that is constant holds nothing, and is
    not counted in k.

    Args:
        table: numeric or boolean columns.
        first, second, held: names of columns, all different.

    Returns:
        Null where one of the two is constant or given by the held ones, and where n − 2 − k is below 1.
    """
    names = [first, second, *held]
    if len(set(names)) < len(names):
        raise ValueError(f"columns twice in {names}")
    ranks = _ranks(table, names)
    rows = ranks.shape[1]
    nothing = Partial(None, None, rows)
    spreads = np.linalg.norm(ranks, axis=1)
    others = ranks[2:][spreads[2:] > 0]
    freedom = rows - 2 - len(others)
    if freedom < 1:
        return nothing
    pair = ranks[:2]
    if len(others):
        pair = pair - (np.linalg.lstsq(others.T, pair.T)[0].T @ others)
    left = np.linalg.norm(pair, axis=1)
    if (left <= _NOTHING * spreads[:2]).any():
        return nothing
    rho = float(np.clip(pair[0] @ pair[1] / left.prod(), -1.0, 1.0))
    if 1 - abs(rho) < _ROUNDING:
        return Partial(rho, 0.0, rows)
    t = abs(rho) * np.sqrt(freedom / ((1 - rho) * (1 + rho)))
    return Partial(rho, float(2 * stdtr(freedom, -t)), rows)


def _ranks(table: pa.Table, names: Sequence[str]) -> Floats:
    """Columns × rows: the ranks in the rows without a gap, of mean 0."""
    columns = np.array([pc.fill_null(table[name].cast(pa.float64()), np.nan).to_numpy() for name in names])
    whole = columns[:, ~np.isnan(columns).any(axis=0)]
    return np.array([_ranked(column) for column in whole]) - (whole.shape[1] + 1) / 2


def _ranked(column: Floats) -> Floats:
    """Ranks from 1; equal values share the mean of theirs. (`scipy.stats` takes a second to import.)"""
    _, place, counts = np.unique(column, return_inverse=True, return_counts=True)
    return (counts.cumsum() - (counts - 1) / 2)[place]
