"""What a board says of itself, above its tables and below them."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from typing import Any
from urllib.parse import quote_plus

from app import links
from app.place import TAB, Place
from app.table import Value
from cosmos1050k.notices import notices
from leaderboard.statistics import FEWEST_PATIENTS
from leaderboard.store import views
from leaderboard.strategies import STRATEGIES

Board = Mapping[str, Any]


def title(strategy: str) -> str:
    """`S5 · box`."""
    return f"{strategy} · {STRATEGIES[strategy].title}"


def summary(board: Board) -> str:
    """HTML of what the board is: versions and counts."""
    facts = [
        ("Dataset version", board["dataset_version"]),
        ("Protocol version", board["protocol_version"]),
        ("Images", f"{board['images']:,}"),
        ("Pairs", f"{board['pairs']:,}"),
        ("Patients", f"{board['patients']:,}"),
        ("Build", board["build_id"]),
    ]
    return described(facts)


def described(facts: Iterable[tuple[str, str]]) -> str:
    """A list of names and what they are."""
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(str(value))}</dd></div>" for name, value in facts
    )
    return f'<dl class="board-facts">{items}</dl>'


def noticed(board: Board, trouble: str | None = None) -> str:
    """HTML of what must be said on every page of this board; `trouble`: why a newer one is not shown."""
    found = notices(board["sources"], board["phantoms"])
    texts = [f"<strong>{escape(notice.strong)}</strong>{escape(notice.rest)}" for notice in found]
    if trouble:
        texts.append(f"<strong>This board is an older one</strong>: {escape(trouble)}")
    return "".join(f'<p class="board-notice" role="note">{text}</p>' for text in texts)


def about_rank(board: Board) -> str:
    """What a rank means."""
    patients = board["patients"]
    if patients < FEWEST_PATIENTS:
        return (
            f"Rank: few cases ({plural(patients, 'patient')}, fewer than {FEWEST_PATIENTS}), so there is no "
            "interval and no evidence for an order: all ranked models share rank 1, and are listed by DICE."
        )
    return (
        "Rank: 1 + the number of ranked models whose lead over this one has a 95 % interval above 0, so "
        f"models may share one. {about_interval(board)}"
    )


def about_interval(board: Board) -> str:
    """What the brackets mean."""
    return (
        "In brackets: the 95 % interval of the mean, from a bootstrap over "
        f"patients with {board['bootstrap_draws']:,} draws; none with fewer than {FEWEST_PATIENTS}."
    )


def about_cells(selection: str, cells: Sequence[views.Cell]) -> list[str]:
    """Why cells are grey or have no number."""
    lines = []
    if any(cell.greyed for cell in cells):
        lines.append("Grey with †: the model was not made for this strategy.")
    if any(cell.doubtful for cell in cells):
        lines.append("?: digits lost in the paper's scan.")
    if any(cell.dice is None and not cell.reason for cell in cells):
        why = (
            ""
            if selection == "oracle"
            else " Under S1, everything, no predicted IoU chooses: see the oracle."
        )
        lines.append(f"–: the model has no score here.{why}")
    return lines


def dice(cell: views.Cell, strategy: str, empties: int | None = None) -> Value:
    """A cell; in the CSV the interval has columns of its own. `empties`: masks without a pixel, if known."""
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
    if cell.doubtful:
        return Value(f"{text} ?", note="digits lost in the paper's scan", exported=exported)
    told = [f"not made for {strategy}"] if cell.greyed else []
    told += [plural(empties, "empty mask")] if cell.dice == 0 and empties else []
    return Value(text, interval, "; ".join(told), "greyed" if cell.greyed else "", exported)


def named(place: Place, model: str, detail: str = "") -> Value:
    """A model's name, which leads to its page."""
    return Value(model, detail=detail, heads=True, exported=(model,), link=model_link(place, model))


def model_link(place: Place, model: str) -> str:
    return f"{_page('model', place.strategy, place.selection)}&model={quote_plus(model)}"


def pair_link(place: Place, pair: str) -> str:
    return f"{_page('pair', place.strategy, place.selection)}&pair={quote_plus(pair)}"


@cache
def _page(view: str, strategy: str, selection: str) -> str:
    """The link to a page of its kind, but for whose page it is: a table has hundreds of them."""
    return links.query(Place(view=view, strategy=strategy, selection=selection), TAB)


def count(number: int) -> Value:
    """A number, which the CSV has without commas."""
    return Value(f"{number:,}", exported=(str(number),))


def milliseconds(value: float) -> str:
    """A time without decimals, from 10 ms; a shorter one with two digits, so that only none is 0."""
    if 0 < value < 0.01:
        return "<0.01"
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.2g}"


def exact(value: float) -> str:
    """A time in ms as the CSV has it."""
    return f"{value:.3f}" if value >= 0.1 else f"{value:.3g}"


GAP = Value("–", look="gap", exported=("",))


def plural(number: int, noun: str) -> str:
    """`1 pair`, `2 pairs`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def file(board: Board, what: str, place: Place) -> str:
    """Names the board, the strategy and the selection, so that a file says what it holds."""
    mark = "phantom-" if board["phantoms"] else ""
    safe = "".join(letter if letter.isalnum() else "-" for letter in what)
    return f"{mark}{safe}-{board['build_id']}-{place.strategy}-{place.selection}.csv"
