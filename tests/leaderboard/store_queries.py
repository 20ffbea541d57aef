"""Questions to a board's file."""

from pathlib import Path
from typing import Any

import duckdb


def query(board: Path, text: str, *values: Any) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(board), read_only=True) as connection:
        return [tuple(row) for row in connection.execute(text, list(values)).fetchall()]


def rows_of(board: Path, table: str) -> list[dict[str, Any]]:
    """All rows of a table."""
    names = [name for (name,) in query(board, f"select column_name from (describe {table})")]
    return [dict(zip(names, row, strict=True)) for row in query(board, f"from {table}")]
