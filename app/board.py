"""The leaderboard's tables and texts, made of what the store says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Any

from app.table import Column, Table, Value
from cosmos1050k.notices import notices
from leaderboard.statistics import FEWEST_PATIENTS
from leaderboard.store import views
from leaderboard.store.read import BoardReader
from leaderboard.strategies import STRATEGIES

DEFAULT = views.DEFAULT
#: What chooses among a model's candidate masks.
SELECTIONS = {
    "oracle": "Best against the truth (oracle): what the paper reports",
    "predicted_iou": "Highest predicted IoU: what a user gets",
}


@dataclass(frozen=True)
class Snapshot:
    """One published board under one strategy and one selection.

    `metrics`: (pair, model) → all metrics under the strategy. `footnotes`: why cells are n/a. `left_out`:
    which scores are not on the board.
    """

    board: dict[str, Any]
    strategies: list[str]
    strategy: str
    selection: str
    models: list[views.ModelRow]
    pairs: list[views.PairRow]
    metrics: dict[tuple[str, str], dict[str, Any]]
    footnotes: list[str]
    left_out: list[str]


def read(reader: BoardReader, strategy: str = DEFAULT, selection: str = "oracle") -> Snapshot:
    """The published board, ranked by `strategy`, or by another one if it has no scores under that.

    Raises:
        InputError: no board is published.
    """
    while True:
        board = reader.board()
        shown = views.strategies(reader)
        chosen = next((name for name in (strategy, DEFAULT, *shown) if name in shown), DEFAULT)
        snapshot = Snapshot(
            board,
            shown,
            chosen,
            selection,
            views.models_view(reader, selection, chosen),
            views.pairs_view(reader, selection),
            {(row["pair"], row["model"]): row for row in reader.pairs(chosen, selection)},
            views.footnotes(reader),
            views.left_out(reader),
        )
        # The reader follows the published board with every question: all answers must be of one.
        if reader.board()["build_id"] == board["build_id"]:
            return snapshot


def title(strategy: str) -> str:
    """`S5 · box`."""
    return f"{strategy} · {STRATEGIES[strategy].title}"


def pair_names(snapshot: Snapshot) -> list[str]:
    """The board's pairs, sorted."""
    return [pair for pair, _ in groupby(snapshot.pairs, key=lambda row: row.pair)]


def summary(snapshot: Snapshot) -> str:
    """HTML of what the board is: versions and counts."""
    board = snapshot.board
    facts = [
        ("Dataset version", board["dataset_version"]),
        ("Protocol version", board["protocol_version"]),
        ("Images", f"{board['images']:,}"),
        ("Pairs", f"{board['pairs']:,}"),
        ("Patients", f"{board['patients']:,}"),
        ("Build", board["build_id"]),
    ]
    items = "".join(f"<div><dt>{name}</dt><dd>{escape(str(value))}</dd></div>" for name, value in facts)
    return f'<dl class="board-facts">{items}</dl>'


def noticed(snapshot: Snapshot) -> str:
    """HTML of what must be said on every page of this board."""
    found = notices(snapshot.board["sources"], snapshot.board["phantoms"])
    texts = (f"<strong>{escape(notice.strong)}</strong>{escape(notice.rest)}" for notice in found)
    return "".join(f'<p class="board-notice" role="note">{text}</p>' for text in texts)


def ranked(snapshot: Snapshot) -> Table:
    """The models by rank under the strategy."""
    columns = [
        Column("Rank", numeric=True),
        Column("Model"),
        Column("Kind"),
        *_dice_columns(snapshot, sorts=snapshot.strategy),
    ]
    rows = []
    for row in snapshot.models:
        cell = row.cells.get(snapshot.strategy)
        rank = str(cell.rank) if cell and cell.rank is not None else "–"
        rows.append(
            [
                Value(rank),
                Value(row.model, detail=row.description, heads=True, exported=(row.model,)),
                Value(row.kind),
                *(_dice(row.cells[name], name) for name in snapshot.strategies),
            ]
        )
    what = f"Models ranked by {title(snapshot.strategy)}: mean DICE over {_pairs(snapshot)}"
    return Table(what, _file(snapshot, "models"), columns, [("", rows)])


def per_pair(snapshot: Snapshot, pair: str | None = None) -> Table:
    """Every model on every pair, or on one, with the other metrics under the strategy."""
    under = f"Under {snapshot.strategy}"
    marked = bool(snapshot.board["phantoms"])
    columns = [
        Column("Model"),
        *([Column("Phantom")] if marked else []),
        Column("Images", numeric=True),
        Column("Patients", numeric=True),
        *_dice_columns(snapshot),
        Column("HD", "px", under, numeric=True, exported=(f"{snapshot.strategy} HD px",)),
        Column("Empty", "masks", under, numeric=True, exported=(f"{snapshot.strategy} empty masks",)),
        Column("Failed", "objects", under, numeric=True, exported=(f"{snapshot.strategy} failed objects",)),
    ]
    shown = [row for row in snapshot.pairs if pair in (None, row.pair)]
    groups = [
        (
            name,
            [
                [
                    Value(row.model, heads=True),
                    *([Value("yes" if row.phantom else "no")] if marked else []),
                    _count(row.images),
                    _count(row.patients),
                    *(_dice(row.cells[name], name) for name in snapshot.strategies),
                    *_others(snapshot, row),
                ]
                for row in rows
            ],
        )
        for name, rows in groupby(shown, key=lambda row: row.pair)
    ]
    return Table("DICE and HD per object–modality pair", _file(snapshot, "pairs"), columns, groups, "Pair")


def ranked_notes(snapshot: Snapshot) -> list[str]:
    """What the ranks mean, and why cells are grey or empty."""
    cells = [cell for row in snapshot.models for cell in row.cells.values()]
    lines = [_about_rank(snapshot), *_about_missing_rank(snapshot)]
    if any(cell.greyed for cell in cells):
        lines.append("Grey with †: the model was not made for this strategy.")
    lines += [f"{line}." for line in [*snapshot.footnotes, *snapshot.left_out]]
    return [*lines, *_about_gaps(snapshot, cells)]


def pair_notes(snapshot: Snapshot) -> list[str]:
    """What the columns of the table of pairs mean."""
    lines = [
        f"HD: mean Hausdorff distance under {title(snapshot.strategy)}, in pixels, the lower the better. "
        "An empty mask has no HD: it is counted beside, and its DICE is 0; so is that of a failed object."
    ]
    if any(STRATEGIES[name].everything for name in snapshot.strategies):
        lines.append(
            "Images and patients: those behind every strategy but S1, which is scored on fewer images."
        )
    if snapshot.board["phantoms"]:
        lines.append("Phantom: whether some of the pair's images are synthetic.")
    return [*lines, "Grey, † and n/a: as in the table above."]


def _about_rank(snapshot: Snapshot) -> str:
    patients = snapshot.board["patients"]
    if patients < FEWEST_PATIENTS:
        return (
            f"Rank: few cases ({_plural(patients, 'patient')}, fewer than {FEWEST_PATIENTS}), so there is no "
            "interval and no evidence for an order: all ranked models share rank 1, and are listed by DICE."
        )
    return (
        "Rank: 1 + the number of ranked models whose lead over this one has a 95 % interval above 0, so "
        "models may share one. In brackets: the 95 % interval of the mean, from a bootstrap over "
        f"patients with {snapshot.board['bootstrap_draws']:,} draws; none with fewer than {FEWEST_PATIENTS}."
    )


def _about_missing_rank(snapshot: Snapshot) -> list[str]:
    found = [row.cells.get(snapshot.strategy) for row in snapshot.models]
    if all(cell and cell.rank is not None for cell in found):
        return []
    return [f"Rank –: not ranked, for want of a score in every pair under {snapshot.strategy}."]


def _about_gaps(snapshot: Snapshot, cells: Iterable[views.Cell]) -> list[str]:
    if all(cell.dice is not None or cell.reason for cell in cells):
        return []
    if snapshot.selection == "oracle":
        return ["–: the model has no score here."]
    return ["–: the model has no score here. Under S1, everything, no predicted IoU chooses: see the oracle."]


def _dice_columns(snapshot: Snapshot, sorts: str = "") -> list[Column]:
    return [
        Column(
            name,
            STRATEGIES[name].title,
            "DICE, %",
            numeric=True,
            sorts=name == sorts,
            exported=(f"{name} DICE %", f"{name} low", f"{name} high"),
        )
        for name in snapshot.strategies
    ]


def _dice(cell: views.Cell, strategy: str) -> Value:
    """A cell; in the CSV the interval has columns of its own."""
    text, _, interval = cell.text.partition(" ")
    ends = ("" if end is None else f"{100 * end:.2f}" for end in (cell.low, cell.high))
    exported = ("" if text == "–" else text, *ends)
    if cell.dice is None:
        return Value(
            text,
            note=f"{strategy}: the model {cell.reason}" if cell.reason else cell.missing,
            look="gap",
            exported=exported,
        )
    note = f"not made for {strategy}" if cell.greyed else ""
    return Value(text, interval, note, "greyed" if cell.greyed else "", exported)


def _others(snapshot: Snapshot, row: views.PairRow) -> Sequence[Value]:
    """HD, empty masks and failed objects under the strategy."""
    metrics = snapshot.metrics.get((row.pair, row.model))
    if metrics is None:
        gap = views.Cell(None) if snapshot.strategy not in row.cells else row.cells[snapshot.strategy]
        return [Value(gap.text, look="gap", exported=("" if gap.text == "–" else gap.text,))] * 3
    distance = metrics["hausdorff"]
    none = Value("–", note="no mask to measure", look="gap", exported=("",))
    return [
        none if distance is None else Value(f"{distance:.2f}"),
        _count(metrics["empties"]),
        _count(metrics["failures"]),
    ]


def _count(number: int) -> Value:
    return Value(f"{number:,}", exported=(str(number),))


def _pairs(snapshot: Snapshot) -> str:
    return _plural(snapshot.board["pairs"], "pair")


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _file(snapshot: Snapshot, what: str) -> str:
    """Names the board, the strategy and the selection, so that a file says what it holds."""
    mark = "phantom-" if snapshot.board["phantoms"] else ""
    return f"{mark}{what}-{snapshot.board['build_id']}-{snapshot.strategy}-{snapshot.selection}.csv"
