"""Table 4: how long a model takes for one image with one target."""

from leaderboard.analyses import drawing
from leaderboard.analyses.given import REPORTED, Given, plural
from leaderboard.analyses.section import Section, table
from leaderboard.latency import ROUNDS, SIDE
from leaderboard.strategies import STRATEGIES

_KEY, _TITLE = "table_4", "Table 4: inference time"
_EMBEDDING = "Encoder"


def section(given: Given) -> Section:
    """Seconds of the encoder, and of prompt encoder and mask decoder under each strategy."""
    timed = {model["name"]: model for model in given.models if model["encoder_ms"] is not None}
    if not timed:
        lack = f"No model was timed; run `cosmos latency --model {given.example}`, then `make repro`."
        return Section(_KEY, _TITLE, "", missing=lack)
    measured = given.reader.measured()
    reported = {
        (row["model"], row["strategy"] or _EMBEDDING): row["value"]
        for row in given.paper.to_pylist()
        if row["table"] == 4
    }
    rows = []
    for part in (_EMBEDDING, *STRATEGIES):
        for name, model in timed.items():
            taken = (
                model["encoder_ms"] if part == _EMBEDDING else measured.get((name, part), {}).get("prompt_ms")
            )
            if taken is not None:
                rows.append((part, name, taken / 1000, model["timed_on"]))
    parts = [_EMBEDDING, *STRATEGIES]
    known = {(name, part): seconds for part, name, seconds, _ in rows}
    shown, others = drawing.first(list(timed), beside=len(REPORTED))
    series = {given.titled(name): [known.get((name, part)) for part in parts] for name in shown}
    for their, heading in REPORTED.items():
        series[heading] = [reported[their, part] for part in parts]
    figure = drawing.dots(parts, series, "seconds (logarithmic)")
    figure.update_xaxes(type="log")
    columns = list(zip(*rows, strict=True))
    return Section(
        _KEY,
        _TITLE,
        f"Seconds for an image of {SIDE}×{SIDE} pixels with one target, {plural(len(timed), 'model')}, the "
        f"median of {ROUNDS} or more warm rounds on the machine named; the paper's are of one GTX 3090, and "
        f"times of different machines can't be compared.{others}",
        table(
            part=("Part", "text", columns[0]),
            model=("Model", "text", [given.titled(name) for name in columns[1]]),
            seconds=("Seconds", ".3g", columns[2]),
            machine=("Timed on", "text", columns[3]),
            **{
                model: (heading, ".3g", [reported[model, part] for part in columns[0]])
                for model, heading in REPORTED.items()
            },
        ),
        figure,
    )
