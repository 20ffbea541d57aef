"""Figures 6, 7 and 8: DICE and Hausdorff distance per strategy, of all pairs and of each."""

from collections.abc import Sequence
from typing import Any

from leaderboard.analyses import drawing
from leaderboard.analyses.given import NO_PAIR, Given, percent, plural, scaled
from leaderboard.analyses.section import Section, table
from leaderboard.strategies import STRATEGIES

_FIGURE_6 = "Figure 6: means under each strategy"
_HOW = (
    "every object counts the same, as the paper's authors average, of the best of a model's masks (oracle); "
    "an empty mask counts as DICE 0 and, as theirs, as distance 0, but where all are empty there is no "
    "distance"
)


def figure_6(given: Given) -> Section:
    """Mean DICE and Hausdorff distance of each model under each strategy."""
    rows = given.means([])
    if not rows:
        return Section("figure_6", _FIGURE_6, "", missing=NO_PAIR)
    scored = {row["model"] for row in rows}
    names = [model["name"] for model in given.models if model["name"] in scored]
    rows.sort(key=lambda row: (names.index(row["model"]), row["strategy"]))
    shown, others = drawing.first(names)
    known = {(row["model"], row["strategy"]): row for row in rows}
    figure = drawing.panels(1, 2, ["DICE, %", "Hausdorff distance, px"], height=420)
    for place, model in enumerate(shown):
        for column, (metric, scale) in enumerate((("dice", 100), ("hausdorff", 1)), start=1):
            own = [known.get((model, strategy)) for strategy in given.strategies]
            figure.add_scatter(
                name=drawing.clean(given.titled(model)),
                x=given.strategies,
                y=[None if row is None else scaled(row[metric], scale) for row in own],
                mode="lines+markers",
                marker={"color": drawing.COLOURS[place], "symbol": drawing.SYMBOLS[place], "size": 9},
                legendgroup=model,
                showlegend=column == 1,
                hovertemplate="%{fullData.name}<br>%{x}: %{y:,.2f}<extra></extra>",
                row=1,
                col=column,
            )
    figure.update_xaxes(type="category", showgrid=False)
    figure.update_yaxes(rangemode="tozero")
    most = max(row["objects"] for row in rows)
    lacking = len(given.models) - len(names)
    without = f" (left out for want of one: {plural(lacking, 'model')})" if lacking else ""
    return Section(
        "figure_6",
        _FIGURE_6,
        f"Mean DICE and Hausdorff distance of {plural(len(names), 'model')} under each strategy on up to "
        f"{given.on(most)}, in pairs that the model has wholly{without}: {_HOW}. The paper's means are of "
        f"other images; tables 2 and 3 hold what may stand beside them.{others}",
        table(
            model=("Model", "text", [given.titled(row["model"]) for row in rows]),
            strategy=("Strategy", "text", [_titled(row["strategy"]) for row in rows]),
            pairs=("Pairs", "count", [row["pairs"] for row in rows]),
            objects=("Objects", "count", [row["objects"] for row in rows]),
            dice=("DICE, %", ".2f", [percent(row["dice"]) for row in rows]),
            hausdorff=("HD, px", ".2f", [scaled(row["hausdorff"], 1) for row in rows]),
            empties=("Empty masks", "count", [row["empties"] for row in rows]),
        ),
        figure,
    )


def figure_7(given: Given) -> Section:
    """Mean DICE per pair and strategy."""
    return _per_pair(given, "figure_7", "Figure 7: DICE of each pair", "dice", "DICE, %", 100)


def figure_8(given: Given) -> Section:
    """Mean Hausdorff distance per pair and strategy."""
    title = "Figure 8: Hausdorff distance of each pair"
    return _per_pair(given, "figure_8", title, "hausdorff", "Hausdorff distance, px", 1)


def _per_pair(given: Given, key: str, title: str, metric: str, across: str, scale: int) -> Section:
    rows = given.means(["pair"])
    if not rows:
        return Section(key, title, "", missing=NO_PAIR)
    known = {(row["model"], row["pair"], row["strategy"]): row for row in rows}
    names, pairs = [model["name"] for model in given.models], list(given.pairs)

    def values(model: str, strategy: str) -> list[float | None]:
        own = (known.get((model, pair, strategy)) for pair in pairs)
        return [None if row is None else scaled(row[metric], scale) for row in own]

    series = {_titled(strategy): values(given.first, strategy) for strategy in given.strategies}
    columns: dict[str, tuple[str, str, Sequence[Any]]] = {
        "pair": ("Pair", "text", [given.named(pair) for pair in pairs for _ in names]),
        "model": ("Model", "text", [given.titled(name) for name in names] * len(pairs)),
    }
    for strategy in given.strategies:
        by_model = [values(model, strategy) for model in names]
        flat = [own[place] for place in range(len(pairs)) for own in by_model]
        columns[strategy] = (strategy, ".2f", flat)
    most = sum(max((row["objects"] for row in rows if row["pair"] == pair), default=0) for pair in pairs)
    return Section(
        key,
        title,
        f"Mean {across.split(',')[0]} of {plural(len(pairs), 'pair')} under each strategy on up to "
        f"{given.on(most)}: {_HOW}. The figure is of {given.first_told}; the table of all models.",
        table(**columns),
        drawing.dots([given.named(pair) for pair in pairs], series, across),
    )


def _titled(strategy: str) -> str:
    return f"{strategy} · {STRATEGIES[strategy].title}"
