"""`cosmos evaluate`: a model's scores, or those of a file of weights."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosmos1050k.errors import InputError
from cosmos1050k.shards import DATA
from pipelines import params, stage

if TYPE_CHECKING:
    from leaderboard.evaluate import RunManifest


def evaluate(
    model: Annotated[str | None, typer.Option(help="A model; params.yaml says where they are.")] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Instead, a safetensors file; it is checked and scored as a submission is."),
    ] = None,
    architecture: Annotated[
        str | None, typer.Option(help="With --weights: vit_b, vit_l, vit_h, medsam or nano.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="With --weights: what to call it; default the file's name.")
    ] = None,
    preprocessing: Annotated[
        str | None, typer.Option(help="With --weights: sam or medsam; default the architecture's.")
    ] = None,
    candidates: Annotated[
        int | None, typer.Option(help="With --weights: masks per prompt, 3 or 1; default by preprocessing.")
    ] = None,
    made_for: Annotated[
        str | None, typer.Option(help="With --weights: the prompts it was made for, such as S5,S6.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Score all built sources below this folder instead.")
    ] = None,
    strategies: Annotated[str | None, typer.Option(help="Such as S1,S5; default: params.yaml's.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda; default: params.yaml's.")] = None,
    out: Annotated[Path | None, typer.Option(help="Default leaderboard/scores/MODEL.")] = None,
) -> None:
    """Score one model on the sources of params.yaml. Finished cases are kept."""
    from cosmos1050k.shards import built
    from leaderboard.evaluate import SCORES, BoardRows, EvaluateOptions
    from leaderboard.evaluate import evaluate as run
    from pipelines.evaluate import describe

    with stage.reported():
        said = {
            "preprocessing": preprocessing, "candidates": candidates,
            "made_for": made_for.split(",") if made_for is not None else None,
        }  # fmt: skip
        own: dict[str, Any] = {key: value for key, value in said.items() if value is not None}
        if own and weights is None:
            raise InputError(f"--{next(iter(own)).replace('_', '-')}: only with --weights")
        called = _called(model, weights, architecture, name)
        given = params.load()
        changes: dict[str, Any] = {"strategies": params.listed(strategies)} if strategies is not None else {}
        if device is not None:
            changes["device"] = device
        given = given.model_copy(update={"evaluate": given.evaluate | changes})
        sources = given.sources if data is None else built(data)
        more: dict[str, Any] = {
            "protocol_version": given.protocol_version,
            "options": given.section("evaluate", EvaluateOptions),
            "board_rows": given.section("board_rows", BoardRows),
            "workers": given.runtime.workers,
            "image_timeout_s": given.runtime.evaluate_image_timeout_s,
            "image_batch": given.runtime.image_batch,
            "prompt_batch": given.runtime.prompt_batch,
        }
        folder, target = data or DATA, out or SCORES / called
        if weights is None:
            describe(run(called, folder, target, sources=sources, cluster=given.runtime.cluster, **more))
        else:
            own |= {"name": called, "architecture": architecture, "licence": "none", "contact": "none"}
            describe(_own(weights, own, folder, target, sources, more))


def _called(model: str | None, weights: Path | None, architecture: str | None, name: str | None) -> str:
    """The name of what is scored.

    Raises:
        InputError: it is not said, or not well.
    """
    from leaderboard.finetuned import is_name

    if weights is None:
        if model is None or architecture is not None or name is not None:
            raise InputError("give --model MODEL, or --weights FILE and --architecture vit_b")
        return model
    if model is not None or architecture is None:
        raise InputError("--weights: needs --architecture and no --model; see `cosmos evaluate --help`")
    called = name if name is not None else weights.stem.lower()
    if not is_name(called):
        form = "small letters, digits, _ and -"
        raise InputError(f"--name: {called!r} can't be a model's name; give one of {form}")
    return called


def _own(
    file: Path,
    said: dict[str, Any],
    data: Path,
    out: Path,
    sources: Sequence[str],
    more: dict[str, Any],
) -> "RunManifest":
    """Scores a file of weights."""
    from cosmos1050k.shards import load_manifest
    from leaderboard.submissions.declared import parsed
    from leaderboard.submissions.own import evaluate as run

    if not sources:
        raise InputError(f"{data}: no built source; build one with `cosmos build SLUG`")
    versions = {slug: load_manifest(data / slug).version for slug in sources}
    return run(file, parsed(json.dumps(said)), data, out, sources=versions, **more)
