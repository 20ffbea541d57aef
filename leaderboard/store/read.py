"""Reads the published board. Answers are lists of plain dictionaries; every value goes in as a parameter."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cosmos1050k.errors import InputError
from leaderboard.remembered import Remembered
from leaderboard.selection import SELECTIONS
from leaderboard.statistics import QUANTILES
from leaderboard.store.facts import EVERYTHING, METRICS, ROUNDED
from leaderboard.store.follow import Follower
from leaderboard.store.publish import ARCHIVE, CURRENT, STATE, archived, damaged

#: Answers that a reader keeps.
REMEMBERED = 96
#: What the database raises of a file that was damaged while it was open.
_UNREADABLE = (
    duckdb.Error,
    duckdb.IOException,
    duckdb.InternalException,
    duckdb.FatalException,
    duckdb.SerializationException,
)
#: Of a question: to the board as it is open, to the same opened anew, and to another board.
_ATTEMPTS = 3

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Matrix:
    """DICE in 0…1, `models` × `pairs`; NaN where a model has none in a pair."""

    models: list[str]
    pairs: list[str]
    dice: NDArray[np.float64]


class BoardReader:
    """The published board, and the next one as soon as it is published. Safe to share between threads.

    While the published file is missing or damaged, the board shown before goes on, or the newest other one
    that is kept; `trouble` says so.
    """

    def __init__(self, state: Path = STATE, old: str | None = None) -> None:
        """Args:
            old: the name of an archived board, to read that one; it has no single scores.

        Raises:
            InputError: no board of that name is archived.
        """
        link = state / "boards" / CURRENT
        if old is not None:
            known = archived(state)
            if old not in known:
                has = f"there are {', '.join(known)}" if known else "there is none"
                raise InputError(f"no board {old!r} in {state / 'boards' / ARCHIVE}; {has}")
            link = state / "boards" / ARCHIVE / f"{old}.duckdb"
        self._follower = Follower(link)
        self._remembered: Remembered[Hashable, Any] = Remembered(REMEMBERED)

    def build_id(self) -> str:
        """Of the board that is shown now; without a question to the database.

        Raises:
            InputError: there is no board that can be read.
        """
        return self._follower.shown().build_id

    def trouble(self) -> str | None:
        """One line on why the published board is not shown, and what to do; None: it is shown."""
        return self._follower.trouble()

    def remembered(self, make: Callable[..., Answer], *arguments: Hashable) -> Answer:
        """What `make(reader, *arguments)` returns, all of it of one board, and kept for who asks the same.

        Args:
            make: a function of a module (what is made by a new one each time would never be asked again).

        Returns:
            What others get too: read it, don't change it.
        """
        while True:
            build_id = self.build_id()

            def of_one_board(own: str = build_id) -> Answer:
                answer = make(self, *arguments)
                if self.build_id() != own:
                    raise _AnotherBoard
                return answer

            try:
                return self._remembered.get((build_id, make, arguments), of_one_board)
            except _AnotherBoard:
                continue

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        table = self.table(query, *values)
        columns = [column.to_pylist() for column in table.columns]
        return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]

    def table(self, query: str, *values: Any) -> pa.Table:
        for _ in range(_ATTEMPTS):
            shown, cursor = self._follower.cursor()
            try:
                with cursor:
                    return cursor.sql(query, params=list(values)).to_arrow_table()
            except duckdb.Error as error:
                if type(error) not in _UNREADABLE:
                    raise self._unfit(error) from None
                failed = damaged(shown.looks[0], error)
                self._follower.broken(shown, str(failed))
        raise failed

    def _unfit(self, error: duckdb.Error) -> InputError:
        link = self._follower.link
        if isinstance(error, duckdb.CatalogException) and link.parent.name == ARCHIVE:
            return InputError(f"{link}: an archived board keeps no single scores")
        return damaged(link, error)

    def board(self) -> dict[str, Any]:
        """Build id, dataset and protocol version, numerics, sources, which of them are phantoms, counts."""
        return self.rows("select * from boards")[0]

    def models(self) -> list[dict[str, Any]]:
        """The models' declarations and what was measured of them, in the order of params.yaml."""
        return self.rows('select * from models order by "order"')

    def measured(self) -> dict[tuple[str, str], dict[str, Any]]:
        """(model, strategy) → inference time of a prompt, DICE lost when it is shifted; null: unmeasured."""
        rows = self.rows("select * from measured order by all")
        return {(row["model"], row["strategy"]): row for row in rows}

    def headlines(
        self,
        selection: str = "oracle",
        by: str = "all",
        name: str | None = None,
        strategy: str | None = None,
    ) -> list[dict[str, Any]]:
        """Per group of pairs (`by` all, modality or object), strategy and model: headline DICE (0…1),
        interval, rank, pairs. `name`, `strategy`: of one group, under one strategy."""
        return self.rows(
            """select * from group_scores where selection = ? and grouped = ? and (? is null or name = ?)
                and (? is null or strategy = ?)
            order by name, strategy, model""",
            selection,
            by,
            *(value for value in (name, strategy) for _ in range(2)),
        )

    def strategies(self) -> set[str]:
        """The strategies under which any model has a score."""
        return {row["strategy"] for row in self.rows("select distinct strategy from group_scores")}

    def pairs(self, strategy: str, selection: str = "oracle") -> list[dict[str, Any]]:
        """Per model and pair under one strategy: mean metrics, interval, rank, spread, counts."""
        return self.rows(
            """select * from pair_scores join pairs using (pair)
            where strategy = ? and selection = ? order by pair, model""",
            strategy,
            selection,
        )

    def pair_dice(
        self,
        selection: str,
        modality: str | None = None,
        of_object: str | None = None,
        pair: str | None = None,
    ) -> list[dict[str, Any]]:
        """Per pair (of a modality, of an object), model and strategy: mean DICE, interval, rank, counts."""
        return self.rows(
            """select s.pair, s.model, s.strategy, s.dice, s.low, s.high, s.rank, s.images, s.patients
            from pair_scores s join pairs p using (pair)
            where s.selection = ? and (? is null or p.modality = ?) and (? is null or p.object = ?)
                and (? is null or s.pair = ?)
            order by s.pair, s.strategy, s.model""",
            selection,
            *(value for value in (modality, of_object, pair) for _ in range(2)),
        )

    def all_pairs(self, selection: str | None = None) -> list[dict[str, Any]]:
        """Every row of every board: model, pair, strategy, selection."""
        return self.rows(
            """select s.*, p.modality, p.object, p.phantom from pair_scores s join pairs p using (pair)
            where ? is null or selection = ? order by pair, strategy, selection, model""",
            selection,
            selection,
        )

    def pair_list(self) -> list[dict[str, Any]]:
        """The board's pairs: object, modality, sources, whether a phantom is among them, counts."""
        return self.rows("select * from pairs order by pair")

    def incomplete(self, pair: str | None = None) -> list[dict[str, Any]]:
        """Model, strategy and pair where some of the board's objects have no score, so that none is shown."""
        query = "select * from coverage where scores < of_scores and (? is null or pair = ?) order by all"
        return self.rows(query, pair, pair)

    def model_scores(self, model: str) -> list[dict[str, Any]]:
        """A model's pairs under every strategy and selection: mean metrics, interval, rank, counts."""
        query = "select * from pair_scores where model = ? order by pair, strategy, selection"
        return self.rows(query, model)

    def scores_of_pair(self, pair: str) -> list[dict[str, Any]]:
        """The same of one pair in every model."""
        query = "select * from pair_scores where pair = ? order by model, strategy, selection"
        return self.rows(query, pair)

    def pair_sources(self, pair: str) -> list[dict[str, Any]]:
        """What each source gives to a pair on the board: `source`, `objects`, `images`, `patients`."""
        return self.rows(
            """select source, count(*) as objects, count(distinct image_id) as images,
                count(distinct patient) as patients
            from objects where on_board and pair = try_cast(? as pair_name)
            group by source order by source""",
            pair,
        )

    def matrix(self, strategy: str, selection: str = "oracle") -> Matrix:
        """The mean DICE of every model in every pair; of models and pairs without any there is no line."""
        found = self.table(
            """select model, pair, dice from pair_scores where strategy = ? and selection = ?
            order by pair, model""",
            strategy,
            selection,
        )
        models, pairs = found["model"].unique().sort(), found["pair"].unique().sort()
        dice = np.full((len(models), len(pairs)), np.nan)
        at = (
            pc.index_in(found[name], values).to_numpy()
            for name, values in (("model", models), ("pair", pairs))
        )
        dice[tuple(at)] = found["dice"].to_numpy()
        return Matrix(models.to_pylist(), pairs.to_pylist(), dice)

    def spread(self, strategy: str, selection: str = "oracle", model: str | None = None) -> pa.Table:
        """How image means of DICE scatter, by pair and model (or of one): `pair`, `model`, `minimum`, `q25`,
        `median`, `q75`, `maximum`, the mean `dice`, and of how many `images`."""
        return self.table(
            f"""select pair, model, {", ".join(QUANTILES)}, dice, images from pair_scores
            where strategy = ? and selection = ? and (? is null or model = ?) order by pair, model""",
            strategy,
            selection,
            model,
            model,
        )

    def contacts(self, strategy: str, selection: str = "oracle") -> list[dict[str, Any]]:
        """Per model and contact (`leaderboard.contamination`): DICE of each pair's rows of that contact, and
        with pair null the mean over those pairs."""
        return self.rows(
            "select * from contact_scores where strategy = ? and selection = ? order by all",
            strategy,
            selection,
        )

    def cases(self, pair: str, strategy: str, selection: str = "oracle") -> list[dict[str, Any]]:
        """Drill-down of a pair: per case and model its mean DICE over images, worst cases first."""
        known_selection(selection)
        return self.rows(
            f"""with images as (
                select o.source, o."case", o.image_id, s.model, o.object,
                    avg({ROUNDED.format(f"s.dice_{selection}")}) as dice,
                    count(*) filter (where s.status = 'failed') as failures
                from scores s join objects o using (object_id)
                where s.pair = ? and s.strategy = ? and o.pair = ?
                    and case when list_contains(?, ?) then o.on_board_s1 else o.on_board end
                group by all
            ),
            means as (
                select source, "case", model::varchar as model, avg({ROUNDED.format("dice")}) as dice,
                    count(*) as images,
                    sum(failures)::bigint as failures
                from images group by all
            )
            select *, avg({ROUNDED.format("dice")}) over (partition by source, "case") as mean
            from means order by mean, source, "case", model""",
            pair,
            strategy,
            pair,
            list(EVERYTHING),
            strategy,
        )

    def scores(self, models: tuple[str, ...], strategy: str, selection: str) -> pa.Table:
        """The board's scores of some models, as the statistics take them, in pairs that they have wholly."""
        known_selection(selection)
        values = ", ".join(f"s.{name}_{selection} as {name}" for name in METRICS)
        return self.table(
            f"""select s.model::varchar as model, s.pair::varchar as pair, o.source, o.patient, o.image_id,
                o.object, {values}
            from scores s join objects o using (object_id)
            semi join (select * from coverage where scores = of_scores) w
                on w.model = s.model and w.strategy = s.strategy and w.pair = s.pair
            where list_contains(?, s.model::varchar) and s.strategy = ?
                and case when list_contains(?, ?) then o.on_board_s1 else o.on_board end""",
            list(models),
            strategy,
            list(EVERYTHING),
            strategy,
        )

    def patients(self) -> pa.Table:
        """The board's patients, columns `source` and `patient`: those that the bootstrap draws from."""
        return self.table("select distinct source, patient from objects where on_board or on_board_s1")

    def reported(self) -> list[dict[str, Any]]:
        """What the paper reports of pairs: DICE in per cent, Hausdorff distance, which are doubtful."""
        return self.rows('select * from paper where "table" in (2, 3) order by all')

    def all_scores(self, strategy: str | None = None) -> list[dict[str, Any]]:
        """What may stand beside the paper's values: all rows of real sources, averaged as its authors do;
        of one strategy alone if it is named."""
        query = "select * from all_scores where ? is null or strategy = ? order by all"
        return self.rows(query, strategy, strategy)

    def left_out(self) -> list[dict[str, Any]]:
        """Scores that are not on the board: model, source or null, the reason, the command that mends it."""
        return self.rows("select * from left_out order by all")

    def runs(self, model: str | None = None) -> list[dict[str, Any]]:
        """Per (one) model and source: version, device, date, duration, what failed."""
        return self.rows("select * from runs where ? is null or model = ? order by all", model, model)

    def taken(self) -> dict[str, list[str]]:
        """The platform's models, submitted ones aside → the sources whose scores are on the board."""
        found: dict[str, list[str]] = {row["name"]: [] for row in self.models() if not row["submitted"]}
        for run in self.runs():
            if run["model"] in found:
                found[run["model"]].append(run["source"])
        return found

    def key(self, model: str) -> dict[str, Any]:
        """What decides on a model's scores: `protocol_version`; `version` and `weights_sha256` (null: it has
        none) of the model; `device` and `dtype`; `sources`, the version of each.

        Raises:
            InputError: the board has no such model.
        """
        found = self.rows(
            """select protocol_version, version, weights_sha256, device, dtype
            from models cross join boards where name = ?""",
            model,
        )
        if not found:
            raise InputError(f"the board has no model {model!r}")
        return {**found[0], "sources": {run["source"]: run["source_version"] for run in self.runs(model)}}

    def not_applicable(self) -> dict[tuple[str, str], str]:
        """(model, strategy) → why it does not apply."""
        rows = self.rows("select * from not_applicable order by model, strategy")
        return {(row["model"], row["strategy"]): row["reason"] for row in rows}


class _AnotherBoard(Exception):
    """A board was published while an answer was made."""


def known_selection(selection: str) -> None:
    """It names a column, so it must be one of ours."""
    if selection not in SELECTIONS:
        raise InputError(f"no selection {selection!r}; there are {', '.join(SELECTIONS)}")
