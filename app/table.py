"""A table as HTML and as CSV. Every text is escaped: submitters write names and descriptions."""

import base64
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from leaderboard.demo.notice import NOTICE


@dataclass(frozen=True)
class Column:
    """A column: its heading, a second line in it, and the heading it shares with its neighbours.

    `exported`: its columns in the CSV, if not the one called `name`. `sorts`: the rows are in its order.
    """

    name: str
    detail: str = ""
    group: str = ""
    numeric: bool = False
    sorts: bool = False
    exported: tuple[str, ...] = ()


@dataclass(frozen=True)
class Value:
    """A value as it is shown: `detail` is smaller, after it; `note` a tooltip; `look` a class of style.css;
    `link` where its text leads.

    `exported`: its values in the CSV, if not `text`. `heads`: it names its row.
    """

    text: str
    detail: str = ""
    note: str = ""
    look: str = ""
    exported: tuple[str, ...] = ()
    heads: bool = False
    link: str = ""


@dataclass(frozen=True)
class Table:
    """Rows under columns, with a title and the name of the CSV file.

    `groups`: (name, rows). If `grouped_by` says what the names are, they are headings between rows, and the
    first column of the CSV.
    """

    title: str
    file: str
    columns: Sequence[Column]
    groups: Sequence[tuple[str, Sequence[Sequence[Value]]]]
    grouped_by: str = ""

    def html(self, level: int = 2) -> str:
        """`heading` and `box`."""
        return self.heading(level) + self.box()

    def box(self) -> str:
        """The table in a box that scrolls by itself."""
        bodies = "".join(f"<tbody>{''.join(self._body(name, rows))}</tbody>" for name, rows in self.groups)
        return (
            f'<div class="board-scroll" role="region" aria-label="{escape(self.title)}" tabindex="0">'
            f"<table><thead>{''.join(self._heads())}</thead>{bodies}</table></div>"
        )

    def heading(self, level: int = 2) -> str:
        """The title, a heading of this level, and a link that holds the CSV."""
        data = base64.b64encode(self.csv().encode()).decode()
        link = f'<a download="{escape(self.file)}" href="data:text/csv;charset=utf-8;base64,{data}">'
        title = f"<h{level}>{escape(self.title)}</h{level}>"
        return f'<div class="board-title">{title}{link}Download CSV</a></div>'

    def csv(self) -> str:
        """The same rows, with a header line; the last column, `notice`, says the same in every row."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        names = [name for column in self.columns for name in column.exported or (column.name,)]
        first = [self.grouped_by] if self.grouped_by else []
        writer.writerow([*first, *names, "notice"])
        for group, rows in self.groups:
            first = [group] if self.grouped_by else []
            for row in rows:
                values = [part for value in row for part in value.exported or (value.text,)]
                writer.writerow([*first, *values, NOTICE])
        return text.getvalue()

    def _heads(self) -> Iterator[str]:
        if any(column.group for column in self.columns):
            cells = []
            for group, members in groupby(self.columns, key=lambda column: column.group):
                span = len(list(members))
                cells.append(
                    f'<th scope="colgroup" colspan="{span}">{escape(group)}</th>'
                    if group
                    else f'<td colspan="{span}"></td>'
                )
            yield f"<tr>{''.join(cells)}</tr>"
        yield f"<tr>{''.join(map(_head, self.columns))}</tr>"

    def _body(self, name: str, rows: Sequence[Sequence[Value]]) -> Iterator[str]:
        if self.grouped_by:
            span = f'colspan="{len(self.columns)}"'
            yield f'<tr><th scope="rowgroup" {span}><span>{escape(name)}</span></th></tr>'
        yield from map(self._row, rows)

    def _row(self, values: Sequence[Value]) -> str:
        cells = (_cell(column, value) for column, value in zip(self.columns, values, strict=True))
        return f"<tr>{''.join(cells)}</tr>"


def notes(lines: Sequence[str]) -> str:
    """Footnotes."""
    return f'<ul class="board-notes">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>'


def _head(column: Column) -> str:
    detail = f"<small>{escape(column.detail)}</small>" if column.detail else ""
    sort = ' aria-sort="descending"' if column.sorts else ""
    return f'<th scope="col"{sort}{_classes(column)}>{escape(column.name)}{detail}</th>'


def _cell(column: Column, value: Value) -> str:
    detail = f" <small>{escape(value.detail)}</small>" if value.detail else ""
    note = f' title="{escape(value.note)}"' if value.note else ""
    tag, scope = ("th", ' scope="row"') if value.heads else ("td", "")
    text = escape(value.text)
    if value.link:
        text = f'<a href="{escape(value.link)}">{text}</a>'
    return f"<{tag}{scope}{note}{_classes(column, value.look)}>{text}{detail}</{tag}>"


def _classes(column: Column, look: str = "") -> str:
    names = [
        name for name in ("number" if column.numeric else "", "sorts" if column.sorts else "", look) if name
    ]
    return f' class="{" ".join(names)}"' if names else ""
