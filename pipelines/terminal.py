"""The board in the terminal."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cosmos1050k.notices import notices
from leaderboard.contamination import CONTACTS
from leaderboard.statistics import DISTANCES, FEWEST_PATIENTS
from leaderboard.store import views
from leaderboard.store.aggregates import ALL
from leaderboard.store.read import BoardReader
from leaderboard.strategies import STRATEGIES
from pipelines.board_tables import Asked, beside_paper, one_pair

_NUMBERS = ("rank", "images", "pairs")


def show(reader: BoardReader, strategy: str = views.DEFAULT, selection: str = "oracle") -> None:
    """Prints a board: models by rank, then every pair, then why cells are empty."""
    console = _console()
    console.print(*_models(reader, strategy, selection), _pairs(reader, selection))
    _close(console, reader)


def _console() -> Console:
    """What others named, such as files, is text and no mark-up."""
    return Console(markup=False)


def show_by(reader: BoardReader, asked: Asked, by: str) -> None:
    """Prints one table: a row per model, pair, modality or case."""
    console = _console()
    if by == "pair" or (by == "model" and asked.group is None):
        console.print(_pairs(reader, asked.selection, asked))
    elif by == "model":
        console.print(*_models(reader, asked.strategy, asked.selection, asked.group or (ALL, "")))
    elif by == "modality":
        console.print(_modalities(reader, asked))
    else:
        console.print(_cases(reader, asked))
    _close(console, reader)


def show_seen(reader: BoardReader, asked: Asked) -> None:
    """Prints DICE apart by what a model may have seen: side by side, over the pairs that have such rows."""
    console = _console()
    found = {
        (row["model"], row["contact"]): row
        for row in reader.contacts(asked.strategy, asked.selection)
        if row["pair"] is None
    }
    title = f"DICE in % under {asked.strategy} ({asked.selection}), in brackets pairs and patients"
    table = _table(title, ["model"], CONTACTS.values())
    for model in reader.models():
        cells = [found.get((model["name"], contact)) for contact in CONTACTS]
        table.add_row(model["name"], *(_seen(cell) for cell in cells))
    console.print(table)
    console.print("Read a row only where its pairs are the same; those of other sources are the fair ones.")
    _close(console, reader)


def show_beside_paper(reader: BoardReader, asked: Asked) -> None:
    """Prints `board_tables.beside_paper`."""
    console = _console()
    found = beside_paper(reader, asked)
    numbers = [name for name in found[0] if name not in ("pair", "strategy", "model")]
    title = "All rows, all instances averaged flat, DICE in %, HD in px with 0 for empty masks; the paper's"
    table = _table(title, ["pair", "strategy", "model"], (name.replace("_", " ") for name in numbers))
    for row in found:
        cells = (
            "–" if row[name] is None else f"{row[name]:,}" if name == "objects" else f"{row[name]:.2f}"
            for name in numbers
        )
        table.add_row(row["pair"], row["strategy"], row["model"], *cells)
    console.print(table)
    _close(console, reader)


def _seen(row: dict[str, Any] | None) -> Text:
    if row is None:
        return Text("–", style="dim")
    text = views.Cell(row["dice"], row["low"], row["high"]).text
    return Text(f"{text} ({row['pairs']}, {row['patients']})")


def show_comparison(
    found: Sequence[dict[str, Any]], models: tuple[str, str], strategy: str, selection: str, metric: str
) -> None:
    """Prints what `leaderboard.comparison` found; the verdict is of the first model."""
    console = _console()
    scale, unit = (1, "px") if metric in DISTANCES else (100, "%")
    title = f"{metric} in {unit} under {strategy} ({selection}): {models[0]} minus {models[1]}"
    table = _table(title, ["pair"], [*models, "difference", "95 % interval", "patients"])
    table.add_column("verdict", no_wrap=True)
    for row in found:
        ends = "–" if row["low"] is None else f"[{scale * row['low']:+.2f}, {scale * row['high']:+.2f}]"
        table.add_row(
            f"mean of {len(found) - 1} pairs" if row["pair"] == ALL else row["pair"],
            *(f"{scale * row[name]:.2f}" for name in ("first", "second")),
            f"{scale * row['difference']:+.2f}",
            ends,
            str(row["patients"]),
            row["verdict"],
            style="bold" if row["pair"] == ALL else "",
        )
    console.print(table)
    console.print(
        f"verdict: of {models[0]}; few cases: fewer than {FEWEST_PATIENTS} patients. "
        "Of many pairs one in twenty differs by chance."
    )


def _models(
    reader: BoardReader, strategy: str, selection: str, group: tuple[str, str] = (ALL, "")
) -> Iterator[Table]:
    """The ranked models, then what is known of them beside their scores."""
    shown = views.strategies(reader)
    found = views.models_view(reader, selection, strategy, *group)
    pairs = max((row.of_pairs for row in found), default=0)
    if group[0] == ALL:
        found += views.reported_models(reader, strategy)
    of = f"{pairs} pairs" + (f" of {group[1]}" if group[1] else "")
    title = f"DICE in %, mean over {of} ({selection}), by {strategy}"
    scores = _table(title, ["rank", "model", "pairs"], shown)
    about = _table(f"The models; time and drop under {strategy}", ["model", "kind", "numerics"], _ABOUT)
    for row in found:
        cell = row.cells.get(strategy)
        scores.add_row(
            str(cell.rank if cell and cell.rank is not None else "–"),
            row.model if row.kind != "reported" else f"{row.model} (paper)",
            f"{row.pairs}/{row.of_pairs}" if row.of_pairs else "–",
            *(_text(row.cells[name], interval=name == strategy) for name in shown),
            style="dim" if row.kind == "reported" else "",
        )
        if row.kind == "reported":
            continue
        about.add_row(
            row.model,
            row.kind,
            row.numerics,
            "0" if row.tolerance == 0 else _known(row.tolerance, "{:.0e}"),
            _known(row.parameters / 1e6 or None, "{:.1f} M"),
            _known(row.milliseconds, "{:.0f} ms") + (" *" if row.fastest else ""),
            _known(None if row.drop is None else 100 * row.drop, "{:.2f}"),
            row.verified_on[:10] if row.verified_on else "–",
        )
    yield from (scores, about)


#: Columns of what was measured of models.
_ABOUT = ("tolerance", "parameters", "time", "drop", "verified")


def _known(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _pairs(reader: BoardReader, selection: str, asked: Asked | None = None) -> Table:
    shown = views.strategies(reader)
    table = _table(f"DICE in % per pair ({selection})", ["pair", "model", "images"], shown)
    of = (asked.modality, asked.of_object) if asked else (None, None)
    last = None
    for row in views.pairs_view(reader, selection, *of):
        name = f"{row.pair} (phantom)" if row.phantom else row.pair
        cells = (_text(row.cells[one]) for one in shown)
        table.add_row(name if row.pair != last else "", row.model, str(row.images), *cells)
        last = row.pair
    if asked:
        for row in views.reported_view(reader):
            if row.pair in asked.pairs:
                cells = (_text(row.cells[one]) for one in shown)
                table.add_row(row.pair, f"{row.model} (paper)", "–", *cells)
    return table


def _modalities(reader: BoardReader, asked: Asked) -> Table:
    shown = views.strategies(reader)
    table = _table(
        f"DICE in %, mean over a modality's pairs ({asked.selection})", ["modality", "model"], shown
    )
    for row in views.groups_view(reader, asked.selection, "modality"):
        if asked.modality in (None, row.name):
            name = f"{row.name} ({row.pairs})"
            table.add_row(name, row.model, *(_text(row.cells[one]) for one in shown))
    return table


def _cases(reader: BoardReader, asked: Asked) -> Table:
    """A row per case, the worst first."""
    models = [model["name"] for model in reader.models()]
    pair = one_pair(asked)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in reader.cases(pair, asked.strategy, asked.selection):
        found.setdefault((row["source"], row["case"]), {})[row["model"]] = row
    title = f"{pair}: DICE in % per case under {asked.strategy} ({asked.selection}), worst first"
    table = _table(title, ["source", "case", "images"], models)
    for (source, case), own in found.items():
        images = max(row["images"] for row in own.values())
        cells = (f"{100 * own[name]['dice']:.2f}" if name in own else "–" for name in models)
        table.add_row(source, case, str(images), *cells)
    return table


def _table(title: str, names: Sequence[str], numbers: Iterable[str]) -> Table:
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    for name in names:
        wide = 9 if name == "model" else None
        side: Literal["right", "left"] = "right" if name in _NUMBERS else "left"
        table.add_column(name, justify=side, overflow="fold", min_width=wide)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _text(cell: views.Cell, *, interval: bool = False) -> Text:
    """A cell; its interval only where it is asked for, since six of them fit in no terminal."""
    doubtful = " ?" if cell.doubtful else ""
    shown = cell if interval else replace(cell, low=None, high=None)
    return Text(shown.text + doubtful, style="dim" if cell.greyed or cell.dice is None else "")


def _close(console: Console, reader: BoardReader) -> None:
    """What the columns mean, why cells are empty, what is left out."""
    for name in views.strategies(reader):
        console.print(f"{name}: {STRATEGIES[name].title}", style="dim", highlight=False)
    for line in [*views.footnotes(reader), *_notes(reader)]:
        console.print(line, highlight=False)


def _notes(reader: BoardReader) -> list[str]:
    board = reader.board()
    lines = [
        "dim: the model was not made for this strategy",
        "time: from image to masks; *: no model timed on its machine is both faster and better; "
        "drop: points of DICE when the prompt is shifted by 20 to 30 pixels; –: not measured",
        "(paper): what the paper reports, of other images, all instances averaged flat; "
        "?: digits lost in its scan",
    ]
    if board["patients"] < FEWEST_PATIENTS:
        lines.append(f"fewer than {FEWEST_PATIENTS} patients: no intervals, and all models share a rank")
    lines += views.left_out(reader)
    lines += map(str, notices(board["sources"], board["phantoms"]))
    lines.append(f"board {board['build_id']}, dataset {board['dataset_version']}")
    return lines
