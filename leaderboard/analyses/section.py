"""What an analysis gives: a sentence, a table and a figure, or a line on why there is nothing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa

#: Rows of a table that a page shows; its file has all of them.
MOST_ROWS = 200
_KINDS = {"": None, "text": pa.string(), "count": pa.int64()}
_SHOWN = b"shown"


@dataclass(frozen=True)
class Section:
    """One analysis of a board.

    `key` names its files, `title` says which table or figure of the paper it is; `sentence`: what is shown,
    on how much, averaged how. `missing`: why there is no table and no figure, and what to do.
    """

    key: str
    title: str
    sentence: str
    table: pa.Table | None = None
    figure: go.Figure | None = None
    missing: str = ""


def table(**columns: tuple[str, str, Sequence[Any]]) -> pa.Table:
    """A table of columns: their heading, how a value is shown, the values.

    Shown as `text`, as `count` (a whole number), or by a format of a number such as `.2f`. None is a gap.
    """
    fields, arrays = [], []
    for heading, shown, values in columns.values():
        kind = _KINDS.get(shown, pa.float64())
        fields.append(pa.field(heading, kind, metadata={_SHOWN: shown}))
        arrays.append(pa.array(values, kind))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def numeric(field: pa.Field) -> bool:
    """Whether a column holds numbers."""
    return not pa.types.is_string(field.type)


def texts(found: pa.Table) -> list[list[str]]:
    """The rows that a page shows, `MOST_ROWS` at most, as their texts."""
    head = found.slice(0, MOST_ROWS)
    columns = [
        [_text(value, (field.metadata or {}).get(_SHOWN, b"").decode()) for value in column.to_pylist()]
        for field, column in zip(head.schema, head.columns, strict=True)
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def rows_note(key: str, found: pa.Table) -> str:
    """What stands below a table that is cut off; empty if it is whole."""
    if found.num_rows <= MOST_ROWS:
        return ""
    return f"The first {MOST_ROWS} of {found.num_rows:,} rows; all of them are in reports/tables/{key}.csv."


def marked(text: str) -> str:
    """The text as HTML; what stands in backticks is code."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", escape(text))


def _text(value: Any, shown: str) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    return f"{value:,}" if shown == "count" else format(value, shown)
