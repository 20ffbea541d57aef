"""`cosmos clean`: finished work that no stage would use again goes."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from cosmos1050k import disk, index
from cosmos1050k.shards import DATA, built
from cosmos1050k.units import Units
from pipelines import params, stage


def clean(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; delete nothing.")] = False,
) -> None:
    """Delete from data/units what no stage of params.yaml would use: of older sources, models, versions."""
    from pipelines import repro

    with stage.reported(), repro.alone():
        given = params.load()
        # All is known before anything goes: a stage that can't say what it uses keeps everything.
        used = {"build": _build(given), "attributes": _attributes(given), "evaluate": _evaluate(given)}
        used |= {"studies": _studies(given), "duplicates": _duplicates()}
        word = "would free" if dry_run else "freed"
        for name, keys in used.items():
            unused = list(Units(name).besides(keys))
            size = sum(map(_size, unused))
            if not dry_run:
                for folder in unused:
                    with disk.writing(folder):
                        shutil.rmtree(folder)
            units = f"{len(unused)} unit{'' if len(unused) == 1 else 's'}"
            print(f"{name}: {word} {size / 1e6:,.3f} MB, {units}; {len(keys)} in use")


def _build(given: params.Params) -> set[str]:
    """Of the sources whose raw files are here; those of others can't be used."""
    from cosmos1050k import build
    from pipelines import repro

    here = [slug for slug in given.sources if not repro.is_pulled(slug)]
    return {key for slug in here for key in build.keys(slug, index.load(slug))}


def _attributes(given: params.Params) -> set[str]:
    from cosmos1050k import attributes

    return {key for slug in given.sources for key in attributes.keys(slug, DATA)}


def _duplicates() -> set[str]:
    """Twins are looked for in all that is built, whether params.yaml lists it or not."""
    from cosmos1050k import prints

    return {key for slug in built(DATA) for key in prints.keys(slug, DATA)}


def _evaluate(given: params.Params) -> set[str]:
    from leaderboard import evaluate

    options = given.section("evaluate", evaluate.EvaluateOptions)
    board_rows = given.section("board_rows", evaluate.BoardRows)
    return {
        key
        for model in given.models
        for key in evaluate.keys(
            model,
            DATA,
            sources=given.sources,
            protocol_version=given.protocol_version,
            options=options,
            board_rows=board_rows,
            elsewhere=given.runtime.cluster is not None,
        )
    }


def _studies(given: params.Params) -> set[str]:
    from leaderboard.studies.every import STUDIES
    from leaderboard.studies.options import StudyOptions
    from pipelines.machine import machine_here

    options = given.section("studies", StudyOptions)
    return {
        key
        for model in given.models
        for study in STUDIES
        for key in study.keys(model, DATA, given.sources, options, machine_here(model, given))
    }


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
