"""Each analysis on planted scores, recomputed by slow loops from what was planted."""

import csv
import re
import statistics
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyefd
import pytest

from leaderboard import analyses, paper
from leaderboard.analyses import (
    figure_3,
    figure_10,
    figure_13,
    figure_14,
    figures_6_7_8,
    figures_12_15,
    figures_17_18,
    table_4,
    table_6,
    table_8,
    tables_2_3,
)
from leaderboard.analyses.given import Given
from leaderboard.analyses.section import Section
from tests.leaderboard.analyses import planted
from tests.leaderboard.analyses.planted import STRATEGIES, attributes, dice


def rows(section: Section) -> list[dict[str, Any]]:
    assert section.table is not None
    assert section.missing == ""
    return section.table.to_pylist()


def objects(given: Given, everywhere: bool = False) -> Iterator[tuple[str, int, str]]:
    """Image, place and pair of the objects on the board, or of all."""
    asked = "select image_id, object_index, pair::varchar as pair from objects where on_board or ?"
    for row in given.reader.rows(asked, everywhere):
        yield row["image_id"], row["object_index"], row["pair"]


def of_paper(table: int, **wanted: str) -> list[dict[str, str]]:
    with (paper.FOLDER / f"table_{table}.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if wanted.items() <= row.items()]


# Table 6


def test_table_6_finds_the_attribute_that_dice_depends_on_and_no_other(given: Given) -> None:
    found = rows(table_6.section(given))
    assert len(found) == 5 * sum(map(len, STRATEGIES.values()))
    for row in found:
        if row["Attribute"] == "Intensity difference":
            assert row["Correlation"] > 0.8
            assert row["p"] < 1e-25
        else:
            assert abs(row["Correlation"]) < 0.2
            assert row["p"] > 0.01


def test_table_6_stands_beside_the_paper_s_values(given: Given) -> None:
    (row,) = [
        row
        for row in rows(table_6.section(given))
        if (row["Attribute"], row["Strategy"], row["Model"]) == ("Fourier order", "S2", "planted")
    ]
    for model, heading in (("vit_b", "Paper, ViT-B"), ("vit_h", "Paper, ViT-H")):
        assert row[heading] == float(of_paper(6, strategy="S2", model=model)[0]["fourier_order"])


def test_an_attribute_that_does_not_vary_has_no_correlation_and_disturbs_no_other() -> None:
    rng = np.random.default_rng(3)
    drawn = {name: rng.random(200) for name in ("a", "b")}
    alone = table_6.correlations(drawn["a"] + drawn["b"], drawn)
    with_constant = table_6.correlations(drawn["a"] + drawn["b"], {**drawn, "c": np.ones(200)})
    assert with_constant.pop("c") == {"r": None, "p": None, "objects": 200}
    assert with_constant == alone


# Means per strategy


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


# Attributes


def test_figure_14_sorts_objects_into_ten_levels(given: Given) -> None:
    levels: dict[tuple[str, str], list[float]] = {}
    for model in STRATEGIES:
        for image, index, _ in objects(given):
            level = min(int(10 * dice(model, "S5", image, index)), 9)
            key = model, f"{10 * level}–{10 * level + 10}"
            levels.setdefault(key, []).append(attributes(image, index)["fourier_order"])
    found = rows(figure_14.section(given))
    assert {(row["Model"], row["DICE, %"]) for row in found} == set(levels)
    for row in found:
        orders = levels[row["Model"], row["DICE, %"]]
        assert row["Objects"] == len(orders)
        assert row["Median"] == pytest.approx(statistics.median(orders), abs=1e-5)
        assert (row["Least"], row["Most"]) == pytest.approx((min(orders), max(orders)), abs=1e-5)


def test_a_level_holds_its_lower_end_and_the_last_one_both() -> None:
    given = np.array([0, 0.0999, 0.1, 0.2, 0.3, 0.6, 0.7, 0.8999, 0.9, 1.0])
    assert figure_14.levels_of(given).tolist() == [0, 0, 1, 2, 3, 6, 7, 8, 9, 9]


def test_bins_hold_every_value_once_and_equal_values_together() -> None:
    rng = np.random.default_rng(5)
    values = np.concatenate([rng.random(70), np.full(30, 0.5), [np.nan, np.nan]])
    marks = np.arange(102.0)
    found = figure_13.binned(values, marks)
    assert sorted(mark for *_, own in found for mark in own) == marks[:100].tolist()
    ends = [(low, high) for low, high, _ in found]
    assert ends == sorted(ends)
    assert all(before[1] < after[0] for before, after in pairwise(ends))
    for low, high, own in found:
        inside = values[own.astype(int)]
        assert (inside.min(), inside.max()) == (low, high)
    assert len(figure_13.binned(np.ones(9), np.arange(9.0))) == 1
    assert figure_13.binned(np.full(3, np.nan), np.arange(3.0)) == []


def test_figure_13_says_how_it_was_thinned(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    every = len(list(objects(given)))
    assert "every object is drawn" in figure_13.section(given).sentence
    monkeypatch.setattr(figure_13, "MOST", every // 4)
    section = figure_13.section(given)
    step = int(re.findall(r"every (\d+)th object", section.sentence)[0])
    assert section.figure is not None
    assert len(section.figure.data[0].x) == len(range(0, every, step)) <= every // 4
    bins = [row["Objects"] for row in rows(section) if row["Attribute"] == "Fourier order"]
    assert sum(bins) == every


def test_figure_12_decodes_as_pyefd_does() -> None:
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    radius = 30 + 8 * np.cos(5 * angles)
    star = np.stack([50 + radius * np.cos(angles), 40 + radius * np.sin(angles)], axis=1).astype(np.int32)
    star = star[(star != np.roll(star, 1, axis=0)).any(axis=1)]
    closed = np.concatenate([star, star[:1]]).astype(float)
    for order in (1, 5, 20):
        descriptors = pyefd.elliptic_fourier_descriptors(closed, order=order)
        locus = pyefd.calculate_dc_coefficients(closed)
        wanted = pyefd.reconstruct_contour(descriptors, locus, num_points=401)[:-1]
        assert np.abs(figures_12_15.decoded(star, order) - wanted).max() < 1e-9


# What was measured


def test_table_4_is_what_was_timed_in_seconds(given: Given) -> None:
    found = {row["Part"]: row for row in rows(table_4.section(given))}
    assert {part: row["Seconds"] for part, row in found.items()} == {
        "Encoder": 0.25,
        "S2": 0.008,
        "S5": 0.004,
    }
    assert found["Encoder"]["Timed on"] == "a clock, float32"
    own = of_paper(4, model="vit_h")[0]
    assert found["Encoder"]["Paper, ViT-H"] == float(own["embedding"])
    assert found["S5"]["Paper, ViT-H"] == float(own["S5"])


def test_table_8_is_what_shifts_cost_in_percentage_points(given: Given) -> None:
    section = table_8.section(given)
    found = {(row["Shift, px"], row["Strategy"]): row for row in rows(section)}
    assert len(found) == 3 * 2
    for place, reach in enumerate(("0-10", "10-20", "20-30"), start=1):
        own = of_paper(8, run="mean", shift_pixels=reach)[0]
        for strategy, each in (("S2", 1.0), ("S5", 2.0)):
            row = found[reach, strategy]
            assert row["Drop of DICE"] == pytest.approx(each * place)
            assert row["Paper"] == float(own[strategy])
    assert "the same 18 objects" in section.sentence


# Finetuning


def test_figure_18_counts_the_pairs_that_finetuning_made_better(given: Given) -> None:
    section = figures_17_18.figure_18(given)
    changes = []
    for row in rows(section):
        own = [(image, index) for image, index, pair in objects(given) if pair == row["Pair"]]
        before, after = (
            100 * statistics.fmean(dice(model, "S5", *one) for one in own) for model in ("planted", "tuned")
        )
        assert (row["DICE before, %"], row["DICE after, %"]) == pytest.approx((before, after), abs=1e-5)
        assert row["Change"] == pytest.approx(after - before, abs=1e-5)
        assert (row["Change"] > 0) == row["Pair"].startswith("Liver")
        changes.append(after - before)
    told = f"tuned {statistics.fmean(changes):+.2f} on average over 4 pairs, 2 of them better"
    assert told in section.sentence


def test_figure_17_has_dice_before_and_after_in_bins(given: Given) -> None:
    every = list(objects(given))
    for row in rows(figures_17_18.figure_17(given)):
        if row["Attribute"] == "Fourier order":
            own = [
                (image, index)
                for image, index, _ in every
                if row["From"] <= attributes(image, index)["fourier_order"] <= row["To"]
            ]
            assert row["Objects"] == len(own)
            for column, model in (("DICE before, %", "planted"), ("DICE after, %", "tuned")):
                mean = 100 * statistics.fmean(dice(model, "S5", *one) for one in own)
                assert row[column] == pytest.approx(mean, abs=1e-5)


# The build


def test_figure_3_counts_the_build(given: Given) -> None:
    section = figure_3.section(given)
    found = {(row["What"], row["Name"]): row["Number"] for row in rows(section) if row["Number"]}
    images = planted.CASES * planted.SLICES
    assert found == {
        ("Source", planted.SOURCE): images,
        ("Object", "Lesion"): images,
        ("Object", "Liver"): images,
        ("Modality", "CT"): images // 2,
        ("Modality", "MRI"): images // 2,
        ("Image area", "128 × 128"): images,
    }
    assert "counts 1 source, 120 images, 240 masks, 2 modalities and 2 objects" in section.sentence


def test_synthetic_images_stand_beside_no_value_of_the_paper(phantom: Given) -> None:
    section = table_6.section(phantom)
    assert all(row["Paper, ViT-B"] is None for row in rows(section))
    assert "none of the paper's beside synthetic images" in section.sentence
    assert tables_2_3.table_2(phantom).missing.startswith("No model has scores of all rows of real sources")
    assert all(row["Pair"].endswith("(phantom)") for row in rows(figures_6_7_8.figure_7(phantom)))
    # Its pictures may be shown.
    outline = figures_12_15.figure_12(phantom)
    assert outline.table is not None
    highest = max(attributes(image, index)["fourier_order"] for image, index, _ in objects(phantom))
    assert f"that may be shown, {highest:.1f} (" in outline.sentence
    drawn = rows(figures_12_15.figure_15(phantom))
    orders = [row["Fourier order"] for row in drawn]
    assert orders == sorted(orders)
    assert len(orders) == 6
    for row in drawn:
        value = dice("tuned", "S5", row["Image"], row["Object"])
        assert row["DICE, %"] == pytest.approx(100 * value, abs=1e-5)
    # Of this board nothing was measured.
    for analysis in (table_4.section, table_8.section):
        assert "run `cosmos" in analysis(phantom).missing


def test_pictures_that_may_not_be_passed_on_are_not_drawn(given: Given) -> None:
    for analysis in (figures_12_15.figure_12, figures_12_15.figure_15):
        section = analysis(given)
        assert section.figure is None
        assert "may be shown" in section.missing


@pytest.mark.slow
def test_every_analysis_has_something_to_say(given: Given) -> None:
    found = analyses.sections(given)
    assert len({one.key for one in found}) == len(found) == 16
    for one in found:
        assert bool(one.missing) != isinstance(one.table, pa.Table)
        assert one.title.lower().startswith(one.key.replace("_", " "))
        assert one.missing or one.sentence.endswith(".")
