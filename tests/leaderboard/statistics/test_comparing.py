import math

import pytest
import scipy.stats

from leaderboard.statistics import FEWEST_PATIENTS, compare
from tests.leaderboard.statistics.tables import Row, patients_of, row, scores
from tests.leaderboard.statistics.test_ranking import model_rows


def compared(rows: list[Row], metric: str = "dice", models: tuple[str, str] = ("A", "B")) -> dict[str, Row]:
    table = scores(rows)
    found = compare(table, metric, models, patients=patients_of(table), seed=0, draws=2000)
    return {line["pair"]: line for line in found.to_pylist()}


def test_verdicts_of_a_worked_case() -> None:
    # Kidney: A leads by 0.1 in every patient. Lung: by +0.3 and -0.3 in turn, known to 1.96 * 0.3 / sqrt(30)
    # = 0.107. Liver has too few patients, Spleen is A's alone.
    few = FEWEST_PATIENTS - 1
    rows = [
        *model_rows("A", 0.3, pairs=["Kidney-CT", "Lung-CT", "Spleen-CT"]),
        *model_rows("B", 0.2, pairs=["Kidney-CT"]),
        *(r | {"model": "B", "dice": r["dice"] + 0.3 * (-1) ** i}
          for i, r in enumerate(model_rows("A", 0.3, pairs=["Lung-CT"]))),
        *model_rows("A", 0.3, pairs=["Liver-CT"], patients=few),
        *model_rows("B", 0.2, pairs=["Liver-CT"], patients=few),
    ]  # fmt: skip
    found = compared(rows)
    assert {pair: line["verdict"] for pair, line in found.items()} == {
        "Kidney-CT": "better", "Liver-CT": "few cases", "Lung-CT": "no difference shown", "all": "better",
    }  # fmt: skip
    assert found["Kidney-CT"]["difference"] == pytest.approx(0.1)
    assert (found["Kidney-CT"]["low"], found["Kidney-CT"]["high"]) == pytest.approx((0.1, 0.1))
    half = 1.96 * 0.3 / math.sqrt(30)
    assert found["Lung-CT"]["low"] == pytest.approx(-half, abs=0.02)
    assert found["Lung-CT"]["high"] == pytest.approx(half, abs=0.02)
    assert found["Liver-CT"]["low"] is None
    assert found["all"]["difference"] == pytest.approx((0.1 + 0.0 + 0.1) / 3)
    assert found["all"]["patients"] == 30
    backwards = compared(rows, models=("B", "A"))
    assert backwards["Kidney-CT"]["verdict"] == "worse"
    assert backwards["all"]["difference"] == pytest.approx(-found["all"]["difference"])


def test_the_paired_interval_is_scipys() -> None:
    # The difference's own bootstrap: A's 30 values minus B's, patient by patient.
    shifts = [math.sin(i) / 5 for i in range(30)]
    rows = [
        *model_rows("A", 0.3, pairs=["Lung-CT"]),
        *(row("B", str(i), "Lung-CT", i / 100 + 0.3 + shift) for i, shift in enumerate(shifts)),
    ]
    own = compared(rows)["Lung-CT"]
    expected = scipy.stats.bootstrap(
        ([-shift for shift in shifts],), lambda values, axis: values.mean(axis=axis), method="percentile"
    )
    near = 0.15 * expected.standard_error
    assert own["low"] == pytest.approx(expected.confidence_interval.low, abs=near)
    assert own["high"] == pytest.approx(expected.confidence_interval.high, abs=near)


def test_the_shorter_distance_is_better() -> None:
    found = compared([*model_rows("A", 0.4), *model_rows("B", 0.1)], "hausdorff")
    assert found["all"]["difference"] == pytest.approx(-30)
    assert {line["verdict"] for line in found.values()} == {"better"}


def test_without_a_common_pair_there_is_nothing() -> None:
    rows = [*model_rows("A", 0.4, pairs=["Lung-CT"]), *model_rows("B", 0.1, pairs=["Kidney-CT"])]
    assert compared(rows) == {}
