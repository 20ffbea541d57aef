import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.statistics import aggregate
from tests.leaderboard.statistics.tables import Row, row, scores, slow_images

ROWS = st.lists(
    st.builds(
        row,
        model=st.sampled_from("AB"),
        patient=st.sampled_from("pqr"),
        pair=st.sampled_from(["Kidney-CT", "Lung-CT"]),
        dice=st.floats(0, 1),
        source=st.sampled_from("st"),
        image=st.sampled_from("012"),
        hausdorff=st.none() | st.floats(0, 500),
    ),
    max_size=40,
)


def test_an_image_counts_once_however_many_instances_it_has() -> None:
    # Image 0 has two instances: (0.8 + 0.4) / 2 = 0.6. Images 1 and 2: 0.9 and 0. (0.6 + 0.9 + 0) / 3 = 0.5.
    # Hausdorff: image 0 (10), image 1 (2), image 2 has none and is left out. (10 + 2) / 2 = 6.
    table = scores(
        [
            row("A", "p", "Kidney-CT", 0.8, image="0", hausdorff=10.0),
            row("A", "p", "Kidney-CT", 0.4, image="0"),
            row("A", "p", "Kidney-CT", 0.9, image="1", hausdorff=2.0),
            row("A", "q", "Kidney-CT", 0.0, image="2"),
        ]
    )
    (dice,) = aggregate(table, "dice").to_pylist()
    assert dice.pop("mean") == pytest.approx(0.5)
    whole = {"model": "A", "pair": "Kidney-CT", "instances": 4}
    assert dice == whole | {"images": 3, "empties": 0, "patients": 2}
    (hausdorff,) = aggregate(table, "hausdorff").to_pylist()
    assert hausdorff == whole | {"mean": 6.0, "images": 2, "empties": 2, "patients": 1}


def test_a_patient_is_unique_only_within_its_source() -> None:
    table = scores([row("A", "1", "Lung-CT", 1.0, source=source) for source in "stt"])
    (only,) = aggregate(table, "dice").to_pylist()
    assert (only["patients"], only["images"], only["instances"]) == (2, 2, 3)


def test_a_pair_without_any_distance_has_no_mean() -> None:
    (only,) = aggregate(scores([row("A", "p", "Lung-CT", 0.0)]), "hausdorff").to_pylist()
    assert only["mean"] is None
    assert (only["images"], only["instances"], only["empties"], only["patients"]) == (0, 1, 1, 0)


def test_rows_are_sorted_by_model_and_pair() -> None:
    table = scores([row(model, "p", pair, 0.5) for model in "BA" for pair in ["Lung-CT", "Kidney-CT"]])
    found = aggregate(table, "dice")
    order = list(zip(found["model"].to_pylist(), found["pair"].to_pylist(), strict=True))
    assert order == [("A", "Kidney-CT"), ("A", "Lung-CT"), ("B", "Kidney-CT"), ("B", "Lung-CT")]


@pytest.mark.parametrize("value", [None, math.nan])
def test_a_failed_instance_must_score_0_not_nothing(value: float | None) -> None:
    table = scores([row("A", "p", "Lung-CT", 0.5) | {"dice": value}])
    with pytest.raises(ValueError, match="dice is"):
        aggregate(table, "dice")


@given(rows=ROWS, metric=st.sampled_from(["dice", "hausdorff"]))
def test_agrees_with_the_definition(rows: list[Row], metric: str) -> None:
    images = slow_images(rows, metric)
    found = aggregate(scores(rows), metric).to_pylist()
    assert [(r["model"], r["pair"]) for r in found] == sorted({(r["model"], r["pair"]) for r in rows})
    for r in found:
        own = [s for s in rows if (s["model"], s["pair"]) == (r["model"], r["pair"])]
        people = images.get((r["model"], r["pair"]), {})
        means = [mean for of_patient in people.values() for mean in of_patient]
        assert r["mean"] == (pytest.approx(sum(means) / len(means), abs=4e-9) if means else None)
        assert (r["images"], r["patients"]) == (len(means), len(people))
        assert (r["instances"], r["empties"]) == (len(own), sum(s[metric] is None for s in own))
