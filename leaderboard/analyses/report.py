"""`reports/report.html`: the sections on one page that needs nothing else, their whole tables beside it."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pyarrow as pa

from cosmos1050k import disk
from cosmos1050k.notices import Notice, notices
from leaderboard.analyses.given import plural
from leaderboard.analyses.publishing import dumped
from leaderboard.analyses.section import Section, marked, numeric, rows_note, texts
from leaderboard.demo.notice import NOTICE

REPORTS = Path("reports")
REPORT, TABLES = "report.html", "tables"
#: What the app shows of it.
SECTIONS = "sections.json"
#: The page's own.
_STYLE = Path(__file__).with_name("report.css")
_CONFIG = {"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["select2d", "lasso2d"]}
#: Draws each figure once it comes near the screen, or all before the page is printed.
_DRAW = """
const drawn = new Set();
function draw(holder) {
  if (drawn.has(holder)) return;
  drawn.add(holder);
  const told = JSON.parse(document.getElementById(holder.dataset.figure).textContent);
  Plotly.newPlot(holder, told.data, told.layout, CONFIG);
}
const near = new IntersectionObserver(seen => {
  for (const one of seen) if (one.isIntersecting) draw(one.target);
}, {rootMargin: '600px'});
const holders = document.querySelectorAll('.figure');
holders.forEach(holder => near.observe(holder));
window.addEventListener('beforeprint', () => holders.forEach(draw));
"""


def write(found: Sequence[Section], board: Mapping[str, Any], folder: Path = REPORTS) -> Path:
    """Writes the tables, the sections for the app and the page, that last; returns it. Equal boards give
    equal bytes.

    Args:
        board: what the reader says of the board.

    Raises:
        Fatal: the disk does not take them; all is as it was.
    """
    page = html(found, board)
    told = " ".join([NOTICE, *(f"{one.strong}." for one in _noted(board))])
    files = {f"{one.key}.csv": _csv(one.table, told) for one in found if one.table is not None}
    disk.write_all(
        {
            folder / REPORT: page.encode(),
            folder / SECTIONS: dumped(found, board).encode(),
            **{folder / TABLES / name: text.encode() for name, text in files.items()},
        }
    )
    with disk.writing(folder):
        for old in (folder / TABLES).glob("*.csv"):
            if old.name not in files:
                old.unlink()
    return folder / REPORT


def html(found: Sequence[Section], board: Mapping[str, Any]) -> str:
    """The page. Every text of it is escaped: submitters write models' names."""
    from plotly.offline import get_plotlyjs

    listed = "".join(
        f'<li><a href="#{one.key}">{escape(one.title)}</a>{" (nothing yet)" if one.missing else ""}</li>'
        for one in found
    )
    facts = (
        f"Board {board['build_id']}, dataset {board['dataset_version']}, protocol "
        f"{board['protocol_version']}: {board['images']:,} images, {plural(board['pairs'], 'pair')}, "
        f"{plural(board['patients'], 'patient')}."
    )
    return "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>COSMOS 1050K: analyses</title><style>{_STYLE.read_text()}</style></head><body>",
            f"<header><h1>COSMOS 1050K: analyses</h1><p>{escape(facts)} <strong>{NOTICE}</strong></p>",
            *map(_notice, _noted(board)),
            f"</header><nav><h2>Contents</h2><ol>{listed}</ol></nav><main>",
            *map(_section, found),
            f"</main><script>{get_plotlyjs()}</script>",
            f"<script>const CONFIG = {json.dumps(_CONFIG)};{_DRAW}</script></body></html>\n",
        )
    )


def _notice(one: Notice) -> str:
    return f'<p class="notice"><strong>{escape(one.strong)}</strong>{escape(one.rest)}</p>'


def _section(one: Section) -> str:
    return "".join((f'<section id="{one.key}"><h2>{escape(one.title)}</h2>', *_parts(one), "</section>"))


def _parts(one: Section) -> Iterator[str]:
    if one.sentence:
        yield f"<p>{marked(one.sentence)}</p>"
    if one.missing:
        yield f'<p class="missing">{marked(one.missing)}</p>'
    if one.figure is not None:
        height = int(one.figure.layout.height)
        told = one.figure.to_json()  # Plotly writes no "<" into it
        of = f'class="figure" style="height:{height}px" data-figure="{one.key}-figure"'
        yield f'<div class="scroll"><div {of}></div></div>'
        yield f'<script type="application/json" id="{one.key}-figure">{told}</script>'
    if one.table is not None:
        fields = list(one.table.schema)
        heads = (f'<th scope="col"{_class(field)}>{escape(field.name)}</th>' for field in fields)
        rows = (f"<tr>{''.join(map(_cell, fields, row))}</tr>" for row in texts(one.table))
        yield f'<div class="scroll" role="region" aria-label="{escape(one.title)}" tabindex="0">'
        yield f"<table><thead><tr>{''.join(heads)}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        note = escape(rows_note(one.key, one.table))
        yield f'<p class="note">{note} <a href="{TABLES}/{one.key}.csv">{one.key}.csv</a></p>'


def _class(field: Any) -> str:
    return ' class="number"' if numeric(field) else ""


def _cell(field: Any, text: str) -> str:
    return f"<td{_class(field)}>{escape(text)}</td>"


def _noted(board: Mapping[str, Any]) -> list[Notice]:
    return notices(board["sources"], board["phantoms"])


def _csv(found: pa.Table, notice: str) -> str:
    """The whole table; the last column says the same in every row, as in the app's files."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*found.column_names, "notice"])
    for row in zip(*(column.to_pylist() for column in found.columns), strict=True):
        writer.writerow(["" if value is None else value for value in (*row, notice)])
    return text.getvalue()
