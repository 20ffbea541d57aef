"""Figure 13: DICE under the box prompt against each attribute."""

import numpy as np

from leaderboard.analyses import drawing
from leaderboard.analyses.given import ATTRIBUTES, BOX, NO_BOX, Floats, Given, percent
from leaderboard.analyses.section import Section, table

_KEY, _TITLE = "figure_13", "Figure 13: DICE against the attributes"
#: Objects that the figure shows.
MOST = 2000
#: Bins of an attribute in the table.
BINS = 10


def section(given: Given) -> Section:
    """A scatter plot per attribute of the best model, and the mean DICE in ten bins of each."""
    scores = given.scores(given.first, BOX)
    if not scores.num_rows:
        return Section(_KEY, _TITLE, "", missing=NO_BOX)
    dice, attributes = scores["dice"].to_numpy(), given.attributes_of(scores)
    step = -(-dice.size // MOST)
    titles = [heading for _, heading in ATTRIBUTES.values()]
    figure = drawing.panels(2, 3, titles, height=640)
    rows = []
    for place, (name, (_, heading)) in enumerate(ATTRIBUTES.items()):
        values = attributes[name]
        figure.add_scattergl(
            x=np.round(values[::step], 3).tolist(),
            y=np.round(100 * dice[::step], 2).tolist(),
            mode="markers",
            marker={"color": drawing.COLOURS[0], "size": 5, "opacity": 0.7},
            hovertemplate=f"{heading} %{{x}}: %{{y:.2f}} %<extra></extra>",
            row=place // 3 + 1,
            col=place % 3 + 1,
        )
        for low, high, own in binned(values, dice):
            rows.append((heading, low, high, own.size, percent(float(own.mean()))))
    figure.update_layout(showlegend=False)
    figure.update_yaxes(range=[-3, 103])
    thinned = f"drawn is every {step}th object in the board's order" if step > 1 else "every object is drawn"
    columns = list(zip(*rows, strict=True))
    return Section(
        _KEY,
        _TITLE,
        f"DICE of {given.first_told}, on {given.on(dice.size)} against each attribute; "
        f"{thinned}, while the table's means, in up to {BINS} bins of about as many objects each, are of "
        "all.",
        table(
            attribute=("Attribute", "text", columns[0]),
            low=("From", ".3f", columns[1]),
            high=("To", ".3f", columns[2]),
            objects=("Objects", "count", columns[3]),
            dice=("Mean DICE, %", ".2f", columns[4]),
        ),
        figure,
    )


def binned(values: Floats, dice: Floats) -> list[tuple[float, float, Floats]]:
    """The least and the largest value and the DICE of each bin; equal values are in one bin, NaN in none."""
    known = ~np.isnan(values)
    values, dice = values[known], dice[known]
    if not values.size:
        return []
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1), method="inverted_cdf"))
    places = np.searchsorted(edges[1:], values, side="left")
    found = []
    for place in range(max(1, len(edges) - 1)):
        own = places == place
        found.append((float(values[own].min()), float(values[own].max()), dice[own]))
    return found
