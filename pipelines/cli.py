"""`cosmos`: the pipeline's verbs for people without DVC. Stages and commands call the same functions."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cosmos1050k import index as raw_index
from cosmos1050k import sources as registry
from cosmos1050k.shards import DATA
from pipelines import (
    cli_board,
    cli_convert,
    cli_finetune,
    cli_latency,
    cli_robustness,
    cli_sources,
    cli_tolerance,
    cli_verify,
    cli_weights,
    params,
    stage,
)

app = typer.Typer(
    help="COSMOS 1050K: build the dataset, score models, read the board.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


for verb in (*cli_sources.VERBS, cli_weights.weights):
    app.command()(verb)
app.command()(cli_convert.convert)
app.command()(cli_finetune.finetune)
app.command()(cli_tolerance.tolerance)
app.command()(cli_latency.latency)
app.command()(cli_robustness.robustness)
app.command()(cli_verify.verify)
app.command()(cli_board.board)
app.command()(cli_board.compare)


@app.command()
def build(
    slug: Annotated[str, typer.Argument(help="A source; see `cosmos sources`.")],
    raw: Annotated[Path | None, typer.Option(help="Its raw files; default data/raw/SLUG.")] = None,
    out: Annotated[Path | None, typer.Option(help="Default cosmos1050k/data/SLUG.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default one per core.")] = None,
) -> None:
    """Build one source: raw files to Parquet shards. Finished cases are kept: a killed build goes on."""
    from cosmos1050k import build as room
    from pipelines.build import describe

    with stage.reported():
        given = params.load()
        target = out or DATA / slug
        manifest = room.build(
            slug,
            raw_index.scan(registry.get(slug).SOURCE, raw),
            target,
            raw=raw,
            options=given.section("build", room.BuildOptions),
            workers=workers or given.runtime.workers,
            case_timeout_s=given.runtime.build_case_timeout_s,
        )
        describe(manifest, target)


@app.command()
def evaluate(
    model: Annotated[str, typer.Option(help="A model of leaderboard/models or data/models.")],
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
        given = params.load()
        changes: dict[str, Any] = {"strategies": params.listed(strategies)} if strategies is not None else {}
        if device is not None:
            changes["device"] = device
        given = given.model_copy(update={"evaluate": given.evaluate | changes})
        describe(
            run(
                model,
                data or DATA,
                out or SCORES / model,
                sources=given.sources if data is None else built(data),
                protocol_version=given.protocol_version,
                options=given.section("evaluate", EvaluateOptions),
                board_rows=given.section("board_rows", BoardRows),
                workers=given.runtime.workers,
                image_timeout_s=given.runtime.evaluate_image_timeout_s,
                image_batch=given.runtime.image_batch,
                prompt_batch=given.runtime.prompt_batch,
            )
        )


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 7860,
    private: Annotated[
        bool, typer.Option("--private", help="Show pictures of sources that may not be passed on, too.")
    ] = False,
) -> None:
    """Start the app."""
    command = [sys.executable, "-m", "app", "--host", host, "--port", str(port)]
    command += ["--private"] if private else []
    raise typer.Exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    app()
