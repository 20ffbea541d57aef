"""Figure 16: DICE after each click, where the next click goes to where the mask is most wrong."""

import plotly.graph_objects as go

from leaderboard.analyses import drawing
from leaderboard.analyses.given import Given, failed, percent, plural
from leaderboard.analyses.section import Section, table
from leaderboard.studies.interactive import INTERACTIVE, REACHED, Course, read

_KEY, _TITLE = "figure_16", "Figure 16: DICE after each click"
#: Clicks whose DICE the table has, besides the last.
_AFTER = (1, 3, 5, 10)
_ALL = "All"


def section(given: Given) -> Section:
    """Mean DICE after 1, 2, … clicks per model, and clicks until a mask is good, over all and per pair."""
    every = given.studied(read, INTERACTIVE.name)
    found = [(one, overall) for one in every if (overall := one.overall) is not None]
    failures = failed(every)
    if not found:
        lack = "No model of the board that takes points was clicked at; run `make repro`."
        return Section(_KEY, _TITLE, "", missing=failures.strip() or lack)
    pairs = list(dict.fromkeys(pair for one, _ in found for pair in one.pairs))
    rows: list[tuple[str, str, Course]] = [(_ALL, one.model, overall) for one, overall in found]
    rows += [
        (given.named(pair), one.model, one.pairs[pair])
        for pair in pairs
        for one, _ in found
        if pair in one.pairs
    ]
    courses = [course for *_, course in rows]
    most = max(len(overall.dice) for _, overall in found)
    shown, others = drawing.first(found)
    curves = [_curve(given.titled(one.model), overall, place) for place, (one, overall) in enumerate(shown)]
    after = [count for count in _AFTER if count < most] + [most]
    return Section(
        _KEY,
        _TITLE,
        f"DICE of {plural(len(found), 'model')} after each of {plural(most, 'click')} on up to "
        f"{plural(max(overall.objects for _, overall in found), 'object')} on "
        f"{plural(max(one.images for one, _ in found), 'test image')}, as many of each pair, of all its "
        "cases; every object counts the same, the mask is the one that the model rates highest, and an "
        "object that never reaches a share of the intersection over union counts with all clicks. A pixel "
        "may be clicked at again, and nothing is averaged over flips, unlike with the methods' owners. The "
        f"paper shows ten organs in a plot alone, so its values can't stand beside these.{others}{failures}",
        table(
            pair=("Pair", "text", [pair for pair, *_ in rows]),
            model=("Model", "text", [given.titled(name) for _, name, _ in rows]),
            objects=("Objects", "count", [course.objects for course in courses]),
            **{
                f"dice_{count}": (
                    f"DICE, %, after {plural(count, 'click')}",
                    ".2f",
                    [percent(own.dice[count - 1]) if count <= len(own.dice) else None for own in courses],
                )
                for count in after
            },
            **{
                f"clicks_{share}": (f"Clicks to {share} %", ".2f", [own.clicks[share] for own in courses])
                for share in REACHED
            },
            **{
                f"unreached_{share}": (
                    f"Never at {share} %",
                    "count",
                    [own.unreached[share] for own in courses],
                )
                for share in REACHED
            },
        ),
        drawing.figure(curves, "clicks", "DICE, %"),
    )


def _curve(name: str, overall: Course, place: int) -> go.Scatter:
    return go.Scatter(
        name=drawing.clean(name),
        x=list(range(1, len(overall.dice) + 1)),
        y=[percent(value) for value in overall.dice],
        mode="lines+markers",
        line={"color": drawing.COLOURS[place], "width": 1.5},
        marker={"symbol": drawing.SYMBOLS[place], "size": 7},
        hovertemplate="%{fullData.name}, %{x} clicks: %{y:.2f}<extra></extra>",
    )
