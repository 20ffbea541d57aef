"""The verb of `cosmos` that looks for twins; `cli` registers it."""

from pathlib import Path
from typing import Annotated

import typer

from cosmos1050k.shards import DATA
from pipelines import params, stage


def duplicates(
    sources: Annotated[
        list[str] | None, typer.Argument(help="Built sources; default: those of params.yaml.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Where the built sources lie.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of what was found; default data/duplicates.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default one per core.")] = None,
) -> None:
    """Look for patients who are there twice, by content; print the lines missing from groups.csv."""
    from pipelines import duplicates as room

    with stage.reported():
        given = params.load()
        room.run(sources or given.sources, data or DATA, out or room.OUT, workers or given.runtime.workers)
