"""The verb of `cosmos` that scores a part of a run again; `cli` registers it."""

from pathlib import Path
from typing import Annotated

import typer

from cosmos1050k.shards import DATA
from pipelines import params, stage


def verify(
    model: Annotated[str, typer.Argument(help="A model that was scored.")],
    share: Annotated[float, typer.Option(help="Of its score rows, above 0 and up to 1.")] = 0.01,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the draw; default: by chance.")] = None,
    scores: Annotated[Path | None, typer.Option(help="Default leaderboard/scores/MODEL.")] = None,
    data: Annotated[Path | None, typer.Option(help="Where the built sources lie.")] = None,
) -> None:
    """Score a random share of a model's rows again; exit status 1 if a DICE is too far from its run's."""
    from leaderboard import verify as room
    from leaderboard.evaluate import SCORES, EvaluateOptions

    with stage.reported():
        given = params.load()
        found = room.verify(
            model,
            data or DATA,
            scores or SCORES / model,
            protocol_version=given.protocol_version,
            share=share,
            seed=seed,
            options=given.section("evaluate", EvaluateOptions),
            image_batch=given.runtime.image_batch,
            prompt_batch=given.runtime.prompt_batch,
        )
        here = f"{found.device}, {found.numerics}, seed {found.seed}"
        print(f"{model}: rows scored again {found.rows} of {found.of_rows}, images {found.images}; {here}")
        verdict = "held" if found.held else "not held"
        allowed = f"{found.tolerance:.2e} ({found.tolerance_from})"
        print(f"largest difference of DICE {found.largest:.2e}, tolerance {allowed}: {verdict}")
        others = ", ".join(f"{name} {gap:.2e}" for name, gap in found.others.items())
        print(f"rows of another status: {found.changed}; other differences: {others}")
        if found.worst:
            print(f"furthest off: {found.worst}")
        print(room.write(found))
    if not found.held:
        raise typer.Exit(1)
