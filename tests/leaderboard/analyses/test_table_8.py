"""Table 8 holds what was measured on the board's own data alone, for it stands beside the paper's values."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leaderboard.analyses import table_8
from leaderboard.analyses.given import Given
from tests.leaderboard.analyses import planted
from tests.leaderboard.analyses.recomputed import rows
from tests.leaderboard.boards import Scored

OTHERS: tuple[dict[str, Any], ...] = (
    {"sources": {planted.SOURCE: "older"}},
    {"sources": {"phantom": "0123456789abcdef"}},
    {"device": "cuda"},
    {"version": 2},
    {"weights_sha256": "0" * 64},
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    return planted.build(tmp_path_factory.mktemp("small"), number_of_cases=5)


@pytest.mark.parametrize("changes", OTHERS)
def test_a_board_takes_no_drop_of_other_data_weights_or_devices(
    small: Scored, tmp_path: Path, changes: dict[str, Any]
) -> None:
    made = small.copy(tmp_path / "copy")
    planted.measure(made, **changes)
    board = planted.given(made, tmp_path / "state")
    measured = board.reader.measured()["planted", "S5"]
    assert (measured["drop"], measured["shift_pixels"]) == (None, None)
    assert measured["prompt_ms"] == 4
    assert "run `cosmos robustness " in table_8.section(board).missing


@pytest.mark.parametrize("changes", OTHERS)
def test_nor_does_the_table_where_the_record_changed_after_the_board(
    built: Scored, given: Given, tmp_path: Path, changes: dict[str, Any]
) -> None:
    assert given.reader.measured()["planted", "S5"]["drop"] == pytest.approx(0.06)
    assert len(rows(table_8.section(given))) == 6
    (tmp_path / "data").symlink_to(built.data)
    planted.measure(replace(built, folder=tmp_path), **changes)
    section = table_8.section(replace(given, measured=tmp_path / "measured"))
    assert section.table is section.figure is None
    assert "run `cosmos robustness " in section.missing


def test_a_record_that_the_board_does_not_know_is_not_read(small: Scored, tmp_path: Path) -> None:
    board = planted.given(small.copy(tmp_path / "copy"), tmp_path / "state")
    path = board.measured / "robustness" / "planted.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    assert "run `cosmos robustness " in table_8.section(board).missing


def test_beside_synthetic_images_there_is_none_of_the_paper_s(tmp_path: Path) -> None:
    made = planted.build(tmp_path / "phantom", number_of_cases=5, phantom=True)
    planted.measure(made)
    section = table_8.section(planted.given(made, tmp_path / "state"))
    assert [row["Paper"] for row in rows(section)] == [None] * 6
    assert section.sentence.endswith("; none of the paper's beside synthetic images.")
    assert section.figure is not None
    assert [trace.name for trace in section.figure.data] == ["planted"]
