"""The page of a model, the page of a pair, and two models compared."""

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from app import board, figures, ranking
from app.figures import Bar
from app.place import MEASURES, Place
from app.shown import Shown, said
from app.table import Column, Table, Value, notes
from cosmos1050k import sources
from cosmos1050k.errors import InputError
from leaderboard import comparison
from leaderboard.contamination import TrainedOn
from leaderboard.statistics import DISTANCES, FEWEST_PATIENTS
from leaderboard.statistics.comparing import ALL
from leaderboard.store import filters, views
from leaderboard.store.read import BoardReader

Row = Mapping[str, Any]


def model(reader: BoardReader, place: Place) -> Shown:
    """What a model says of itself, what decides on its scores, how to make them again, and all its pairs."""
    told = next((one for one in reader.models() if one["name"] == place.model), None)
    if told is None:
        raise InputError(f"the board has no model {place.model!r}")
    table = _pairs_of(reader, place, told)
    body = (
        f"<h2>{escape(place.model)}</h2>{said(escape(told['description']))}"
        f"{board.described(_card(told))}{_key(reader, place.model)}{_again(told)}"
        f"<h3>Best and worst objects under {escape(board.title(place.strategy))}</h3>"
    )
    gaps = [
        f"n/a: {strategy} does not apply, since the model {reason}."
        for (name, strategy), reason in reader.not_applicable().items()
        if name == place.model and strategy in views.strategies(reader)
    ]
    cells = [board.about_interval(reader.board()), *gaps]
    return Shown(body, None, table.html(3) + notes(cells), drawn=True)


def _card(told: Row) -> Iterable[tuple[str, str]]:
    trained = TrainedOn.model_validate(json.loads(told["trained_on"]))
    yield "Type", told["kind"]
    yield "Version", str(told["version"])
    yield "Parameters", f"{told['parameters']:,}"
    yield "Made for", ", ".join(told["made_for"]) or "–"
    yield "Answers", ", ".join(told["applies"])
    yield "Candidate masks", str(told["candidates"])
    yield "Preprocessing", told["preprocessing"]
    if told["base"]:
        yield "Stands on", told["base"]
    yield "Trained on", str(trained)
    yield "Tolerance of DICE", ranking.tolerance(told["tolerance"]) or "not measured"
    if told["encoder_ms"] is not None:
        yield "Encoder", f"{board.milliseconds(told['encoder_ms'])} ms on {told['timed_on']}"
    yield "Verified", (told["verified_on"] or "never")[:10]


def _key(reader: BoardReader, name: str) -> str:
    """What decides on its scores: if any of it changes, they are made anew."""
    key = reader.key(name)
    runs = reader.runs(name)
    facts = [
        ("Protocol version", str(key["protocol_version"])),
        ("Version of the model", str(key["version"])),
        ("Weights, sha256", key["weights_sha256"] or "none"),
        ("Numerics", f"{key['device']}, {key['dtype']}"),
    ]
    rows = [
        [
            Value(run["source"], heads=True),
            Value(run["source_version"]),
            board.count(run["scores"]),
            board.count(run["failed_cases"]),
            board.count(run["failed_images"]),
            Value(run["date"][:10], exported=(run["date"],)),
        ]
        for run in runs
    ]
    columns = [
        Column("Source"),
        Column("Version"),
        Column("Scores", numeric=True),
        Column("Failed", "cases", numeric=True, exported=("failed cases",)),
        Column("Failed", "images", numeric=True, exported=("failed images",)),
        Column("Date"),
    ]
    table = Table(f"Sources that {name} was scored on", f"runs-{name}.csv", columns, [("", rows)])
    more = f"<summary>{board.plural(len(runs), 'source')}, with versions</summary>{table.html(4)}"
    return f"<h3>The key of its scores</h3>{board.described(facts)}<details>{more}</details>"


def _again(told: Row) -> str:
    name = escape(told["name"])
    rows = "" if told["rows"] == "board" else " # with rows: all under evaluate in params.yaml"
    return (
        "<h3>To make them again</h3><pre class='board-command' tabindex='0'><code>"
        f"cosmos evaluate --model {name}{rows}\n"
        f"cosmos verify {name}  # a random share of them, compared with those that are there"
        "</code></pre>"
    )


def _pairs_of(reader: BoardReader, place: Place, told: Row) -> Table:
    """A model on every pair under every strategy; the other metrics under the one that is chosen."""
    shown, gaps = views.strategies(reader), reader.not_applicable()
    lacking = {
        (pair, strategy): text
        for (pair, name), texts in views.lacking(reader).items()
        if name == place.model
        for strategy, text in texts.items()
    }
    found = {
        (row["pair"], row["strategy"]): row
        for row in reader.model_scores(place.model)
        if row["selection"] == place.selection
    }
    rows = []
    for pair in reader.pair_list():
        name = pair["pair"]
        own = found.get((name, place.strategy))
        scores = [found.get((name, one)) for one in shown]
        cells = [
            board.dice(
                _cell(score, one, told, gaps, lacking.get((name, one), "")),
                one,
                score["empties"] if score else None,
            )
            for one, score in zip(shown, scores, strict=True)
        ]
        rows.append(
            [
                Value(name, heads=True, link=board.pair_link(place, name)),
                board.count(pair["images"]),
                board.count(pair["patients"]),
                *cells,
                board.GAP if own is None or own["hausdorff"] is None else Value(f"{own['hausdorff']:.2f}"),
                *(board.GAP if own is None else board.count(own[what]) for what in ("empties", "failures")),
            ]
        )
    under = f"Under {place.strategy}"
    columns = [
        Column("Pair"),
        Column("Images", numeric=True),
        Column("Patients", numeric=True),
        *(ranking.dice_column(one, sorts=False) for one in shown),
        Column("HD", "px", under, numeric=True, exported=(f"{place.strategy} HD px",)),
        Column("Empty", "masks", under, numeric=True, exported=(f"{place.strategy} empty masks",)),
        Column("Failed", "objects", under, numeric=True, exported=(f"{place.strategy} failed objects",)),
    ]
    title = f"All pairs of {place.model}"
    return Table(title, board.file(reader.board(), f"pairs-{place.model}", place), columns, [("", rows)])


def _cell(
    row: Row | None, strategy: str, told: Row, gaps: Mapping[tuple[str, str], str], missing: str
) -> views.Cell:
    if row is None:
        return views.Cell(None, reason=gaps.get((told["name"], strategy), ""), missing=missing)
    greyed = strategy not in told["made_for"]
    return views.Cell(row["dice"], row["low"], row["high"], row["rank"], greyed=greyed)


def pair(reader: BoardReader, place: Place) -> Shown:
    """What a pair is of, examples of it, and all models on it."""
    told = next((one for one in reader.pair_list() if one["pair"] == place.pair), None)
    if told is None:
        raise InputError(f"the board has no pair {place.pair!r}")
    facts = [
        ("Object", told["object"]),
        ("Modality", told["modality"]),
        ("Images", f"{told['images']:,}"),
        ("Patients", f"{told['patients']:,}"),
        ("Objects", f"{told['objects']:,}"),
        ("Synthetic", "some or all of them" if told["phantom"] else "no"),
    ]
    given = place.filter()
    only = filters.Filter(
        given.strategy, given.selection, pair=place.pair, kinds=given.kinds, search=given.search
    )
    found, of = filters.ranking(reader, only), reader.board()
    columns = ("type", "hd", *(name for name in views.strategies(reader) if name != place.strategy))
    shown = Place(**{**vars(place), "columns": columns})
    table = ranking.table(found, of, shown, columns)
    body = (
        f"<h2>{escape(place.pair)}</h2>{board.described(facts)}"
        f"{_sources(reader, place, told).html(3)}<h3>Examples</h3>"
    )
    return Shown(body, None, table.html(3) + notes(ranking.notes(found, of, reader, shown)), drawn=True)


def _sources(reader: BoardReader, place: Place, told: Row) -> Table:
    rows = []
    for own in reader.pair_sources(place.pair):
        known = sources.get(own["source"]).SOURCE if own["source"] in sources.slugs() else None
        rows.append(
            [
                Value(
                    own["source"],
                    detail=known.name if known else "",
                    heads=True,
                    exported=(own["source"],),
                    link=known.homepage if known else "",
                ),
                Value(known.licence if known else "unknown"),
                *(board.count(own[name]) for name in ("images", "patients", "objects")),
            ]
        )
    columns = [
        Column("Source"),
        Column("Licence"),
        Column("Images", numeric=True),
        Column("Patients", numeric=True),
        Column("Objects", numeric=True),
    ]
    return Table(
        f"Sources of {place.pair}",
        board.file(reader.board(), f"sources-{place.pair}", place),
        columns,
        [("", rows)],
    )


def compare(reader: BoardReader, place: Place) -> Shown:
    """Two models pair by pair, on the same patients."""
    if not place.model or not place.other or place.model == place.other:
        raise InputError("Choose two models to compare.")
    pair_of = (place.model, place.other)
    found = comparison.compare(reader, pair_of, place.strategy, place.selection, place.metric)
    scale = 1 if place.metric in DISTANCES else 100
    measure = MEASURES[place.metric]
    columns = [
        Column("Pair"),
        *(Column(name, measure, numeric=True, exported=(f"{name} {measure}",)) for name in pair_of),
        Column("Difference", "first minus second", numeric=True, exported=("difference", "low", "high")),
        Column("Patients", numeric=True),
        Column("Verdict"),
    ]
    whole = [row for row in found if row["pair"] == ALL]
    each = sorted((row for row in found if row["pair"] != ALL), key=lambda row: -row["difference"])
    rows = [_compared(row, place, scale, len(each)) for row in [*whole, *each]]
    title = f"{place.model} against {place.other}: {measure} under {board.title(place.strategy)}"
    file = board.file(reader.board(), f"{place.model}-against-{place.other}-{place.metric}", place)
    bars = [
        Bar(*(None if row[name] is None else scale * row[name] for name in ("difference", "low", "high")))
        for row in each
    ]
    what = f"{place.model} minus {place.other}, {measure}"
    figure = figures.differences([row["pair"] for row in each], bars, what)
    text = (
        f"Verdict of {place.model} in the mean over {board.plural(len(each), 'pair')}: "
        f"{whole[0]['verdict']}. "
        "Plain bars: the 95 % interval leaves out 0; of hatched ones it does not, or there is none."
    )
    explained = [
        f"Verdict: of {place.model}; few cases: fewer than {FEWEST_PATIENTS} patients. Of many pairs one in "
        "twenty differs by chance.",
        "In brackets: the 95 % interval of the difference, from a paired bootstrap over patients.",
    ]
    if place.metric in DISTANCES:
        explained.append("Of distances the lower is the better.")
    table = Table(title, file, columns, [("", rows)])
    return Shown(table.heading() + said(escape(text)), figure, table.box() + notes(explained))


def _compared(row: Row, place: Place, scale: int, pairs: int) -> list[Value]:
    low, high = row["low"], row["high"]
    interval = "" if low is None else f"[{scale * low:+.2f}, {scale * high:+.2f}]"
    ends = ("" if end is None else f"{scale * end:.2f}" for end in (low, high))
    difference = f"{scale * row['difference']:+.2f}"
    name = (
        Value(f"Mean of {board.plural(pairs, 'pair')}", heads=True, exported=(ALL,))
        if row["pair"] == ALL
        else Value(row["pair"], heads=True, link=board.pair_link(place, row["pair"]))
    )
    return [
        name,
        *(Value(f"{scale * row[one]:.2f}") for one in ("first", "second")),
        Value(difference, interval, exported=(f"{scale * row['difference']:.2f}", *ends)),
        board.count(row["patients"]),
        Value(row["verdict"]),
    ]
