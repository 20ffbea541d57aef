"""The verb of `cosmos` about models' weights; `cli` registers it."""

from pathlib import Path
from typing import Annotated, Any

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
    keep: Annotated[bool, typer.Option("--keep", help="Keep the downloaded file beside it.")] = False,
    name: Annotated[str | None, typer.Option(help="With --from: what to call a model of your own.")] = None,
    architecture: Annotated[
        str | None, typer.Option(help="With --name: of a whole model: vit_b, vit_l or vit_h.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="With --name: of a mask decoder, the model that it stands on.")
    ] = None,
    preprocessing: Annotated[
        str | None, typer.Option(help="With --name: sam or medsam; default: its base's, or sam.")
    ] = None,
    candidates: Annotated[
        int | None, typer.Option(help="With --name: masks per prompt, 3 or 1; default: its base's, or 3.")
    ] = None,
    made_for: Annotated[
        str | None, typer.Option(help="With --name: strategies that it was trained for, such as S5,S6.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="With --name: a line about it.")] = None,
) -> None:
    """Fetch a model's weights into data/weights, or make a model of your own in data/models."""
    from leaderboard import finetuned
    from leaderboard import weights as room

    own = {
        "architecture": architecture, "base": base, "preprocessing": preprocessing,
        "candidates": candidates, "made_for": made_for.split(",") if made_for is not None else None,
        "description": description,
    }  # fmt: skip
    given_own: dict[str, Any] = {key: value for key, value in own.items() if value is not None}
    with stage.reported():
        if name is not None:
            if model is not None or given is None or keep or (architecture is None) == (base is None):
                form = "cosmos weights --from FILE --name NAME --architecture vit_b"
                raise InputError(f"--name: for weights of your own; run `{form}`, or with --base sam_vit_b")
            print(f"{finetuned.MODELS / name}: {finetuned.adopt(given, name, **given_own)}")
            return
        if given_own:
            raise InputError(
                f"--{next(iter(given_own)).replace('_', '-')}: only with --name, of your own model"
            )
        if model is None:
            raise InputError(f"give a model: {', '.join(room.OFFICIAL)}; or --from FILE and --name")
        done = room.fetch(model, given, keep=keep)
        owner = room.OFFICIAL[model]
        print(f"{room.path(model)}: {done}\nlicence: {owner.licence}\nto cite: {owner.citation}")
