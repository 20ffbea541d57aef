"""The board's facts: every object of the built sources, every score of it, and which of them count.

Tables `objects` and `scores`, both by pair first, so that one pair's rows stand together in the file.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import duckdb
import pyarrow as pa
from tqdm import tqdm

from cosmos1050k import shards
from cosmos1050k.errors import InputError
from cosmos1050k.schema import SMALL_AREA
from cosmos1050k.splits import kin
from leaderboard.board_rows import board_cases
from leaderboard.evaluate import BoardRows
from leaderboard.score import STATUSES
from leaderboard.selection import METRICS as ALL_METRICS
from leaderboard.selection import SELECTIONS
from leaderboard.store import files
from leaderboard.store.runs import BoardInput, LeftOut, Run, left_out
from leaderboard.strategies import STRATEGIES

#: What of a score is a fact: the Jaccard index follows from DICE, and is held against it.
METRICS = tuple(name for name in ALL_METRICS if name != "jaccard")
EVERYTHING = tuple(name for name, strategy in STRATEGIES.items() if strategy.everything)
#: An aggregate of it is exact, and so the same in any order (as in `leaderboard.statistics.aggregation`).
ROUNDED = "round({} * 268435456) / 268435456"
_CHOICES = (*METRICS, "predicted_iou", "candidate")
#: How far a stored Jaccard index may be from DICE's.
_ROUNDING = 1e-9


def load(
    connection: duckdb.DuckDBPyConnection, given: BoardInput, rows: BoardRows, runs: Sequence[Run]
) -> tuple[list[Run], list[LeftOut]]:
    """Writes the tables; returns the runs with the sources that are on the board, and what is left out of it:
    the scores of a source of which a row is not right.

    Raises:
        InputError: no case is on the board, or a built source is damaged.
    """
    cases = [case for slug in given.sources for case in shards.load_cases(given.data / slug)]
    everywhere = any(run.manifest.rows == "all" for run in runs)
    read = [case for case in cases if everywhere or case["split"] == "test"]
    _names(connection, cases, runs)
    _cases(connection, given, read, cases, rows)
    shard_files = sorted({str(given.data / case["source"] / case["shard"]) for case in read})
    try:
        _objects(connection, shard_files)
    except duckdb.Error as error:
        if files.unwritten(error):
            raise
        reason = str(error).splitlines()[0]
        raise InputError(f"a built source is damaged ({reason}); build it again") from None
    left = _scores(connection, given, runs)
    wrong = {(one.model, one.source) for one in left}
    kept = [
        replace(run, sources=tuple(slug for slug in run.sources if (run.model, slug) not in wrong))
        for run in runs
    ]
    return [run for run in kept if run.sources], left


def _names(
    connection: duckdb.DuckDBPyConnection, cases: Sequence[dict[str, Any]], runs: Sequence[Run]
) -> None:
    """Types that hold a name as a number."""
    pairs = {entry["pair"] for case in cases for entry in case["pairs"]}
    for name, values in (
        ("pair_name", sorted(pairs)),
        ("model_name", sorted(run.model for run in runs)),
        ("strategy_name", list(STRATEGIES)),
        ("status_name", list(STATUSES)),
    ):
        connection.execute(f"create type {name} as enum (select unnest(?::varchar[]))", [values])


_TEXTS = [(name, pa.string()) for name in ("source", "case", "modality")]
_MEMBERS = pa.schema([("everything", pa.bool_()), ("pair", pa.string()), *_TEXTS])
_CASES_OF = pa.schema(
    [("kind", pa.int16()), ("file", pa.string()), ("first_row", pa.int64()), ("of_case", pa.string())]
)
_KINDS = pa.schema(
    [("kind", pa.int16()), ("source", pa.string()), ("split", pa.string()), ("kin", pa.list_(pa.string()))]
)


def _cases(
    connection: duckdb.DuckDBPyConnection,
    given: BoardInput,
    read: Sequence[dict[str, Any]],
    cases: Sequence[dict[str, Any]],
    rows: BoardRows,
) -> None:
    """Tables `kinds`: what rows have in common that decides on contamination; and for the time of the build
    `cases_of`, which kind the rows of a file are of, and `members`, which case is on the board of which pair.
    """
    members = [
        {"everything": everything, "pair": pair, **case._asdict()}
        for everything, images in ((True, rows.images_per_pair_s1), (False, rows.images_per_pair))
        for pair, chosen in board_cases(cases, images).items()
        for case in chosen
    ]
    if not members:
        raise InputError("no test case to make a board of; add a source that has some to `sources`")
    keys = [
        (case["source"], case["split"], tuple(sorted(kin(case["source"], case["patient"])))) for case in read
    ]
    kinds = {key: number for number, key in enumerate(sorted(set(keys)))}
    placed = [
        {
            "kind": kinds[key],
            "file": str(given.data / case["source"] / case["shard"]),
            "first_row": case["first_row"],
            "of_case": case["case"],
        }
        for case, key in zip(read, keys, strict=True)
    ]
    told = [
        {"kind": kind, "source": source, "split": split, "kin": list(relatives)}
        for (source, split, relatives), kind in kinds.items()
    ]
    files.create(connection, "members", pa.Table.from_pylist(members, _MEMBERS), temporary=True)
    files.create(connection, "cases_of", pa.Table.from_pylist(placed, _CASES_OF), temporary=True)
    files.create(connection, "kinds", pa.Table.from_pylist(told, _KINDS))


def _objects(connection: duckdb.DuckDBPyConnection, shard_files: Sequence[str]) -> None:
    """`object_id` counts the objects in the order of the table; a pair's are in a row, then an image's.

    A row's case is told by its place in its file: a tile's own `case` names the tile too.
    """
    connection.execute(
        """create table objects as
        with images as (
            select i.*, c.kind, c.of_case
            from read_parquet(?, hive_partitioning = false, filename = true, file_row_number = true) i
            asof join cases_of c on i.filename = c.file and i.file_row_number >= c.first_row
        ),
        every as (
            select image_id, source, patient, "case", of_case, slice_index, modality, split, kind,
                unnest(range(len(objects)))::int as object_index, unnest(objects) as entry
            from images
        ),
        marked as (
            select entry.pair::pair_name as pair, source, patient, image_id, entry.object as object,
                object_index, entry.instance as instance, entry.area as area, "case", slice_index,
                modality, split, kind,
                (entry.pair, source, of_case, modality) in
                    (select (pair, source, "case", modality) from members where not everything) as on_board,
                (entry.pair, source, of_case, modality) in
                    (select (pair, source, "case", modality) from members where everything) as on_board_s1
            from every where entry.area > ?
        )
        select (row_number() over (order by pair, source, patient, image_id, object, object_index) - 1)::int
            as object_id, *
        from marked order by object_id""",
        [shard_files, SMALL_AREA],
    )


def _scores(connection: duckdb.DuckDBPyConnection, given: BoardInput, runs: Sequence[Run]) -> list[LeftOut]:
    left = []
    connection.execute(
        f"""create temporary table staged (pair pair_name, model model_name, strategy strategy_name,
        object_id int, status status_name, {", ".join(f"{name} {kind}" for name, kind in _columns())})"""
    )
    every = [(slug, run) for slug in given.sources for run in runs if slug in run.sources]
    own = None
    for slug, run in tqdm(every, desc="board", unit=" file", disable=None):
        if slug != own:
            own = slug
            connection.execute(
                """create or replace temporary table own as select object_id, image_id, object_index, pair,
                on_board, on_board_s1 from objects where source = ?""",
                [slug],
            )
        try:
            problem = _incoming(connection, run, slug)
        except duckdb.Error as error:
            if files.unwritten(error):
                raise
            problem = f"damaged ({str(error).splitlines()[0]})"
        if problem:
            file = run.folder / f"{slug}.parquet"
            left.append(left_out(run, slug, f"{file}: {problem}"))
            continue
        named = ", ".join(name for name, _ in _columns())
        connection.execute(
            f"insert into staged select pair, model, strategy, object_id, status, {named} from incoming"
        )
    connection.execute(
        "create table scores as select * from staged order by pair, model, strategy, object_id"
    )
    connection.execute("drop table staged")
    return left


def _columns() -> list[tuple[str, str]]:
    kinds = {"predicted_iou": "float", "candidate": "smallint"}
    return [
        (f"{name}_{selection}", kinds.get(name, "double")) for selection in SELECTIONS for name in _CHOICES
    ]


def _incoming(connection: duckdb.DuckDBPyConnection, run: Run, slug: str) -> str:
    """Reads one score file into the table `incoming`; what is wrong with it, if anything is."""
    values = ", ".join(f"s.{name}::{kind} as {name}" for name, kind in _columns())
    jaccards = ", ".join(f"jaccard_{selection}" for selection in SELECTIONS)
    connection.execute(
        f"""create or replace temporary table incoming as
        select o.object_id, o.pair, o.on_board, o.on_board_s1, o.pair = s.pair as same_pair,
            s.model = ? and s.source = ? and s.source_version = ? as same_run,
            try_cast(s.model as model_name) as model, try_cast(s.strategy as strategy_name) as strategy,
            try_cast(s.status as status_name) as status, {values}, {jaccards}
        from read_parquet(?, hive_partitioning = false) s
        left join own o on o.image_id = s.image_id and o.object_index = s.object_index""",
        [run.model, slug, run.manifest.sources[slug].version, str(run.folder / f"{slug}.parquet")],
    )
    wrong = _wrong(connection, run, slug)
    return wrong or _incomplete(connection, run)


def _wrong(connection: duckdb.DuckDBPyConnection, run: Run, slug: str) -> str:
    """What is wrong with a row of `incoming`."""
    of_selection = " or ".join(
        f"""not coalesce(dice_{s} between 0 and 1, {"true" if s != "oracle" else "false"})
        or abs(jaccard_{s} - dice_{s} / (2 - dice_{s})) > {_ROUNDING}
        or (dice_{s} is null) <> (jaccard_{s} is null)
        or not coalesce(hausdorff_{s} >= 0 and isfinite(hausdorff_{s}), true)
        or not coalesce(assd_{s} >= 0 and isfinite(assd_{s}), true)
        or (hausdorff_{s} is null) <> (assd_{s} is null)
        or (hausdorff_{s} is null and dice_{s} > 0)"""
        for s in SELECTIONS
    )
    checks = {
        "are of another model, source or version": "not coalesce(same_run, false)",
        "are of objects that the source does not have": "object_id is null",
        "name another pair than the object's": "not coalesce(same_pair, false)",
        "are of strategies that the run does not have": "strategy is null or not list_contains(?, strategy)",
        "have an unknown status": "status is null",
        "are failed and yet not 0": "status = 'failed' and (dice_oracle > 0 or dice_predicted_iou > 0)",
        "have a metric out of its range": of_selection,
        "lack the score of the candidate rated highest": (
            "dice_predicted_iou is null and not list_contains(?, strategy)"
        ),
    }
    counted = ", ".join(f"count(*) filter (where {check})" for check in checks.values())
    strategies = list(run.manifest.strategies)
    twice = "count(*) - count(distinct object_id::bigint * 8 + enum_code(strategy))"
    *found, repeated, total = connection.execute(
        f"select {counted}, {twice}, count(*) from incoming", [strategies, list(EVERYTHING)]
    ).fetchall()[0]
    for text, count in zip(checks, found, strict=True):
        if count:
            return f"{count} of {total} scores {text}"
    if repeated:
        return f"{repeated} of {total} scores are there twice"
    expected = run.manifest.sources[slug].scores
    return "" if total == expected else f"{total} scores, and its manifest has {expected}"


def _incomplete(connection: duckdb.DuckDBPyConnection, run: Run) -> str:
    """Which score is missing: without it a mean would be of other objects than the other models'."""
    for strategy in run.manifest.strategies:
        flag = "on_board_s1" if strategy in EVERYTHING else "on_board"
        whose, of = ("the board's", flag) if run.manifest.rows == "board" else ("all", "true")
        ((expected, found),) = connection.execute(
            f"""select (select count(*) from own where {of}),
            (select count(*) from incoming where {of} and strategy = ?)""",
            [strategy],
        ).fetchall()
        if expected != found:
            return f"{found} of {whose} {expected} scores under {strategy}"
    return ""
