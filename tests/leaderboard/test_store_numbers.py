"""Tables of the board that stand beside the scores of pairs: held to slow sums over the score files."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
import pytest

from leaderboard import comparison
from leaderboard.contamination import TrainedOn
from leaderboard.evaluate import BoardRows
from leaderboard.store import views
from leaderboard.store.build import BoardOptions
from leaderboard.store.publish import publish
from leaderboard.store.read import BoardReader
from tests.leaderboard import boards, dataset
from tests.leaderboard.boards import Scored
from tests.leaderboard.segmenters import guesser
from tests.leaderboard.store_queries import query
from tests.leaderboard.test_store import BOARDS, scores_on_board, slow_pairs

FEW = BoardOptions(bootstrap_draws=100)


@pytest.fixture(scope="module")
def reader(board: Path, tmp_path_factory: pytest.TempPathFactory) -> BoardReader:
    state = tmp_path_factory.mktemp("state")
    publish(board, state)
    return BoardReader(state)


def slow_dice(scores: pd.DataFrame, keys: list[str]) -> dict[Any, float]:
    """Mean DICE over images of the mean over their instances, per keys."""
    images = scores.groupby([*keys, "image_id", "object"])["dice_oracle"].mean()
    return dict(images.groupby(keys).mean())


def test_headlines_of_modalities_and_objects_are_means_over_their_pairs(reader: BoardReader) -> None:
    pairs = {(row["model"], row["strategy"], row["pair"]): row["dice"] for row in reader.all_pairs("oracle")}
    of = {row["pair"]: row for row in reader.pair_list()}
    for by in ("modality", "object"):
        expected = defaultdict(list)
        for (model, strategy, pair), dice in pairs.items():
            expected[of[pair][by], model, strategy].append(dice)
        found = {(row["name"], row["model"], row["strategy"]): row for row in reader.headlines("oracle", by)}
        assert found.keys() == expected.keys()
        for key, values in expected.items():
            assert found[key]["headline"] == pytest.approx(fmean(values), abs=1e-9)
            assert found[key]["pairs"] == found[key]["of_pairs"] == len(values)
    assert {row["name"] for row in reader.headlines("oracle", "modality")} == {"CT", "Colonoscopy"}


def test_a_modality_s_view_ranks_its_own_pairs(reader: BoardReader) -> None:
    rows = views.models_view(reader, by="modality", name="Colonoscopy")
    headlines = {row["model"]: row for row in reader.headlines("oracle", "modality")
                 if (row["name"], row["strategy"]) == ("Colonoscopy", "S5")}  # fmt: skip
    shown = {row.model: row.cells["S5"] for row in rows if row.cells["S5"].dice is not None}
    assert {name: (cell.dice, cell.rank) for name, cell in shown.items()} == {
        name: (row["headline"], row["rank"]) for name, row in headlines.items()
    }
    assert {row.of_pairs for row in rows if row.pairs} == {1}
    groups = views.groups_view(reader)
    assert {(row.name, row.pairs) for row in groups} == {("CT", 3), ("Colonoscopy", 1)}


def test_cases_are_the_means_of_their_images_worst_first(scored: Scored, reader: BoardReader) -> None:
    scores = scores_on_board(scored, "S5")
    scores = scores[scores["pair"] == "Kidney-CT"].copy()
    scores["case"] = [image_id.split("/")[1] for image_id in scores["image_id"]]
    expected = slow_dice(scores, ["model", "source", "case"])
    found = reader.cases("Kidney-CT", "S5")
    assert {(row["model"], row["source"], row["case"]): row["dice"] for row in found} == pytest.approx(
        expected
    )
    means = [row["mean"] for row in found]
    assert means == sorted(means)
    assert {row["model"]: sum(r["failures"] for r in found if r["model"] == row["model"]) for row in found}[
        "worse"
    ] > 0


def test_a_comparison_is_of_the_board_s_own_scores_and_draws(reader: BoardReader) -> None:
    found = {row["pair"]: row for row in comparison.compare(reader, ("box", "worse"), "S5", "oracle", "dice")}
    pairs = {(row["model"], row["pair"]): row for row in reader.pairs("S5")}
    for pair, row in found.items():
        if pair != "all":
            assert row["first"] == pytest.approx(pairs["box", pair]["dice"])
            assert row["second"] == pytest.approx(pairs["worse", pair]["dice"])
    headlines = {row["model"]: row for row in reader.headlines() if row["strategy"] == "S5"}
    assert found["all"]["first"] == pytest.approx(headlines["box"]["headline"])
    # The verdict over all pairs is what ranks say: both hang on the same paired draws.
    assert (found["all"]["verdict"] == "better") == (headlines["box"]["rank"] < headlines["worse"]["rank"])


CONTACTS = {
    "other source": TrainedOn(others="none"),
    "one source": TrainedOn(others="none", sources={"second": "train"}),
    "both": TrainedOn(others="train", sources={"first": "all"}),
}


def test_scores_apart_by_what_a_model_may_have_seen(tmp_path: Path) -> None:
    made = Scored(tmp_path)
    made.build("first", dataset.cases(25, slices=1))
    made.build("second", dataset.cases(8, seed=1))
    for place, (name, trained) in enumerate(CONTACTS.items()):
        model = guesser(name.replace(" ", "_"), seed=1, applies=("S5",), made_for=("S5",), limits="boxes")
        model.declaration = model.declaration.model_copy(update={"trained_on": trained, "version": place + 1})
        made.score(model)
    made.board(options=FEW)
    publish(made.path, tmp_path / "state")
    reader = BoardReader(tmp_path / "state")
    rows = reader.contacts("S5")
    seen = {(row["model"], row["contact"]) for row in rows}
    assert seen == {
        ("other_source", "other_source"),
        ("one_source", "other_source"), ("one_source", "same_source"),
        ("both", "may_contain"), ("both", "same_source"),
    }  # fmt: skip
    scores = scores_on_board(made, "S5")
    of = {("one_source", "other_source"): "first", ("one_source", "same_source"): "second",
          ("both", "may_contain"): "first", ("both", "same_source"): "second"}  # fmt: skip
    for (model, contact), source in of.items():
        own = scores[(scores["model"] == model) & (scores["source"] == source)]
        expected = slow_dice(own, ["pair"])
        found = {row["pair"]: row for row in rows if (row["model"], row["contact"]) == (model, contact)}
        whole = found.pop(None)
        assert {pair: row["dice"] for pair, row in found.items()} == pytest.approx(expected)
        assert whole["dice"] == pytest.approx(fmean(expected.values()))
        assert whole["pairs"] == len(expected)
        patients = len(own[["source", "patient"]].drop_duplicates())
        assert whole["patients"] == patients
        assert (whole["low"] is not None) == (patients >= 20)
    # One contact alone: the same numbers as the board's.
    headline = next(row for row in reader.headlines() if row["model"] == "other_source")
    alone = next(row for row in rows if row["model"] == "other_source" and row["pair"] is None)
    assert [alone[name] for name in ("dice", "low", "high")] == [
        headline[name] for name in ("headline", "low", "high")
    ]


def test_what_stands_beside_the_paper_is_averaged_flat(tmp_path: Path) -> None:
    # Of all rows, train too, of real sources, and of models trained on none of them.
    made = Scored(tmp_path)
    cases = dataset.cases(8, slices=1)
    made.build("first", [replace(case, split="train") if i % 2 else case for i, case in enumerate(cases)])
    made.build("drawn", dataset.cases(3, seed=2), phantom=True)
    for name, trained in (
        ("clean", TrainedOn(others="none")),
        ("knows", TrainedOn(others="none", sources={"first": "train"})),
    ):
        model = guesser(name, seed=3, fails=0.3, applies=("S5",), made_for=("S5",), limits="boxes")
        model.declaration = model.declaration.model_copy(update={"trained_on": trained})
        made.score(model, rows="all")
    partly = guesser("partly", seed=3, applies=("S5",), made_for=("S5",), limits="boxes")
    partly.declaration = partly.declaration.model_copy(update={"trained_on": TrainedOn(others="none")})
    made.score(partly)
    made.board(options=FEW)
    every = pd.read_parquet(made.scores / "clean" / "first.parquet")
    found = query(
        made.path, "select model, pair, strategy, dice, hausdorff, objects from all_scores order by all"
    )
    assert [row[:3] for row in found] == [("clean", pair, "S5") for pair in sorted(set(every["pair"]))]
    ((tests,),) = query(made.path, "select count(*) from objects where source = 'first' and split = 'test'")
    assert sum(row[-1] for row in found) == len(every) > tests
    for _, pair, _, dice, hausdorff, objects in found:
        own = every[every["pair"] == pair]
        assert dice == pytest.approx(own["dice_oracle"].mean())
        assert hausdorff == pytest.approx(own["hausdorff_oracle"].fillna(0).mean())
        assert objects == len(own)


def test_the_paper_s_values_are_shown_unranked_and_not_of_phantoms(
    reader: BoardReader, tmp_path: Path
) -> None:
    rows = {(row.pair, row.model): row.cells for row in views.reported_view(reader)}
    assert set(rows) == {
        (pair, model) for pair in ("Kidney-CT", "Liver-CT") for model in ("sam_vit_b", "sam_vit_h")
    }
    (kidney,) = [row["value"] for row in reader.reported()
                 if (row["pair"], row["model"], row["strategy"], row["metric"])
                 == ("Kidney-CT", "sam_vit_b", "S5", "dice")]  # fmt: skip
    assert rows["Kidney-CT", "sam_vit_b"]["S5"].dice == pytest.approx(kidney / 100)
    models = views.reported_models(reader)
    assert [(row.model, row.kind, row.pairs, row.of_pairs) for row in models] == [
        ("sam_vit_b", "reported", 2, 4), ("sam_vit_h", "reported", 2, 4),
    ]  # fmt: skip
    assert all(cell.rank is None and cell.low is None for row in models for cell in row.cells.values())
    assert not {row.model for row in views.models_view(reader)} & {"sam_vit_b", "sam_vit_h"}
    made = Scored(tmp_path)
    made.build("drawn", dataset.cases(3), phantom=True)
    made.score(boards.MODELS[1])
    made.board(options=FEW)
    publish(made.path, tmp_path)
    assert views.reported_view(BoardReader(tmp_path)) == []


@pytest.mark.parametrize(("strategy", "selection"), BOARDS)
def test_numbers_of_a_source_are_those_of_its_rows(
    scored: Scored, board: Path, strategy: str, selection: str
) -> None:
    expected: dict[tuple[str, str, str | None], list[Any]] = {}
    for source, scores in scores_on_board(scored, strategy).groupby("source"):
        for (model, pair), row in slow_pairs(scores, selection).items():
            expected[source, model, pair] = [row["dice"], row["images"], row["patients"], None]
        for model, own in scores.groupby("model"):
            dice = [row[0] for (of, name, _), row in expected.items() if (of, name) == (source, model)]
            patients = len(own["patient"].unique())
            expected[source, model, None] = [np.mean(dice), None, patients, len(dice)]
    found = query(
        board,
        """select source, model, pair, dice, images, patients, pairs from source_scores
        where strategy = ? and selection = ?""",
        strategy, selection,
    )  # fmt: skip
    assert len(found) == len(expected) > 8
    for source, model, pair, *values in found:
        for value, wanted in zip(values, expected[source, model, pair], strict=True):
            assert value == (wanted if wanted is None else pytest.approx(wanted, abs=1e-8))


def test_a_pair_of_one_source_has_the_same_interval_in_both_tables(tmp_path: Path) -> None:
    scored = Scored(tmp_path)
    for number, modality in enumerate(("CT", "Colonoscopy")):  # the second one's draws are not the first's
        cases = [case for case in dataset.cases(60, seed=number, slices=1) if case.modality == modality]
        scored.build(f"source{number}", cases)
    scored.score(boards.MODELS[2], strategies=("S5",))
    scored.board(rows=BoardRows(images_per_pair=1000), options=BoardOptions(bootstrap_draws=300))
    columns = "pair, selection, dice, low, high, images, patients"
    in_pairs = query(scored.path, f"select {columns} from pair_scores order by all")
    of_source = f"select {columns} from source_scores where pair is not null order by all"
    assert query(scored.path, of_source) == in_pairs
    assert len({row[0] for row in in_pairs}) == 4
    assert all(row[3] is not None for row in in_pairs)
    # Each source is all of a modality, and no other: so are the means.
    means = "select selection, dice, low, high, patients from source_scores where pair is null order by all"
    of_modality = """select selection, headline, low, high, patients from group_scores
        where grouped = 'modality' order by all"""
    assert query(scored.path, means) == query(scored.path, of_modality)
