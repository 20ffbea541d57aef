"""The verbs of `cosmos` for a study of people who annotate; `cli` registers them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosmos1050k.shards import DATA
from pipelines import params, stage

if TYPE_CHECKING:
    from leaderboard.annotation.result import Annotation


def export_annotation(
    model: Annotated[str, typer.Argument(help="A model on the board, whose masks are to be adjusted.")],
    out: Annotated[Path, typer.Option(help="A new folder; its name is the study's.")],
    images: Annotated[int, typer.Option(min=1, help="At most so many, of average DICE.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw; another one draws others.")] = 0,
    data: Annotated[Path | None, typer.Option(help="Where the built sources lie.")] = None,
) -> None:
    """Write images and a model's masks for a study of people who annotate (the paper's table 7)."""
    from leaderboard.annotation.export import export
    from leaderboard.store.read import BoardReader
    from pipelines.machine import machine_here

    with stage.reported():
        given = params.load()
        machine = machine_here(model, given)
        study = export(model, out, BoardReader(), data or DATA, machine, images=images, seed=seed)
        pairs = {entry.pair for image in study.images for entry in image.objects}
        things = {entry.object for image in study.images for entry in image.objects}
        modalities = {image.image_id.split("/")[2] for image in study.images}
        print(
            f"{out}: images {len(study.images)}, masks {study.objects}, objects {len(things)}, "
            f"modalities {len(modalities)}, pairs {len(pairs)}; the paper's 100, 620, 55, 9"
        )
        if len(study.images) < images:
            print(f"no more images are within {100 * study.band:g} points of their pairs' mean DICE")
        if study.phantoms:
            print(f"synthetic images, no study of any worth: {', '.join(study.phantoms)}")
        if study.closed:
            print(f"not to be passed on: images of {', '.join(study.closed)}")
        print(f"how to run the study: {out / 'README.md'}")


def import_annotation(
    folder: Annotated[Path, typer.Argument(help="Of `cosmos export-annotation`, with masks and times.")],
    data: Annotated[Path | None, typer.Option(help="Where the built sources lie.")] = None,
) -> None:
    """Check and measure what people drew and corrected in a study's folder, for table 7 of `make repro`."""
    from leaderboard.annotation import importing, result

    with stage.reported():
        try:
            found = importing.read(folder, data or DATA)
        except importing.Unfit as error:
            for problem in error.problems[1:]:
                print(f"{error.folder}: {problem}", file=sys.stderr)
            raise
        path = result.write(found)
        _describe(found)
        print(path)


def _describe(found: "Annotation") -> None:
    """Prints a table of people and tasks."""
    from leaderboard.annotation.folder import TASKS

    print(f"{found.study}: images {found.images}, objects {found.objects}; clicks that a mask still needs")
    print(f"{'':44}{'per object':>12}{'per image':>12}{'minutes':>10}")
    own = found.presegmented
    print(f"{f'{found.model} alone':44}{own.per_object:12.2f}{own.per_image:12.2f}{'–':>10}")
    for name, tasks in found.annotators.items():
        for task, heading in TASKS.items():
            if task in tasks:
                work = tasks[task]
                clicks = f"{work.effort.per_object:12.2f}{work.effort.per_image:12.2f}"
                print(f"{f'{name}, {heading}':44}{clicks}{work.minutes:10.2f}")
