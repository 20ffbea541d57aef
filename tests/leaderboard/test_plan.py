from pathlib import Path
from typing import Any

import pytest

from cosmos1050k import units
from leaderboard import plan
from leaderboard.contamination import TrainedOn
from leaderboard.machine import Machine
from leaderboard.plan import PART, Task
from tests.leaderboard.segmenters import declaration

ALL = ("S1", "S2", "S5")


def case(rows: int, first_row: int = 0, **more: Any) -> dict[str, Any]:
    given = {"source": "s", "case": "c", "modality": "CT", "patient": "p", "digest": "d", "shard": "x"}
    return {**given, "first_row": first_row, "rows": rows, **more}


def planned(cases: list[dict[str, Any]], strategies: tuple[str, ...] = ALL, **changes: Any) -> list[Task]:
    given = [(Path("data/s"), one, strategies) for one in cases]
    store = units.Units("evaluate", Path("units"))
    return plan.tasks(declaration(**changes), Machine(), given, 1, store)


@pytest.mark.parametrize(("rows", "parts"), [(1, [1]), (PART, [PART]), (2 * PART + 5, [PART, PART, 5])])
def test_a_case_is_done_in_parts(rows: int, parts: list[int]) -> None:
    tasks = planned([case(rows, first_row=7)], ("S5",))
    assert [task.images for task in tasks] == parts
    assert [task.part["first_row"] for task in tasks] == [7 + PART * number for number in range(len(parts))]
    assert len({task.key for task in tasks}) == len(parts)


def test_a_case_keeps_its_units_wherever_it_lies() -> None:
    one, other = planned([case(50, first_row=0)]), planned([case(50, first_row=300, shard="y")])
    assert [task.key for task in one] == [task.key for task in other]


def test_everything_is_a_unit_of_its_own() -> None:
    assert [task.strategies for task in planned([case(3)])] == [("S1",), ("S2", "S5")]


@pytest.mark.parametrize(
    "change", [{"device": "cuda"}, {"dtype": "bfloat16"}, {"weights_sha256": "1" * 64}, {"version": 2}]
)
def test_other_numerics_or_weights_are_other_units(change: dict[str, Any]) -> None:
    keys = {task.key for task in planned([case(3)])}
    assert keys.isdisjoint(task.key for task in planned([case(3)], **change))


def test_what_people_read_of_a_model_changes_no_unit() -> None:
    keys = [task.key for task in planned([case(3)])]
    changes = {"description": "other words", "made_for": (), "trained_on": TrainedOn(others="all")}
    assert keys == [task.key for task in planned([case(3)], **changes)]


def test_chunks_hold_images_enough_of_the_same_strategies() -> None:
    tasks = planned([case(10, case=str(number)) for number in range(6)], ("S5",)) + planned(
        [case(10)], ("S2",)
    )
    chunks = plan.chunks(tasks, 25)
    assert [len(chunk) for chunk in chunks] == [3, 3, 1]
    assert [task for chunk in chunks for task in chunk] == tasks
    assert [len(chunk) for chunk in plan.chunks(tasks, 1)] == [1] * 7
    assert plan.chunks([], 25) == []
