"""Which cases make a board (protocol, section 5): whole test cases of a pair until it has images enough."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from cosmos1050k.splits import uniform
from leaderboard.strategies import STRATEGIES

#: Key of the hash that orders cases; another one would be another board.
_KEY = b"cosmos1050k/board"


class CaseId(NamedTuple):
    """A case of the dataset; its rows are of one modality."""

    source: str
    case: str
    modality: str


def _order(case: Mapping[str, Any]) -> tuple[float, float, str]:
    patient = f"{case['source']}/{case['patient']}"
    return uniform(patient, _KEY), uniform(f"{patient}/{case['case']}", _KEY), case["modality"]


def board_cases(cases: Iterable[Mapping[str, Any]], images: int) -> dict[str, list[CaseId]]:
    """Pair → its cases on the board.

    Args:
        cases: rows of the sources' `cases.parquet`, of all sources of the board together.
        images: how many images of a pair are enough; the case that reaches it counts whole.
    """
    chosen: dict[str, list[CaseId]] = {}
    have: dict[str, int] = {}
    for case in sorted((case for case in cases if case["split"] == "test"), key=_order):
        for entry in case["pairs"]:
            pair = entry["pair"]
            if have.get(pair, 0) < images:
                have[pair] = have.get(pair, 0) + entry["images"]
                chosen.setdefault(pair, []).append(CaseId(case["source"], case["case"], case["modality"]))
    return dict(sorted(chosen.items()))


def strategies_of(
    cases: Iterable[Mapping[str, Any]], strategies: Iterable[str], *, images: int, images_everything: int
) -> dict[CaseId, tuple[str, ...]]:
    """Case → the strategies it is scored under: everything (S1) takes a smaller board than the others."""
    cases = list(cases)
    on_board = {
        enough: {case for members in board_cases(cases, enough).values() for case in members}
        for enough in (images, images_everything)
    }
    wanted: dict[CaseId, list[str]] = {}
    for name in strategies:
        for case in on_board[images_everything if STRATEGIES[name].everything else images]:
            wanted.setdefault(case, []).append(name)
    return {case: tuple(names) for case, names in wanted.items()}
