"""What the tab "Leaderboard" shows: a view, and the filters before it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from leaderboard.contamination import CONTACTS
from leaderboard.selection import SELECTIONS
from leaderboard.store import views
from leaderboard.store.filters import KINDS, Filter, ranking
from leaderboard.store.read import BoardReader
from leaderboard.strategies import STRATEGIES

TAB = "leaderboard"
#: The views, and how they are called.
VIEWS = {
    "ranking": "Ranking",
    "heat": "Pairs × models",
    "modalities": "Modalities",
    "speed": "Speed",
    "spread": "Spread",
    "paper": "Beside the paper",
    "model": "Model",
    "pair": "Pair",
    "compare": "Compare",
}
_RANKED = ("strategy", "selection", "modality", "object", "pair", "source", "contact", "kind", "search")
_SCOPED = ("strategy", "selection", "modality", "object", "kind", "search")
#: The controls that a view heeds; the others are hidden.
HEEDED = {
    "ranking": (*_RANKED, "columns"),
    "heat": _SCOPED,
    "modalities": ("strategy", "selection", "kind", "search"),
    "speed": _RANKED,
    "spread": ("strategy", "selection", "modality", "object", "model", "other"),
    "paper": ("strategy", "modality", "object", "pair", "model", "other"),
    "model": ("strategy", "selection", "model"),
    "pair": ("strategy", "selection", "pair", "kind", "search"),
    "compare": ("strategy", "selection", "model", "other", "metric"),
}
#: What chooses among a model's candidate masks.
CHOOSERS = {
    "oracle": "Best against the truth (oracle)",
    "predicted_iou": "Highest predicted IoU",
}
REPORTED = "reported"
#: The columns of the ranking that one may leave out or add, and how they are called; then the strategies'.
COLUMNS = {
    "type": "Type",
    "hd": "HD, empty, failed",
    "coverage": "Coverage",
    "latency": "Time per image",
    "parameters": "Parameters",
    "date": "Date",
    "verified": "Verified",
    "numerics": "Numerics",
    "tolerance": "Tolerance",
}
SHOWN = ("type", "hd", "coverage", "latency", "parameters", "date", "verified")
#: How metrics are called, with their units.
MEASURES = {"dice": "DICE, %", "hausdorff": "HD, px", "assd": "ASSD, px"}


@dataclass(frozen=True)
class Place:
    """A view and its filters, as a link tells them; an empty text is no filter."""

    view: str = "ranking"
    strategy: str = views.DEFAULT
    selection: str = SELECTIONS[0]
    modality: str = ""
    object: str = ""
    pair: str = ""
    source: str = ""
    contact: str = ""
    kind: tuple[str, ...] = ()
    search: str = ""
    columns: tuple[str, ...] = SHOWN
    model: str = ""
    other: str = ""
    metric: str = "dice"

    def filter(self) -> Filter:
        """The filter of a ranking."""
        return Filter(
            self.strategy,
            self.selection,
            self.modality or None,
            self.object or None,
            self.pair or None,
            self.source or None,
            self.contact or None,
            self.kind,
            self.search,
        )


@dataclass(frozen=True)
class Choices:
    """What a board has of each: the controls' choices."""

    strategies: tuple[str, ...]
    modalities: tuple[str, ...]
    objects: tuple[str, ...]
    pairs: tuple[str, ...]
    sources: tuple[str, ...]
    models: tuple[str, ...]


def choices(reader: BoardReader) -> Choices:
    """Raises:
    InputError: no board is published.
    """
    pairs = reader.pair_list()
    return Choices(
        tuple(views.strategies(reader)),
        _sorted(pair["modality"] for pair in pairs),
        _sorted(pair["object"] for pair in pairs),
        _sorted(pair["pair"] for pair in pairs),
        _sorted(source for pair in pairs for source in pair["sources"]),
        tuple(model["name"] for model in reader.models()),
    )


def fitted(place: Place, known: Choices, reader: BoardReader) -> Place:
    """The place with what the board does not have as by default.

    A view of one pair or of models gets the first ones, if none is chosen.
    """
    strategies = known.strategies or (views.DEFAULT,)
    first = views.DEFAULT if views.DEFAULT in strategies else strategies[0]
    place = replace(
        place,
        view=_one_of(place.view, VIEWS, "ranking"),
        strategy=_one_of(place.strategy, strategies, first),
        selection=_one_of(place.selection, SELECTIONS, SELECTIONS[0]),
        modality=_one_of(place.modality, known.modalities),
        object=_one_of(place.object, known.objects),
        pair=_one_of(place.pair, known.pairs),
        source=_one_of(place.source, known.sources),
        contact=_one_of(place.contact, CONTACTS),
        kind=tuple(name for name in KINDS if name in place.kind),
        columns=tuple(name for name in (*COLUMNS, *strategies) if name in place.columns),
        model=_one_of(place.model, known.models),
        other=_one_of(place.other, known.models),
        metric=_one_of(place.metric, MEASURES, "dice"),
    )
    if STRATEGIES[place.strategy].everything:
        place = replace(place, selection=SELECTIONS[0])
    if place.view == "pair" and not place.pair and known.pairs:
        place = replace(place, pair=known.pairs[0])
    return _with_models(place, reader)


def _with_models(place: Place, reader: BoardReader) -> Place:
    wanted = {"model": 1, "spread": 1, "compare": 2}.get(place.view, 0)
    if wanted == 0 or (place.model and (wanted == 1 or place.other)):
        return place
    best = ranking(reader, Filter(place.strategy, place.selection)).rows
    free = [row.model for row in best if row.kind != REPORTED and row.model not in (place.model, place.other)]
    if not place.model and free:
        place = replace(place, model=free.pop(0))
    if not place.other and free and wanted > 1:
        place = replace(place, other=free.pop(0))
    return place


def _one_of(value: str, known: Iterable[str], default: str = "") -> str:
    return value if value in known else default


def _sorted(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(sorted({str(value) for value in values}))
