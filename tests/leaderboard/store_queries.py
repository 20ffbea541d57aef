"""Questions to a board's file."""

from pathlib import Path
from typing import Any

import duckdb


def query(board: Path, text: str, *values: Any) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(board), read_only=True) as connection:
        return [tuple(row) for row in connection.execute(text, list(values)).fetchall()]
