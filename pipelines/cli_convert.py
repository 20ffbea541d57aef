"""The verb of `cosmos` that converts a checkpoint; `cli` registers it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipelines import stage


def convert(
    file: Annotated[Path, typer.Argument(help="A checkpoint, as torch saves it or as safetensors.")],
    new: Annotated[Path, typer.Argument(help="The safetensors file to write.")],
    architecture: Annotated[
        str | None, typer.Option(help="vit_b, vit_l, vit_h or nano; default: told from its tensors.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="If it holds a mask decoder alone: the model that it stands on.")
    ] = None,
) -> None:
    """Convert a checkpoint to safetensors of a whole model; a process apart reads it, tensors only."""
    from leaderboard import convert as room
    from leaderboard.weights import Refused, sha256

    with stage.reported():
        try:
            made, own = room.convert(file, new, architecture, base)
        except Refused as error:
            for line in error.lines:
                print(line, file=sys.stderr)
            raise
        print(f"{new}: {made.architecture}, sha256 {sha256(new)}")
        how = f"--name NAME --architecture {made.architecture}"
        if own is not None:  # the result is run as its base is
            how += f" --preprocessing {own.preprocessing} --candidates {own.candidates}"
        print(f"To score it: `cosmos weights --from {new} {how}`, then `cosmos evaluate --model NAME`")
