"""Figure 10: how DICE under the box prompt scatters within each modality."""

import numpy as np

from cosmos1050k import taxonomy
from leaderboard.analyses import drawing
from leaderboard.analyses.given import BOX, NO_BOX, Given, percent, plural, quartiles
from leaderboard.analyses.section import Section, table

_KEY, _TITLE = "figure_10", "Figure 10: DICE of each modality under the box prompt"
_NUMBERS = ("minimum", "q25", "median", "q75", "maximum")


def section(given: Given) -> Section:
    """Mean, deviation and quartiles of DICE per modality and model."""
    rows = []
    for model in given.models:
        scores = given.scores(model["name"], BOX)
        dice = scores["dice"].to_numpy()
        modalities = np.array([given.pairs[pair]["modality"] for pair in scores["pair"].to_pylist()])
        for modality in taxonomy.MODALITIES:
            own = dice[modalities == modality]
            if own.size:
                deviation = float(own.std(ddof=1)) if own.size > 1 else None
                found = {"model": model["name"], "modality": modality, "objects": own.size}
                rows.append({**found, "mean": float(own.mean()), "deviation": deviation, **quartiles(own)})
    if not rows:
        return Section(_KEY, _TITLE, "", missing=NO_BOX)
    names = list(dict.fromkeys(row["model"] for row in rows))
    shown, others = drawing.first(names)
    series = {}
    for name in shown:
        own_rows = [row for row in rows if row["model"] == name]
        series[given.titled(name)] = {
            "x": [row["modality"] for row in own_rows],
            **{number: [percent(row[number]) for row in own_rows] for number in _NUMBERS},
        }
    most = max(sum(row["objects"] for row in rows if row["model"] == name) for name in names)
    modalities_told = "modality" if len({row["modality"] for row in rows}) == 1 else "modalities"
    return Section(
        _KEY,
        _TITLE,
        f"DICE of {plural(len(names), 'model')} under {BOX} on up to {given.on(most)}, in "
        f"{len({row['modality'] for row in rows})} {modalities_told}: every object counts the same, of the "
        f"best of a model's masks (oracle); a box spans the middle half, its whiskers all.{others}",
        table(
            modality=("Modality", "text", [row["modality"] for row in rows]),
            model=("Model", "text", [given.titled(row["model"]) for row in rows]),
            objects=("Objects", "count", [row["objects"] for row in rows]),
            mean=("Mean DICE, %", ".2f", [percent(row["mean"]) for row in rows]),
            deviation=("Deviation", ".2f", [percent(row["deviation"]) for row in rows]),
            **{
                number: (heading, ".2f", [percent(row[number]) for row in rows])
                for number, heading in zip(_NUMBERS, ("Least", "25 %", "Median", "75 %", "Most"), strict=True)
            },
        ),
        drawing.boxes(series, "", "DICE, %"),
    )
