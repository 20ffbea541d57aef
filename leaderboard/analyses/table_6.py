"""Table 6: with which attribute of an object DICE goes along, the other four held."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from leaderboard.analyses import drawing
from leaderboard.analyses.given import ATTRIBUTES, BOX, NO_PAIR, REPORTED, Floats, Given, plural
from leaderboard.analyses.section import Section, table
from leaderboard.statistics.correlation import spearman_partial

_KEY, _TITLE = "table_6", "Table 6: which attribute DICE goes along with"


def section(given: Given) -> Section:
    """Spearman's partial correlation of DICE with each attribute, per strategy and model."""
    reported = {(row["detail"], row["strategy"], row["model"]): row["value"] for row in given.reported(6)}
    rows = []
    for model in given.models:
        for strategy in given.strategies:
            scores = given.scores(model["name"], strategy)
            if scores.num_rows:
                found = correlations(scores["dice"].to_numpy(), given.attributes_of(scores))
                rows += [
                    {"attribute": name, "strategy": strategy, "model": model["name"], **own}
                    for name, own in found.items()
                ]
    if not rows:
        return Section(_KEY, _TITLE, "", missing=NO_PAIR)
    order = list(ATTRIBUTES)
    rows.sort(key=lambda row: (order.index(row["attribute"]), row["strategy"]))  # stable: the models' order
    names = list(dict.fromkeys(row["model"] for row in rows))
    boxed = {(row["model"], row["attribute"]): row["r"] for row in rows if row["strategy"] == BOX}
    headings = [ATTRIBUTES[name][1] for name in order]
    shown, others = drawing.first(names, beside=len(REPORTED))
    series = {given.titled(model): [boxed.get((model, name)) for name in order] for model in shown}
    if reported:
        for their, heading in REPORTED.items():
            series[heading] = [reported[name, BOX, their] for name in order]
    most = max(row["objects"] for row in rows)
    lone = [
        ATTRIBUTES[name][1]
        for name in order
        if all(row["r"] is None for row in rows if row["attribute"] == name)
    ]
    none = f"; none where an attribute does not vary ({', '.join(lone)})" if lone else ""
    beside = (
        "the paper's are of 191,779 objects of its own"
        if reported
        else "none of the paper's beside synthetic images"
    )
    return Section(
        _KEY,
        _TITLE,
        "Spearman's partial correlation of DICE with each of five attributes, the other four held, of "
        f"{plural(len(names), 'model')} on up to {given.on(most)}, whole rows alone, every object counting "
        f"the same; {beside}{none}. Objects of one patient are no independent draws, so p is too small. The "
        f"figure is of {BOX}.{others}",
        table(
            attribute=("Attribute", "text", [ATTRIBUTES[row["attribute"]][1] for row in rows]),
            strategy=("Strategy", "text", [row["strategy"] for row in rows]),
            model=("Model", "text", [given.titled(row["model"]) for row in rows]),
            objects=("Objects", "count", [row["objects"] for row in rows]),
            r=("Correlation", ".3f", [row["r"] for row in rows]),
            p=("p", ".1e", [row["p"] for row in rows]),
            **{
                model: (
                    heading,
                    ".3f",
                    [reported.get((row["attribute"], row["strategy"], model)) for row in rows],
                )
                for model, heading in REPORTED.items()
            },
        ),
        drawing.dots(headings, series, f"partial correlation with DICE under {BOX}"),
    )


def correlations(dice: Floats, attributes: Mapping[str, Floats]) -> dict[str, dict[str, Any]]:
    """Attribute → `r`, `p`, which are None where the attribute does not vary, and of how many `objects`."""
    columns = pa.table({"dice": dice, **attributes})
    found = {}
    for name in attributes:
        held = [other for other in attributes if other != name]
        r, p, objects = spearman_partial(columns, "dice", name, held)
        # Digits beyond these are left to no machine.
        rounded = None if r is None else round(r, 9), None if p is None else float(f"{p:.6g}")
        found[name] = {"r": rounded[0], "p": rounded[1], "objects": objects}
    return found
