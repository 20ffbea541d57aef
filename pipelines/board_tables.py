"""What `cosmos board` is asked for, and its rows as a file."""

import io
import json
from typing import Any

import pyarrow as pa
from pyarrow import csv, parquet

from cosmos1050k.errors import InputError
from leaderboard.selection import SELECTIONS
from leaderboard.store.aggregates import ALL
from leaderboard.store.facts import EVERYTHING
from leaderboard.store.read import BoardReader
from leaderboard.store.views import DEFAULT

Rows = list[dict[str, Any]]


class Asked:
    """What the board is asked for, all of which it has.

    `strategy` and `selection`: S5, or the first that the board has, and oracle if not given; `given`: those
    that were.
    """

    def __init__(
        self,
        reader: BoardReader,
        strategy: str | None = None,
        selection: str | None = None,
        modality: str | None = None,
        of_object: str | None = None,
    ) -> None:
        """Raises:
        InputError: the board has no such strategy, selection, modality or object, or not both together.
        """
        pairs, strategies = reader.pair_list(), reader.strategies()
        for what, value, known in (
            ("strategy", strategy, strategies),
            ("selection", selection, set(SELECTIONS)),
            ("modality", modality, {pair["modality"] for pair in pairs}),
            ("object", of_object, {pair["object"] for pair in pairs}),
        ):
            if value is not None and value not in known:
                raise InputError(f"the board has no {what} {value!r}; it has {', '.join(sorted(known))}")
        if strategy in EVERYTHING and selection not in (None, "oracle"):
            raise InputError(f"{strategy} has the selection oracle alone; leave --selection out")
        self.given = {"strategy": strategy, "selection": selection}
        default = DEFAULT if DEFAULT in strategies else min(strategies)
        self.strategy, self.selection = strategy or default, selection or SELECTIONS[0]
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


def check(asked: Asked, by: str | None, *, seen: bool, paper: bool) -> None:
    """Whether the options go together.

    Raises:
        InputError: one of them would have to be left out of account.
    """
    if seen and (by or asked.modality or asked.of_object):
        raise InputError("--seen: of all pairs; leave --by, --modality and --object out")
    if paper and (by or seen or asked.given["selection"]):
        raise InputError("--paper: per pair, of the oracle; leave --by, --seen and --selection out")
    if by == "modality" and asked.of_object:
        raise InputError("--by modality: of all objects; leave --object out, or use --by pair")


def rows(
    reader: BoardReader, asked: Asked, by: str | None, *, seen: bool = False, paper: bool = False
) -> Rows:
    """The rows of an export: by default every pair, under every strategy and selection that was asked for."""
    if seen:
        return reader.contacts(asked.strategy, asked.selection)
    if paper:
        return beside_paper(reader, asked)
    if by == "case":
        return reader.cases(one_pair(asked), asked.strategy, asked.selection)
    if by == "modality" or (by == "model" and asked.group is not None):
        grouped, name = asked.group or (ALL, "")
        if by == "modality":
            grouped, name = "modality", asked.modality or ""
        found = [row for selection in SELECTIONS for row in reader.headlines(selection, grouped)]
        found = [row for row in found if row["name"] == name or (by == "modality" and not name)]
    else:
        found = [row for row in reader.all_pairs() if row["pair"] in asked.pairs]
    return [row for row in found if all(value in (None, row[key]) for key, value in asked.given.items())]


def beside_paper(reader: BoardReader, asked: Asked) -> Rows:
    """Per pair, strategy and model what all rows of real sources give, averaged as the authors do, DICE in
    per cent; beside it what the paper reports of each of its models.

    Raises:
        InputError: no model has such scores.
    """
    reported = {
        (row["pair"], row["strategy"], row["metric"], row["model"]): row["value"] for row in reader.reported()
    }
    theirs = sorted({key[-1] for key in reported})
    found = [
        {
            **{name: row[name] for name in ("pair", "strategy", "model", "objects")},
            "dice": 100 * row["dice"],
            "hausdorff": row["hausdorff"],
            **{
                f"{metric}_paper_{model}": reported.get((row["pair"], row["strategy"], metric, model))
                for metric in ("dice", "hausdorff")
                for model in theirs
            },
        }
        for row in reader.all_scores()
        if row["pair"] in asked.pairs and asked.given["strategy"] in (None, row["strategy"])
    ]
    if not found:
        raise InputError(
            "no model was scored on all rows of real sources and trained on none of them; "
            "set `rows: all` under `evaluate` and run `make repro`"
        )
    return sorted(found, key=lambda row: (row["pair"], row["strategy"], row["model"]))


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
    if not found:
        raise InputError("the board has no such rows; ask for another strategy or selection")
    sink = io.BytesIO()
    (csv.write_csv if kind == "csv" else parquet.write_table)(pa.Table.from_pylist(found), sink)
    return sink.getvalue()
