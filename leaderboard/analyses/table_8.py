"""Table 8: how much DICE is lost when prompts are shifted."""

from leaderboard.analyses import drawing
from leaderboard.analyses.given import Given, percent, plural
from leaderboard.analyses.section import Section, table
from leaderboard.robustness import ROBUSTNESS, SEEDS, Robustness, read

_KEY, _TITLE = "table_8", "Table 8: what shifted prompts cost"


def section(given: Given) -> Section:
    """Drop of DICE per range of shifts, strategy and model."""
    # The board, which holds the largest shifts alone, may be older than the record, and the other way round.
    shifted = {model for (model, _), row in given.reader.measured().items() if row["drop"] is not None}
    found = given.studied(read, ROBUSTNESS.name, shifted)
    if not found:
        lack = (
            "No model's prompts were shifted on this board's sources and its device; run "
            f"`cosmos robustness {given.example}`, then `make repro`."
        )
        return Section(_KEY, _TITLE, "", missing=lack)
    reported = {
        (row["detail"], row["strategy"]): row["value"] for row in given.reported(8) if row["run"] == "mean"
    }
    rows = [
        (
            reach,
            strategy,
            one.model,
            one.objects,
            percent(drop.mean),
            percent(drop.spread),
            reported.get((reach, strategy)),
        )
        for one in found
        for reach, drops in one.drops.items()
        for strategy, drop in drops.items()
    ]
    rows.sort(key=lambda row: row[:2])
    names = list(dict.fromkeys(f"{row[1]}, {row[0]} px" for row in rows))
    known = {(row[2], f"{row[1]}, {row[0]} px"): row[4] for row in rows}
    shown, others = drawing.first(found, beside=1)
    series = {given.titled(one.model): [known.get((one.model, name)) for name in names] for one in shown}
    beside = "none of the paper's beside synthetic images"
    if reported:
        beside = (
            "here every point moves, the paper may have moved the centre alone, and it doesn't name its model"
        )
        series["Paper"] = [
            reported.get((name.split(", ")[1].removesuffix(" px"), name.split(", ")[0])) for name in names
        ]
    columns = list(zip(*rows, strict=True))
    return Section(
        _KEY,
        _TITLE,
        f"DICE lost by {plural(len(found), 'model')} when every prompt is shifted by so many pixels, "
        f"percentage points, the mean of {len(SEEDS)} draws on the same {_objects(found)}, each counting the "
        f"same; {beside}.{others}",
        table(
            reach=("Shift, px", "text", columns[0]),
            strategy=("Strategy", "text", columns[1]),
            model=("Model", "text", [given.titled(name) for name in columns[2]]),
            objects=("Objects", "count", columns[3]),
            drop=("Drop of DICE", ".2f", columns[4]),
            spread=("Deviation", ".2f", columns[5]),
            paper=("Paper", ".2f", columns[6]),
        ),
        drawing.dots(names, series, "drop of DICE, percentage points"),
    )


def _objects(found: list[Robustness]) -> str:
    least, most = min(one.objects for one in found), max(one.objects for one in found)
    return plural(most, "object") if least == most else f"{least:,} to {plural(most, 'object')}"
