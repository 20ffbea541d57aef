"""The verb of `cosmos` about click models; `cli` registers it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cosmos1050k.errors import InputError
from pipelines import stage
from pipelines.cli_weights import trained_on_of


def add_click_model(
    file: Annotated[
        Path, typer.Argument(help="An ONNX graph of image, mask and clicks; see docs/click_models.md.")
    ],
    name: Annotated[str, typer.Option(help="What to call it, such as simpleclick.")],
    side: Annotated[
        int | None, typer.Option(help="Pixels a side to stretch pictures to, if the graph takes every size.")
    ] = None,
    mean: Annotated[
        str | None, typer.Option(help="Of red, green, blue in 0 to 1; default: the graph normalises itself.")
    ] = None,
    deviation: Annotated[str | None, typer.Option(help="And what to divide by, such as 0.2,0.2,0.2.")] = None,
    description: Annotated[str | None, typer.Option(help="A line about it.")] = None,
    trained_on: Annotated[
        str | None,
        typer.Option(help="What it saw of sources, none, train, all or unknown: camus=train,acdc=all."),
    ] = None,
    trained_on_others: Annotated[
        str, typer.Option(help="Of all other sources, none, all or unknown; default unknown.")
    ] = "unknown",
) -> None:
    """Make a model in data/click_models of a click model exported to ONNX; it is tried on this machine."""
    from leaderboard import click_models

    with stage.reported():
        own = {
            "mean": _three("mean", mean),
            "deviation": _three("deviation", deviation),
            "description": description,
        }
        more: dict[str, Any] = {key: value for key, value in own.items() if value is not None}
        more["trained_on"] = trained_on_of(trained_on, trained_on_others)
        print(f"{click_models.CLICK_MODELS / name}: {click_models.add(file, name, side, **more)}")
        print(f"To score it: `cosmos evaluate --model {name}`, or {name} under `models` in params.yaml")


def _three(option: str, given: str | None) -> tuple[float, ...] | None:
    """An option such as `0.485,0.456,0.406`.

    Raises:
        InputError: it is something else.
    """
    if given is None:
        return None
    try:
        red, green, blue = map(float, given.split(","))
    except ValueError:
        raise InputError(f"--{option}: {given!r} is not three numbers such as 0.5,0.5,0.5") from None
    return red, green, blue
