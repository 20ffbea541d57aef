"""The board's numbers: what the statistics make of the facts, a table each."""

from collections.abc import Iterator, Mapping, Sequence

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from cosmos1050k.errors import InputError
from leaderboard.contamination import contact
from leaderboard.selection import METRICS, SELECTIONS
from leaderboard.statistics import Board, aggregate, board
from leaderboard.store.facts import EVERYTHING, ROUNDED
from leaderboard.store.files import create
from leaderboard.store.runs import Run

#: The group of all pairs.
ALL = "all"
#: Groups of pairs that have a headline: all, those of a modality, those of an object.
GROUPINGS = (ALL, "modality", "object")
Groups = Mapping[str, Sequence[str]]


def load(
    connection: duckdb.DuckDBPyConnection,
    runs: Sequence[Run],
    phantoms: Sequence[str],
    *,
    seed: int,
    draws: int,
) -> None:
    """Writes `pairs`, `coverage`, `contacts`, and `pair_`, `group_`, `contact_`, `source_` and `all_scores`.

    Raises:
        InputError: there is not one pair that a model has wholly.
    """
    _pairs(connection, phantoms)
    _contacts(connection, runs)
    _board_facts(connection)
    patients = connection.sql("select distinct source, patient from board_objects").to_arrow_table()
    parts: dict[str, list[pa.Table]] = {
        name: [] for name in ("pair_scores", "group_scores", "contact_scores", "source_scores")
    }
    groups = _groups(connection)
    boards = list(_boards(connection))
    if not boards:
        raise InputError("no model has all scores of a pair; run `cosmos evaluate --model` for one")
    for strategy, selection in tqdm(boards, desc="statistics", unit=" board", disable=None):
        scores = _scores(connection, strategy, selection, "model")
        found = board(scores, "dice", patients=patients, groups=groups, seed=seed, draws=draws)
        pairs = _with_other_metrics(connection, found.pairs, scores, strategy, selection)
        seen = _by_contact(connection, strategy, selection)
        every = {ALL: groups[_name(ALL, "")]}
        by_contact = board(seen, "dice", patients=patients, groups=every, seed=seed, draws=draws, ranks=False)
        for name, table in (
            ("pair_scores", pairs),
            ("group_scores", _split(found.groups, "name", ("grouped", "name"))),
            ("contact_scores", _split(_with_means(by_contact), "model", ("model", "contact"))),
            ("source_scores", _by_source(scores, patients, seed=seed, draws=draws)),
        ):
            parts[name].append(_tagged(table, strategy, selection))
    for name, tables in parts.items():
        create(connection, name, pa.concat_tables(tables))
    _all_scores(connection, runs, phantoms)


def _pairs(connection: duckdb.DuckDBPyConnection, phantoms: Sequence[str]) -> None:
    """Table `pairs`; a pair with an object of a phantom on the board is `phantom` itself."""
    connection.execute(
        """create table pairs as select pair::varchar as pair, any_value(modality) as modality,
            any_value(object) as object, bool_or(list_contains(?::varchar[], source)) as phantom,
            list_sort(list(distinct source)) as sources, count(distinct image_id) as images,
            count(distinct (source, patient)) as patients, count(*) as objects
        from objects where on_board group by objects.pair order by pair""",
        [list(phantoms)],
    )


def _contacts(connection: duckdb.DuckDBPyConnection, runs: Sequence[Run]) -> None:
    """Table `contacts`: may a model have seen the rows of a kind, and does it know their source."""
    kinds = connection.execute("select kind, source, split, kin from kinds order by kind").fetchall()
    rows = [
        {
            "model": run.model,
            "kind": kind,
            "contact": contact(run.manifest.declaration.trained_on, source, kin, split),
        }
        for run in runs
        for kind, source, split, kin in kinds
    ]
    fields = [("model", pa.string()), ("kind", pa.int16()), ("contact", pa.string())]
    create(connection, "contacts", pa.Table.from_pylist(rows, schema=pa.schema(fields)))


def _board_facts(connection: duckdb.DuckDBPyConnection) -> None:
    """Temporary tables `board_objects`, `board_scores`: names as numbers, pairs that a model has wholly.

    Table `coverage` tells of every model, strategy and pair how many of the board's objects have a score.
    """
    for name, column in (("source_name", "source"), ("object_name", "object")):
        connection.execute(f"create type {name} as enum (select distinct {column} from objects order by 1)")
    connection.execute(
        """create temporary table board_objects as select object_id, source::source_name as source,
            dense_rank() over (order by source, patient)::int as patient,
            dense_rank() over (order by image_id)::int as image_id, object::object_name as object,
            pair, kind, on_board, on_board_s1
        from objects where on_board or on_board_s1"""
    )
    connection.execute(
        """create table coverage as
        with wanted as (
            select pair, count(*) filter (where on_board) as objects,
                count(*) filter (where on_board_s1) as objects_s1
            from board_objects group by pair
        ),
        having_scores as (
            select s.model, s.strategy, s.pair, count(*) as scores
            from scores s join board_objects o using (object_id)
            where case when list_contains(?, s.strategy::varchar) then o.on_board_s1 else o.on_board end
            group by all
        ),
        asked as (select distinct model, strategy from scores)
        select model::varchar as model, strategy::varchar as strategy, pair::varchar as pair,
            coalesce(scores, 0) as scores,
            case when list_contains(?, strategy::varchar) then objects_s1 else objects end as of_scores
        from asked cross join wanted left join having_scores using (model, strategy, pair)
        order by all""",
        [list(EVERYTHING), list(EVERYTHING)],
    )
    connection.execute(
        """create temporary table board_scores as
        select s.*, o.source, o.patient, o.image_id, o.object, c.contact
        from scores s join board_objects o using (object_id)
        join contacts c on c.model = s.model and c.kind = o.kind
        semi join (select * from coverage where scores = of_scores) w
            on w.model = s.model and w.strategy = s.strategy and w.pair = s.pair
        where case when list_contains(?, s.strategy::varchar) then o.on_board_s1 else o.on_board end
        order by s.strategy, s.pair, s.model, s.object_id""",
        [list(EVERYTHING)],
    )


def _groups(connection: duckdb.DuckDBPyConnection) -> Groups:
    groups: dict[str, list[str]] = {}
    for pair, modality, of_object in connection.execute(
        "select pair, modality, object from pairs order by pair"
    ).fetchall():
        for by, name in zip(GROUPINGS, ("", modality, of_object), strict=True):
            groups.setdefault(_name(by, name), []).append(pair)
    return groups


def _name(by: str, name: str) -> str:
    return f"{by}\t{name}"


def _boards(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, str]]:
    """The strategies that have scores, with each selection they have."""
    for (strategy,) in connection.execute(
        "select distinct strategy::varchar from board_scores order by 1"
    ).fetchall():
        yield from ((strategy, s) for s in SELECTIONS if s == "oracle" or strategy not in EVERYTHING)


def _scores(connection: duckdb.DuckDBPyConnection, strategy: str, selection: str, model: str) -> pa.Table:
    """The board's scores as the statistics take them; `model` is what stands for the model."""
    values = ", ".join(
        f"dice_{selection} / (2 - dice_{selection}) as jaccard"
        if metric == "jaccard"
        else f"{metric}_{selection} as {metric}"
        for metric in METRICS
    )
    return connection.sql(
        f"""select {model} as model, pair, source, patient, image_id, object, {values}
        from board_scores where strategy = ?""",
        params=[strategy],
    ).to_arrow_table()


def _with_other_metrics(
    connection: duckdb.DuckDBPyConnection, pairs: pa.Table, scores: pa.Table, strategy: str, selection: str
) -> pa.Table:
    """Beside the mean DICE the other metrics' means, and the empty predictions and the failures.

    The chosen mask is empty where it has no distance: a row's status tells that of the oracle's alone.
    """
    keys = ["model", "pair"]
    table = pairs.rename_columns({"mean": "dice"}).drop_columns(["empties"])
    for metric in METRICS[1:]:
        means = aggregate(scores, metric).select([*keys, "mean"]).rename_columns({"mean": metric})
        table = table.join(means, keys=keys)
    tallies = connection.sql(
        f"""select model::varchar as model, pair::varchar as pair,
            count(*) filter (where hausdorff_{selection} is null and status <> 'failed') as empties,
            count(*) filter (where status = 'failed') as failures
        from board_scores where strategy = ? group by all""",
        params=[strategy],
    ).to_arrow_table()
    return table.join(tallies, keys=keys)


def _by_contact(connection: duckdb.DuckDBPyConnection, strategy: str, selection: str) -> pa.Table:
    """The scores with, in place of a model, a model on the rows of one contact."""
    return _scores(connection, strategy, selection, r"(model::varchar || E'\t' || contact)")


def _by_source(scores: pa.Table, patients: pa.Table, *, seed: int, draws: int) -> pa.Table:
    """Per model and source a row for each of the source's pairs, and one with pair null: their mean.

    One source at a time, for the memory; on the draws of the whole board, so that a pair of one source has
    the same interval in both tables.
    """
    found = []
    for source in patients["source"].unique().cast(pa.string()).sort().to_pylist():
        own = scores.filter(pc.equal(scores["source"], source))
        if not own.num_rows:
            continue
        groups = {"": own["pair"].unique().cast(pa.string()).to_pylist()}
        drawn = _in_its_place(patients, source)
        table = _with_means(
            board(own, "dice", patients=drawn, groups=groups, seed=seed, draws=draws, ranks=False)
        )
        found.append(table.add_column(1, "source", pa.repeat(source, table.num_rows)))
    return pa.concat_tables(found)


def _in_its_place(patients: pa.Table, source: str) -> pa.Table:
    """A source's patients, and one of every other source: its draws hang on its place among all."""
    own = patients.filter(pc.equal(patients["source"], source))
    others = patients.filter(pc.not_equal(patients["source"], source))
    others = others.group_by("source").aggregate([("patient", "min")])
    return pa.concat_tables([own, others.rename_columns({"patient_min": "patient"}).select(own.column_names)])


def _with_means(found: Board) -> pa.Table:
    """A row per model and pair, and one with pair null: the mean over the model's pairs."""
    shared = ["model", "pair", "dice", "low", "high", "images", "patients", "pairs"]
    pairs = found.pairs.rename_columns({"mean": "dice"})
    pairs = pairs.append_column("pairs", pa.nulls(len(pairs), pa.int64()))
    means = found.groups.rename_columns({"headline": "dice"})
    for name, kind in (("pair", pa.string()), ("images", pa.int64())):
        means = means.append_column(name, pa.nulls(len(means), kind))
    return pa.concat_tables([pairs.select(shared), means.select(shared)])


def _split(table: pa.Table, column: str, names: tuple[str, str]) -> pa.Table:
    """A column of two names as two columns, which come first."""
    halves = zip(*(text.split("\t") for text in table[column].to_pylist()), strict=True)
    table = table.drop_columns([column])
    for place, (name, values) in enumerate(zip(names, halves, strict=True)):
        table = table.add_column(place, name, pa.array(values, pa.string()))
    return table


def _tagged(table: pa.Table, strategy: str, selection: str) -> pa.Table:
    for name, value in (("selection", selection), ("strategy", strategy)):
        table = table.add_column(0, name, pa.repeat(value, table.num_rows))
    return table


def _all_scores(connection: duckdb.DuckDBPyConnection, runs: Sequence[Run], phantoms: Sequence[str]) -> None:
    """Table `all_scores`: all rows of the real sources, averaged as the authors do, of models that were
    scored on all rows and trained on none of the sources: what may stand beside the paper's values.

    The authors average all instances flat, and count the distance of an empty mask as 0 (protocol, 4 and 5).
    """
    complete = [run.model for run in runs if run.manifest.rows == "all"]
    connection.execute(
        f"""create table all_scores as
        select s.model::varchar as model, s.pair::varchar as pair, s.strategy::varchar as strategy,
            avg({ROUNDED.format("dice_oracle")}) as dice,
            avg({ROUNDED.format("coalesce(hausdorff_oracle, 0)")}) as hausdorff, count(*) as objects
        from scores s join objects o using (object_id)
        where list_contains(?::varchar[], s.model::varchar)
            and s.model in (
                select model from contacts group by model having bool_and(contact = 'other_source'))
            and not list_contains(?::varchar[], o.source)
        group by all order by all""",
        [complete, list(phantoms)],
    )
