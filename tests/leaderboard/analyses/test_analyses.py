"""Each analysis on planted scores, recomputed by slow loops from what was planted."""

import re
import shlex
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyefd
import pytest
from typer.main import get_command

from leaderboard import analyses
from leaderboard.analyses import (
    drawing,
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
from pipelines.cli import app
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
    nothing = dict.fromkeys(STRATEGIES, 0)
    for model in STRATEGIES:
        for image, index, _ in objects(given):
            value = dice(model, "S5", image, index)
            if value == 0:
                nothing[model] += 1
                continue
            (level,) = (low for low in range(0, 100, 10) if low < 100 * value <= low + 10)
            key = model, f"({level}, {level + 10}]"
            levels.setdefault(key, []).append(attributes(image, index)["fourier_order"])
    section = figure_14.section(given)
    found = rows(section)
    most = max(nothing.values())
    assert f"; up to {most} objects of DICE 0, which is in no level, left out" in section.sentence
    assert f"of up to {len(list(objects(given))) - most} objects" in section.sentence
    assert {(row["Model"], row["DICE, %"]) for row in found} == set(levels)
    for row in found:
        orders = levels[row["Model"], row["DICE, %"]]
        assert row["Objects"] == len(orders)
        assert row["Median"] == pytest.approx(statistics.median(orders), abs=1e-5)
        assert (row["Least"], row["Most"]) == pytest.approx((min(orders), max(orders)), abs=1e-5)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_level_holds_its_upper_end_and_none_holds_nothing(kind: type[np.floating]) -> None:
    given = np.array([0, 1e-6, 0.0999, 0.1, 0.1001, 0.2, 0.3, 0.6, 0.7, 0.8999, 0.9, 0.9001, 1.0], kind)
    assert figure_14.levels_of(given).tolist() == [-1, 0, 0, 0, 1, 1, 2, 5, 6, 8, 8, 9, 9]


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


@pytest.mark.parametrize("analysis", [table_4.section, table_8.section])
def test_what_it_says_to_run_are_verbs_with_their_own_options(
    phantom: Given, analysis: Callable[[Given], Section]
) -> None:
    verb, again = re.findall("`([^`]*)`", analysis(phantom).missing)
    assert again == "make repro"
    cosmos, name, *arguments = shlex.split(verb)
    assert cosmos == "cosmos"
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    # It parses, as the verb would, before anything runs.
    assert command.make_context(name, arguments).params["model"] == "tuned"


def test_a_figure_says_of_how_many_models_it_shows_the_first(given: Given) -> None:
    names = [f"model{number}" for number in range(8)]
    assert drawing.first(names[:6]) == (names[:6], "")
    assert drawing.first(names[:7]) == (names[:6], " The figure shows the first 6 models.")
    assert drawing.first(names, beside=2) == (names[:4], " The figure shows the first 4 models.")


@pytest.mark.parametrize(
    ("analysis", "beside"),
    [(figures_6_7_8.figure_6, 0), (figure_10.section, 0), (figure_14.section, 0), (table_6.section, 2),
     (table_4.section, 2), (table_8.section, 1)],
)  # fmt: skip
def test_a_figure_of_fewer_models_than_there_are_says_so(
    given: Given, analysis: Callable[[Given], Section], beside: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight models, each a copy of the first one under another name."""
    names = [f"copy{number}" for number in range(8)]

    class Copies(Given):
        @property
        def models(self) -> list[dict[str, Any]]:
            return [{**given.models[0], "name": name, "encoder_ms": 3.0, "timed_on": "a"} for name in names]

        def scores(self, model: str, strategy: str) -> pa.Table:
            return given.scores("planted", strategy)

        def means(self, by: Sequence[str]) -> list[dict[str, Any]]:
            own = [row for row in given.means(by) if row["model"] == "planted"]
            return [{**row, "model": name} for name in names for row in own]

        def studied(self, read: Any, folder: str, among: Any = None) -> list[Any]:
            (own,) = given.studied(read, folder)
            return [own.model_copy(update={"model": name}) for name in names]

    board = Copies(given.reader, given.attributes, given.paper, given.data, given.measured)
    section = analysis(board)
    assert section.sentence.endswith(f" The figure shows the first {6 - beside} models.")
    assert section.figure is not None
    drawn = {trace.name for trace in section.figure.data if trace.name and trace.name.startswith("copy")}
    assert drawn == set(names[: 6 - beside])
    assert {row["Model"] for row in rows(section)} == set(names)


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
