import math
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.statistics import FEWEST_PATIENTS, board, bootstrap
from leaderboard.statistics.aggregation import image_means, patient_sums
from leaderboard.statistics.bootstrap import Floats, above_zero, headlines, interval, resample
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


def resampled(rows: list[Row], metric: str, *, seed: int = 0, draws: int = 50) -> Floats:
    sums = patient_sums(image_means(scores(rows), metric))
    return resample(sums, patients(KEYS), models=["A", "B"], pairs=PAIRS, seed=seed, draws=draws)


@given(rows=ROWS, metric=st.sampled_from(["dice", "hausdorff"]), seed=st.integers(0, 99))
def test_agrees_with_the_definition(rows: list[Row], metric: str, seed: int) -> None:
    images = slow_images(rows, metric)
    found = resampled(rows, metric, seed=seed, draws=5)
    for d, drawn in enumerate(slow_draws(KEYS, seed, 5)):
        for m, model in enumerate("AB"):
            expected = [slow_score(images.get((model, pair), {}), drawn) for pair in PAIRS]
            pair_scores = [math.nan if score is None else score for score in expected]
            assert found[:, m, d] == pytest.approx(pair_scores, abs=1e-6, nan_ok=True)
            headline = slow_headline(expected)
            assert headlines(found)[m, d] == pytest.approx(headline, abs=1e-6, nan_ok=True)


def test_a_pair_absent_from_a_draw_is_left_out_of_its_headline() -> None:
    # Source s has patients p (Kidney, 1.0) and q (Lung, 0.0). A draw is pp (only Kidney: headline 1),
    # qq (only Lung: 0) or one of each (0.5).
    table = scores([row("A", "p", "Kidney-CT", 1.0), row("A", "q", "Lung-CT", 0.0)])
    found = resample(
        patient_sums(image_means(table, "dice")),
        patients_of(table),
        models=["A"],
        pairs=PAIRS,
        seed=0,
        draws=400,
    )
    absent = np.isnan(found[:, 0])
    np.testing.assert_array_equal(headlines(found)[0], np.where(absent[1], 1, np.where(absent[0], 0, 0.5)))
    assert absent.mean(axis=1) == pytest.approx([0.25, 0.25], abs=0.08)


def test_each_source_keeps_its_number_of_patients() -> None:
    # One patient in source t: it is in every draw once, so that half the weight is always its own.
    table = scores([row("A", "p", "Lung-CT", 0.0), row("A", "p", "Lung-CT", 1.0, source="t")])
    sums = patient_sums(image_means(table, "dice"))
    found = resample(sums, patients_of(table), models=["A"], pairs=["Lung-CT"], seed=0, draws=50)
    assert np.all(headlines(found) == 0.5)


def test_the_draws_do_not_depend_on_how_many_are_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row("A", key[1], "Lung-CT", i / 7, source=key[0]) for i, key in enumerate(KEYS)]
    whole = resampled(rows, "dice")
    monkeypatch.setattr(bootstrap, "_DRAWS_AT_ONCE", 7)
    np.testing.assert_array_equal(resampled(rows, "dice"), whole)


def test_the_interval_is_scipys() -> None:
    values = np.random.default_rng(3).beta(5, 2, 300)
    table = scores([row("A", str(i), "Lung-CT", value) for i, value in enumerate(values)])
    found = board(table, "dice", patients=patients_of(table), groups={"all": ["Lung-CT"]}, seed=0)
    expected = scipy.stats.bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(1))
    # The ends are quantiles of 9,999 draws: their own standard error is about 0.03 of the score's.
    tolerance = 0.12 * expected.standard_error
    for rows in (found.pairs, found.groups):
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
        found = board(
            table, "dice", patients=patients_of(table), groups={"all": ["Lung-CT"]}, seed=0, draws=4000
        )
        widths.append(found.pairs["high"][0].as_py() - found.pairs["low"][0].as_py())
    assert widths[0] / widths[1] == pytest.approx(math.sqrt(5), rel=0.08)


@given(
    values=st.lists(st.sampled_from([-2.0, -1.0, 0.0, 1.0, 2.0, math.nan]), max_size=120),
    lead=st.integers(0, 200),
)
def test_above_zero_is_what_the_interval_says(values: list[float], lead: int) -> None:
    differences = np.array([*values, *[1.0] * lead])
    assert above_zero(differences) == (interval(differences)[0] > 0)


@pytest.mark.slow
def test_nineteen_intervals_in_twenty_hold_the_truth() -> None:
    # 1,000 boards of two sources, of 100 patients a pair, each of one to three alike images, with true means
    # 0.75 and 0.5. Their intervals are counted over all boards: of each pair, and of the headline.
    rng = np.random.default_rng(0)
    boards, patients_each = 1000, 100
    truth = {"Kidney-CT": 3 / 4, "Lung-CT": 1 / 2}
    person = np.repeat(np.arange(patients_each), 1 + np.arange(patients_each) % 3)
    image = np.concatenate([np.arange(1 + i % 3) for i in range(patients_each)])
    names = [str(i) for i in range(patients_each)]
    keys = pa.table(
        {
            "model": pa.repeat("A", 2 * len(person)),
            "source": pa.array(["st"[i % 2] for i in np.tile(person, 2)]),
            "patient": pa.array([names[i] for i in np.tile(person, 2)]),
            "image_id": pa.array(np.tile(image, 2)),
            "object": pa.repeat("o", 2 * len(person)),
            "pair": pa.array(np.repeat(list(truth), len(person))),
        }
    )
    hits: Counter[str] = Counter()
    for seed in range(boards):
        kidney, lung = rng.beta(3, 1, patients_each), rng.beta(2, 2, patients_each)
        table = keys.append_column("dice", pa.array(np.concatenate([kidney[person], lung[person]])))
        found = board(
            table, "dice", patients=patients_of(table), groups={"all": PAIRS}, seed=seed, draws=1000
        )
        (headline,) = found.groups.to_pylist()
        hits["headline"] += headline["low"] <= 5 / 8 <= headline["high"]
        for own in found.pairs.to_pylist():
            hits[own["pair"]] += own["low"] <= truth[own["pair"]] <= own["high"]
    assert sorted(hits) == ["Kidney-CT", "Lung-CT", "headline"]
    for name, count in hits.items():
        assert 0.92 <= count / boards <= 0.97, name
