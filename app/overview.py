"""The views that show many models or pairs at once, each a figure with its numbers."""

from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app import board, figures
from app.figures import Bar, Spread, Timed
from app.place import REPORTED, Place
from app.shown import Shown, said
from app.table import Column, Table, Value, notes
from leaderboard.store import filters, views
from leaderboard.store.filters import RankRow
from leaderboard.store.read import BoardReader, Matrix

#: Models that fit into one group of bars.
_MOST = len(figures.COLOURS)
_NONE = views.Cell(None)


def heat(reader: BoardReader, place: Place) -> Shown:
    """DICE of every model on every pair."""
    rows = _ranked(reader, place)
    models, pairs = [row.model for row in rows], _pairs(reader, place)
    dice = _cells(reader.matrix(place.strategy, place.selection), models, pairs)
    table = Table(
        f"DICE of every model on every pair under {board.title(place.strategy)}",
        board.file(reader.board(), "matrix", place),
        [Column("Model"), *(Column(pair, exported=(f"{pair} DICE %",)) for pair in pairs)],
        [
            (
                "",
                [
                    [
                        Value(model),
                        *(_percent("" if value != value else f"{value:.2f}") for value in own.tolist()),
                    ]
                    for model, own in zip(models, dice, strict=True)
                ],
            )
        ],
    )
    text = (
        f"{board.plural(len(models), 'model')}, in the ranking's order, on "
        f"{board.plural(len(pairs), 'pair')}; "
        f"{int(np.isnan(dice).sum()):,} of {dice.size:,} cells have no score, and are left empty."
    )
    return Shown(table.heading() + said(text), figures.heat_map(models, pairs, dice))


def modalities(reader: BoardReader, place: Place) -> Shown:
    """Headlines per modality, of the first models."""
    rows = [row for row in _ranked(reader, place) if row.cell.dice is not None][:_MOST]
    models = [row.model for row in rows]
    cells = {
        (found.name, found.model): found.cells[place.strategy]
        for found in views.groups_view(reader, place.selection, "modality", place.strategy)
    }
    names = sorted({pair["modality"] for pair in reader.pair_list()})
    series = {model: [_bar(cells.get((name, model), _NONE)) for name in names] for model in models}
    title = f"Mean DICE per modality under {board.title(place.strategy)}"
    columns = [
        Column("Modality"),
        *(
            Column(model, numeric=True, exported=(f"{model} DICE %", f"{model} low", f"{model} high"))
            for model in models
        ),
    ]
    table = Table(
        title,
        board.file(reader.board(), "modalities", place),
        columns,
        [
            (
                "",
                [
                    [
                        Value(name, heads=True),
                        *(board.dice(cells.get((name, model), _NONE), place.strategy) for model in models),
                    ]
                    for name in names
                ],
            )
        ],
    )
    first = f"The first {_MOST} models of the ranking; search, or choose a type, for others. "
    text = f"{first if len(models) == _MOST else ''}{board.about_interval(reader.board())}"
    return Shown(table.heading() + said(text), figures.bars(names, series), table.box())


def speed(reader: BoardReader, place: Place) -> Shown:
    """DICE against the time of an image."""
    ranked = _ranked(reader, place)
    rows = [row for row in ranked if row.milliseconds is not None]
    points = [
        Timed(
            row.model,
            row.kind,
            row.milliseconds or 0.0,
            100 * row.cell.dice,
            row.timed_on or "unknown",
            row.fastest,
        )
        for row in rows
        if row.cell.dice is not None
    ]
    if not points:
        own = {model["name"] for model in reader.models() if not model["submitted"]}
        name = next((row.model for row in ranked if row.model in own), "MODEL")
        command = f"<code>cosmos latency --model {escape(name)}</code>"
        return Shown(said(f"No model of these was timed. Run {command}, then <code>make repro</code>."))
    table = Table(
        f"DICE against time under {board.title(place.strategy)}",
        board.file(reader.board(), "speed", place),
        [
            Column("Model"),
            Column("Time", "ms", numeric=True, exported=("time ms",)),
            Column("DICE", "%", numeric=True, exported=("DICE %",)),
            Column("Front"),
            Column("Timed on"),
        ],
        [
            (
                "",
                [
                    [
                        board.named(place, point.model),
                        Value(
                            board.milliseconds(point.milliseconds),
                            exported=(board.exact(point.milliseconds),),
                        ),
                        Value(f"{point.dice:.2f}"),
                        Value("yes" if point.fastest else "no"),
                        Value(point.machine),
                    ]
                    for point in sorted(points, key=lambda point: point.milliseconds)
                ],
            )
        ],
    )
    text = (
        "On the front: no model timed on the same machine is both faster and better. Times of different "
        "machines can't be compared."
    )
    return Shown(table.heading() + said(text), figures.speed(points), table.box())


def spread(reader: BoardReader, place: Place) -> Shown:
    """How DICE scatters over the images of each pair, of one model or two."""
    chosen = [name for name in (place.model, place.other) if name]
    pairs = set(_pairs(reader, place))
    found = {
        model: [_spread(row) for row in reader.spread(place.strategy, place.selection, model).to_pylist()]
        for model in dict.fromkeys(chosen)
    }
    series = {
        model: sorted((one for one in own if one.pair in pairs), key=lambda one: -one.median)
        for model, own in found.items()
    }
    names = " and ".join(series)
    table = Table(
        f"DICE of images per pair, {names}, under {board.title(place.strategy)}",
        board.file(reader.board(), f"spread-{'-'.join(series)}", place),
        [
            Column("Model"),
            Column("Pair"),
            *(
                Column(name, "%", numeric=True, exported=(f"{name} DICE %",))
                for name in ("minimum", "q25", "median", "q75", "maximum", "mean")
            ),
        ],
        [
            (
                "",
                [
                    [
                        Value(model),
                        Value(one.pair, heads=True, link=board.pair_link(place, one.pair)),
                        *(
                            Value(f"{value:.2f}")
                            for value in (one.minimum, one.q25, one.median, one.q75, one.maximum, one.mean)
                        ),
                    ]
                    for model, own in series.items()
                    for one in own
                ],
            )
        ],
    )
    text = (
        "Boxes: the middle half of a pair's images, with median and (dashed) mean; whiskers: to both ends. "
    )
    more = "As in figures 7 and 8 of the paper. Choose one model or two above."
    return Shown(table.heading() + said(text + more), figures.boxes(series), table.box())


def paper(reader: BoardReader, place: Place) -> Shown:
    """Scores of all rows, averaged as the paper's authors do, beside theirs."""
    reported = {
        (row["pair"], row["model"]): row
        for row in reader.reported()
        if row["metric"] == "dice" and row["strategy"] == place.strategy
    }
    theirs = sorted({model for _, model in reported})
    pairs = set(_pairs(reader, place))
    found = [row for row in reader.all_scores(place.strategy) if row["pair"] in pairs]
    own = sorted({row["model"] for row in found})
    chosen = [name for name in (place.model, place.other) if name] or [name for name in own if name in theirs]
    chosen = chosen or own[:2]
    found = sorted(
        (row for row in found if row["model"] in chosen), key=lambda row: (row["pair"], row["model"])
    )
    caution = (
        "Here: all rows of real sources that are built here, all instances averaged flat, as the paper's "
        "authors average them, of models that were trained on none of these sources. The paper's values are "
        "of its own selection of images, so a difference is no proof of an error on either side."
    )
    if not found:
        of = f" of {escape(' or '.join(chosen))}" if chosen else ""
        lack = f"There are no such scores{of} under {place.strategy}: set <code>rows: all</code> under "
        return Shown(said(f"{caution} {lack}<code>evaluate</code> and run <code>make repro</code>."))
    table = _beside(reader, place, found, theirs, reported)
    series = {
        f"{model} against {other}": [
            (row["pair"], 100 * row["dice"], known["value"])
            for row in found
            if row["model"] == model and (known := reported.get((row["pair"], other))) is not None
        ]
        for model in chosen
        for other in theirs
    }
    series = {name: points for name, points in series.items() if points}
    doubt = notes(["?: digits lost in the paper's scan.", "–: the paper has no value."])
    figure = figures.beside(series) if series else None
    return Shown(table.heading() + said(caution), figure, table.box() + doubt)


def _beside(
    reader: BoardReader,
    place: Place,
    found: Sequence[Mapping[str, Any]],
    theirs: Sequence[str],
    reported: Mapping[tuple[str, str], Mapping[str, Any]],
) -> Table:
    columns = [
        Column("Pair"),
        Column("Model"),
        Column("Objects", numeric=True),
        Column("DICE here", "%", numeric=True, exported=("DICE %",)),
        *(
            Column(model, "paper, DICE %", numeric=True, exported=(f"paper {model} DICE %",))
            for model in theirs
        ),
    ]
    rows = [
        [
            Value(row["pair"], heads=True, link=board.pair_link(place, row["pair"])),
            Value(row["model"], link=board.model_link(place, row["model"])),
            board.count(row["objects"]),
            Value(f"{100 * row['dice']:.2f}"),
            *(_theirs(reported.get((row["pair"], model))) for model in theirs),
        ]
        for row in found
    ]
    title = f"DICE beside the paper's under {board.title(place.strategy)}"
    return Table(title, board.file(reader.board(), "paper", place), columns, [("", rows)])


@cache
def _percent(text: str) -> Value:
    """A cell of the matrix, which has many of the same text: ten thousand at most."""
    return Value(text)


def _ranked(reader: BoardReader, place: Place) -> list[RankRow]:
    """The models of the board in their order, without the paper's."""
    return [row for row in filters.ranking(reader, place.filter()).rows if row.kind != REPORTED]


def _bar(cell: views.Cell) -> Bar:
    return Bar(*(None if one is None else 100 * one for one in (cell.dice, cell.low, cell.high)))


def _pairs(reader: BoardReader, place: Place) -> list[str]:
    """The pairs that the filters leave, sorted."""
    return [
        pair["pair"]
        for pair in reader.pair_list()
        if place.modality in ("", pair["modality"])
        and place.object in ("", pair["object"])
        and (place.view != "paper" or place.pair in ("", pair["pair"]))
    ]


def _cells(matrix: Matrix, models: Sequence[str], pairs: Sequence[str]) -> NDArray[np.float64]:
    """DICE in per cent, models × pairs, NaN where there is none."""
    lines = {name: place for place, name in enumerate(matrix.models)}
    columns = {name: place for place, name in enumerate(matrix.pairs)}
    known = np.pad(100 * matrix.dice, ((0, 1), (0, 1)), constant_values=np.nan)
    across = [columns.get(name, -1) for name in pairs]
    return known[np.ix_([lines.get(name, -1) for name in models], across)]


def _spread(row: Mapping[str, Any]) -> Spread:
    names = ("minimum", "q25", "median", "q75", "maximum")
    return Spread(row["pair"], 100 * row["dice"], **{name: 100 * row[name] for name in names})


def _theirs(reported: Mapping[str, Any] | None) -> Value:
    if reported is None:
        return board.GAP
    text = f"{reported['value']:.2f}"
    return Value(f"{text} ?" if reported["doubtful"] else text, exported=(text,))
