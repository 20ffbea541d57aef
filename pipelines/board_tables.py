"""What `cosmos board` is asked for, and its rows as a file."""

import io
import json
from typing import Any

import pyarrow as pa
from pyarrow import csv, parquet

from cosmos1050k.errors import InputError
from leaderboard.selection import SELECTIONS
from leaderboard.store.aggregates import ALL
from leaderboard.store.read import BoardReader

Rows = list[dict[str, Any]]


class Asked:
    """A strategy, a selection and perhaps a modality and an object, all of which the board has.

    `strategy` None in an export: every one.
    """

    def __init__(
        self,
        reader: BoardReader,
        strategy: str,
        selection: str = "oracle",
        modality: str | None = None,
        of_object: str | None = None,
    ) -> None:
        """Raises:
        InputError: the board has no such strategy, selection, modality or object, or not both together.
        """
        pairs = reader.pair_list()
        for what, value, known in (
            ("strategy", strategy, reader.strategies()),
            ("selection", selection, SELECTIONS),
            ("modality", modality, {pair["modality"] for pair in pairs}),
            ("object", of_object, {pair["object"] for pair in pairs}),
        ):
            if value is not None and value not in known:
                raise InputError(f"the board has no {what} {value!r}; it has {', '.join(sorted(known))}")
        self.strategy, self.selection = strategy, selection
        self.modality, self.of_object = modality, of_object
        self.pairs = [
            pair["pair"]
            for pair in pairs
            if modality in (None, pair["modality"]) and of_object in (None, pair["object"])
        ]
        if not self.pairs:
            raise InputError(f"the board has no pair of {of_object} in {modality}")

    @property
    def group(self) -> tuple[str, str] | None:
        """The group of pairs that was asked for; None: one pair alone, which is no group."""
        if self.modality and self.of_object:
            return None
        if self.modality:
            return "modality", self.modality
        return ("object", self.of_object) if self.of_object else (ALL, "")


def rows(reader: BoardReader, asked: Asked, by: str | None, *, seen: bool = False) -> Rows:
    """The rows of an export: by default every pair under every strategy and selection."""
    if seen:
        return reader.contacts(asked.strategy, asked.selection)
    if by == "case":
        return reader.cases(one_pair(asked), asked.strategy, asked.selection)
    if by == "model" and asked.group is not None:
        grouped, name = asked.group
        return [row for s in SELECTIONS for row in reader.headlines(s, grouped) if row["name"] == name]
    if by == "modality":
        found = [row for s in SELECTIONS for row in reader.headlines(s, "modality")]
        return [row for row in found if asked.modality in (None, row["name"])]
    return [row for row in reader.all_pairs() if row["pair"] in asked.pairs]


def one_pair(asked: Asked) -> str:
    """The one pair that was asked for.

    Raises:
        InputError: there are several.
    """
    if len(asked.pairs) > 1:
        raise InputError(f"--by case: of one pair; give --modality and --object ({len(asked.pairs)} fit)")
    return str(asked.pairs[0])


def written(reader: BoardReader, found: Rows, kind: str) -> bytes:
    """Rows as csv, parquet or json; json has the board's description too."""
    if kind == "json":
        return (json.dumps({"board": reader.board(), "scores": found}, indent=1) + "\n").encode()
    sink = io.BytesIO()
    (csv.write_csv if kind == "csv" else parquet.write_table)(pa.Table.from_pylist(found), sink)
    return sink.getvalue()
