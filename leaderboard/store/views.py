"""What a board shows, in the terminal and in the app: tables of cells that know why they are empty."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from leaderboard.store.read import BoardReader
from leaderboard.strategies import STRATEGIES


@dataclass(frozen=True)
class Cell:
    """One value of a board, DICE in 0…1, with its 95 % interval, or the reason for having none.

    `greyed`: the model was not made for this strategy.
    """

    dice: float | None
    low: float | None = None
    high: float | None = None
    rank: int | None = None
    reason: str = ""
    greyed: bool = False

    @property
    def text(self) -> str:
        """In per cent, as a table shows it."""
        if self.dice is None:
            return "n/a" if self.reason else "–"
        if self.low is None or self.high is None:
            return f"{100 * self.dice:.2f}"
        return f"{100 * self.dice:.2f} [{100 * self.low:.2f}, {100 * self.high:.2f}]"


@dataclass(frozen=True)
class ModelRow:
    """A model's headline under each strategy of the board."""

    model: str
    kind: str
    description: str
    cells: dict[str, Cell]


@dataclass(frozen=True)
class PairRow:
    """A model on one pair under each strategy; `images` and `patients` are behind every cell but S1's.

    `phantom`: some of the images are synthetic.
    """

    pair: str
    model: str
    images: int
    patients: int
    phantom: bool
    cells: dict[str, Cell]


def strategies(reader: BoardReader) -> list[str]:
    """The strategies under which the board has a score of any model, in the protocol's order."""
    found = {row["strategy"] for row in reader.headlines()}
    return [name for name in STRATEGIES if name in found]


def models_view(reader: BoardReader, selection: str = "oracle", sort_by: str = "S5") -> list[ModelRow]:
    """The ranked table: by rank, then headline, under the strategy `sort_by`; models without it come last."""
    scores = {(row["model"], row["strategy"]): row for row in reader.headlines(selection)}
    gaps, shown = reader.not_applicable(), strategies(reader)
    rows = [
        ModelRow(
            model["name"],
            model["kind"],
            model["description"],
            {name: _cell(scores, gaps, model, name, "headline") for name in shown},
        )
        for model in reader.models()
    ]
    return sorted(rows, key=lambda row: _place(row.cells.get(sort_by, Cell(None))))


def pairs_view(reader: BoardReader, selection: str = "oracle") -> list[PairRow]:
    """Every model on every pair, by pair, the models in the order of params.yaml."""
    every = [row for row in reader.all_pairs() if row["selection"] == selection]
    gaps, shown, models = reader.not_applicable(), strategies(reader), reader.models()
    rows = []
    for pair, members in groupby(every, key=lambda row: row["pair"]):  # they come by pair
        scores = {(row["model"], row["strategy"]): row for row in members}
        phantom = any(row["phantom"] for row in scores.values())
        for model in models:
            own = [scores[key] for key in scores if key[0] == model["name"] and key[1] != "S1"]
            cells = {name: _cell(scores, gaps, model, name, "dice") for name in shown}
            images, patients = (max((row[key] for row in own), default=0) for key in ("images", "patients"))
            rows.append(PairRow(pair, model["name"], images, patients, phantom, cells))
    return rows


def _cell(
    scores: dict[tuple[str, str], dict[str, Any]],
    gaps: dict[tuple[str, str], str],
    model: dict[str, Any],
    strategy: str,
    value: str,
) -> Cell:
    key = (model["name"], strategy)
    if key not in scores:
        return Cell(None, reason=gaps.get(key, ""))
    row = scores[key]
    greyed = strategy not in model["made_for"]
    return Cell(row[value], row["low"], row["high"], row.get("rank"), greyed=greyed)


def _place(cell: Cell) -> tuple[bool, int, float]:
    return cell.dice is None, cell.rank or 1_000_000, -(cell.dice or 0.0)


def footnotes(reader: BoardReader) -> list[str]:
    """Why cells are n/a, one line for each model and reason."""
    shown = strategies(reader)
    gaps: dict[tuple[str, str], list[str]] = {}
    for (model, strategy), reason in reader.not_applicable().items():
        if strategy in shown:
            gaps.setdefault((model, reason), []).append(strategy)
    return [
        f"n/a: {', '.join(sorted(names))} does not apply to {model}, which {reason}"
        if len(names) == 1
        else f"n/a: {', '.join(sorted(names))} do not apply to {model}, which {reason}"
        for (model, reason), names in sorted(gaps.items())
    ]
