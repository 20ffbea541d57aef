"""Tables 2 and 3: DICE and Hausdorff distance of each pair, here and in the paper."""

from leaderboard.analyses import drawing
from leaderboard.analyses.given import REPORTED, Given, plural
from leaderboard.analyses.section import Section, table

_LACK = (
    "No model has scores of all rows of real sources: set `rows: all` under `evaluate` in params.yaml and "
    "run `make repro`; only a model that was trained on none of the sources may stand beside the paper's "
    "values."
)


def table_2(given: Given) -> Section:
    """DICE beside the paper's."""
    return _beside(given, "table_2", "Table 2: DICE of each pair, beside the paper's", "dice", "DICE, %", 100)


def table_3(given: Given) -> Section:
    """Hausdorff distances beside the paper's."""
    title = "Table 3: Hausdorff distance of each pair, beside the paper's"
    return _beside(given, "table_3", title, "hausdorff", "HD, px", 1)


def _beside(given: Given, key: str, title: str, metric: str, what: str, scale: int) -> Section:
    rows = given.reader.all_scores()
    if not rows:
        return Section(key, title, "", missing=_LACK)
    reported = {
        (row["pair"], row["strategy"], row["model"]): row
        for row in given.paper.to_pylist()
        if row["table"] in (2, 3) and row["metric"] == metric
    }

    def theirs(model: str) -> list[float | None]:
        found = (reported.get((row["pair"], row["strategy"], model)) for row in rows)
        return [None if one is None else one["value"] for one in found]

    ours = [round(scale * row[metric], 6) for row in rows]
    doubtful = [
        any(
            one["doubtful"]
            for model in REPORTED
            if (one := reported.get((row["pair"], row["strategy"], model)))
        )
        for row in rows
    ]
    series = {}
    for name in dict.fromkeys(row["model"] for row in rows):
        # A model of the paper stands beside itself, another one beside both.
        for model in [name] if name in REPORTED else REPORTED:
            points = [
                (f"{row['pair']}, {row['strategy']}", value, their)
                for row, value, their in zip(rows, ours, theirs(model), strict=True)
                if row["model"] == name and their is not None
            ]
            if points:
                series[f"{given.titled(name)} beside {REPORTED[model]}"] = points
    common = len(
        {row["pair"] for row in rows if any((row["pair"], row["strategy"], m) in reported for m in REPORTED)}
    )
    objects: dict[str, int] = {}
    for row in rows:
        objects[row["pair"]] = max(objects.get(row["pair"], 0), row["objects"])
    names = len({row["model"] for row in rows})
    return Section(
        key,
        title,
        f"{what.split(',')[0]} of {plural(names, 'model')} that were trained on none of the sources, of "
        f"{plural(sum(objects.values()), 'object')} in all rows of the real sources, "
        f"{plural(len(objects), 'pair')}, averaged flat over the objects of a pair and of the best masks "
        f"(oracle), as the authors do; {common} of the pairs are in the paper too, whose values are of its "
        "own selection of images.",
        table(
            pair=("Pair", "text", [row["pair"] for row in rows]),
            strategy=("Strategy", "text", [row["strategy"] for row in rows]),
            model=("Model", "text", [given.titled(row["model"]) for row in rows]),
            objects=("Objects", "count", [row["objects"] for row in rows]),
            ours=(f"{what} here", ".2f", ours),
            **{model: (heading, ".2f", theirs(model)) for model, heading in REPORTED.items()},
            digits=("Paper's digits", "text", ["restored from the scan" if one else "" for one in doubtful]),
        ),
        drawing.beside(series, what) if series else None,
    )
