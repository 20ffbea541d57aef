"""Rows of a section, and what they are recomputed from: a board's objects, the paper's own files."""

import csv
from collections.abc import Iterator
from typing import Any

from leaderboard import paper
from leaderboard.analyses.given import Given
from leaderboard.analyses.section import Section


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
