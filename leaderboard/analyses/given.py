"""What the analyses read: the published board, its objects' attributes, the paper's tables."""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cosmos1050k import attributes, shards
from cosmos1050k.attributes import ATTRIBUTES as STORED
from cosmos1050k.errors import InputError
from leaderboard import paper
from leaderboard.contamination import CONTACTS
from leaderboard.machine import MEASURED
from leaderboard.robustness import Robustness
from leaderboard.store import views
from leaderboard.store.facts import EVERYTHING, ROUNDED
from leaderboard.store.read import BoardReader
from leaderboard.studies.record import Studied

#: The attributes of table 6: what the paper calls them there → column of the attributes, and a heading.
ATTRIBUTES = {
    "size": ("size", "Size, px"),
    "intensity_difference": ("intensity_difference", "Intensity difference"),
    "fourier_order": ("fourier_order", "Fourier order"),
    "modality": ("modality_number", "Modality"),
    "aspect_ratio": ("aspect_ratio", "Aspect ratio"),
}
#: The strategy of the paper's figures 10, 13, 14, 17 and 18.
BOX = "S5"
NO_PAIR = "No model has the scores of a whole pair; run `make repro` until every model is through."
NO_BOX = f"No model has scores under {BOX}; add it to `strategies` under `evaluate` in params.yaml."
#: The paper's models as the platform names them, and as headings.
REPORTED = {"sam_vit_b": "Paper, ViT-B", "sam_vit_h": "Paper, ViT-H"}

#: A model's scores on the board, in pairs that it has wholly.
_OWN = """scores s join objects o using (object_id)
    semi join (select * from coverage where scores = of_scores) w
        on w.model = s.model and w.strategy = s.strategy and w.pair = s.pair
    where case when list_contains(?, s.strategy::varchar) then o.on_board_s1 else o.on_board end"""

#: A kind of models whose numbers measure nothing.
_DEMONSTRATION = "demonstration"
#: Of contacts, in the order of `CONTACTS`: how a model's training is marked beside its name.
_CLOSE = ("", "trained on the same source", "may know these cases")

Floats = NDArray[np.float64]
Record = TypeVar("Record", bound=Studied | Robustness)


@dataclass(frozen=True)
class Given:
    """One board and what belongs to it.

    `attributes`: of the board's objects, by `object_id`: that and the columns of `ATTRIBUTES`. `data`: the
    folder of the built sources; `measured`: of what was measured of the models.
    """

    reader: BoardReader
    attributes: pa.Table
    paper: pa.Table
    data: Path
    measured: Path

    @cached_property
    def board(self) -> dict[str, Any]:
        """What the reader says of the board."""
        return self.reader.board()

    @cached_property
    def models(self) -> list[dict[str, Any]]:
        """The models by their headline under the box prompt, the best first; those without one come last."""
        found = {row["model"]: row["headline"] for row in self.reader.headlines(strategy=BOX)}
        every = self.reader.models()
        return sorted(every, key=lambda model: -found.get(model["name"], -1.0))

    @cached_property
    def strategies(self) -> list[str]:
        """Those of the board, in the protocol's order."""
        return views.strategies(self.reader)

    @cached_property
    def pairs(self) -> dict[str, dict[str, Any]]:
        """Pair → what the reader says of it."""
        return {row["pair"]: row for row in self.reader.pair_list()}

    @cached_property
    def versions(self) -> dict[str, str]:
        """Source of the board → its version as it is built."""
        return {slug: shards.load_manifest(self.data / slug).version for slug in self.board["sources"]}

    @cached_property
    def first(self) -> str:
        """The first model under the box prompt; a demonstration only where no other has a headline there."""
        found = {row["model"] for row in self.reader.headlines(strategy=BOX)}
        real = [one for one in self.models if one["name"] in found and one["kind"] != _DEMONSTRATION]
        return str((real or self.models)[0]["name"])

    @property
    def example(self) -> str:
        """The first model that a command can name: submitted ones are not on this machine."""
        named = [one["name"] for one in self.models if not one["submitted"]]
        return self.first if self.first in named else next(iter(named), "MODEL")

    @property
    def first_told(self) -> str:
        """The first model, and of what it is the first."""
        ahead = self.first != self.models[0]["name"]
        return (
            f"{self.titled(self.first)}, the first under {BOX}{' that is no demonstration' if ahead else ''}"
        )

    @cached_property
    def _marks(self) -> dict[str, list[str]]:
        """Model → what to know of it beside each number: its kind, the closest contact of its training."""
        met = self.reader.rows(
            """select distinct model, contact from contacts
            semi join objects o on o.kind = contacts.kind and o.on_board"""
        )
        closest: dict[str, int] = {}
        order = list(CONTACTS)
        for row in met:
            closest[row["model"]] = max(order.index(row["contact"]), closest.get(row["model"], 0))
        return {
            model["name"]: [
                *([_DEMONSTRATION] if model["kind"] == _DEMONSTRATION else []),
                *([_CLOSE[place]] if (place := closest.get(model["name"], 0)) else []),
            ]
            for model in self.models
        }

    def titled(self, model: str) -> str:
        """The model, marked if it is a demonstration or its training came near the board's rows."""
        marks = self._marks.get(model)
        return f"{model} ({'; '.join(marks)})" if marks else model

    def named(self, pair: str) -> str:
        """The pair, marked if some of its images are synthetic."""
        return f"{pair} (phantom)" if self.pairs[pair]["phantom"] else pair

    def on(self, objects: int) -> str:
        """`120 objects of 1 patient`; the patients are those of the whole board."""
        return f"{plural(objects, 'object')} of {plural(self.board['patients'], 'patient')}"

    def reported(self, number: int) -> list[dict[str, Any]]:
        """The rows of one of the paper's tables; none beside a board of synthetic images."""
        if self.board["phantoms"]:
            return []
        return [row for row in self.paper.to_pylist() if row["table"] == number]

    def means(self, by: Sequence[str]) -> list[dict[str, Any]]:
        """Flat means over the board's objects, per model, strategy and what else `by` names (`pair`).

        As the paper's authors average: every object counts the same, an empty mask's distance counts as 0.

        Returns:
            Rows with `model`, `strategy`, `objects`, `pairs`, `dice` (0…1), `hausdorff` (pixels; None if
            every mask is empty), `empties`.
        """
        names = ["model", "strategy", *by]
        listed = ", ".join(f"s.{name}::varchar as {name}" for name in names)
        return self.reader.rows(
            f"""select {listed}, count(*) as objects, count(distinct s.pair) as pairs,
                avg({ROUNDED.format("s.dice_oracle")}) as dice,
                case when count(s.hausdorff_oracle) > 0
                    then avg({ROUNDED.format("coalesce(s.hausdorff_oracle, 0)")}) end as hausdorff,
                count(*) filter (where s.hausdorff_oracle is null) as empties
            from {_OWN} group by all order by {", ".join(names)}""",
            list(EVERYTHING),
        )

    def studied(
        self, read: Callable[[Path], Record], folder: str, among: Container[str] | None = None
    ) -> list[Record]:
        """What was measured of the board's models, the best first: of their present weights, on sources of
        this board.

        Args:
            folder: of the study, in `measured`.
            among: names of models, whose records alone are read; by default all.

        Raises:
            InputError: a record is damaged.
        """
        asked = [model for model in self.models if among is None or model["name"] in among]
        paths = [self.measured / folder / f"{model['name']}.json" for model in asked]
        found = [(model, read(path)) for model, path in zip(asked, paths, strict=True) if path.exists()]
        known = {"version", "weights_sha256", "device"}
        return [
            record
            for model, record in found
            if record.model_dump(include=known) == {name: model[name] for name in known}
            and record.sources.items() <= self.versions.items()
        ]

    def scores(self, model: str, strategy: str) -> pa.Table:
        """A model's scores on the board under a strategy: `object_id`, `pair`, `dice` (0…1), in the order
        of `object_id`.
        """
        return self.reader.table(
            f"""select object_id, s.pair::varchar as pair, s.dice_oracle as dice from {_OWN}
                and s.model = try_cast(? as model_name) and s.strategy = try_cast(? as strategy_name)
            order by object_id""",
            list(EVERYTHING),
            model,
            strategy,
        )

    def attributes_of(self, objects: pa.Table) -> dict[str, Floats]:
        """Attribute → its values of the objects of `scores`, NaN where it has none."""
        known = self.attributes["object_id"].to_numpy()
        places = np.searchsorted(known, objects["object_id"].to_numpy())
        return {
            name: self.attributes[column].cast(pa.float64()).to_numpy()[places]
            for name, (column, _) in ATTRIBUTES.items()
        }


def load(
    reader: BoardReader, stored: Path = STORED, data: Path = shards.DATA, measured: Path = MEASURED
) -> Given:
    """What the published board's analyses read; the attributes of a source at a time, for the memory.

    Args:
        stored: the folder of the sources' attributes.

    Raises:
        InputError: the attributes of a source are missing, or not of the objects of the board.
    """
    found = [_of_source(reader, slug, stored, data) for slug in reader.board()["sources"]]
    return Given(reader, pa.concat_tables(found).sort_by("object_id"), paper.table(), data, measured)


def _of_source(reader: BoardReader, slug: str, stored: Path, data: Path) -> pa.Table:
    own = reader.table(
        """select object_id, image_id, object_index from objects
        where source = ? and (on_board or on_board_s1) order by object_id""",
        slug,
    )
    columns = [column for column, _ in ATTRIBUTES.values()]
    keys = ["image_id", "object_index"]
    every = attributes.read([slug], stored, data).select([*keys, *columns])
    joined = own.join(every, keys=keys).select(["object_id", *columns])
    if joined["size"].null_count:
        path = stored / f"{slug}.parquet"
        raise InputError(
            f"{path}: lacks objects of the board; run `make repro` for a board of the built source"
        )
    return joined


def plural(number: int, noun: str) -> str:
    """`1 object`, `2 objects`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def failed(found: Sequence[Studied]) -> str:
    """Which models failed in a study, why, and what to do; empty if none did."""
    return "".join(
        # Without -s, -f would build every source anew.
        f" {one.failed}, then run `dvc repro -f -s study@{one.model}` and `make repro`."
        for one in found
        if one.failed
    )


def scaled(value: float | None, scale: float) -> float | None:
    """The value times `scale`; digits beyond the sixth are left to no machine."""
    return None if value is None else round(scale * value, 6)


def percent(value: float | None) -> float | None:
    """0…1 in per cent."""
    return scaled(value, 100)


def quartiles(values: Floats) -> dict[str, float]:
    """The five numbers of a box."""
    five = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
    names = ("minimum", "q25", "median", "q75", "maximum")
    return {name: round(float(value), 6) for name, value in zip(names, five, strict=True)}
