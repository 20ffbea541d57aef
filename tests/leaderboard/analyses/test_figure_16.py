"""Figure 16, from planted records."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leaderboard import measurements
from leaderboard.analyses import figure_16
from leaderboard.analyses.given import Given
from leaderboard.studies.interactive import INTERACTIVE, Clicks, Course

DICE = (0.5, 0.61234, 0.7, 0.75, 0.8, 0.81, 0.82)


def planted(model: str, dice: tuple[float, ...] = DICE, **changes: Any) -> Clicks:
    """What was measured of a model: livers are all there is."""
    found = Course(objects=4, dice=dice, clicks={80: 4.25, 85: 6.5, 90: 7}, unreached={80: 0, 85: 1, 90: 4})
    given: dict[str, Any] = {
        "model": model, "version": 1, "weights_sha256": None, "sources": {}, "device": "cpu",
        "numerics": "float32", "images": 4, "objects": 4, "overall": found, "pairs": {"Liver-CT": found},
    }  # fmt: skip
    return Clicks(**given | changes)


def measured(given: Given, folder: Path, *records: Clicks) -> Given:
    for one in records:
        measurements.write(one, folder / INTERACTIVE.name)
    return replace(given, measured=folder)


def test_every_model_that_was_clicked_at_has_a_curve_and_its_counts(given: Given, tmp_path: Path) -> None:
    worse = planted("planted", tuple(value / 2 for value in DICE[:2]))
    section = figure_16.section(measured(given, tmp_path, planted("tuned"), worse))
    assert section.missing == ""
    assert section.table is not None
    rows = section.table.to_pylist()
    assert [row["Pair"] for row in rows] == ["All", "All", "Liver-CT", "Liver-CT"]
    by_model = {row["Model"].split(" ")[0]: row for row in rows[:2]}
    row = by_model["tuned"]
    after = {f"DICE, %, after {text}": 100 * value for text, value in (
        ("1 click", DICE[0]), ("3 clicks", DICE[2]), ("5 clicks", DICE[4]), ("7 clicks", DICE[6]),
    )}  # fmt: skip
    assert {name: row[name] for name in row if "DICE" in name} == pytest.approx(after)
    assert [row[f"Clicks to {share} %"] for share in (80, 85, 90)] == [4.25, 6.5, 7]
    assert [row[f"Never at {share} %"] for share in (80, 85, 90)] == [0, 1, 4]
    # A record of fewer clicks has no value after more.
    assert by_model["planted"]["DICE, %, after 3 clicks"] is None
    assert section.figure is not None
    curves = {curve.name.split(" ")[0]: curve for curve in section.figure.data}
    assert list(curves["tuned"].y) == pytest.approx([100 * value for value in DICE])
    assert list(curves["planted"].x) == [1, 2]
    assert "2 models after each of 7 clicks on up to 4 objects" in section.sentence
    assert "its values can't stand beside these" in section.sentence


def test_a_model_that_takes_no_points_has_none(given: Given, tmp_path: Path) -> None:
    unfit = planted("planted", overall=None, pairs={}, images=0, objects=0, limits="needs a box")
    section = figure_16.section(measured(given, tmp_path, unfit, planted("tuned")))
    assert section.table is not None
    assert {row["Model"].split(" ")[0] for row in section.table.to_pylist()} == {"tuned"}
    for others in ((unfit,), (planted("planted", weights_sha256="0" * 64),), ()):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        section = figure_16.section(measured(given, folder, *others))
        assert (section.table, section.figure) == (None, None)
        assert section.missing == "No model of the board that takes points was clicked at; run `make repro`."


def test_a_model_that_failed_is_named_with_what_to_do(given: Given, tmp_path: Path) -> None:
    line = "planted failed on x: no; mend the model"
    failed = planted("planted", overall=None, pairs={}, images=0, objects=0, failed=line)
    told = f"{line}, then run `dvc repro -f -s study@planted` and `make repro`."
    section = figure_16.section(measured(given, tmp_path / "both", failed, planted("tuned")))
    assert section.table is not None
    assert {row["Model"].split(" ")[0] for row in section.table.to_pylist()} == {"tuned"}
    assert section.sentence.endswith(f" {told}")
    assert figure_16.section(measured(given, tmp_path / "alone", failed)).missing == told
