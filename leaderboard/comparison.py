"""Two models of the published board, pair by pair (protocol, section 5)."""

from typing import Any

from cosmos1050k.errors import InputError
from leaderboard import statistics
from leaderboard.selection import SELECTIONS
from leaderboard.store.facts import METRICS
from leaderboard.store.read import BoardReader


def compare(
    reader: BoardReader, models: tuple[str, str], strategy: str, selection: str, metric: str
) -> list[dict[str, Any]]:
    """The rows of `statistics.compare`, on the board's own draws of patients.

    Raises:
        InputError: a model, strategy, selection or metric is not on the board, or the two have no pair in
            common under the strategy.
    """
    board = reader.board()
    for what, value, known in (
        ("model", models[0], [model["name"] for model in reader.models()]),
        ("model", models[1], [model["name"] for model in reader.models()]),
        ("strategy", strategy, sorted(reader.strategies())),
        ("selection", selection, list(SELECTIONS)),
        ("metric", metric, list(METRICS)),
    ):
        if value not in known:
            raise InputError(f"the board has no {what} {value!r}; it has {', '.join(known)}")
    scores = reader.scores(models, strategy, selection)
    if scores[metric].null_count and metric == "dice":
        raise InputError(f"{strategy} has the selection oracle alone; leave --selection out")
    found = statistics.compare(
        scores,
        metric,
        models,
        patients=reader.patients(),
        seed=board["seed"],
        draws=board["bootstrap_draws"],
    ).to_pylist()
    if not found:
        raise InputError(f"{models[0]} and {models[1]} have no pair in common under {strategy}")
    return found
