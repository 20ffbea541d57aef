"""The board in the terminal, and as a file."""

import io
import json
from typing import Any

import pyarrow as pa
from pyarrow import csv, parquet
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cosmos1050k.notices import notices
from leaderboard.statistics import FEWEST_PATIENTS
from leaderboard.store import views
from leaderboard.store.read import BoardReader
from leaderboard.strategies import STRATEGIES


def show(reader: BoardReader, selection: str = "oracle") -> None:
    """Prints a board: models by headline, then every pair, then why cells are empty."""
    console = Console()
    board = reader.board()
    shown = views.strategies(reader)
    models = _table(
        f"DICE in %, mean over {board['pairs']} pairs ({selection})", ["rank", "model", "kind"], shown
    )
    for row in views.models_view(reader, selection):
        rank = next((cell.rank for name, cell in row.cells.items() if name == "S5"), None)
        models.add_row(str(rank or "–"), row.model, row.kind, *(_text(row.cells[name]) for name in shown))
    pairs = _table(f"DICE in % per pair ({selection})", ["pair", "model", "images"], shown)
    for entry in views.pairs_view(reader, selection):
        cells = (_text(entry.cells[name]) for name in shown)
        name = f"{entry.pair} (phantom)" if entry.phantom else entry.pair
        pairs.add_row(name, entry.model, str(entry.images), *cells)
    console.print(models, pairs)
    for name in shown:
        console.print(f"{name}: {STRATEGIES[name].title}", style="dim", highlight=False)
    for line in [*views.footnotes(reader), *_notes(board)]:
        console.print(line, highlight=False, markup=False)


def _table(title: str, names: list[str], strategies: list[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(name, justify="right" if name in ("rank", "images") else "left", overflow="fold")
    for name in strategies:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _text(cell: views.Cell) -> Text:
    return Text(cell.text, style="dim" if cell.greyed or cell.dice is None else "")


def _notes(board: dict[str, Any]) -> list[str]:
    lines = ["dim: the model was not made for this strategy"]
    if board["patients"] < FEWEST_PATIENTS:
        lines.append(f"fewer than {FEWEST_PATIENTS} patients: no intervals, and all models share a rank")
    lines += map(str, notices(board["sources"], board["phantoms"]))
    lines.append(f"board {board['build_id']}, dataset {board['dataset_version']}")
    return lines


def exported(reader: BoardReader, kind: str) -> bytes:
    """Every row of the board (model, pair, strategy, selection) as csv, parquet or json."""
    rows = reader.all_pairs()
    if kind == "json":
        return (json.dumps({"board": reader.board(), "scores": rows}, indent=1) + "\n").encode()
    sink = io.BytesIO()
    (csv.write_csv if kind == "csv" else parquet.write_table)(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()
