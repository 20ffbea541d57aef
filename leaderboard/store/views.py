"""What a board shows, in the terminal and in the app: tables of cells that know why they are empty."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar

from leaderboard.statistics import pareto
from leaderboard.store.aggregates import ALL
from leaderboard.store.read import BoardReader
from leaderboard.store.runs import LeftOut
from leaderboard.strategies import STRATEGIES

#: The strategy that ranks, if none is asked for (protocol, section 5).
DEFAULT = "S5"


@dataclass(frozen=True)
class Cell:
    """One value of a board, DICE in 0…1, with its 95 % interval, or the reason for having none.

    `reason`: why the strategy does not apply; `missing`: how much of the pair is scored, if not all;
    `greyed`: the model was not made for this strategy; `doubtful`: the paper's scan lost digits of it.
    """

    dice: float | None
    low: float | None = None
    high: float | None = None
    rank: int | None = None
    reason: str = ""
    missing: str = ""
    greyed: bool = False
    doubtful: bool = False

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
    """A model's headline under each strategy of the board, and what is known of the model.

    `pairs`, `of_pairs`: how many it has under the strategy that ranks. `milliseconds`: from image to masks
    under that strategy, encoder and prompt, on the machine `timed_on`; `fastest`: no model timed there is
    both faster and better. `drop`: of DICE, when the prompt is shifted by `shift_pixels`. `tolerance`: what
    the numerics may change of a pair's DICE. `verified_on`: when a share of its scores was made again.
    Of what nobody measured there is None.
    """

    model: str
    kind: str
    description: str
    cells: dict[str, Cell]
    pairs: int = 0
    of_pairs: int = 0
    numerics: str = ""
    parameters: int = 0
    tolerance: float | None = None
    verified_on: str | None = None
    encoder_ms: float | None = None
    milliseconds: float | None = None
    timed_on: str | None = None
    fastest: bool = False
    shift_pixels: str | None = None
    drop: float | None = None


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


@dataclass(frozen=True)
class GroupRow:
    """A model's headline in a group of pairs, such as those of a modality, under each strategy."""

    name: str
    model: str
    pairs: int
    cells: dict[str, Cell]


Row = TypeVar("Row", bound=ModelRow)
#: (model, strategy) → a row of scores; why there is none.
Scores = Mapping[tuple[str, str], dict[str, Any]]
Gaps = Mapping[tuple[str, str], str]


def strategies(reader: BoardReader) -> list[str]:
    """The strategies under which the board has a score of any model, in the protocol's order."""
    found = reader.strategies()
    return [name for name in STRATEGIES if name in found]


def models_view(
    reader: BoardReader, selection: str = "oracle", sort_by: str = DEFAULT, by: str = ALL, name: str = ""
) -> list[ModelRow]:
    """The ranked table: by rank, then headline, under the strategy `sort_by`; models without it come last.

    Args:
        by, name: the group of pairs that a headline is the mean of: all, or those of a modality or an object.
    """
    scores = {(row["model"], row["strategy"]): row for row in reader.headlines(selection, by, name)}
    given = reader.models(), reader.not_applicable(), reader.measured(), strategies(reader)
    return in_order(marked(model_rows(*given, scores, sort_by, "headline"), sort_by), sort_by)


def model_rows(
    models: Sequence[dict[str, Any]],
    gaps: Gaps,
    measured: Mapping[tuple[str, str], dict[str, Any]],
    shown: Sequence[str],
    scores: Scores,
    strategy: str,
    value: str,
) -> list[ModelRow]:
    """A row of every model, with its scores under the strategies `shown`.

    Args:
        models, gaps, measured: what the reader says.
        strategy: which one `pairs` and `milliseconds` are of.
        value: the column of the DICE in `scores`.
    """
    return [
        _model_row(
            model,
            {one: _cell(scores, gaps, model, one, value) for one in shown},
            scores.get((model["name"], strategy)),
            measured.get((model["name"], strategy)),
        )
        for model in models
    ]


def in_order(rows: Iterable[Row], strategy: str) -> list[Row]:
    """By rank under a strategy, then those with all pairs, then DICE; those without a score come last."""
    return sorted(rows, key=lambda row: _place(row, row.cells.get(strategy, Cell(None))))


def _model_row(
    model: dict[str, Any],
    cells: dict[str, Cell],
    headline: dict[str, Any] | None,
    measured: dict[str, Any] | None,
) -> ModelRow:
    prompt = measured["prompt_ms"] if measured else None
    timed = prompt is not None and model["encoder_ms"] is not None
    return ModelRow(
        model["name"],
        model["kind"],
        model["description"],
        cells,
        pairs=headline["pairs"] if headline else 0,
        of_pairs=headline["of_pairs"] if headline else 0,
        numerics=f"{model['device']}, {model['dtype']}",
        parameters=model["parameters"],
        tolerance=model["tolerance"],
        verified_on=model["verified_on"],
        encoder_ms=model["encoder_ms"],
        milliseconds=model["encoder_ms"] + prompt if timed else None,
        timed_on=model["timed_on"],
        shift_pixels=measured["shift_pixels"] if measured else None,
        drop=measured["drop"] if measured else None,
    )


def marked(rows: Sequence[Row], strategy: str) -> list[Row]:
    """The rows, those on the Pareto front of DICE against time marked: of the models that have every pair,
    and of each machine by itself."""
    by_machine: dict[str | None, list[Row]] = {}
    for row in rows:
        cell = row.cells.get(strategy)
        if row.milliseconds is not None and cell and cell.dice is not None and row.pairs == row.of_pairs:
            by_machine.setdefault(row.timed_on, []).append(row)
    fastest = set()
    for own in by_machine.values():
        front = pareto([(row.milliseconds or 0.0, row.cells[strategy].dice or 0.0) for row in own])
        fastest |= {row.model for row, on_front in zip(own, front, strict=True) if on_front}
    return [replace(row, fastest=row.model in fastest) for row in rows]


def pairs_view(
    reader: BoardReader, selection: str = "oracle", modality: str | None = None, of_object: str | None = None
) -> list[PairRow]:
    """Every model on every pair, by pair, the models in the order of params.yaml."""
    gaps, shown, models = reader.not_applicable(), strategies(reader), reader.models()
    missing_in = lacking(reader)
    scores: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for row in reader.pair_dice(selection, modality, of_object):
        scores.setdefault(row["pair"], {})[row["model"], row["strategy"]] = row
    rows = []
    for pair in reader.pair_list():
        if modality not in (None, pair["modality"]) or of_object not in (None, pair["object"]):
            continue
        own = scores.get(pair["pair"], {})
        for model in models:
            missing = missing_in.get((pair["pair"], model["name"]), {})
            cells = {name: _cell(own, gaps, model, name, "dice", missing) for name in shown}
            behind = [own[key] for key in own if key[0] == model["name"] and key[1] != "S1"]
            images, patients = (
                max((row[key] for row in behind), default=0) for key in ("images", "patients")
            )
            rows.append(PairRow(pair["pair"], model["name"], images, patients, pair["phantom"], cells))
    return rows


def groups_view(
    reader: BoardReader, selection: str = "oracle", by: str = "modality", strategy: str | None = None
) -> list[GroupRow]:
    """Every model's headline in every modality (or every object), the models in the order of params.yaml.

    `strategy`: under this one alone, which is faster than all.
    """
    scores: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for row in reader.headlines(selection, by, strategy=strategy):
        scores.setdefault(row["name"], {})[row["model"], row["strategy"]] = row
    gaps, models = reader.not_applicable(), reader.models()
    shown = strategies(reader) if strategy is None else [strategy]
    return [
        GroupRow(
            name,
            model["name"],
            max((own[key]["of_pairs"] for key in own), default=0),
            {one: _cell(own, gaps, model, one, "headline") for one in shown},
        )
        for name, own in sorted(scores.items())
        for model in models
    ]


def reported_view(reader: BoardReader) -> list[PairRow]:
    """What the paper reports of the board's pairs, but for those with phantoms; it is of other images, and so
    never ranked.
    """
    shown = strategies(reader)
    cells: dict[tuple[str, str], dict[str, Cell]] = {}
    for row in reader.reported():
        if row["metric"] == "dice" and row["strategy"] in shown:
            cell = Cell(row["value"] / 100, doubtful=row["doubtful"])
            cells.setdefault((row["pair"], row["model"]), {})[row["strategy"]] = cell
    real = {pair["pair"] for pair in reader.pair_list() if not pair["phantom"]}
    return [
        PairRow(pair, model, 0, 0, False, {name: own.get(name, Cell(None)) for name in shown})
        for (pair, model), own in sorted(cells.items())
        if pair in real
    ]


def reported_models(
    reader: BoardReader, strategy: str = DEFAULT, only: Collection[str] | None = None
) -> list[ModelRow]:
    """Per model of the paper the mean of what it reports of the board's pairs; `pairs` under the strategy.

    `only`: of these pairs, rather than all.
    """
    among = {pair["pair"] for pair in reader.pair_list()} if only is None else set(only)
    of_pairs, found = len(among), [row for row in reader.remembered(reported_view) if row.pair in among]
    rows = []
    for model in sorted({row.model for row in found}):
        own = [row.cells for row in found if row.model == model]
        cells = {name: _mean([one[name] for one in own]) for name in strategies(reader)}
        pairs = sum(one[strategy].dice is not None for one in own) if strategy in cells else 0
        text = "What the paper reports, averaged over the pairs that it has."
        rows.append(ModelRow(model, "reported", text, cells, pairs, of_pairs))
    return rows


def _mean(cells: list[Cell]) -> Cell:
    known = [cell for cell in cells if cell.dice is not None]
    if not known:
        return Cell(None)
    mean = sum(cell.dice or 0.0 for cell in known) / len(known)
    return Cell(mean, doubtful=any(cell.doubtful for cell in known))


def lacking(reader: BoardReader, pair: str | None = None) -> dict[tuple[str, str], dict[str, str]]:
    """(pair, model) → strategy → how much of it is scored, where that is not all."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for row in reader.incomplete(pair):
        text = f"{row['scores']} of {row['of_scores']} objects scored"
        found.setdefault((row["pair"], row["model"]), {})[row["strategy"]] = text
    return found


def _cell(
    scores: Scores,
    gaps: Gaps,
    model: dict[str, Any],
    strategy: str,
    value: str,
    missing: Mapping[str, str] = MappingProxyType({}),
) -> Cell:
    key = (model["name"], strategy)
    if key not in scores:
        return Cell(None, reason=gaps.get(key, ""), missing=missing.get(strategy, ""))
    row = scores[key]
    greyed = strategy not in model["made_for"]
    return Cell(row[value], row["low"], row["high"], row["rank"], greyed=greyed)


def _place(row: ModelRow, cell: Cell) -> tuple[bool, int, bool, float]:
    return cell.dice is None, cell.rank or 1_000_000, row.pairs < row.of_pairs, -(cell.dice or 0.0)


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


def left_out(reader: BoardReader) -> list[str]:
    """Which scores are not on the board, why, and the command that mends it."""
    return [f"not on the board: {LeftOut(**row)}" for row in reader.left_out()]
