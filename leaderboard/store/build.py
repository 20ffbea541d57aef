"""Builds the DuckDB file of one board from the built sources and the models' score files."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cosmos1050k import shards
from cosmos1050k.errors import InputError
from cosmos1050k.schema import SMALL_AREA
from cosmos1050k.units import MANIFEST
from leaderboard.board_rows import board_cases
from leaderboard.evaluate import BoardRows, RunManifest
from leaderboard.selection import METRICS, SELECTIONS
from leaderboard.statistics import aggregate, board
from leaderboard.store import files
from leaderboard.strategies import STRATEGIES

BOARD = Path("leaderboard/leaderboard.duckdb")
#: Of the step from scores to the board's file; a change of what it holds needs a new number.
VERSION = 2


class BoardOptions(BaseModel):
    """`board` in params.yaml: the bootstrap behind intervals and ranks."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    bootstrap_draws: int = Field(default=10_000, ge=100)
    seed: int = Field(default=0, ge=0)


@dataclass(frozen=True)
class BoardInput:
    """What a board is made of: folders of sources below `data`, of models below `scores`."""

    data: Path
    scores: Path
    sources: tuple[str, ...]
    models: tuple[str, ...]
    protocol_version: int


def build_board(
    given: BoardInput, path: Path, *, rows: BoardRows | None = None, options: BoardOptions | None = None
) -> str:
    """Writes the board to `path`, in one step when it is whole, and returns its build id.

    Args:
        rows: how many images a pair needs; as the models were scored.

    Raises:
        InputError: scores are missing, or of another dataset or protocol version; `path` is as it was.
    """
    rows, options = rows or BoardRows(), options or BoardOptions()
    manifests = {slug: shards.load_manifest(given.data / slug) for slug in given.sources}
    versions = {slug: manifest.version for slug, manifest in manifests.items()}
    phantoms = [slug for slug, manifest in manifests.items() if manifest.phantom]
    runs = {model: _run(given, model, versions) for model in given.models}
    dataset = shards.dataset_version(versions)
    made_of = [VERSION, dataset, given.sources, phantoms, given.protocol_version, _keys(given, runs)]
    build_id = _hash([*made_of, rows.model_dump(), options.model_dump()])
    with (
        files.locked(path.parent),
        files.replacing(path) as temporary,
        duckdb.connect(str(temporary)) as connection,
    ):
        try:
            _facts(connection, given, rows)
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"a built source or a score file is damaged ({reason}); make it again") from None
        for model, run in runs.items():
            _check_complete(connection, model, run)
        _aggregates(connection, options, phantoms)
        _describe(connection, runs)
        sources, draws = list(given.sources), options.bootstrap_draws
        meta = [build_id, dataset, given.protocol_version, sources, phantoms, draws]
        connection.execute(
            """create table boards as select ? as build_id, ? as dataset_version, ? as protocol_version,
            ? as sources, ?::varchar[] as phantoms, ? as bootstrap_draws,
            (select count(distinct (source, patient)) from objects) as patients,
            (select count(distinct image_id) from objects) as images,
            (select count(distinct pair) from objects) as pairs""",
            meta,
        )
    return build_id


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _keys(given: BoardInput, runs: dict[str, RunManifest]) -> list[Any]:
    """What tells one board's scores from another's: the manifests but for the timing, and the files."""
    return [
        [
            model,
            run.model_dump(mode="json", exclude={"seconds"}),
            [_sha256(given.scores / model / f"{slug}.parquet") for slug in given.sources],
        ]
        for model, run in runs.items()
    ]


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _run(given: BoardInput, model: str, versions: dict[str, str]) -> RunManifest:
    """The manifest of a model's scores, if they are this board's."""
    path = given.scores / model / MANIFEST
    again = f"run `cosmos evaluate --model {model}`"
    try:
        run = RunManifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: missing; {again}") from None
    except ValidationError:
        raise InputError(f"{path}: damaged or of another release; {again}") from None
    if run.protocol_version != given.protocol_version:
        raise InputError(
            f"{path}: scores of protocol {run.protocol_version}, not {given.protocol_version}; {again}"
        )
    for slug, version in versions.items():
        if slug not in run.sources or run.sources[slug].version != version:
            raise InputError(f"{path}: no scores of the present version of source {slug}; {again}")
        if not path.with_name(f"{slug}.parquet").is_file():
            raise InputError(f"{path.with_name(slug)}.parquet: missing; {again}")
    return run


def _facts(connection: duckdb.DuckDBPyConnection, given: BoardInput, rows: BoardRows) -> None:
    """The tables `members` (which case counts for which pair), `objects`, `scores`: the board's rows only."""
    cases = [case for slug in given.sources for case in shards.load_cases(given.data / slug)]
    members = [
        {"everything": everything, "pair": pair, **case._asdict()}
        for everything, images in ((True, rows.images_per_pair_s1), (False, rows.images_per_pair))
        for pair, chosen in board_cases(cases, images).items()
        for case in chosen
    ]
    if not members:
        raise InputError("no test case to make a board of; add a source that has some to `sources`")
    tests = [case for case in cases if case["split"] == "test"]
    shard_files = sorted({str(given.data / case["source"] / case["shard"]) for case in tests})
    kinds = [("everything", pa.bool_()), *((n, pa.string()) for n in ("pair", "source", "case", "modality"))]
    arrow_members = pa.Table.from_pylist(members, schema=pa.schema(kinds))
    connection.register("arrow_members", arrow_members)
    connection.execute("create table members as select * from arrow_members order by all")
    connection.execute(
        """create table objects as
        with every as (
            select image_id, source, patient, "case", slice_index, modality,
                unnest(range(len(objects)))::int as object_index, unnest(objects) as entry
            from read_parquet(?, hive_partitioning = false)
        )
        select image_id, object_index, source, patient, "case", slice_index, modality,
            entry.object as object, entry.instance as instance, entry.pair as pair, entry.area as area
        from every
        where entry.area > ? and (entry.pair, source, "case", modality) in
            (select (pair, source, "case", modality) from members)
        order by pair, image_id, object_index""",
        [shard_files, SMALL_AREA],
    )
    scored = [
        str(given.scores / model / f"{slug}.parquet") for model in given.models for slug in given.sources
    ]
    everything = [name for name, strategy in STRATEGIES.items() if strategy.everything]
    connection.execute(
        """create table scores as
        select s.* replace (o.patient as patient) from read_parquet(?, hive_partitioning = false) s
        join objects o using (image_id, object_index)
        where exists (
            select 1 from members m
            where m.pair = o.pair and m.source = o.source and m."case" = o."case"
                and m.modality = o.modality and m.everything = (s.strategy in (select unnest(?)))
        )
        order by s.pair, s.model, s.strategy, s.image_id, s.object_index""",
        [scored, everything],
    )


def _check_complete(connection: duckdb.DuckDBPyConnection, model: str, run: RunManifest) -> None:
    """A score of each of the board's objects under each strategy: a missing one would raise a mean."""
    for strategy in run.strategies:
        expected = connection.execute(
            """select count(*) from objects o where exists (
                select 1 from members m where m.pair = o.pair and m.source = o.source
                and m."case" = o."case" and m.modality = o.modality and m.everything = ?)""",
            [STRATEGIES[strategy].everything],
        ).fetchall()[0]
        found = connection.execute(
            "select count(distinct (image_id, object_index)) from scores where model = ? and strategy = ?",
            [model, strategy],
        ).fetchall()[0]
        if expected != found:
            raise InputError(
                f"{model} has {found[0]} of the board's {expected[0]} scores under {strategy}; "
                f"run `cosmos evaluate --model {model}`"
            )


def _aggregates(
    connection: duckdb.DuckDBPyConnection, options: BoardOptions, phantoms: Sequence[str]
) -> None:
    """The tables `pair_scores` and `model_scores`, one row per model, strategy and selection (and pair).

    A pair with an object of a phantom is `phantom` itself.
    """
    patients = connection.sql("select distinct source, patient from objects").to_arrow_table()
    marked = "select pair, bool_or(list_contains(?::varchar[], source)) from objects group by pair"
    phantom = dict(connection.execute(marked, [phantoms]).fetchall())
    pair_parts, model_parts = [], []
    for strategy, selection in _boards(connection):
        columns = ", ".join(f"{metric}_{selection} as {metric}" for metric in METRICS)
        scores = connection.sql(
            f"""select model, source, patient, image_id, object, pair, status, {columns}
            from scores where strategy = ?""",
            params=[strategy],
        ).to_arrow_table()
        result = board(
            scores,
            "dice",
            patients=patients,
            pairs=list(phantom),
            seed=options.seed,
            draws=options.bootstrap_draws,
        )
        marks = pa.array([phantom[pair] for pair in result.pairs["pair"].to_pylist()], pa.bool_())
        table = _with_other_metrics(result.pairs.append_column("phantom", marks), scores)
        pair_parts.append(_tagged(table, strategy, selection))
        model_parts.append(_tagged(result.models, strategy, selection))
    if not pair_parts:
        raise InputError("no model has a score on the board; add a strategy that applies to `evaluate`")
    for name, parts, last in (("pair_scores", pair_parts, "pair"), ("model_scores", model_parts, "model")):
        connection.register("part", pa.concat_tables(parts))
        connection.execute(
            f"create table {name} as select * from part order by strategy, selection, model, {last}"
        )
        connection.unregister("part")


def _boards(connection: duckdb.DuckDBPyConnection) -> Sequence[tuple[str, str]]:
    """The strategies that have scores, with each selection they have."""
    strategies = connection.execute("select distinct strategy from scores order by strategy").fetchall()
    return [
        (strategy, selection)
        for (strategy,) in strategies
        for selection in SELECTIONS
        if selection == "oracle" or not STRATEGIES[strategy].everything
    ]


def _with_other_metrics(pairs: pa.Table, scores: pa.Table) -> pa.Table:
    """Beside the mean DICE the other metrics' means, and the empty predictions and the failures.

    The chosen mask is empty where it has no distance: a row's status tells that of the oracle's alone.
    """
    keys = ["model", "pair"]
    table = pairs.rename_columns({"mean": "dice"}).drop_columns(["empties"])
    for metric in METRICS[1:]:
        means = aggregate(scores, metric).select([*keys, "mean"]).rename_columns({"mean": metric})
        table = table.join(means, keys=keys)
    failed = pc.equal(scores["status"], "failed")
    empty = pc.and_not(pc.is_null(scores["hausdorff"]), failed)
    for name, marks in (("empties", empty), ("failures", failed)):
        marked = scores.select(keys).append_column(name, marks)
        tally = marked.group_by(keys).aggregate([(name, "sum")]).rename_columns({f"{name}_sum": name})
        table = table.join(tally.set_column(2, name, tally[name].cast(pa.int64())), keys=keys)
    return table


def _tagged(table: pa.Table, strategy: str, selection: str) -> pa.Table:
    for name, value in (("selection", selection), ("strategy", strategy)):
        table = table.add_column(0, name, pa.repeat(value, table.num_rows))
    return table


def _describe(connection: duckdb.DuckDBPyConnection, runs: dict[str, RunManifest]) -> None:
    """The tables `models`, `not_applicable` and `runs`."""
    declarations = [run.declaration for run in runs.values()]
    models = [
        {**d.model_dump(mode="json", exclude={"not_applicable"}), "order": place}
        for place, d in enumerate(declarations)
    ]
    gaps = [
        {"model": model, "strategy": strategy, "reason": reason}
        for model, run in runs.items()
        for strategy, reason in run.not_applicable.items()
    ]
    executed = [
        {
            "model": model,
            "source": slug,
            "source_version": one.version,
            "scores": one.scores,
            "failed_cases": len(one.failures),
            "device": run.declaration.device,
            "dtype": run.declaration.dtype,
            "seconds": run.seconds,
        }
        for model, run in runs.items()
        for slug, one in run.sources.items()
    ]
    gap_schema = pa.schema([(name, pa.string()) for name in ("model", "strategy", "reason")])
    for name, table in (
        ("models", pa.Table.from_pylist(models)),
        ("not_applicable", pa.Table.from_pylist(gaps, schema=gap_schema)),
        ("runs", pa.Table.from_pylist(executed)),
    ):
        connection.register("part", table)
        connection.execute(f"create table {name} as select * from part")
        connection.unregister("part")
