"""Means per strategy, pair and modality on planted scores, recomputed by slow loops from what was planted."""

import csv
import statistics
from typing import Any

import pyarrow as pa
import pytest

from leaderboard import paper
from leaderboard.analyses import (
    figure_10,
    figure_13,
    figure_14,
    figures_6_7_8,
    figures_12_15,
    figures_17_18,
    table_6,
    tables_2_3,
)
from leaderboard.analyses.given import Given
from tests.leaderboard.analyses.planted import STRATEGIES, dice
from tests.leaderboard.analyses.recomputed import objects, rows


def test_figure_6_is_the_flat_mean_over_the_board_s_objects(given: Given) -> None:
    section = figures_6_7_8.figure_6(given)
    own = list(objects(given))
    for row in rows(section):
        strategy = row["Strategy"].split(" ")[0]
        values = [dice(row["Model"], strategy, image, index) for image, index, _ in own]
        assert row["DICE, %"] == pytest.approx(100 * statistics.fmean(values), abs=1e-5)
        distances = [20 * (1 - value) if value else 0 for value in values]
        assert row["HD, px"] == pytest.approx(statistics.fmean(distances), abs=1e-5)
        assert row["Empty masks"] == values.count(0) > 0
        assert row["Objects"] == len(own)
    patients = {image.split("/")[1] for image, *_ in own}
    assert f"up to {len(own)} objects of {len(patients)} patients" in section.sentence
    assert "of 2 models" in section.sentence


@pytest.mark.parametrize(
    ("analysis", "of"),
    [(figures_6_7_8.figure_7, lambda value: 100 * value),
     (figures_6_7_8.figure_8, lambda value: 20 * (1 - value) if value else 0)],
)  # fmt: skip
def test_figures_7_and_8_are_the_flat_means_of_each_pair(given: Given, analysis: Any, of: Any) -> None:
    own = list(objects(given))
    found = rows(analysis(given))
    assert len(found) == 4 * 2
    for row in found:
        for strategy in ("S2", "S5"):
            if strategy not in STRATEGIES[row["Model"]]:
                assert row[strategy] is None
                continue
            values = [
                of(dice(row["Model"], strategy, image, index))
                for image, index, pair in own
                if pair == row["Pair"]
            ]
            assert row[strategy] == pytest.approx(statistics.fmean(values), abs=1e-5)


def test_where_all_masks_are_empty_there_is_no_distance(given: Given) -> None:
    class Reader:
        def __getattr__(self, name: str) -> Any:
            return getattr(given.reader, name)

        def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
            end = "else o.on_board end"
            return given.reader.rows(query.replace(end, "else o.on_board and s.dice_oracle = 0 end"), *values)

    hollow = Given(Reader(), given.attributes, given.paper, given.data, given.measured)  # type: ignore[arg-type]
    for row in rows(figures_6_7_8.figure_6(hollow)):
        assert (row["DICE, %"], row["HD, px"], row["Empty masks"]) == (0, None, row["Objects"])


def test_without_a_whole_pair_it_says_so(given: Given) -> None:
    class Reader:
        def __getattr__(self, name: str) -> Any:
            return getattr(given.reader, name)

        def table(self, query: str, *values: Any) -> pa.Table:
            return given.reader.table(query, *values).slice(0, 0)

        def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
            found = given.reader.rows(query, *values)
            return [] if "from coverage" in query else found

    bare = Given(Reader(), given.attributes, given.paper, given.data, given.measured)  # type: ignore[arg-type]
    for analysis in (
        figures_6_7_8.figure_6,
        figures_6_7_8.figure_7,
        figures_6_7_8.figure_8,
        table_6.section,
    ):
        section = analysis(bare)
        assert section.missing.startswith("No model has the scores of a whole pair")
        assert section.table is section.figure is None
    for analysis in (figure_10.section, figure_13.section, figure_14.section, figures_12_15.figure_15):
        assert analysis(bare).missing.startswith("No model has scores under S5")


def test_figure_6_says_of_how_many_models_it_has_no_pair(given: Given) -> None:
    class Reader:
        def __getattr__(self, name: str) -> Any:
            return getattr(given.reader, name)

        def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
            return [row for row in given.reader.rows(query, *values) if row.get("model") != "planted"]

    reader: Any = Reader()
    part = Given(reader, given.attributes, given.paper, given.data, given.measured)
    section = figures_6_7_8.figure_6(part)
    assert {row["Model"] for row in rows(section)} == {"tuned"}
    assert "of 1 model under" in section.sentence
    assert "wholly (left out for want of one: 1 model):" in section.sentence
    assert "left out" not in figures_6_7_8.figure_6(given).sentence


def test_a_demonstration_is_marked_and_never_the_first_before_another(given: Given) -> None:
    kinds = {"tuned": "demonstration"}

    class Reader:
        def __getattr__(self, name: str) -> Any:
            return getattr(given.reader, name)

        def models(self) -> list[dict[str, Any]]:
            return [{**one, "kind": kinds.get(one["name"], one["kind"])} for one in given.reader.models()]

        def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
            found = given.reader.rows(query, *values)
            if "from contacts" not in query:
                return found
            assert {row["contact"] for row in found} == {"other_source"}
            return [*found, {"model": "planted", "contact": "same_source"}]

    assert given.first == given.models[0]["name"] == "tuned"
    assert given.first_told == "tuned, the first under S5"
    assert given.titled("planted") == "planted"
    board = Given(Reader(), given.attributes, given.paper, given.data, given.measured)  # type: ignore[arg-type]
    marked = {"tuned (demonstration)", "planted (trained on the same source)"}
    told = "planted (trained on the same source), the first under S5 that is no demonstration"
    for analysis in (figures_6_7_8.figure_7, figure_13.section):
        assert told in analysis(board).sentence
    for analysis in (
        figures_6_7_8.figure_6,
        figures_6_7_8.figure_7,
        figure_10.section,
        figure_14.section,
        table_6.section,
        tables_2_3.table_2,
    ):
        section = analysis(board)
        assert {row["Model"] for row in rows(section)} == marked
        if analysis is not figures_6_7_8.figure_7:
            assert section.figure is not None
            names = [trace.name or "" for trace in section.figure.data]
            assert all(any(name.startswith(one) for name in names) for one in marked)
    for analysis in (figures_17_18.figure_17, figures_17_18.figure_18):
        assert "tuned (demonstration)" in analysis(board).sentence
        assert {row["Model"] for row in rows(analysis(board))} == {"tuned (demonstration)"}
    kinds["planted"] = "demonstration"
    alone = Given(Reader(), given.attributes, given.paper, given.data, given.measured)  # type: ignore[arg-type]
    assert alone.first_told == "tuned (demonstration), the first under S5"


def test_figure_10_says_how_dice_scatters_in_a_modality(given: Given) -> None:
    found = rows(figure_10.section(given))
    assert {row["Modality"] for row in found} == {"CT", "MRI"}
    for row in found:
        values = sorted(
            100 * dice(row["Model"], "S5", image, index)
            for image, index, pair in objects(given)
            if pair.endswith(f"-{row['Modality']}")
        )
        quarters = statistics.quantiles(values, n=4, method="inclusive")
        told = [
            row[name] for name in ("Mean DICE, %", "Deviation", "Least", "25 %", "Median", "75 %", "Most")
        ]
        wanted = [statistics.fmean(values), statistics.stdev(values), values[0], *quarters, values[-1]]
        assert told == pytest.approx(wanted, abs=1e-4)


def test_tables_2_and_3_hold_all_rows_beside_the_paper_s_values(given: Given) -> None:
    everything = list(objects(given, everywhere=True))
    assert len(everything) > len(list(objects(given)))
    for analysis, column, metric, of in (
        (tables_2_3.table_2, "DICE, % here", "dice", lambda value: 100 * value),
        (tables_2_3.table_3, "HD, px here", "hd", lambda value: 20 * (1 - value) if value else 0),
    ):
        section = analysis(given)
        for row in rows(section):
            values = [
                of(dice(row["Model"], row["Strategy"], image, index))
                for image, index, pair in everything
                if pair == row["Pair"]
            ]
            assert row["Objects"] == len(values)
            assert row[column] == pytest.approx(statistics.fmean(values), abs=1e-5)
            of_object, _, modality = row["Pair"].rpartition("-")
            with (paper.FOLDER / "tables_2_3.csv").open(newline="") as file:
                theirs = {
                    line["model"]: float(line["value"])
                    for line in csv.DictReader(file)
                    if (line["object"], line["modality"], line["strategy"], line["metric"])
                    == (of_object, modality, row["Strategy"], metric)
                }
            assert row["Paper, ViT-B"] == theirs.get("vit_b")
            assert row["Paper, ViT-H"] == theirs.get("vit_h")
        assert any(row["Paper, ViT-B"] is not None for row in rows(section))
        assert f"of {len(everything)} objects" in section.sentence
        assert "2 of the pairs are in the paper too" in section.sentence
