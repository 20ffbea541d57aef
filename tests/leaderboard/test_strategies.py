from typing import Any

import numpy as np
import pytest

from cosmos1050k.schema import POINTS
from leaderboard.strategies import NEGATIVE, PADDING, POSITIVE, STRATEGIES, prompts

#: Two objects as a row stores them. The second fills the picture: nothing around it, so padding.
FIRST: dict[str, Any] = {
    "box": [2, 3, 7, 9],
    "points_pos": [[4, 5], [3, 3], [4, 4], [5, 6], [7, 9]],
    "points_neg": [[0, 0], [1, 1], [8, 2], [9, 3], [9, 9]],
}
SECOND: dict[str, Any] = {
    "box": [0, 0, 9, 9],
    "points_pos": [[5, 5], [0, 0], [1, 2], [2, 4], [9, 9]],
    "points_neg": [[-1, -1]] * 5,
}
POS, NEG, PAD = POSITIVE, NEGATIVE, PADDING


def test_the_labels_are_those_of_sam() -> None:
    assert (POSITIVE, NEGATIVE, PADDING) == (1, 0, -1)


@pytest.mark.parametrize(
    ("name", "points", "labels", "box"),
    [
        ("S2", 1, [[POS], [POS]], False),
        ("S3", 5, [[POS] * 5, [POS] * 5], False),
        ("S4", 10, [[POS] * 5 + [NEG] * 5, [POS] * 5 + [PAD] * 5], False),
        ("S5", 0, None, True),
        ("S6", 1, [[POS], [POS]], True),
    ],
)
def test_prompts_of_two_objects(name: str, points: int, labels: list[list[int]] | None, box: bool) -> None:
    found = prompts(STRATEGIES[name], [FIRST, SECOND])
    assert len(found) == 2
    if labels is None:
        assert found.points is None
        assert found.labels is None
    else:
        expected = [(entry["points_pos"] + entry["points_neg"])[:points] for entry in (FIRST, SECOND)]
        assert found.points is not None
        assert found.labels is not None
        assert found.points.tolist() == expected
        assert found.points.dtype == np.int32
        assert found.labels.tolist() == labels
        assert found.labels.dtype == np.int8
    if box:
        assert found.boxes is not None
        assert found.boxes.tolist() == [FIRST["box"], SECOND["box"]]
        assert found.boxes.dtype == np.int32
    else:
        assert found.boxes is None


def test_a_point_in_the_corner_is_no_padding() -> None:
    found = prompts(STRATEGIES["S4"], [FIRST])
    assert found.points is not None
    assert found.labels is not None
    assert found.points[0, 5].tolist() == [0, 0]
    assert found.labels[0, 5] == NEGATIVE


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "S1"])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_shapes(name: str, count: int) -> None:
    strategy = STRATEGIES[name]
    found = prompts(strategy, [FIRST] * count)
    assert len(found) == count
    points = strategy.positive + strategy.negative
    if points:
        assert found.points is not None
        assert found.labels is not None
        assert found.points.shape == (count, points, 2)
        assert found.labels.shape == (count, points)
    if strategy.box:
        assert found.boxes is not None
        assert found.boxes.shape == (count, 4)


def test_everything_has_no_prompts() -> None:
    assert [name for name, strategy in STRATEGIES.items() if strategy.everything] == ["S1"]
    with pytest.raises(ValueError, match="no prompts"):
        prompts(STRATEGIES["S1"], [FIRST])


def test_no_strategy_asks_for_more_points_than_are_stored() -> None:
    assert list(STRATEGIES) == ["S1", "S2", "S3", "S4", "S5", "S6"]
    assert max(max(strategy.positive, strategy.negative) for strategy in STRATEGIES.values()) == POINTS
