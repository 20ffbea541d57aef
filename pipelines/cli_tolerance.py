"""The verb of `cosmos` that measures what numerics change; `cli` registers it."""

from pathlib import Path
from typing import Annotated

import typer

from cosmos1050k.shards import DATA
from pipelines import params, stage


def tolerance(
    model: Annotated[str, typer.Option(help="A model; see `cosmos evaluate`.")],
    images: Annotated[int, typer.Option(min=1, help="Test images to score.")] = 8,
    strategies: Annotated[str | None, typer.Option(help="Such as S2,S5; default: params.yaml's.")] = None,
    data: Annotated[Path | None, typer.Option(help="Where the built sources of params.yaml lie.")] = None,
) -> None:
    """Measure what batch sizes, threads, data types and devices change of a model's DICE."""
    from leaderboard import tolerance as room
    from leaderboard.evaluate import EvaluateOptions

    with stage.reported():
        given = params.load()
        asked = params.listed(strategies) if strategies is not None else None
        wanted = asked or given.section("evaluate", EvaluateOptions).strategies
        found = room.measure(model, data or DATA, given.sources, wanted, images)
        out = room.TOLERANCES / f"{model}.json"
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(found.model_dump_json(indent=1) + "\n")
        print(f"{model}: {found.scores} scores on {found.images} images, against cpu, float32, one by one")
        print(f"{'largest difference of DICE':>60}  {'an object':>10} {'a pair':>10} {'changed':>8}")
        for run in found.runs:
            apart = "" if run.pairs < room.SHARED_BELOW else "  not on one board"
            print(f"{run.name:>60}  {run.objects:>10.2e} {run.pairs:>10.2e} {run.changed:>8.1%}{apart}")
        print(out)
