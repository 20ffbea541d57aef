"""Figure 14: the Fourier order of objects in ten levels of DICE under the box prompt."""

import numpy as np
from numpy.typing import NDArray

from leaderboard.analyses import drawing
from leaderboard.analyses.given import BOX, NO_BOX, Floats, Given, plural, quartiles
from leaderboard.analyses.section import Section, table

_KEY, _TITLE = "figure_14", "Figure 14: Fourier order in ten levels of DICE"
LEVELS = 10
_NAMES = [f"({10 * level}, {10 * level + 10}]" for level in range(LEVELS)]
_NOTHING = f"No object has a DICE above 0 under {BOX}."
_NUMBERS = ("minimum", "q25", "median", "q75", "maximum")


def section(given: Given) -> Section:
    """Quartiles of the Fourier order per level and model."""
    rows, without, nothing, most = [], 0, 0, 0
    for model in given.models:
        scores = given.scores(model["name"], BOX)
        dice, orders = scores["dice"].to_numpy(), given.attributes_of(scores)["fourier_order"]
        known = ~np.isnan(orders)
        levels = levels_of(dice)
        without, nothing = max(without, int((~known).sum())), max(nothing, int((known & (levels < 0)).sum()))
        most = max(most, int((known & (levels >= 0)).sum()))
        for level in range(LEVELS):
            own = orders[known & (levels == level)]
            if own.size:
                row = {
                    "model": model["name"],
                    "level": _NAMES[level],
                    "objects": own.size,
                }
                rows.append({**row, **quartiles(own)})
    if not rows:
        return Section(_KEY, _TITLE, "", missing=_NOTHING if nothing else NO_BOX)
    names = list(dict.fromkeys(row["model"] for row in rows))
    shown, others = drawing.first(names)
    series = {}
    for name in shown:
        own_rows = [row for row in rows if row["model"] == name]
        series[given.titled(name)] = {
            "x": [row["level"] for row in own_rows],
            **{number: [row[number] for row in own_rows] for number in _NUMBERS},
        }
    figure = drawing.boxes(series, f"DICE under {BOX}, %", "Fourier order")
    figure.update_xaxes(categoryorder="array", categoryarray=_NAMES, range=[-0.5, LEVELS - 0.5])
    left = f"; up to {plural(nothing, 'object')} of DICE 0, which is in no level, left out" if nothing else ""
    left += f"; {plural(without, 'object')} without an order left out" if without else ""
    return Section(
        _KEY,
        _TITLE,
        f"The Fourier order of up to {given.on(most)} in the paper's ten levels of their DICE under {BOX}, "
        f"{plural(len(names), 'model')}{left}: the higher the order, the more complex the outline; in the "
        f"paper DICE falls as it rises.{others}",
        table(
            model=("Model", "text", [given.titled(row["model"]) for row in rows]),
            level=("DICE, %", "text", [row["level"] for row in rows]),
            objects=("Objects", "count", [row["objects"] for row in rows]),
            **{
                number: (heading, ".2f", [row[number] for row in rows])
                for number, heading in zip(_NUMBERS, ("Least", "25 %", "Median", "75 %", "Most"), strict=True)
            },
        ),
        figure,
    )


def levels_of(dice: Floats) -> NDArray[np.int64]:
    """The level of each DICE, as in the paper: 0…9 for (0, 10 %], …, (90 %, 100 %]; −1 of DICE 0."""
    bounds = (np.arange(LEVELS) / LEVELS).astype(dice.dtype)
    return np.searchsorted(bounds, dice, side="left") - 1
