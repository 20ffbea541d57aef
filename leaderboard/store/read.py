"""Reads the published board. Answers are lists of plain dictionaries; every value goes in as a parameter."""

import threading
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from cosmos1050k.errors import InputError
from leaderboard.selection import SELECTIONS
from leaderboard.store.facts import EVERYTHING, METRICS, ROUNDED
from leaderboard.store.publish import ARCHIVE, CURRENT, STATE, archived, damaged, opened


class BoardReader:
    """The published board, and the next one as soon as it is published. Safe to share between threads."""

    def __init__(self, state: Path = STATE, old: str | None = None) -> None:
        """Args:
            old: the name of an archived board, to read that one; it has no single scores.

        Raises:
            InputError: no board of that name is archived.
        """
        self._link = state / "boards" / CURRENT
        if old is not None:
            known = archived(state)
            if old not in known:
                has = f"there are {', '.join(known)}" if known else "there is none"
                raise InputError(f"no board {old!r} in {state / 'boards' / ARCHIVE}; {has}")
            self._link = state / "boards" / ARCHIVE / f"{old}.duckdb"
        self._lock = threading.Lock()
        self._opened: tuple[Path, duckdb.DuckDBPyConnection] | None = None

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        """A cursor on the file the link names now; DuckDB caches by path, so it is never given the link."""
        with self._lock:
            path = self._link.resolve()
            while self._opened is None or self._opened[0] != path:
                try:
                    self._opened = path, opened(path)  # the one before closes with its last cursor
                except InputError:
                    if path == self._link.resolve():
                        if path.exists():
                            raise
                        raise InputError(f"no board is published at {self._link}; run `make repro`") from None
                    path = self._link.resolve()  # published anew, and the old file removed, in between
            return self._opened[1].cursor()

    def _rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        table = self._table(query, *values)
        columns = [column.to_pylist() for column in table.columns]
        return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]

    def _table(self, query: str, *values: Any) -> pa.Table:
        try:
            with self._cursor() as cursor:
                return cursor.sql(query, params=list(values)).to_arrow_table()
        except duckdb.CatalogException as error:
            if self._link.parent.name == ARCHIVE:
                raise InputError(f"{self._link}: an archived board keeps no single scores") from None
            raise damaged(self._link, error) from None
        except duckdb.Error as error:
            raise damaged(self._link, error) from None

    def board(self) -> dict[str, Any]:
        """Build id, dataset and protocol version, numerics, sources, which of them are phantoms, counts."""
        return self._rows("select * from boards")[0]

    def models(self) -> list[dict[str, Any]]:
        """The models' declarations and what was measured of them, in the order of params.yaml."""
        return self._rows('select * from models order by "order"')

    def measured(self) -> dict[tuple[str, str], dict[str, Any]]:
        """(model, strategy) → inference time of a prompt, DICE lost when it is shifted; null: unmeasured."""
        rows = self._rows("select * from measured order by all")
        return {(row["model"], row["strategy"]): row for row in rows}

    def headlines(self, selection: str = "oracle", by: str = "all") -> list[dict[str, Any]]:
        """Per group of pairs (`by` all, modality or object), strategy and model: headline DICE (0…1),
        interval, rank, pairs."""
        return self._rows(
            "select * from group_scores where selection = ? and grouped = ? order by name, strategy, model",
            selection,
            by,
        )

    def strategies(self) -> set[str]:
        """The strategies under which any model has a score."""
        return {row["strategy"] for row in self._rows("select distinct strategy from group_scores")}

    def pairs(self, strategy: str, selection: str = "oracle") -> list[dict[str, Any]]:
        """Per model and pair under one strategy: mean metrics, interval, rank, spread, counts."""
        return self._rows(
            """select * from pair_scores join pairs using (pair)
            where strategy = ? and selection = ? order by pair, model""",
            strategy,
            selection,
        )

    def pair_dice(
        self, selection: str, modality: str | None = None, of_object: str | None = None
    ) -> list[dict[str, Any]]:
        """Per pair (of a modality, of an object), model and strategy: mean DICE, interval, rank, counts."""
        return self._rows(
            """select s.pair, s.model, s.strategy, s.dice, s.low, s.high, s.rank, s.images, s.patients
            from pair_scores s join pairs p using (pair)
            where s.selection = ? and (? is null or p.modality = ?) and (? is null or p.object = ?)
            order by s.pair, s.strategy, s.model""",
            selection,
            modality,
            modality,
            of_object,
            of_object,
        )

    def all_pairs(self, selection: str | None = None) -> list[dict[str, Any]]:
        """Every row of every board: model, pair, strategy, selection."""
        return self._rows(
            """select s.*, p.modality, p.object, p.phantom from pair_scores s join pairs p using (pair)
            where ? is null or selection = ? order by pair, strategy, selection, model""",
            selection,
            selection,
        )

    def pair_list(self) -> list[dict[str, Any]]:
        """The board's pairs: object, modality, sources, whether a phantom is among them, counts."""
        return self._rows("select * from pairs order by pair")

    def incomplete(self) -> list[dict[str, Any]]:
        """Model, strategy and pair where some of the board's objects have no score, so that none is shown."""
        return self._rows("select * from coverage where scores < of_scores order by all")

    def contacts(self, strategy: str, selection: str = "oracle") -> list[dict[str, Any]]:
        """Per model and contact (`leaderboard.contamination`): DICE of each pair's rows of that contact, and
        with pair null the mean over those pairs."""
        return self._rows(
            "select * from contact_scores where strategy = ? and selection = ? order by all",
            strategy,
            selection,
        )

    def cases(self, pair: str, strategy: str, selection: str = "oracle") -> list[dict[str, Any]]:
        """Drill-down of a pair: per case and model its mean DICE over images, worst cases first."""
        _known(selection)
        return self._rows(
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
        _known(selection)
        values = ", ".join(f"s.{name}_{selection} as {name}" for name in METRICS)
        return self._table(
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
        return self._table("select distinct source, patient from objects where on_board or on_board_s1")

    def reported(self) -> list[dict[str, Any]]:
        """What the paper reports of pairs: DICE in per cent, Hausdorff distance, which are doubtful."""
        return self._rows('select * from paper where "table" in (2, 3) order by all')

    def all_scores(self) -> list[dict[str, Any]]:
        """What may stand beside the paper's values: all rows of real sources, averaged as its authors do."""
        return self._rows("select * from all_scores order by all")

    def left_out(self) -> list[dict[str, Any]]:
        """Scores that are not on the board: model, source or null, the reason, the command that mends it."""
        return self._rows("select * from left_out order by all")

    def runs(self) -> list[dict[str, Any]]:
        """Per model and source: version, device, date, duration, what failed."""
        return self._rows("select * from runs order by all")

    def not_applicable(self) -> dict[tuple[str, str], str]:
        """(model, strategy) → why it does not apply."""
        rows = self._rows("select * from not_applicable order by model, strategy")
        return {(row["model"], row["strategy"]): row["reason"] for row in rows}


def _known(selection: str) -> None:
    """It names a column, so it must be one of ours."""
    if selection not in SELECTIONS:
        raise InputError(f"no selection {selection!r}; there are {', '.join(SELECTIONS)}")
