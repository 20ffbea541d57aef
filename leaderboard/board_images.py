"""A few test images of the board's sources, for what is measured on a few: over pairs, cases and slices.

They are chosen anew: not each of them need be among the images that a pair has on the board.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from cosmos1050k import shards
from cosmos1050k.errors import InputError
from cosmos1050k.schema import SMALL_AREA
from leaderboard import score
from leaderboard.board_rows import CaseId, board_cases
from leaderboard.plan import case_id

#: So many images of a pair are never asked for: all its cases are looked at.
_ALL = 2**62


class Place(NamedTuple):
    """An image: a case and which of its rows."""

    case: CaseId
    row: int


class Part(NamedTuple):
    """Where an image's row lies: its source's folder, and its case cut down to that row."""

    folder: Path
    case: dict[str, Any]

    def read(self) -> dict[str, Any]:
        """`score.COLUMNS`."""
        row: dict[str, Any] = self.table().to_pylist()[0]
        return row

    def table(self) -> pa.Table:
        return shards.read_case(self.folder, self.case, score.COLUMNS)


class BoardImages:
    """The test images of sources that show an object of more than `SMALL_AREA` pixels.

    Raises:
        InputError: a source is not built, or none has a test case.
    """

    def __init__(self, data: Path, sources: Sequence[str]) -> None:
        cases = [case for slug in sources for case in shards.load_cases(data / slug)]
        self._data = data
        self._cases = {case_id(case): case for case in cases}
        self._of_pair = board_cases(cases, _ALL)
        self._shown: dict[CaseId, dict[str, list[int]]] = {}
        if not self._of_pair:
            raise InputError(f"{data}: no test case of {', '.join(sources)}; build a source that has one")

    @property
    def pairs(self) -> list[str]:
        return list(self._of_pair)

    def of_pair(self, pair: str) -> Iterator[Place]:
        """Those of a pair: the next case before the next slice, of a case the middle slice first, then the
        middles of what is left.
        """
        for turn in count():
            met = False
            for case in self._of_pair[pair]:
                rows = self._rows(case).get(pair, [])
                if turn < len(rows):
                    met = True
                    yield Place(case, rows[next(islice(_middles(len(rows)), turn, None))])
            if not met:
                return

    def first(self, images: int) -> list[Place]:
        """So many, or all there are: one of each pair in turn."""
        queues = deque(self.of_pair(pair) for pair in self.pairs)
        taken: dict[Place, None] = {}
        while queues and len(taken) < images:
            queue = queues.popleft()
            new = next((place for place in queue if place not in taken), None)
            if new is not None:
                taken[new] = None
                queues.append(queue)
        return list(taken)

    def read(self, place: Place) -> dict[str, Any]:
        """The row of an image, `score.COLUMNS`."""
        return self.part(place).read()

    def table(self, places: Sequence[Place]) -> pa.Table:
        """The rows of images, `score.COLUMNS`; at least one."""
        return pa.concat_tables([self.part(place).table() for place in places])

    def part(self, place: Place) -> Part:
        case = self._cases[place.case]
        one = {**case, "first_row": case["first_row"] + place.row, "rows": 1}
        return Part(self._data / place.case.source, one)

    def _rows(self, case: CaseId) -> dict[str, list[int]]:
        """Pair → the rows of a case that show it."""
        if case not in self._shown:
            found = shards.read_case(self._data / case.source, self._cases[case], ["objects"])
            shown: dict[str, list[int]] = {}
            for row, objects in enumerate(found["objects"].to_pylist()):
                for pair in {entry["pair"] for entry in objects if entry["area"] > SMALL_AREA}:
                    shown.setdefault(pair, []).append(row)
            self._shown[case] = shown
        return self._shown[case]


def _middles(length: int) -> Iterator[int]:
    """0…length − 1: the middle first, then the middles of what is left and right of it."""
    parts = deque([(0, length)])
    while parts:
        start, stop = parts.popleft()
        if start < stop:
            middle = (start + stop) // 2
            yield middle
            parts += [(start, middle), (middle + 1, stop)]


def board_images(data: Path, sources: Sequence[str], images: int) -> pa.Table:
    """The rows, `score.COLUMNS`, of so many test images of sources, spread as `BoardImages.first` does.

    Raises:
        InputError: a source is not built, none has a test case, or no image shows an object that is scored.
    """
    board = BoardImages(data, sources)
    places = board.first(images)
    if not places:
        raise InputError(f"{data}: no object of more than {SMALL_AREA} pixels in any test case; build more")
    return board.table(places)
