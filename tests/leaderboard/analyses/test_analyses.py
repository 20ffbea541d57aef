"""Each analysis on planted scores, recomputed by slow loops from what was planted."""

import re
import statistics
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyefd
import pytest

from leaderboard import analyses
from leaderboard.analyses import (
    figure_3,
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
from tests.leaderboard.analyses import planted
from tests.leaderboard.analyses.planted import STRATEGIES, attributes, dice
from tests.leaderboard.analyses.recomputed import objects, of_paper, rows

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
    tables, figures = range(2, 9), (3, 6, 7, 8, *range(10, 19))
    wanted = {*(f"table_{number}" for number in tables), *(f"figure_{number}" for number in figures)}
    assert {one.key for one in found} == wanted
    assert len(found) == len(wanted)
    for one in found:
        assert bool(one.missing) != isinstance(one.table, pa.Table)
        assert one.title.lower().startswith(one.key.replace("_", " "))
        assert one.missing or one.sentence.endswith(".")
