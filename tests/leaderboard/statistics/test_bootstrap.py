import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.statistics import FEWEST_PATIENTS, board, bootstrap
from leaderboard.statistics.aggregation import patient_sums
from leaderboard.statistics.bootstrap import Draws, resample
from tests.leaderboard.statistics.tables import (
    Row,
    patients,
    patients_of,
    row,
    scores,
    slow_draws,
    slow_headline,
    slow_images,
    slow_score,
)
from tests.leaderboard.statistics.test_aggregation import ROWS

KEYS = [(source, patient) for source in "st" for patient in "pqr"]
PAIRS = ["Kidney-CT", "Lung-CT"]


def resampled(rows: list[Row], metric: str, *, seed: int = 0, draws: int = 50) -> Draws:
    sums = patient_sums(scores(rows), metric)
    return resample(sums, patients(KEYS), models=["A", "B"], pairs=PAIRS, seed=seed, draws=draws)


@given(rows=ROWS, metric=st.sampled_from(["dice", "hausdorff"]), seed=st.integers(0, 99))
def test_agrees_with_the_definition(rows: list[Row], metric: str, seed: int) -> None:
    images = slow_images(rows, metric)
    found = resampled(rows, metric, seed=seed, draws=5)
    for d, drawn in enumerate(slow_draws(KEYS, seed, 5)):
        for m, model in enumerate("AB"):
            expected = [slow_score(images.get((model, pair), {}), drawn) for pair in PAIRS]
            pair_scores = [math.nan if score is None else score for score in expected]
            assert found.pairs[:, m, d] == pytest.approx(pair_scores, abs=1e-6, nan_ok=True)
            headline = slow_headline(expected)
            assert found.headlines[m, d] == pytest.approx(headline, abs=1e-6, nan_ok=True)


def test_a_pair_absent_from_a_draw_is_left_out_of_its_headline() -> None:
    # Source s has patients p (Kidney, 1.0) and q (Lung, 0.0). A draw is pp (only Kidney: headline 1),
    # qq (only Lung: 0) or one of each (0.5).
    table = scores([row("A", "p", "Kidney-CT", 1.0), row("A", "q", "Lung-CT", 0.0)])
    found = resample(
        patient_sums(table, "dice"), patients_of(table), models=["A"], pairs=PAIRS, seed=0, draws=400
    )
    absent = np.isnan(found.pairs[:, 0])
    np.testing.assert_array_equal(found.headlines[0], np.where(absent[1], 1, np.where(absent[0], 0, 0.5)))
    assert absent.mean(axis=1) == pytest.approx([0.25, 0.25], abs=0.08)


def test_each_source_keeps_its_number_of_patients() -> None:
    # One patient in source t: it is in every draw once, so that half the weight is always its own.
    table = scores([row("A", "p", "Lung-CT", 0.0), row("A", "p", "Lung-CT", 1.0, source="t")])
    sums = patient_sums(table, "dice")
    found = resample(sums, patients_of(table), models=["A"], pairs=["Lung-CT"], seed=0, draws=50)
    assert np.all(found.headlines == 0.5)


def test_the_draws_do_not_depend_on_how_many_are_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row("A", key[1], "Lung-CT", i / 7, source=key[0]) for i, key in enumerate(KEYS)]
    whole = resampled(rows, "dice").headlines
    monkeypatch.setattr(bootstrap, "_DRAWS_AT_ONCE", 7)
    np.testing.assert_array_equal(resampled(rows, "dice").headlines, whole)


def test_the_interval_is_scipys() -> None:
    values = np.random.default_rng(3).beta(5, 2, 300)
    table = scores([row("A", str(i), "Lung-CT", value) for i, value in enumerate(values)])
    found = board(table, "dice", patients=patients_of(table), pairs=["Lung-CT"], seed=0)
    expected = scipy.stats.bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(1))
    # The ends are quantiles of 9,999 draws: their own standard error is about 0.03 of the score's.
    tolerance = 0.12 * expected.standard_error
    for rows in (found.pairs, found.models):
        assert rows["low"][0].as_py() == pytest.approx(expected.confidence_interval.low, abs=tolerance)
        assert rows["high"][0].as_py() == pytest.approx(expected.confidence_interval.high, abs=tolerance)


def test_a_patients_images_are_drawn_together() -> None:
    # The same images as 20 patients of 5 alike, or as 100 patients: the first interval is about √5 wider.
    values = np.linspace(0, 1, FEWEST_PATIENTS)
    together = [row("A", str(i), "Lung-CT", v, image=str(k)) for i, v in enumerate(values) for k in range(5)]
    apart = [r | {"patient": str(i)} for i, r in enumerate(together)]
    widths = []
    for rows in (together, apart):
        table = scores(rows)
        found = board(table, "dice", patients=patients_of(table), pairs=["Lung-CT"], seed=0, draws=4000)
        widths.append(found.pairs["high"][0].as_py() - found.pairs["low"][0].as_py())
    assert widths[0] / widths[1] == pytest.approx(math.sqrt(5), rel=0.08)


@pytest.mark.slow
def test_nineteen_intervals_in_twenty_hold_the_truth() -> None:
    # Two sources, patients of one to three alike images, two pairs with true means 0.75 and 0.5.
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        rows = []
        for i in range(100):
            kidney, lung = rng.beta(3, 1), rng.beta(2, 2)
            for k in range(1 + i % 3):
                at = {"source": "st"[i % 2], "image": str(k)}
                rows += [
                    row("A", str(i), "Kidney-CT", kidney, **at),
                    row("A", str(i), "Lung-CT", lung, **at),
                ]
        table = scores(rows)
        found = board(table, "dice", patients=patients_of(table), pairs=PAIRS, seed=seed, draws=1000)
        (model,) = found.models.to_pylist()
        hits += model["low"] <= (0.75 + 0.5) / 2 <= model["high"]
    assert 0.90 <= hits / 200 <= 0.99
