"""A published board of any size with invented numbers: every table that a reader asks, without the scores."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cosmos1050k import taxonomy
from leaderboard.contamination import CONTACTS
from leaderboard.selection import SELECTIONS
from leaderboard.strategies import STRATEGIES
from tests.app.boards import make_board

SOURCES = 40
BOARDS = [
    (strategy, selection)
    for strategy in STRATEGIES
    for selection in (SELECTIONS if strategy != "S1" else SELECTIONS[:1])
]
#: What the rows of a large table are in order of.
_KEYS = ("strategy", "selection", "model", "source", "contact", "pair")
_KINDS = ("official", "baseline", "demonstration", "finetuned", "submitted")

Columns = Mapping[str, Any]
Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Cells = tuple[Places, Places, Places]


def make_large(path: Path, models: int = 200, pairs: int = 125, seed: int = 0) -> Path:
    """Writes a board's file. Every seventh model knows no points and every fifth lacks the last pair.

    Its tables and their types are those of a real board, made for this; `objects` and `scores` are empty.

    Returns:
        The path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    made = _Invented(np.random.default_rng(seed), models, pairs)
    with TemporaryDirectory() as folder, duckdb.connect(str(path)) as connection:
        small = make_board(Path(folder), "sample", patients=1, slices=1, seed=0).path
        connection.execute(f"attach '{small}' as small (read_only)")
        names = connection.execute(
            "select table_name from duckdb_tables() where database_name = 'small' order by 1"
        ).fetchall()
        tables = made.tables()
        for (name,) in names:
            if name == "paper":
                connection.execute("create table paper as from small.paper")
            elif name in ("objects", "scores"):
                _empty(connection, name)
            elif name != "group_scores":
                _fill(connection, name, tables.pop(name))
        connection.execute(_GROUPS)
        assert not tables, f"no board has {', '.join(tables)}"
    return path


#: The headline is the mean over the group's pairs; ranks go by DICE alone, and many are shared.
_GROUPS = """
create table group_scores as from small.group_scores limit 0;
insert into group_scores by name
with members as (
    select 'all' as grouped, '' as name, pair from pairs
    union all select 'modality', modality, pair from pairs
    union all select 'object', object, pair from pairs
),
sizes as (select grouped, name, count(*) as of_pairs from members group by all),
means as (
    select strategy, selection, grouped, name, model, avg(dice) as headline, count(*) as pairs
    from pair_scores join members using (pair) group by all
)
select *, headline - 0.01 as low, headline + 0.01 as high, pairs = of_pairs as ranked, 40 as patients,
    case when pairs = of_pairs then 1 + floor(20 * (1 - headline)) end as rank
from means join sizes using (grouped, name) order by strategy, selection, grouped, name, model
"""


def _named(places: Places, names: Sequence[str], known: Flags | None = None) -> pa.Array:
    """Places in a list as the names there; null where they are not known."""
    numbers = pa.array(places.astype(np.int32), mask=None if known is None else ~known)
    return pa.DictionaryArray.from_arrays(numbers, pa.array(names, pa.string()))


def _fill(connection: duckdb.DuckDBPyConnection, name: str, columns: Columns) -> None:
    described = connection.execute(f"select column_name from (describe small.{name})").fetchall()
    real = [column for (column,) in described]
    assert set(real) == set(columns), f"{name} of a real board has other columns"
    keys = [f'"{column}"' for column in real if column in _KEYS] or ["all"]
    connection.execute(f"create table {name} as from small.{name} limit 0")
    connection.register("arrow", pa.table(dict(columns)))
    connection.execute(f"insert into {name} by name select * from arrow order by {', '.join(keys)}")
    connection.unregister("arrow")


def _empty(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """A table of facts; the types of its columns are named, and a reader asks for them."""
    for kind in ("pair_name", "model_name", "strategy_name", "status_name"):
        connection.execute(f"create type if not exists {kind} as enum ('none')")
    connection.execute(f"create table {name} as from small.{name} limit 0")


class _Invented:
    def __init__(self, random: np.random.Generator, models: int, pairs: int) -> None:
        self.random = random
        self.models = [f"model-{number:03}" for number in range(models)]
        self.sources = [f"source-{number:02}" for number in range(min(SOURCES, pairs))]
        self.objects = [f"Organ {number // 8:02}" for number in range(pairs)]
        self.modalities = [taxonomy.MODALITIES[number % 8] for number in range(pairs)]
        self.pairs = [taxonomy.pair(*names) for names in zip(self.objects, self.modalities, strict=True)]
        self.skill = random.uniform(0.3, 0.9, models)
        self.of_pair = [
            sorted({self.sources[(number + step) % len(self.sources)] for step in range(1 + number % 3)})
            for number in range(pairs)
        ]

    def tables(self) -> dict[str, Columns]:
        contacts = list(CONTACTS)
        return {
            "boards": self._boards(),
            "pairs": self._pairs(),
            "models": self._models(),
            "measured": self._measured(),
            "not_applicable": self._gaps(),
            "runs": self._runs(),
            "left_out": {
                name: pa.array([], pa.string()) for name in ("model", "source", "reason", "command")
            },
            "coverage": self._coverage(),
            "kinds": {
                "kind": list(range(len(self.sources))),
                "source": self.sources,
                "split": ["test"] * len(self.sources),
                "kin": [[source] for source in self.sources],
            },
            "contacts": self._contacts(),
            "pair_scores": self._pair_scores(),
            "source_scores": self._part_scores("source", self.sources, self.of_pair),
            "contact_scores": self._part_scores("contact", contacts, [contacts] * len(self.pairs)),
            "all_scores": self._all_scores(),
        }

    def _applies(self, model: int, strategy: str) -> bool:
        return model % 7 != 6 or strategy not in ("S2", "S3", "S4")

    def _has(self, model: int, pair: int) -> bool:
        return model % 5 != 4 or pair < len(self.pairs) - 1

    def _boards(self) -> Columns:
        row = {
            "build_id": f"{int(self.random.integers(2**62)):016x}",
            "dataset_version": "1" * 16,
            "protocol_version": 1,
            "sources": self.sources,
            "phantoms": pa.array([[]], pa.list_(pa.string())),
            "bootstrap_draws": 10_000,
            "seed": 0,
            "numerics": "cpu, float32",
            "patients": 40 * len(self.pairs),
            "images": 500 * len(self.pairs),
            "objects": 600 * len(self.pairs),
            "pairs": len(self.pairs),
        }
        return {name: value if name == "phantoms" else [value] for name, value in row.items()}

    def _pairs(self) -> Columns:
        count = len(self.pairs)
        return {
            "pair": self.pairs,
            "modality": self.modalities,
            "object": self.objects,
            "phantom": [False] * count,
            "sources": self.of_pair,
            "images": [500] * count,
            "patients": [40] * count,
            "objects": [600] * count,
        }

    def _models(self) -> Columns:
        count = len(self.models)
        places = range(count)
        return {
            "name": self.models,
            "kind": [_KINDS[place % len(_KINDS)] for place in places],
            "description": [f"Invented, number {place}." for place in places],
            "version": [1] * count,
            "preprocessing": ["none"] * count,
            "candidates": [3] * count,
            "applies": [self._names(place) for place in places],
            "made_for": [["S5"] if place % 3 else list(STRATEGIES) for place in places],
            "parameters": [1_000_000 * (1 + place) for place in places],
            "weights_sha256": [f"{place:064x}" for place in places],
            "base": pa.nulls(count, pa.string()),
            "device": ["cpu"] * count,
            "dtype": ["float32"] * count,
            "trained_on": ['{"others": "unknown", "sources": {}}'] * count,
            "rows": ["board"] * count,
            "submitted": [place % 5 == 4 for place in places],
            "order": list(places),
            "tolerance": [0.0] * count,
            "verified": pa.nulls(count, pa.float64()),
            "verified_on": pa.array([None if place % 2 else "2026-02-01" for place in places], pa.string()),
            "encoder_ms": self.random.uniform(20, 2000, count),
            "timed_on": [f"machine {place % 2}" for place in places],
        }

    def _names(self, model: int) -> list[str]:
        return [name for name in STRATEGIES if self._applies(model, name)]

    def _measured(self) -> Columns:
        keys = [(name, strategy) for place, name in enumerate(self.models) for strategy in self._names(place)]
        return {
            "model": [key[0] for key in keys],
            "strategy": [key[1] for key in keys],
            "prompt_ms": self.random.uniform(5, 50, len(keys)),
            "shift_pixels": ["25-30"] * len(keys),
            "drop": self.random.uniform(0, 0.1, len(keys)),
        }

    def _gaps(self) -> Columns:
        gaps = [
            (name, strategy)
            for place, name in enumerate(self.models)
            for strategy in STRATEGIES
            if not self._applies(place, strategy)
        ]
        return {
            "model": pa.array([gap[0] for gap in gaps], pa.string()),
            "strategy": pa.array([gap[1] for gap in gaps], pa.string()),
            "reason": pa.array(["takes no points"] * len(gaps), pa.string()),
        }

    def _runs(self) -> Columns:
        keys = [(name, source) for name in self.models for source in self.sources]
        count = len(keys)
        return {
            "model": [key[0] for key in keys],
            "source": [key[1] for key in keys],
            "source_version": [f"{key[1]:0>64}" for key in keys],
            **{name: [0] * count for name in ("scores", "failed_cases", "failed_images")},
            "device": ["cpu"] * count,
            "dtype": ["float32"] * count,
            "date": [f"2026-01-{1 + day:02}T00:00:00+00:00" for day in self.random.integers(28, size=count)],
            "seconds": [1.0] * count,
        }

    def _coverage(self) -> Columns:
        """Of each model, strategy and pair: all of its 600 objects, or half of them."""
        cells = [
            (name, strategy, pair, 600 if self._has(number, place) else 300)
            for number, name in enumerate(self.models)
            for strategy in self._names(number)
            for place, pair in enumerate(self.pairs)
        ]
        model, strategy, pair, scores = zip(*cells, strict=True)
        return {
            "model": model, "strategy": strategy, "pair": pair, "scores": scores,
            "of_scores": [600] * len(cells),
        }  # fmt: skip

    def _contacts(self) -> Columns:
        keys = [(name, kind) for name in self.models for kind in range(len(self.sources))]
        names = list(CONTACTS)
        return {
            "model": [key[0] for key in keys],
            "kind": [key[1] for key in keys],
            "contact": [names[at] for at in self.random.integers(len(names), size=len(keys))],
        }

    def _cells(self) -> Cells:
        """Board, model and pair of every score, as places."""
        board, model, pair = np.indices((len(BOARDS), len(self.models), len(self.pairs))).reshape(3, -1)
        applies = [[self._applies(m, strategy) for m in range(len(self.models))] for strategy, _ in BOARDS]
        has = [[self._has(m, p) for p in range(len(self.pairs))] for m in range(len(self.models))]
        kept = np.array(applies)[board, model] & np.array(has)[model, pair]
        return board[kept], model[kept], pair[kept]

    def _keys(self, board: Places, model: Places) -> Columns:
        return {
            "strategy": _named(board, [strategy for strategy, _ in BOARDS]),
            "selection": _named(board, [selection for _, selection in BOARDS]),
            "model": _named(model, self.models),
        }

    def _values(self, models: Places) -> Columns:
        """DICE around the models' skill, with an interval that some lack."""
        dice = np.clip(self.random.normal(self.skill[models], 0.1), 0, 1)
        few = self.random.random(len(dice)) < 0.1
        half = self.random.uniform(0.005, 0.05, len(dice))
        return {
            "dice": dice,
            "low": pa.array(np.clip(dice - half, 0, 1), mask=few),
            "high": pa.array(np.clip(dice + half, 0, 1), mask=few),
        }

    def _pair_scores(self) -> Columns:
        board, model, pair = self._cells()
        count = len(pair)
        values = self._values(model)
        quantiles = np.sort(self.random.random((count, 5)), axis=1).T
        return {
            **self._keys(board, model),
            "pair": _named(pair, self.pairs),
            **values,
            **dict(zip(("minimum", "q25", "median", "q75", "maximum"), quantiles, strict=True)),
            "rank": self.random.integers(1, len(self.models) + 1, count),
            "deviation": self.random.random(count),
            "jaccard": values["dice"] / (2 - values["dice"]),
            "hausdorff": pa.array(self.random.uniform(1, 90, count), mask=self.random.random(count) < 0.05),
            "assd": self.random.uniform(1, 20, count),
            "images": np.full(count, 500),
            "instances": np.full(count, 600),
            "patients": np.full(count, 40),
            "empties": self.random.integers(20, size=count),
            "failures": self.random.integers(3, size=count),
        }

    def _part_scores(self, part: str, names: Sequence[str], parts: Sequence[Sequence[str]]) -> Columns:
        """Rows of each of a pair's parts, and with pair null the means over the pairs that have the part."""
        board, model, pair = self._cells()
        numbers = [[names.index(name) for name in own] for own in parts]
        row = np.repeat(np.arange(len(pair)), [len(numbers[place]) for place in pair])
        one = np.concatenate([numbers[place] for place in pair])
        shape = len(BOARDS), len(self.models), len(names)
        keys = np.ravel_multi_index((board[row], model[row], one), shape)
        means, counts = np.unique(keys, return_counts=True)
        board, model, one = np.unravel_index(np.concatenate([keys, means]), shape)
        own, every = len(row), len(board)
        of_pair = np.arange(every) < own
        padded = np.pad(pair[row], (0, every - own))
        return {
            **self._keys(board, model),
            part: _named(one, names),
            "pair": _named(padded, self.pairs, of_pair),
            **self._values(model),
            "images": pa.array(np.full(every, 200), mask=~of_pair),
            "patients": np.full(every, 20),
            "pairs": pa.array(np.pad(counts, (own, 0)), mask=of_pair),
        }

    def _all_scores(self) -> Columns:
        keys = [
            (name, pair, strategy)
            for place, name in enumerate(self.models[:20])
            for pair in self.pairs
            for strategy in self._names(place)
        ]
        model, pair, strategy = zip(*keys, strict=True)
        return {
            "model": model,
            "pair": pair,
            "strategy": strategy,
            "dice": self.random.random(len(keys)),
            "hausdorff": self.random.uniform(1, 90, len(keys)),
            "objects": np.full(len(keys), 5000),
        }
