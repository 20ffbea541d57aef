"""The verb of `cosmos` about finetuning; `cli` registers it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines import params, stage


def finetune(
    base: Annotated[str, typer.Option(help="The model to begin with, such as sam_vit_b or sam_nano.")],
    out: Annotated[Path, typer.Option(help="Where to put it; as data/models/NAME it can be scored.")],
    sources: Annotated[
        str | None, typer.Option(help="Built sources, such as drive,crag; default: those of params.yaml.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="The built sources below this folder instead, all if none is named.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Default 20.")] = None,
    box_jitter: Annotated[int | None, typer.Option(help="Move each side of a box by so many pixels.")] = None,
    points: Annotated[float | None, typer.Option(help="Share of batches prompted by points, 0 to 1.")] = None,
    lora_rank: Annotated[int | None, typer.Option(help="Of adapters on the encoder; needs peft.")] = None,
    embeddings_gb: Annotated[float | None, typer.Option(help="Encoded images to keep; default 20.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda; default auto.")] = None,
    seed: Annotated[int | None, typer.Option(help="Default 0.")] = None,
) -> None:
    """Finetune a SAM on the split train of built sources. A run that was killed goes on when called again."""
    from cosmos1050k import shards
    from leaderboard.training import finetune as room
    from leaderboard.training.options import FinetuneOptions
    from pipelines.finetune import describe

    given = {
        "sources": sources.split(",") if sources is not None else None, "epochs": epochs,
        "box_jitter": box_jitter, "points": points, "lora_rank": lora_rank,
        "embeddings_gb": embeddings_gb, "device": device, "seed": seed,
    }  # fmt: skip
    own: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    with stage.reported():
        options = params.options(FinetuneOptions, {"base": base, **own})
        listed = params.load().sources if data is None else shards.built(data)
        describe(room.finetune(out, options, data=data or shards.DATA, sources=listed), out)
