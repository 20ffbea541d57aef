"""What an evaluation has to do: parts of cases under strategies, each a unit, and units that run together."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmos1050k import units
from leaderboard import score
from leaderboard.board_rows import CaseId
from leaderboard.machine import Machine
from leaderboard.models.base import Declaration
from leaderboard.strategies import STRATEGIES

#: Images of a case in one unit: what a killed run may lose, per worker.
PART = 32


@dataclass(frozen=True)
class Task:
    """A part of a case under some strategies, to turn into a unit; picklable."""

    declaration: Declaration
    machine: Machine
    folder: Path
    #: The case's entry of the source's table, its `first_row` and `rows` those of the part.
    part: dict[str, Any]
    strategies: tuple[str, ...]
    units: units.Units
    key: str

    @property
    def case(self) -> CaseId:
        return case_id(self.part)

    @property
    def name(self) -> str:
        return f"{self.part['case']}/{self.part['modality']}"

    @property
    def images(self) -> int:
        rows: int = self.part["rows"]
        return rows

    @property
    def done(self) -> bool:
        return self.units.has(self.key)


def case_id(case: dict[str, Any]) -> CaseId:
    return CaseId(case["source"], case["case"], case["modality"])


def tasks(
    declaration: Declaration,
    machine: Machine,
    cases: Iterable[tuple[Path, dict[str, Any], tuple[str, ...]]],
    protocol_version: int,
    store: units.Units,
) -> list[Task]:
    """The tasks of cases, each with the folder of its source and the strategies to score it under."""
    made = []
    for folder, case, strategies in cases:
        for group in _groups(strategies):
            for part in _parts(case):
                key = units.key(
                    version=score.VERSION,
                    protocol=protocol_version,
                    model=declaration.decides,
                    source=case["source"],
                    case=case["digest"],
                    rows=[part["first_row"] - case["first_row"], part["rows"]],
                    strategies=group,
                )
                made.append(Task(declaration, machine, folder, part, group, store, key))
    return made


def _groups(strategies: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Everything apart from the rest: its board is smaller, and leaving it must not undo the others."""
    everything = tuple(name for name in strategies if STRATEGIES[name].everything)
    return [group for group in (everything, tuple(n for n in strategies if n not in everything)) if group]


def _parts(case: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for start in range(0, case["rows"], PART):
        rows = min(PART, case["rows"] - start)
        yield {**case, "first_row": case["first_row"] + start, "rows": rows}


def chunks(tasks: Sequence[Task], images: int) -> list[tuple[Task, ...]]:
    """Tasks of the same strategies in a row that one process takes together, of at least so many images."""
    made: list[list[Task]] = []
    for task in tasks:
        last = made[-1] if made else []
        if not last or last[0].strategies != task.strategies or sum(one.images for one in last) >= images:
            made.append([task])
        else:
            last.append(task)
    return [tuple(chunk) for chunk in made]
