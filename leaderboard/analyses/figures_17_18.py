"""Figures 17 and 18: what finetuning changed, against the attributes and of each pair."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from leaderboard.analyses import drawing
from leaderboard.analyses.figure_13 import binned
from leaderboard.analyses.given import ATTRIBUTES, BOX, Floats, Given, percent, plural
from leaderboard.analyses.section import Section, table

_LACK = (
    "No finetuned model is on the board together with the model it was finetuned from; `cosmos finetune` "
    "makes one, and both must stand under `models` in params.yaml."
)
#: The paper's gain in DICE, percentage points, and how many of its 45 objects gained.
_PAPER = {"sam_vit_b": ("ViT-B", 4.39, 32), "sam_vit_h": ("ViT-H", 6.68, 37)}
_OBJECTS = 45


@dataclass(frozen=True)
class _Tuned:
    """A finetuned model and its base on the objects that both have scores of."""

    name: str
    base: str
    pairs: list[str]
    before: Floats
    after: Floats
    attributes: dict[str, Floats]


def figure_17(given: Given) -> Section:
    """DICE before and after in bins of each attribute."""
    key, title = "figure_17", "Figure 17: finetuning against the attributes"
    every = _tuned(given)
    if not every:
        return Section(key, title, "", missing=_LACK)
    rows = []
    for one in every:
        for name, (_, heading) in ATTRIBUTES.items():
            both = np.stack([one.before, one.after], axis=1)
            for low, high, own in binned(one.attributes[name], both):
                before, after = (percent(float(own[:, place].mean())) for place in (0, 1))
                rows.append((given.titled(one.name), heading, low, high, len(own), before, after))
    figure = drawing.panels(2, 3, [heading for _, heading in ATTRIBUTES.values()], height=640)
    for place, (_, heading) in enumerate(ATTRIBUTES.values()):
        own_rows = [row for row in rows if row[:2] == (given.titled(every[0].name), heading)]
        for column, name in ((5, every[0].base), (6, every[0].name)):
            figure.add_scatter(
                name=drawing.clean(given.titled(name)),
                x=[(row[2] + row[3]) / 2 for row in own_rows],
                y=[row[column] for row in own_rows],
                mode="lines+markers",
                marker={
                    "color": drawing.COLOURS[column - 5],
                    "symbol": drawing.SYMBOLS[column - 5],
                    "size": 8,
                },
                legendgroup=name,
                showlegend=place == 0,
                row=place // 3 + 1,
                col=place % 3 + 1,
            )
    columns = list(zip(*rows, strict=True))
    return Section(
        key,
        title,
        f"Mean DICE under {BOX} before and after finetuning, in up to ten bins of each attribute, on "
        f"{given.on(len(every[0].before))}, each counting the same (oracle); the figure is of "
        f"{given.titled(every[0].name)}. A finetuned model may know these sources from its training.",
        table(
            model=("Model", "text", columns[0]),
            attribute=("Attribute", "text", columns[1]),
            low=("From", ".3f", columns[2]),
            high=("To", ".3f", columns[3]),
            objects=("Objects", "count", columns[4]),
            before=("DICE before, %", ".2f", columns[5]),
            after=("DICE after, %", ".2f", columns[6]),
        ),
        figure,
    )


def figure_18(given: Given) -> Section:
    """DICE before and after of each pair."""
    key, title = "figure_18", "Figure 18: what finetuning changed in each pair"
    every = _tuned(given)
    if not every:
        return Section(key, title, "", missing=_LACK)
    rows = []
    for one in every:
        pairs = np.array(one.pairs)
        for pair in dict.fromkeys(one.pairs):
            own = pairs == pair
            before, after = (float(values[own].mean()) for values in (one.before, one.after))
            found = given.named(pair), given.titled(one.name), given.titled(one.base), int(own.sum())
            rows.append((*found, percent(before), percent(after), percent(after - before)))
    names = list(dict.fromkeys(row[0] for row in rows))
    known = {(row[1], row[0]): row[6] for row in rows}
    shown, others = drawing.first([given.titled(one.name) for one in every])
    series = {name: [known.get((name, pair)) for pair in names] for name in shown}
    columns = list(zip(*rows, strict=True))
    return Section(
        key,
        title,
        f"DICE under {BOX} after finetuning minus before, each object of a pair counting the same (oracle): "
        f"{'; '.join(_gain(given, one, rows) for one in every)}. A finetuned model may know these sources "
        f"from its training.{others}",
        table(
            pair=("Pair", "text", columns[0]),
            model=("Model", "text", columns[1]),
            base=("Finetuned from", "text", columns[2]),
            objects=("Objects", "count", columns[3]),
            before=("DICE before, %", ".2f", columns[4]),
            after=("DICE after, %", ".2f", columns[5]),
            change=("Change", "+.2f", columns[6]),
        ),
        drawing.dots(names, series, "DICE after minus before, percentage points"),
    )


def _gain(given: Given, one: _Tuned, rows: Sequence[Sequence[Any]]) -> str:
    changes = [row[6] for row in rows if row[1] == given.titled(one.name)]
    better = sum(change > 0 for change in changes)
    mean = sum(changes) / len(changes)
    name, over = given.titled(one.name), plural(len(changes), "pair")
    told = f"{name} {mean:+.2f} on average over {over}, {better} of them better"
    if one.base in _PAPER and not given.board["phantoms"]:
        name, gain, gained = _PAPER[one.base]
        told += f" (the paper's {name}: {gain:+.2f}, {gained} of {_OBJECTS} objects better)"
    return told


def _tuned(given: Given) -> list[_Tuned]:
    names = {model["name"] for model in given.models}
    found = []
    for model in given.models:
        if model["base"] in names and model["base"] != model["name"]:
            after, before = (given.scores(name, BOX) for name in (model["name"], model["base"]))
            ids, ours, theirs = np.intersect1d(
                after["object_id"].to_numpy(), before["object_id"].to_numpy(), return_indices=True
            )
            if ids.size:
                both = after.take(ours)
                found.append(
                    _Tuned(
                        model["name"],
                        model["base"],
                        both["pair"].to_pylist(),
                        before["dice"].to_numpy()[theirs],
                        both["dice"].to_numpy(),
                        given.attributes_of(both),
                    )
                )
    return found
