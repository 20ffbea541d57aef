"""`cosmos`: the pipeline's verbs for people without DVC. Stages and commands call the same functions."""

import json
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cosmos1050k import index as raw_index
from cosmos1050k import sources as registry
from cosmos1050k.errors import InputError
from cosmos1050k.shards import DATA, load_manifest
from cosmos1050k.source import Source
from pipelines import params, stage

app = typer.Typer(
    help="COSMOS 1050K: build the dataset, score models, read the board.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class ExportFormat(StrEnum):
    csv = "csv"
    parquet = "parquet"
    json = "json"


@app.command()
def sources(as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False) -> None:
    """List the sources: modalities, licence, what is present and what is built."""
    with stage.reported():
        rows = [_source(slug) for slug in registry.slugs()]
        if as_json:
            print(json.dumps(rows, indent=1))
            return
        for row in rows:
            built = "not built"
            if row["version"]:
                phantom = ", a phantom: synthetic files" if row["phantom"] else ""
                built = f"{row['images']} images, version {row['version'][:12]}{phantom}"
            print(f"{row['slug']:<24} {row['name']}")
            print(
                f"{'':<24} {', '.join(row['modalities'])}; access: {row['access']}; licence: {row['licence']}"
            )
            state = "present" if row["present"] else "missing"
            print(f"{'':<24} raw files: {state}; {row['problem'] or built}")


def _source(slug: str) -> dict[str, Any]:
    declared = registry.get(slug).SOURCE
    try:
        present = _present(declared)
    except (InputError, PermissionError):
        present = False
    manifest, problem = None, ""
    if (DATA / slug).is_dir():
        try:
            manifest = load_manifest(DATA / slug)
        except InputError as error:
            problem = str(error)
    return {
        "slug": slug,
        "name": declared.name,
        "homepage": declared.homepage,
        "licence": declared.licence,
        "redistributable": declared.redistributable,
        "access": declared.access,
        "modalities": list(declared.modalities),
        "pairs": list(declared.pairs),
        "present": present,
        "images": manifest.rows if manifest else 0,
        "version": manifest.version if manifest else "",
        "phantom": bool(manifest and manifest.phantom),
        "problem": problem,
    }


def _present(source: Source) -> bool:
    """Whether the files of a package are all there, or any of a raw folder, as archives or unpacked."""
    root = registry.raw_root(source)
    if source.package is not None:
        return all((root / download.file).is_file() for download in source.downloads)
    return root.is_dir() and any(not path.name.startswith(".") for path in root.iterdir())


@app.command()
def index(slug: Annotated[str, typer.Argument(help="A source; see `cosmos sources`.")]) -> None:
    """Hash a source's raw files into data/raw/SLUG.json, on which its build depends."""
    with stage.reported():
        _index(slug)


def _index(slug: str) -> None:
    found = raw_index.write(slug)
    phantom = ", a phantom: synthetic files" if found.phantom else ""
    print(f"{slug}: {len(found.files)} files, {sum(file.size for file in found.files)} bytes{phantom}")
    for name, reason in found.unreadable.items():
        print(f"{name}: can't be read ({reason}); mend its permissions or remove it")


@app.command()
def link(
    slug: Annotated[str, typer.Argument(help="A source; see `cosmos sources`.")],
    folder: Annotated[Path, typer.Argument(help="Where its release lies.")],
) -> None:
    """Use a release where it lies: make data/raw/SLUG a link to its folder, and index it."""
    from cosmos1050k.link import link as linked

    with stage.reported():
        target, before = linked(slug, folder)
        print(f"{registry.RAW / slug} leads to {target}" + (f"; it led to {before}" if before else ""))
        _index(slug)


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
    model: Annotated[str, typer.Option(help="A model of leaderboard/models.")],
    data: Annotated[
        Path | None, typer.Option(help="Score all built sources below this folder instead.")
    ] = None,
    strategies: Annotated[str | None, typer.Option(help="Such as S1,S5; default: params.yaml's.")] = None,
    out: Annotated[Path | None, typer.Option(help="Default leaderboard/scores/MODEL.")] = None,
) -> None:
    """Score one model on the sources of params.yaml. Finished cases are kept."""
    from cosmos1050k.shards import built
    from leaderboard.evaluate import SCORES, BoardRows, EvaluateOptions
    from leaderboard.evaluate import evaluate as run
    from pipelines.evaluate import describe

    with stage.reported():
        given = params.load()
        if strategies is not None:
            given = given.model_copy(
                update={"evaluate": given.evaluate | {"strategies": _listed(strategies)}}
            )
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
                case_timeout_s=given.runtime.evaluate_case_timeout_s,
            )
        )


def _listed(strategies: str) -> list[str]:
    from leaderboard.strategies import STRATEGIES

    names = strategies.split(",")
    for name in names:
        if name not in STRATEGIES:
            raise InputError(f"--strategies: unknown {name!r}; known are {', '.join(STRATEGIES)}")
    return names


@app.command()
def board(
    export: Annotated[
        ExportFormat | None, typer.Option(help="Write every model, pair and strategy to standard output.")
    ] = None,
) -> None:
    """Show the published board, or export it."""
    from leaderboard.store.read import BoardReader
    from pipelines import terminal

    with stage.reported():
        reader = BoardReader()
        if export is None:
            terminal.show(reader)
        else:
            sys.stdout.buffer.write(terminal.exported(reader, export))


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 7860,
) -> None:
    """Start the app."""
    command = [sys.executable, "-m", "app", "--host", host, "--port", str(port)]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    app()
