"""The ranked models in one part of the board: of a modality, an object, a pair, a source, a contact."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cosmos1050k.errors import InputError
from leaderboard.contamination import CONTACTS
from leaderboard.selection import SELECTIONS
from leaderboard.store import views
from leaderboard.store.aggregates import ALL
from leaderboard.store.facts import EVERYTHING
from leaderboard.store.parts import Rows, models_in_contact, pair_means, part_means, part_pairs, tallies
from leaderboard.store.read import BoardReader
from leaderboard.store.views import Cell

#: The kinds of models, with what of the paper stands beside them.
KINDS = ("official", "baseline", "demonstration", "finetuned", "submitted", "reported")

_NO_SCORE = Cell(None)


@dataclass(frozen=True)
class Filter:
    """What is asked of the board; None and empty: all of it.

    `contact`: of `CONTACTS`, what a row is to a model; `kinds`: of `KINDS`; `search`: a part of a model's
    name or description, in small or capital letters.
    """

    strategy: str = views.DEFAULT
    selection: str = SELECTIONS[0]
    modality: str | None = None
    object: str | None = None
    pair: str | None = None
    source: str | None = None
    contact: str | None = None
    kinds: tuple[str, ...] = ()
    search: str = ""

    def checked(self, reader: BoardReader) -> "Filter":
        """The same; with the board's first strategy, if it has no scores under the one that ranks by default.

        Raises:
            InputError: the board has no such strategy, selection, modality and so on, and which it has; or
                no pair of all that is asked for.
        """
        board = reader.remembered(_known)
        for what, value, known in (
            ("selection", self.selection, SELECTIONS),
            ("modality", self.modality, sorted({pair["modality"] for pair in board.pairs})),
            ("object", self.object, sorted({pair["object"] for pair in board.pairs})),
            ("pair", self.pair, [pair["pair"] for pair in board.pairs]),
            ("source", self.source, board.sources),
            ("contact", self.contact, list(CONTACTS)),
            *(("kind", kind, KINDS) for kind in self.kinds),
        ):
            if value is not None and value not in known:
                raise InputError(f"the board has no {what} {value!r}; it has {', '.join(known)}")
        strategy = self.strategy
        if strategy not in board.strategies:
            if strategy != views.DEFAULT or not board.strategies:
                known = ", ".join(board.strategies)
                raise InputError(f"the board has no strategy {strategy!r}; it has {known}")
            strategy = board.strategies[0]
        if not _pairs(self, board.pairs):
            named = [value for value in (self.pair, self.object, self.modality, self.source) if value]
            raise InputError(f"the board has no pair of all of {', '.join(named)}")
        return replace(self, strategy=strategy)


@dataclass(frozen=True)
class RankRow(views.ModelRow):
    """A model in the part of the board that is asked for; what `ModelRow` says is of that part.

    `cell`: under the strategy asked for, where `hausdorff` is the mean over the pairs of their mean HD in
    pixels, and `empties` and `failures` count objects; None: not known of this part. `date`: of the newest
    scores, ISO.
    """

    cell: Cell = _NO_SCORE
    hausdorff: float | None = None
    empties: int | None = None
    failures: int | None = None
    date: str | None = None


@dataclass(frozen=True)
class Ranking:
    """Models by rank, then DICE; those without a score come last, after them what the paper reports.

    `filter`: as it was understood; `pairs`: how many the filter leaves; `ranked`: whether there are ranks,
    which are among all models of the board, whatever is searched for; `note`: why there is no rank, no
    interval or no value, else empty.
    """

    filter: Filter
    rows: list[RankRow]
    pairs: int
    ranked: bool
    note: str


def ranking(reader: BoardReader, given: Filter) -> Ranking:
    """The board's models under a filter. Kept for who asks the same: read it, don't change it.

    Raises:
        InputError: as `Filter.checked`; or no board is published.
    """
    asked = given.checked(reader)
    found = reader.remembered(_of_all, replace(asked, kinds=(), search=""))
    sought = asked.search.casefold()
    rows = [
        row
        for row in found.rows
        if (not asked.kinds or row.kind in asked.kinds)
        and (sought in row.model.casefold() or sought in row.description.casefold())
    ]
    return replace(found, filter=asked, rows=rows)


@dataclass(frozen=True)
class _Known:
    """What of a board holds whatever is asked."""

    pairs: Rows
    sources: list[str]
    strategies: list[str]
    models: Rows
    gaps: views.Gaps
    measured: Mapping[tuple[str, str], dict[str, Any]]
    dates: Mapping[str, str]


def _known(reader: BoardReader) -> _Known:
    dates: dict[str, str] = {}
    for run in reader.runs():
        dates[run["model"]] = max(dates.get(run["model"], ""), run["date"][:10])
    return _Known(
        reader.pair_list(),
        sorted(reader.board()["sources"]),
        views.strategies(reader),
        reader.models(),
        reader.not_applicable(),
        reader.measured(),
        dates,
    )


def _of_all(reader: BoardReader, asked: Filter) -> Ranking:
    """The ranking of all models; `asked` is checked."""
    board, part = reader.remembered(_known), _part(reader, asked)
    scores = {(row["model"], row["strategy"]): {"rank": None, **row} for row in part.rows}
    for row in scores.values():
        row["of_pairs"] = len(part.pairs)
    lacking = _lacking(reader, part.pairs)
    rows = [
        replace(row, of_pairs=len(part.pairs), cells=_with_missing(row, lacking))
        for row in views.model_rows(
            board.models, board.gaps, board.measured, board.strategies, scores, asked.strategy, "dice"
        )
    ]
    if asked.contact is None:
        rows = views.marked(rows, asked.strategy)
    of_rows = asked.source or asked.contact
    others = {} if of_rows else tallies(reader, asked.strategy, asked.selection, part.pairs)
    ranked = [
        _rank_row(row, asked.strategy, others.get(row.model, {}), board.dates.get(row.model)) for row in rows
    ]
    reported = [_rank_row(row, asked.strategy, {}, None) for row in _reported(reader, asked, part.pairs)]
    return Ranking(
        asked,
        views.in_order(ranked, asked.strategy) + views.in_order(reported, asked.strategy),
        len(part.pairs),
        part.ranked,
        part.note,
    )


@dataclass(frozen=True)
class _Part:
    """Scores of a part of the board: `rows` per model and strategy with `dice`, `low`, `high`, `pairs`, and
    `rank` where there are ranks."""

    pairs: list[str]
    rows: Rows
    ranked: bool
    note: str


def _part(reader: BoardReader, asked: Filter) -> _Part:
    board = reader.remembered(_known)
    pairs = [pair["pair"] for pair in _pairs(asked, board.pairs)]
    if asked.selection != SELECTIONS[0] and asked.strategy in EVERYTHING:
        return _Part(pairs, [], False, f"Under {asked.strategy} no predicted IoU chooses: see the oracle.")
    if asked.source or asked.contact:
        return _of_rows(reader, asked, pairs)
    if len(pairs) == 1 and (asked.pair or (asked.modality and asked.object)):
        rows = [{**row, "pairs": 1} for row in reader.pair_dice(asked.selection, pair=pairs[0])]
        return _Part(pairs, rows, True, "")
    if asked.modality and asked.object:
        return _Part(pairs, _plain(pair_means(reader, asked.selection, pairs)), False, _PLAIN)
    if asked.modality:
        rows = reader.headlines(asked.selection, "modality", asked.modality)
    elif asked.object:
        rows = reader.headlines(asked.selection, "object", asked.object)
    else:
        rows = reader.headlines(asked.selection, ALL, "")
    return _Part(pairs, [{**row, "dice": row["headline"]} for row in rows], True, "")


_PLAIN = "Plain mean over these pairs: no rank and no interval."
_SOURCE = "Ranks are of all sources together: none on the rows of one source."
_CONTACT = "Each model's own rows of this kind, which differ from model to model: no rank."


def _of_rows(reader: BoardReader, asked: Filter, pairs: list[str]) -> _Part:
    """Of the rows of one source, of one contact, or of both."""
    part, value = ("source", asked.source) if asked.source else ("contact", asked.contact)
    whole = asked.pair is None and asked.modality is None and asked.object is None
    rows = part_means(reader, part, str(value), asked.selection, None if whole else pairs)
    note = _SOURCE if asked.source else _CONTACT
    if asked.source and asked.contact:
        same = models_in_contact(reader, asked.source, asked.contact)
        rows = [row for row in rows if row["model"] in same]
        note = "Models to which all rows of this source are of this kind: no rank."
    if not whole and len(pairs) > 1:
        rows, note = _plain(rows), f"{note} {_PLAIN}"
    found = part_pairs(reader, part, str(value), asked.strategy, asked.selection)
    return _Part([pair for pair in pairs if pair in found], rows, False, note)


def _plain(rows: Rows) -> Rows:
    """A mean over some pairs has no interval, in no model."""
    return [{**row, "low": None, "high": None} for row in rows]


def _pairs(asked: Filter, pairs: Sequence[dict[str, Any]]) -> Rows:
    """Of the board's pairs those that the filter leaves; a contact leaves all of them."""
    return [
        pair
        for pair in pairs
        if asked.pair in (None, pair["pair"])
        and asked.modality in (None, pair["modality"])
        and asked.object in (None, pair["object"])
        and (asked.source is None or asked.source in pair["sources"])
    ]


def _lacking(reader: BoardReader, pairs: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """Model → strategy → how much of the one pair is scored, where that is not all."""
    if len(pairs) != 1:
        return {}
    return {model: texts for (_, model), texts in views.lacking(reader, pairs[0]).items()}


def _with_missing(row: views.ModelRow, lacking: Mapping[str, Mapping[str, str]]) -> dict[str, Cell]:
    own = lacking.get(row.model)
    if not own:
        return row.cells
    return {
        name: replace(cell, missing=own[name]) if cell.dice is None and name in own else cell
        for name, cell in row.cells.items()
    }


def _reported(reader: BoardReader, asked: Filter, pairs: Sequence[str]) -> list[views.ModelRow]:
    """What the paper reports of these pairs: of all rows, and of the masks that an oracle chooses."""
    if asked.source or asked.contact or asked.selection != SELECTIONS[0]:
        return []
    return views.reported_models(reader, asked.strategy, pairs)


def _rank_row(row: views.ModelRow, strategy: str, others: Mapping[str, Any], date: str | None) -> RankRow:
    return RankRow(
        **vars(row),
        cell=row.cells.get(strategy, _NO_SCORE),
        hausdorff=others.get("hausdorff"),
        empties=others.get("empties"),
        failures=others.get("failures"),
        date=date,
    )
