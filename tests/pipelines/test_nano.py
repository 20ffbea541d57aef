"""What the recipe of `sam_nano` measures, against a plain recomputation; its card; its parameters."""

import json
import re
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from cosmos1050k import shards, sources
from leaderboard.evaluate import BoardRows
from leaderboard.models.base import ALL
from leaderboard.training.scratch import ScratchOptions
from pipelines.nano import card, measure, recipe, train
from tests.leaderboard import boards, dataset
from tests.leaderboard.checkpoints import refused
from tests.leaderboard.literal import slow_board
from tests.leaderboard.segmenters import guesser

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"
SOURCES = ("drive", "stare")
ROWS = BoardRows(images_per_pair=4, images_per_pair_s1=1)
S1_IMAGES = 6


def build(data: Path) -> None:
    dataset.build(data, "drive", dataset.cases(4, slices=2))
    dataset.build(data, "stare", dataset.cases(2, seed=1, slices=1), phantom=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with params.yaml, in which `measure` has run on two sources: `found.json`, `scores`."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(PARAMS, folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        build(Path("built"))
        found = measure.measure(Path("built"), SOURCES, Path("scores"), ROWS, workers=1)
        Path("found.json").write_text(json.dumps(found, allow_nan=False))
    return folder


def rows(files: Iterable[Path]) -> list[dict[str, Any]]:
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def on_board(data: Path, images: int) -> set[tuple[str, ...]]:
    """(pair, source, case, modality) of all that is on the board."""
    cases = [case for source in shards.built(data) for case in shards.load_cases(data / source)]
    return {(pair, *key) for pair, keys in slow_board(cases, images).items() for key in keys}


def key(row: dict[str, Any]) -> tuple[str, ...]:
    return row["pair"], *row["image_id"].split("/")[:3]


def headline(scores: Iterable[dict[str, Any]], value: str) -> float:
    """Instances → object of an image → pair → all pairs, in per cent (protocol, section 5)."""
    images: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in scores:
        images[row["pair"]][row["image_id"]].append(row[value])
    return 100 * fmean(fmean(map(fmean, own.values())) for own in images.values())


def ranks(values: Sequence[float]) -> list[float]:
    """From 1; equal values share the mean of theirs."""
    return [sum(o < v for o in values) + (sum(o == v for o in values) + 1) / 2 for v in values]


def spearman(pairs: Sequence[tuple[float, float]]) -> float:
    one, other = (ranks(values) for values in zip(*pairs, strict=True))
    return float(np.corrcoef(one, other)[0, 1])


@pytest.mark.slow
def test_headlines_and_counts_are_the_literal_ones(project: Path) -> None:
    found = json.loads((project / "found.json").read_text())
    assert set(found["dice"]) == set(measure.MODELS)
    for model, own in found["dice"].items():
        every = rows((project / "scores" / model).glob("*.parquet"))
        assert set(own) == {row["strategy"] for row in every}
        for strategy, line in own.items():
            images = ROWS.images_per_pair_s1 if strategy == "S1" else ROWS.images_per_pair
            board = on_board(project / "built", images)
            scores = [row for row in every if row["strategy"] == strategy and key(row) in board]
            assert line["oracle"] == pytest.approx(headline(scores, "dice_oracle"), abs=0.0051)
            assert ("predicted_iou" in line) == (strategy != "S1")
            if strategy != "S1":
                rated = headline(scores, "dice_predicted_iou")
                assert line["predicted_iou"] == pytest.approx(rated, abs=0.0051)
            patients = {(row["source"], row["patient"]) for row in scores}
            counts = [len({row[name] for row in scores}) for name in ("pair", "image_id")]
            assert [line["pairs"], line["images"], line["patients"]] == [*counts, len(patients)]
            assert line["low"] is line["high"] is None  # few patients
    assert found["dice"][measure.MODEL]["S1"]["images"] < found["images"]
    assert found["sources"] == list(SOURCES)
    assert found["same_images"]["S1"] == found["dice"][measure.MODEL]["S1"]["oracle"]


@pytest.mark.slow
def test_ratings_are_held_against_the_true_iou(project: Path) -> None:
    found = json.loads((project / "found.json").read_text())["rated"]
    pairs: dict[str, list[tuple[float, float]]] = defaultdict(list)
    board = on_board(project / "built", ROWS.images_per_pair)
    for row in rows((project / "scores" / measure.MODEL).glob("*.parquet")):
        if row["strategy"] != "S1" and key(row) in board:
            for name in ("all", row["strategy"]):
                pairs[name].append((row["predicted_iou_predicted_iou"], row["jaccard_predicted_iou"]))
    assert set(found) == {"all", *ALL[1:]}
    for name, own in pairs.items():
        assert found[name] == pytest.approx(spearman(own), abs=0.00051)


@pytest.fixture(scope="module")
def guessed(tmp_path_factory: pytest.TempPathFactory) -> boards.Scored:
    """A board of another model under the network's name, whose S1 finds something, with 21 patients. A case
    of S1's board also holds objects of a pair that has images enough without it.
    """
    made = boards.Scored(tmp_path_factory.mktemp("guessed"))
    whole = [case for case in dataset.cases(28, slices=1) if case.modality == "CT"]
    lesions = [replace(case, slices=tuple((image, of[1:2]) for image, of in case.slices)) for case in whole]
    made.build("first", [*lesions[:4], *whole[4:]])
    made.score(guesser(measure.MODEL, fails=0, applies=ALL, made_for=ALL))
    made.board(rows=BoardRows(images_per_pair=30, images_per_pair_s1=S1_IMAGES))
    return made


def test_headlines_and_intervals_are_the_board_s(guessed: boards.Scored) -> None:
    with duckdb.connect(str(guessed.path), read_only=True) as connection:
        connection.execute(measure.OF_BOARD)
        found = measure._headlines(connection, measure.MODEL, boards.OPTIONS)
        board = connection.execute(
            """select strategy, selection, 100 * headline, 100 * low, 100 * high from group_scores
            where grouped = 'all'"""
        ).fetchall()
    assert len(board) == 11
    for strategy, selection, *values in board:
        names = ("oracle", "low", "high") if selection == "oracle" else ("predicted_iou",)
        for name, value in zip(names, values, strict=False):
            assert found[strategy][name] == (None if value is None else pytest.approx(value, abs=0.0051))
    assert found["S5"]["low"] < found["S5"]["oracle"] < found["S5"]["high"]  # type: ignore[operator]


def test_strategies_are_compared_on_s1_s_own_board(guessed: boards.Scored) -> None:
    every = rows((guessed.scores / measure.MODEL).glob("*.parquet"))
    board = on_board(guessed.data, S1_IMAGES)
    with duckdb.connect(str(guessed.path), read_only=True) as connection:
        connection.execute(measure.OF_BOARD)
        found = measure._same_images(connection)
    assert set(found) == set(ALL)
    for strategy, value in found.items():
        own = [row for row in every if row["strategy"] == strategy]
        scores = [row for row in own if key(row) in board]
        assert value == pytest.approx(headline(scores, "dice_oracle"), abs=0.0051)
        images = {row["image_id"] for row in scores}
        assert len([row for row in own if row["image_id"] in images]) > len(scores)
    assert found["S1"] > 0


@pytest.mark.slow
def test_all_images_of_other_sources_are_measured_without_s1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(PARAMS, tmp_path)
    dataset.build(Path("built"), "drive", dataset.cases(4, slices=1))  # one patient's split is train
    found = measure.measure(Path("built"), ("drive",), Path("scores"), None, workers=1)
    json.dumps(found, allow_nan=False)
    assert {model: set(own) for model, own in found["dice"].items()} == {
        measure.MODEL: set(ALL[1:]), "box": {"S5"}, "grabcut": {"S5"},
    }  # fmt: skip
    assert (found["images"], found["patients"]) == (6, 4)
    for model, own in found["dice"].items():
        every = rows((tmp_path / "scores" / model).glob("*.parquet"))
        for strategy, line in own.items():
            scores = [row for row in every if row["strategy"] == strategy]
            assert line["oracle"] == pytest.approx(headline(scores, "dice_oracle"), abs=0.0051)
            assert (line["images"], line["patients"]) == (6, 4)
    assert found["same_images"] == {}
    text = card._measured("others", found)
    assert "S1 is scored" not in text
    assert not re.search(r"[{}]|\b(None|nan)\b", text)


def test_a_rating_that_says_nothing_has_no_correlation() -> None:
    assert measure._correlation([0.5, 0.5, 0.5], [0.1, 0.2, 0.3]) is None
    assert measure._correlation([0.5], [0.1]) is None
    assert measure._correlation([], []) is None
    assert measure._correlation([1, 2, 3], [3, 2, 1]) == -1


@pytest.fixture
def given(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the card is made of, all in a folder of the test: built sources, a curve, what was measured."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(PARAMS, tmp_path)
    for name in ("CURVE", "METRICS", "OTHERS"):
        monkeypatch.setattr(recipe, name, tmp_path / f"{name}.txt")
    monkeypatch.setattr(card, "CARD", tmp_path / "README.md")
    left_out = recipe.load().phantoms["left_out"].slugs
    for slug in ("crag", "drive", "stare", recipe.SAMPLE, *left_out):
        cases = dataset.cases(1 if slug == "crag" else 4, slices=1)  # the fourth patient is for training
        dataset.build(recipe.BUILT / "seen", slug, cases, phantom=slug != recipe.SAMPLE)
    for slug in left_out:
        dataset.build(recipe.BUILT / "left_out", slug, dataset.cases(1, slices=1), phantom=True)
    names = ("s2_oracle", "s2_rated", "s5_oracle", "s5_rated")
    curve = [{"step": step, "loss": 1 / step, **dict.fromkeys(names, 0.25)} for step in (500, 1000)]
    recipe.CURVE.write_text(train._table(curve))
    found: dict[str, Any] = json.loads((project / "found.json").read_text())
    return found


def tables(text: str) -> Iterator[list[list[str]]]:
    for block in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
        yield [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]


@pytest.mark.slow
def test_the_card_says_what_the_files_say(given: dict[str, Any]) -> None:
    found = {"one": given, "other": given | {"rated": {"all": None}}}
    recipe.METRICS.write_text(json.dumps(found))
    card.write()
    text = card.CARD.read_text()
    assert text == card.text()
    front, body = text.split("---\n", 2)[1:]
    assert yaml.safe_load(front)["license"] == "apache-2.0"
    assert not re.search(r"[{}]|\b(None|nan|NaN|TODO)\b", body)
    assert max(len(line) for line in body.splitlines() if not line.startswith("|")) < 1000
    options: ScratchOptions = recipe.load().train
    for name, value in options.model_dump().items():
        assert f"{name} {value}" in body
    sample = sources.get(recipe.SAMPLE).SOURCE
    assert sample.licence in body
    assert sample.citation in body
    data = body.split("## Data")[1].split("## ")[0]
    used, left_out = data.split("Left out")
    assert "Phantoms** of 2 sources" in used
    assert re.search(r"nothing was used: drive, stare\.", used)
    for slug in recipe.load().phantoms["left_out"].slugs:
        assert slug in left_out
        assert slug not in used
    curve, *measured = tables(body)
    assert curve[2] == ["500", "0.002", *["0.250"] * 4]
    assert len(measured) == len(found)
    for table in (curve, *measured):
        assert len({len(line) for line in table}) == 1
    cells = {(line[0], line[1]): dict(zip(ALL, line[2:], strict=True)) for line in measured[0][2:]}
    for model, own in given["dice"].items():
        for strategy in ALL:
            shown = cells[model, "best"][strategy]
            assert shown == (f"{own[strategy]['oracle']:.2f}" if strategy in own else "–")
    network = given["dice"][measure.MODEL]
    assert cells[measure.MODEL, "best rated"]["S5"] == f"{network['S5']['predicted_iou']:.2f}"
    assert cells[measure.MODEL, "best rated"]["S1"] == "–"
    assert f"S2 {given['same_images']['S2']:.2f}" in body
    assert f"S6 {given['rated']['S6']:.2f}" in body


@pytest.mark.slow
def test_the_stage_measures_what_was_never_seen(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def recorded(data: Path, slugs: Sequence[str], out: Path, rows: BoardRows) -> dict[str, Any]:
        asked.append((data, tuple(slugs), out, rows))
        return given

    monkeypatch.setattr(measure, "measure", recorded)
    monkeypatch.setattr(sys, "argv", ["measure"])
    measure.main()
    wanted, left_out = recipe.load().measure, recipe.load().phantoms["left_out"].slugs
    places = [recipe.NANO / f"scores/{number}" for number in range(3)]
    assert asked == [
        (recipe.BUILT / "seen", ("crag", "drive", "stare"), places[0], wanted),
        (recipe.BUILT / "seen", (recipe.SAMPLE,), places[1], wanted),
        (recipe.BUILT / "left_out", tuple(sorted(left_out)), places[2], wanted),
    ]
    assert len(json.loads(recipe.METRICS.read_text())) == 3
    assert card.CARD.read_text().count("## Measured") == 3
    monkeypatch.setattr(sys, "argv", ["measure", str(recipe.BUILT / "left_out")])
    measure.main()
    assert asked[-1][:2] == (recipe.BUILT / "left_out", tuple(sorted(left_out)))
    assert asked[-1][2] not in places
    assert json.loads(recipe.OTHERS.read_text()) == given
    assert "## Measured: other sources" in card.CARD.read_text()


@pytest.mark.slow
def test_what_is_left_out_is_not_trained_on(given: dict[str, Any]) -> None:
    assert recipe.trained(recipe.load()) == ("crag", "drive", recipe.SAMPLE, "stare")


def test_the_recipe_s_parameters_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = yaml.safe_load(recipe.PARAMS.read_text())
    monkeypatch.setattr(recipe, "PARAMS", tmp_path / "params.yaml")
    for change in (
        {"more": 1},
        {"train": content["train"] | {"more": 1}},
        {"measure": content["measure"] | {"more": 1}},
        {"phantoms": {"seen": content["phantoms"]["seen"] | {"more": 1}}},
        {"train": content["train"] | {"steps": 0}},
    ):
        recipe.PARAMS.write_text(yaml.safe_dump(content | change))
        with refused("params.yaml of the recipe", "mend it"):
            recipe.load()
    recipe.PARAMS.write_text(yaml.safe_dump(content))
    recipe.load()
