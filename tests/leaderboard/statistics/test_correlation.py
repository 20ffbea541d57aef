"""Spearman's partial correlation against pingouin, a worked case, and what is not defined."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from leaderboard.statistics.correlation import spearman_partial


def oracle(table: pa.Table, held: list[str]) -> tuple[float, float, int]:
    import pingouin  # takes seconds

    frame = table.to_pandas().astype(float)
    found = pingouin.partial_corr(frame, x="x", y="y", covar=held or None, method="spearman")
    return found["r"].item(), found["p_val"].item(), found["n"].item()


def check(table: pa.Table, held: list[str]) -> None:
    rho, p, rows = oracle(table, held)
    found = spearman_partial(table, "x", "y", held)
    assert found.rho == pytest.approx(rho, abs=1e-12, rel=0)
    assert found.rows == rows
    if math.isclose(rho**2, 1, rel_tol=1e-4):  # pingouin says 0 there
        assert found.p is not None
        assert found.p < 0.1
    else:
        assert found.p == pytest.approx(p, abs=1e-12, rel=0)


@pytest.mark.slow
@given(
    seed=st.integers(0, 2**32),
    held=st.integers(1, 4),
    rows=st.integers(8, 60),
    values=st.integers(2, 60),
    gaps=st.sampled_from([0, 0.02, 0.1]),
    shared=st.floats(0, 1),
)
def test_equal_to_pingouin(seed: int, held: int, rows: int, values: int, gaps: float, shared: float) -> None:
    """Columns with more or less in common, in few values, so that there are ties, or in many, with gaps."""
    rng = np.random.default_rng(seed)
    names = ["x", "y", *(f"h{number}" for number in range(held))]
    found = shared * rng.normal(size=rows) + rng.normal(size=(len(names), rows))
    found = np.floor(found * values / 4)
    found[rng.random(found.shape) < gaps] = np.nan
    table = pa.table({name: pa.array(c, from_pandas=True) for name, c in zip(names, found, strict=True)})
    whole = found[:, ~np.isnan(found).any(axis=0)]
    assume(whole.shape[1] >= len(names) + 1 and (np.ptp(whole, axis=1) > 0).all())
    assume(np.linalg.cond(np.corrcoef(whole)) < 1e3)  # or pingouin's inverse is not good to 1e-12
    check(table, names[2:])


@pytest.mark.slow
@pytest.mark.parametrize("rows", [7, 40, 3000])
def test_equal_to_pingouin_on_attributes(rows: int) -> None:
    rng = np.random.default_rng(rows)
    size = rng.integers(1, 400, rows)
    table = pa.table(
        {
            "x": rng.beta(5, 2, rows),
            "y": size,
            "h1": size * rng.uniform(0.2, 3, rows),
            "h2": [None if number % 7 == 3 else value for number, value in enumerate(rng.normal(size=rows))],
            "h3": rng.integers(1, 4, rows),
        }
    )
    check(table, ["h1", "h2", "h3"][: 2 if rows == 7 else 3])


def test_a_worked_case() -> None:
    # Ranks of x 1 2 3 4 5, of y 2 1 4 3 5, of h 1 3 2 5 4: Σd² = 4 for x and y, 4 for x and h, 14 for y and
    # h, so r = 1 − 6Σd²/120 = 0.8, 0.8, 0.3. With 2 degrees of freedom p = 1 − t/√(2 + t²) = 1 − |r|.
    table = pa.table({"x": [10, 20, 30, 40, 50], "y": [5, 1, 9, 7, 80], "h": [0.1, 0.3, 0.2, 0.9, 0.4]})
    expected = (0.8 - 0.8 * 0.3) / math.sqrt((1 - 0.8**2) * (1 - 0.3**2))
    assert spearman_partial(table, "x", "y", ["h"]) == pytest.approx((expected, 1 - expected, 5))
    assert spearman_partial(table, "x", "y", []).rho == pytest.approx(0.8)


def test_ties_share_their_mean_rank() -> None:
    # Ranks of x 1.5 1.5 3 4, of y 1 3 3 3.
    table = pa.table({"x": [1, 1, 2, 3], "y": [4, 8, 8, 8]})
    ranks = np.array([[1.5, 1.5, 3, 4], [1, 3, 3, 3]]) - 2.5
    expected = (ranks[0] @ ranks[1]) / math.sqrt((ranks[0] @ ranks[0]) * (ranks[1] @ ranks[1]))
    assert spearman_partial(table, "x", "y", []).rho == pytest.approx(expected)


def test_what_is_not_defined() -> None:
    table = pa.table(
        {
            "x": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            "y": [2.0, 1.0, 4.0, 3.0, 6.0, 5.0],
            "h": [3.0, 1.0, 2.0, 6.0, 5.0, 4.0],
            "flat": [7.0] * 6,
            "same": [10.0, 20.0, 30.0, 40.0, 50.0, 60.0],
            "gaps": [1.0, None, float("nan"), None, 3.0, 2.0],
            "none": pa.array([None] * 6, pa.float64()),
        }
    )
    assert spearman_partial(table, "flat", "y", ["h"]) == (None, None, 6)
    assert spearman_partial(table, "x", "flat", ["h"]) == (None, None, 6)
    assert spearman_partial(table, "x", "y", ["same", "h"]) == (None, None, 6), "x is given by same"
    assert spearman_partial(table, "gaps", "y", []).rows == 3
    assert spearman_partial(table, "gaps", "y", []).rho is not None
    assert spearman_partial(table, "gaps", "y", ["h"]) == (None, None, 3), "no degree of freedom"
    assert spearman_partial(table, "x", "y", ["none"]) == (None, None, 0)
    with pytest.raises(ValueError, match="twice"):
        spearman_partial(table, "x", "y", ["x"])


def test_what_is_constant_holds_nothing() -> None:
    table = pa.table({"x": [1, 2, 3, 4, 5], "y": [2, 1, 4, 3, 5], "h": [1, 3, 2, 5, 4], "flat": [True] * 5})
    assert spearman_partial(table, "x", "y", ["h", "flat"]) == spearman_partial(table, "x", "y", ["h"])
    assert spearman_partial(table, "x", "y", ["flat"]) == spearman_partial(table, "x", "y", [])


def test_a_perfect_one() -> None:
    table = pa.table({"x": [1, 2, 3, 4], "y": [9, 8, 7, 6]})
    rho, p, rows = spearman_partial(table, "x", "y", [])
    assert rho == pytest.approx(-1)
    assert (p, rows) == (0.0, 4)


def test_the_one_that_matters_is_found() -> None:
    # y follows h alone, and so does x: held, nothing is left between them.
    rng = np.random.default_rng(0)
    h = rng.normal(size=5000)
    table = pa.table({"x": h + rng.normal(size=5000), "y": h + rng.normal(size=5000), "h": h})
    apart, together = spearman_partial(table, "x", "y", []), spearman_partial(table, "x", "y", ["h"])
    assert apart.rho == pytest.approx(0.48, abs=0.03)
    assert together.rho == pytest.approx(0, abs=0.06)
