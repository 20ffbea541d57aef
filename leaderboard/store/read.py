"""Reads the published board. Answers are lists of plain dictionaries; every value goes in as a parameter."""

import threading
from pathlib import Path
from typing import Any

import duckdb

from cosmos1050k.errors import InputError
from leaderboard.store.publish import CURRENT, STATE, damaged, opened


class BoardReader:
    """The published board, and the next one as soon as it is published. Safe to share between threads."""

    def __init__(self, state: Path = STATE) -> None:
        self._link = state / "boards" / CURRENT
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
        try:
            with self._cursor() as cursor:
                found = cursor.execute(query, list(values))
                names = [column[0] for column in found.description]
                return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        except duckdb.Error as error:
            raise damaged(self._link, error) from None

    def board(self) -> dict[str, Any]:
        """Build id, dataset and protocol version, sources, which of them are phantoms, counts."""
        return self._rows("select * from boards")[0]

    def models(self) -> list[dict[str, Any]]:
        """The models' declarations, in the order of params.yaml."""
        return self._rows('select * from models order by "order"')

    def headlines(self, selection: str = "oracle") -> list[dict[str, Any]]:
        """Per model and strategy: headline DICE (0…1), interval, rank, coverage."""
        return self._rows(
            "select * from model_scores where selection = ? order by strategy, model", selection
        )

    def pairs(self, strategy: str, selection: str = "oracle") -> list[dict[str, Any]]:
        """Per model and pair under one strategy: mean metrics, interval, counts."""
        return self._rows(
            "select * from pair_scores where strategy = ? and selection = ? order by pair, model",
            strategy,
            selection,
        )

    def all_pairs(self) -> list[dict[str, Any]]:
        """Every row of every board: model, pair, strategy, selection."""
        return self._rows("select * from pair_scores order by pair, strategy, selection, model")

    def not_applicable(self) -> dict[tuple[str, str], str]:
        """(model, strategy) → why it does not apply."""
        rows = self._rows("select * from not_applicable order by model, strategy")
        return {(row["model"], row["strategy"]): row["reason"] for row in rows}
