"""`cosmos`: the pipeline's verbs for people without DVC. Stages and commands call the same functions."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from cosmos1050k import index as raw_index
from cosmos1050k import sources as registry
from cosmos1050k.shards import DATA
from pipelines import (
    cli_annotation,
    cli_board,
    cli_clean,
    cli_click_models,
    cli_convert,
    cli_duplicates,
    cli_evaluate,
    cli_finetune,
    cli_latency,
    cli_publish,
    cli_queue,
    cli_robustness,
    cli_sources,
    cli_submissions,
    cli_tolerance,
    cli_verify,
    cli_version,
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
app.command()(cli_click_models.add_click_model)
app.command()(cli_finetune.finetune)
app.command()(cli_tolerance.tolerance)
app.command()(cli_latency.latency)
app.command()(cli_robustness.robustness)
app.command()(cli_annotation.export_annotation)
app.command()(cli_annotation.import_annotation)
app.command()(cli_verify.verify)
app.command()(cli_board.board)
app.command()(cli_board.compare)
app.command()(cli_duplicates.duplicates)
app.command()(cli_publish.publish)
app.command()(cli_clean.clean)
app.command()(cli_version.version)
app.command()(cli_submissions.submit)
app.command()(cli_submissions.worker)
app.command()(cli_queue.backup)
app.command()(cli_queue.restore)
app.add_typer(cli_queue.token, name="token")
app.add_typer(cli_queue.submissions, name="submissions")


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
            cluster=given.runtime.cluster,
        )
        describe(manifest, target)


app.command()(cli_evaluate.evaluate)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False
)
def serve(context: typer.Context) -> None:
    """Start the app, with the options that `cosmos serve --help` lists."""
    command = [sys.executable, "-m", "app", *context.args]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    app()
