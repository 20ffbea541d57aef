"""The verb of `cosmos` that measures how long a model takes; `cli` registers it."""

from typing import Annotated

import typer

from pipelines import params, stage


def latency(
    model: Annotated[str, typer.Option(help="A model; see `cosmos evaluate`.")],
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda; default: params.yaml's.")] = None,
    everything: Annotated[bool, typer.Option("--everything", help="S1 too, which takes long.")] = False,
) -> None:
    """Measure the milliseconds of a model's encoder, and of each kind of prompt."""
    from pipelines.latency import run

    with stage.reported():
        given = params.load()
        if device is not None:
            given = given.model_copy(update={"evaluate": given.evaluate | {"device": device}})
        run(model, given, everything=everything)
