"""What the paper reports in tables 2, 3, 4, 6, 7 and 8, in one long table; its README says where from."""

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from cosmos1050k import taxonomy
from cosmos1050k.errors import InputError
from leaderboard.strategies import STRATEGIES

FOLDER = Path(__file__).parent
#: One row per number of the paper.
SCHEMA = pa.schema(
    [
        ("table", pa.int32()),
        *((name, pa.string()) for name in ("model", "pair", "object", "modality", "strategy", "metric")),
        *((name, pa.string()) for name in ("detail", "run")),
        ("value", pa.float64()),
        ("doubtful", pa.bool_()),
        ("note", pa.string()),
    ]
)
#: The paper's models as the platform names them.
_MODELS = {"vit_b": "sam_vit_b", "vit_h": "sam_vit_h"}
_METRICS = {"dice": "dice", "hd": "hausdorff"}
_ATTRIBUTES = ("size", "intensity_difference", "fourier_order", "modality", "aspect_ratio")
#: Table 7's columns: who annotated, and what was measured.
_EFFORT = {
    "human_hce": ("human", "hce"),
    "human_minutes": ("human", "minutes"),
    "human_with_sam_hce": ("human_with_sam", "hce"),
    "human_with_sam_minutes": ("human_with_sam", "minutes"),
    "sam_hce": ("sam", "hce"),
    "sam_seconds": ("sam", "seconds"),
}

Row = dict[str, Any]


def table(folder: Path = FOLDER) -> pa.Table:
    """Every number of the paper's tables 2, 3, 4, 6, 7 and 8, as it prints them.

    Returns:
        `SCHEMA`, by table. `metric` (and unit): of tables 2 and 3 `dice` (per cent, the platform's own is
        0…1) and `hausdorff` (pixels); of 4 `seconds`; of 6 `spearman` (−1…1); of 7 `hce` (corrections),
        `minutes` and `seconds` (per image); of 8 `dice_drop` (percentage points of DICE).
        `model`, `pair`, `object`, `modality`, `strategy`: null where the number has none, or the paper
        doesn't say it. `detail`: of 4 `embedding` or `prompts`; of 6 the attribute; of 7 who annotated
        (`human`, `human_with_sam`, `sam`); of 8 the shift in pixels (`0-10`); else empty. `run`: of 7 the
        doctor, of 8 the repetition, from 1, or `mean`; else empty. `doubtful`: its digits were restored
        from a damaged scan, and `note` says how; else the note is empty.

    Raises:
        InputError: a file is missing or damaged, or a pair of it is none of the taxonomy's.
    """
    rows = [row for file, rows_of in _FILES.items() for row in _read(folder / file, rows_of)]
    return pa.Table.from_pylist(rows, SCHEMA)


def _read(path: Path, rows_of: Callable[[Mapping[str, str]], Iterator[Row]]) -> Iterator[Row]:
    again = "restore it or install again"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file, restval="", strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise InputError(f"{path.name} can't be read ({problem}); {again}") from problem
    for number, cells in enumerate(lines, start=2):
        try:
            for row in rows_of(cells):
                row = {"detail": "", "run": "", "note": "", **row}
                yield {**row, "value": float(row["value"]), "doubtful": row["note"] != ""}
        except KeyError as unknown:
            raise InputError(f"{path.name}, line {number}: {unknown} is not known; {again}") from None
        except ValueError as problem:
            raise InputError(f"{path.name}, line {number}: {problem}; {again}") from None


def _results(cells: Mapping[str, str]) -> Iterator[Row]:
    """Tables 2 and 3."""
    entry = taxonomy.kept_pairs()[taxonomy.pair(cells["object"], cells["modality"])]
    yield {
        "table": int(cells["table"]),
        "model": _MODELS[cells["model"]],
        **{name: getattr(entry, name) for name in ("pair", "object", "modality")},
        "strategy": cells["strategy"],
        "metric": _METRICS[cells["metric"]],
        "value": cells["value"],
        "note": cells["note"],
    }


def _seconds(cells: Mapping[str, str]) -> Iterator[Row]:
    """Table 4: the encoder, then prompt encoder and mask decoder under each strategy."""
    row = {"table": 4, "model": _MODELS[cells["model"]], "metric": "seconds"}
    yield {**row, "detail": "embedding", "value": cells["embedding"]}
    for name in STRATEGIES:
        yield {**row, "detail": "prompts", "strategy": name, "value": cells[name]}


def _correlations(cells: Mapping[str, str]) -> Iterator[Row]:
    """Table 6."""
    row = {"table": 6, "model": _MODELS[cells["model"]], "strategy": cells["strategy"]}
    for attribute in _ATTRIBUTES:
        yield {**row, "metric": "spearman", "detail": attribute, "value": cells[attribute]}


def _effort(cells: Mapping[str, str]) -> Iterator[Row]:
    """Table 7; of SAM alone there is one figure, which stands in the line of the doctors' means."""
    for column, (who, metric) in _EFFORT.items():
        if cells[column] or who != "sam":
            run = "" if who == "sam" else cells["doctor"]
            yield {"table": 7, "metric": metric, "detail": who, "run": run, "value": cells[column]}


def _drops(cells: Mapping[str, str]) -> Iterator[Row]:
    """Table 8, whose model the paper doesn't name; without a prompt (S1) there is nothing to shift."""
    row = {"table": 8, "metric": "dice_drop", "detail": cells["shift_pixels"], "run": cells["run"]}
    for name, strategy in STRATEGIES.items():
        if not strategy.everything:
            yield {**row, "strategy": name, "value": cells[name]}


_FILES = {
    "tables_2_3.csv": _results,
    "table_4.csv": _seconds,
    "table_6.csv": _correlations,
    "table_7.csv": _effort,
    "table_8.csv": _drops,
}
