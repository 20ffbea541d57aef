"""The verb of `cosmos` about models' weights; `cli` registers it."""

from pathlib import Path
from typing import Annotated

import typer

from cosmos1050k.errors import InputError
from pipelines import stage


def weights(
    model: Annotated[
        str | None, typer.Argument(help="An owner's model: sam_vit_b, sam_vit_l, sam_vit_h or medsam.")
    ] = None,
    given: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Take this file instead of downloading.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="With --from: what to call weights of your own.")] = None,
    architecture: Annotated[
        str | None, typer.Option(help="With --name: vit_b, vit_l or vit_h; of a mask decoder, its base's.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the downloaded file beside it.")] = False,
) -> None:
    """Fetch a model's weights, or take your own: checked, and converted into data/weights."""
    from leaderboard import weights as room

    with stage.reported():
        if name is None and architecture is not None:
            raise InputError("--architecture: only with --name, for weights of your own")
        if name is not None:
            if model is not None or given is None or architecture is None or keep:
                form = "cosmos weights --from FILE --name NAME --architecture vit_b"
                raise InputError(f"--name: for weights of your own; run `{form}`")
            done = room.adopt(given, name, architecture)
            print(f"{room.path(name)}: {done}")
            return
        if model is None:
            raise InputError(
                f"give a model: {', '.join(room.OFFICIAL)}; or --from, --name and --architecture"
            )
        done = room.fetch(model, given, keep=keep)
        owner = room.OFFICIAL[model]
        print(f"{room.path(model)}: {done}\nlicence: {owner.licence}\nto cite: {owner.citation}")
