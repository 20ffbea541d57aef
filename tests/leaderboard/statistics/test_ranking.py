import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.statistics import FEWEST_PATIENTS, QUANTILES, Board, board
from tests.leaderboard.statistics.tables import Row, patients_of, row, scores

PAIRS = ["Kidney-CT", "Lung-CT"]


def model_rows(model: str, shift: float, *, patients: int = 30, pairs: list[str] = PAIRS) -> list[Row]:
    """Patient i scores i / 100 + shift in every pair, its distance 100 times less than perfect."""
    return [
        row(model, str(i), pair, i / 100 + shift, hausdorff=100 * (1 - i / 100 - shift))
        for pair in pairs
        for i in range(patients)
    ]


def ranking(rows: list[Row], metric: str = "dice", pairs: list[str] = PAIRS) -> Board:
    table = scores(rows)
    return board(table, metric, patients=patients_of(table), groups={"all": pairs}, seed=0, draws=500)


def column(found: Board, name: str) -> dict[str, object]:
    return dict(zip(found.groups["model"].to_pylist(), found.groups[name].to_pylist(), strict=True))


def test_the_headline_is_the_mean_over_pairs_not_over_images() -> None:
    # Kidney has 30 images of mean (0 + … + 29) / 30 / 100 = 0.145; Lung has one of 0.5. (0.145 + 0.5) / 2.
    found = ranking([*model_rows("A", 0, pairs=["Kidney-CT"]), row("A", "0", "Lung-CT", 0.5)])
    assert column(found, "headline")["A"] == pytest.approx(0.3225)
    assert found.pairs["mean"].to_pylist() == pytest.approx([0.145, 0.5])


def test_ranks_of_a_worked_case() -> None:
    # B beats A by 0.05 in every patient, so in every draw, though their own intervals (± 0.03) overlap.
    # Alike is A. Noisy is A with +0.3 and −0.3 in turn: a difference from it is known to ± 0.3 · 1.96 / √30
    # = 0.107, so that neither its 0 from A nor B's lead of 0.05 is beyond doubt: it shares the first rank.
    noisy = [
        r | {"model": "Noisy", "dice": r["dice"] + 0.3 * (-1) ** i}
        for i, r in enumerate(model_rows("A", 0.3, pairs=["Lung-CT"]))
    ]
    rows = [r for name, shift in [("A", 0.3), ("Alike", 0.3), ("B", 0.35)] for r in model_rows(name, shift)]
    only_lung = [r for r in rows if r["pair"] == "Lung-CT"]
    found = ranking([*only_lung, *noisy], pairs=["Lung-CT"])
    assert column(found, "rank") == {"A": 2, "Alike": 2, "B": 1, "Noisy": 1}
    low, high = column(found, "low"), column(found, "high")
    assert low["B"] < high["A"]


def test_the_shorter_distance_ranks_first() -> None:
    rows = [*model_rows("Far", 0.1), *model_rows("Near", 0.4)]
    assert column(ranking(rows, "hausdorff"), "rank") == {"Far": 2, "Near": 1}


def test_a_model_that_lacks_a_pair_stands_below_unranked() -> None:
    best = model_rows("Best", 0.6, pairs=["Lung-CT"])
    found = ranking([*model_rows("A", 0.2), *best])
    assert column(found, "ranked") == {"A": True, "Best": False}
    assert column(found, "rank") == {"A": 1, "Best": None}
    assert column(found, "pairs") == {"A": 2, "Best": 1}
    assert column(found, "of_pairs") == {"A": 2, "Best": 2}
    assert column(found, "headline")["Best"] == pytest.approx(0.145 + 0.6)


def test_a_pair_without_any_distance_is_lacking() -> None:
    rows = [r | {"hausdorff": None} if r["pair"] == "Lung-CT" else r for r in model_rows("A", 0.2)]
    assert column(ranking(rows), "rank") == {"A": 1}
    assert column(ranking(rows, "hausdorff"), "rank") == {"A": None}


def test_adding_a_model_changes_no_other() -> None:
    rng = np.random.default_rng(0)
    alone = [r | {"dice": rng.random()} for r in model_rows("B", 0)]
    # Others before and after it in order, with rows that it does not have and without rows that it has.
    others = [r | {"dice": rng.random()} for name in "ACDEFG" for r in model_rows(name, 0, patients=40)[7:]]
    everyone = patients_of(scores(alone + others))
    tables = []
    for rows in (alone, alone + others, others + alone[::-1]):
        found = board(scores(rows), "dice", patients=everyone, groups={"all": PAIRS}, seed=0, draws=700)
        own = [table.filter(pc.equal(table["model"], "B")) for table in (found.pairs, found.groups)]
        tables.append((own[0].drop_columns("rank"), own[1].drop_columns("rank")))
    assert tables[0] == tables[1] == tables[2]


def test_the_seed_and_the_set_of_patients_decide() -> None:
    table = scores(model_rows("A", 0.2))
    everyone = patients_of(table)
    again = everyone.take(np.random.default_rng(0).permutation(len(everyone)))
    first, second, third = (
        board(table, "dice", patients=who, groups={"all": pairs}, seed=seed, draws=300)
        for who, pairs, seed in [(everyone, PAIRS, 1), (again, PAIRS[::-1], 1), (everyone, PAIRS, 2)]
    )
    assert first == second
    assert first.groups["low"] != third.groups["low"]


def test_few_cases_have_no_interval() -> None:
    few = FEWEST_PATIENTS - 1
    found = ranking([*model_rows("A", 0.1, patients=few), *model_rows("B", 0.5, patients=few)])
    for table in (found.pairs, found.groups):
        assert table["low"].null_count == table["high"].null_count == len(table)
    assert column(found, "rank") == {"A": 1, "B": 1}
    assert column(found, "patients") == {"A": few, "B": few}


def test_a_pair_of_few_cases_has_no_interval_but_counts() -> None:
    few = FEWEST_PATIENTS - 1
    kidney = model_rows("A", 0.1, pairs=["Kidney-CT"], patients=FEWEST_PATIENTS)
    found = ranking([*kidney, *model_rows("A", 0.1, pairs=["Lung-CT"], patients=few)])
    assert [low is None for low in found.pairs["low"].to_pylist()] == [False, True]
    assert column(found, "low")["A"] is not None
    assert column(found, "patients") == {"A": FEWEST_PATIENTS}


def test_scores_off_the_board_are_refused() -> None:
    table = scores(model_rows("A", 0.1))
    with pytest.raises(ValueError, match="does not have"):
        board(table, "dice", patients=patients_of(table), groups={"all": ["Lung-CT"]}, seed=0)
    with pytest.raises(ValueError, match="does not have"):
        board(table, "dice", patients=patients_of(table)[:3], groups={"all": PAIRS}, seed=0)


def test_a_board_without_models_is_empty() -> None:
    found = board(scores([]), "dice", patients=patients_of(scores([])), groups={"all": PAIRS}, seed=0)
    assert (found.pairs.num_rows, found.groups.num_rows) == (0, 0)


def test_columns_are_what_a_store_writes() -> None:
    found = ranking(model_rows("A", 0.1))
    number, count = pa.float64(), pa.int64()
    head = [("model", pa.string()), ("pair", pa.string()), ("mean", number)]
    counts = [(name, count) for name in ["images", "instances", "empties", "patients"]]
    ends = [("low", number), ("high", number), ("rank", count)]
    scatter = [(name, number) for name in ["deviation", *QUANTILES]]
    assert found.pairs.schema == pa.schema([*head, *counts, *ends, *scatter])
    headline = [("name", pa.string()), head[0], *((name, number) for name in ["headline", "low", "high"])]
    coverage = [("pairs", count), ("of_pairs", count), ("ranked", pa.bool_()), ("rank", count)]
    assert found.groups.schema == pa.schema([*headline, *coverage, ("patients", count)])


def test_groups_of_pairs_have_headlines_and_ranks_of_their_own() -> None:
    # A leads in Kidney by 0.1, B in Lung by 0.3, each the same in every patient; C has no Lung.
    rows = [
        *model_rows("A", 0.4, pairs=["Kidney-CT"]), *model_rows("A", 0.2, pairs=["Lung-CT"]),
        *model_rows("B", 0.3, pairs=["Kidney-CT"]), *model_rows("B", 0.5, pairs=["Lung-CT"]),
        *model_rows("C", 0.6, pairs=["Kidney-CT"]),
    ]  # fmt: skip
    table = scores(rows)
    groups = {"all": PAIRS, "kidneys": ["Kidney-CT"], "lungs": ["Lung-CT"]}
    found = board(table, "dice", patients=patients_of(table), groups=groups, seed=0, draws=400)
    by = {(row["name"], row["model"]): row for row in found.groups.to_pylist()}
    ranks = {key: row["rank"] for key, row in by.items()}
    assert ranks == {
        ("all", "A"): 2, ("all", "B"): 1, ("all", "C"): None,
        ("kidneys", "A"): 2, ("kidneys", "B"): 3, ("kidneys", "C"): 1,
        ("lungs", "A"): 2, ("lungs", "B"): 1,
    }  # fmt: skip
    assert by["kidneys", "A"]["headline"] == pytest.approx(0.145 + 0.4)
    assert (by["all", "C"]["pairs"], by["all", "C"]["of_pairs"]) == (1, 2)
    # A group of one pair says what the pair's row does.
    of_pair = {(row["pair"], row["model"]): row for row in found.pairs.to_pylist()}
    for name, pair in (("kidneys", "Kidney-CT"), ("lungs", "Lung-CT")):
        for model in "AB":
            own = by[name, model]
            same = of_pair[pair, model]
            assert [own[key] for key in ("low", "high", "rank")] == [
                same[key] for key in ("low", "high", "rank")
            ]


@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_the_spread_is_numpys(values: list[float]) -> None:
    rows = [row("A", str(i), "Lung-CT", value) for i, value in enumerate(values)]
    (found,) = ranking([*rows, *model_rows("B", 0.1)]).pairs.slice(0, 1).to_pylist()
    expected = [np.quantile(values, share) for share in QUANTILES.values()]
    assert [found[name] for name in QUANTILES] == pytest.approx(expected, abs=1e-8)
    few = len(values) < 2
    assert found["deviation"] == (None if few else pytest.approx(np.std(values, ddof=1), abs=1e-8))
