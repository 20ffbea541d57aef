"""The ranking: models under a filter, as a table with its notes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app import board
from app.place import COLUMNS, REPORTED, Place
from app.shown import Shown
from app.table import Column, Table, Value
from app.table import notes as listed
from leaderboard.contamination import CONTACTS
from leaderboard.store import filters, views
from leaderboard.store.filters import Ranking, RankRow
from leaderboard.store.read import BoardReader
from leaderboard.strategies import STRATEGIES

_NONE = views.Cell(None)


@dataclass(frozen=True)
class _Part:
    """Columns that one may choose together, and a row's values in them."""

    columns: tuple[Column, ...]
    values: Callable[[RankRow], tuple[Value, ...]]


def view(reader: BoardReader, place: Place) -> Shown:
    """The ranking with its notes."""
    found, of = filters.ranking(reader, place.filter()), reader.board()
    return Shown(table(found, of, place, place.columns).html() + listed(notes(found, of, reader, place)))


def table(ranking: Ranking, of: board.Board, place: Place, shown: tuple[str, ...]) -> Table:
    """The models in their order; those of the paper stand below.

    Args:
        shown: of `COLUMNS` and the strategies, those that have columns.
    """
    parts = [_PARTS[name] if name in COLUMNS else _strategy(name) for name in shown]
    columns = [
        Column("Rank", numeric=True),
        Column("Model"),
        Column(
            f"DICE under {place.strategy}", "%", numeric=True, sorts=True, exported=("DICE %", "low", "high")
        ),
        *(column for part in parts for column in part.columns),
    ]
    rows = [
        [
            Value("–" if row.cell.rank is None else str(row.cell.rank)),
            board.named(place, row.model, row.description)
            if row.kind != REPORTED
            else Value(f"{row.model} (paper)", row.description, heads=True, exported=(row.model,)),
            board.dice(row.cell, place.strategy, row.empties),
            *(value for part in parts for value in part.values(row)),
        ]
        for row in ranking.rows
    ]
    return Table(_title(ranking, place), board.file(of, "models", place), columns, [("", rows)])


def notes(ranking: Ranking, of: board.Board, reader: BoardReader, place: Place) -> list[str]:
    """What the ranks and columns mean, why cells are empty, and which scores are not on the board."""
    rows = [row for row in ranking.rows if row.kind != REPORTED]
    cells = [row.cell for row in rows]
    cells += [row.cells.get(name, _NONE) for row in rows for name in place.columns if name in STRATEGIES]
    lines = [board.about_rank(of)] if ranking.ranked else []
    lines += [ranking.note] if ranking.note else []
    if ranking.ranked and any(cell.rank is None for cell in cells[: len(rows)]):
        lines.append(f"Rank –: not ranked, for want of a score in every pair shown under {place.strategy}.")
    lines += board.about_cells(place.selection, cells)
    lines += _about_columns(place, rows)
    if len(rows) < len(ranking.rows):
        lines.append(
            "(paper): what the paper reports, of other images, all instances averaged flat; never ranked."
        )
    told = [*views.footnotes(reader), *views.left_out(reader)]
    return [*lines, *(f"{line}." for line in told)]


def _title(ranking: Ranking, place: Place) -> str:
    what = "Models ranked by" if ranking.ranked else "Models by"
    scope = [
        place.pair or " ".join(name for name in (place.object, place.modality) if name),
        f"source {place.source}" if place.source else "",
        CONTACTS.get(place.contact, ""),  # type: ignore[call-overload]
    ]
    only = ", ".join(part for part in scope if part)
    over = board.plural(ranking.pairs, "pair")
    return f"{what} {board.title(place.strategy)}: mean DICE over {over}{f' ({only})' if only else ''}"


def _about_columns(place: Place, rows: list[RankRow]) -> list[str]:
    lines = []
    if "hd" in place.columns:
        lines.append(
            "HD: mean Hausdorff distance in pixels, the lower the better. An empty mask has no HD: it is "
            "counted beside, and its DICE is 0; so is that of a failed object."
        )
    if "latency" in place.columns and any(row.milliseconds is not None for row in rows):
        lines.append(
            "Time: from image to masks. ★: no model timed on the same machine is both faster and better."
        )
    if "verified" in place.columns:
        lines.append("Verified: when a share of its scores was made again and held; –: never.")
    return lines


def dice_column(strategy: str, *, sorts: bool) -> Column:
    """The DICE under a strategy; in the CSV the interval has columns of its own."""
    return Column(
        strategy,
        STRATEGIES[strategy].title,
        "DICE, %",
        numeric=True,
        sorts=sorts,
        exported=(f"{strategy} DICE %", f"{strategy} low", f"{strategy} high"),
    )


def _strategy(name: str) -> _Part:
    column = dice_column(name, sorts=False)
    return _Part((column,), lambda row: (board.dice(row.cells.get(name, _NONE), name),))


def _distances(row: RankRow) -> tuple[Value, ...]:
    counts = tuple(board.GAP if one is None else board.count(one) for one in (row.empties, row.failures))
    return (board.GAP if row.hausdorff is None else Value(f"{row.hausdorff:.2f}"), *counts)


def _coverage(row: RankRow) -> tuple[Value, ...]:
    counts = (str(row.pairs), str(row.of_pairs))
    return (Value(f"{row.pairs}/{row.of_pairs}", exported=counts) if row.of_pairs else _NO_PAIRS,)


def _latency(row: RankRow) -> tuple[Value, ...]:
    if row.milliseconds is None:
        return (Value("–", note="not measured", look="gap", exported=("", "", "")),)
    machine = row.timed_on or ""
    exported = (board.exact(row.milliseconds), machine, "yes" if row.fastest else "no")
    mark = "on the fastest front; " if row.fastest else ""
    text = f"{board.milliseconds(row.milliseconds)}{' ★' if row.fastest else ''}"
    return (Value(text, note=f"{mark}{machine}", exported=exported),)


def _parameters(row: RankRow) -> tuple[Value, ...]:
    exported = (str(row.parameters),)
    if not row.parameters:
        return (Value("0" if row.kind == "baseline" else "–", look="gap", exported=exported),)
    return (Value(f"{row.parameters / 1e6:,.1f} M", exported=exported),)


def _day(text: str | None) -> Value:
    return Value(text[:10], look="short", exported=(text,)) if text else board.GAP


def tolerance(measured: float | None) -> str:
    """What the numerics may change of a DICE, in words; empty: nobody measured it."""
    return "" if measured is None else f"{measured:.0e}" if measured else "0"


def _tolerance(row: RankRow) -> tuple[Value, ...]:
    text = tolerance(row.tolerance)
    return (Value(text, exported=(repr(row.tolerance),)) if text else board.GAP,)


_NO_PAIRS = Value("–", look="gap", exported=("", ""))
_PARTS: Mapping[str, _Part] = {
    "type": _Part((Column("Type"),), lambda row: (Value(row.kind),)),
    "hd": _Part(
        (
            Column("HD", "px", numeric=True, exported=("HD px",)),
            Column("Empty", "masks", numeric=True, exported=("empty masks",)),
            Column("Failed", "objects", numeric=True, exported=("failed objects",)),
        ),
        _distances,
    ),
    "coverage": _Part((Column("Pairs", numeric=True, exported=("pairs", "of pairs")),), _coverage),
    "latency": _Part(
        (Column("Time", "ms", numeric=True, exported=("time ms", "timed on", "on the front")),), _latency
    ),
    "parameters": _Part((Column("Parameters", numeric=True),), _parameters),
    "date": _Part((Column("Date"),), lambda row: (_day(row.date),)),
    "verified": _Part((Column("Verified"),), lambda row: (_day(row.verified_on),)),
    "numerics": _Part(
        (Column("Numerics"),), lambda row: (Value(row.numerics) if row.numerics else board.GAP,)
    ),
    "tolerance": _Part((Column("Tolerance", "of DICE", numeric=True),), _tolerance),
}
