"""`cosmos version`: what is here, to say it in a report or to come back to it later."""

import json
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from cosmos1050k.errors import InputError
from cosmos1050k.shards import DATA, built, dataset_version, load_manifest
from pipelines import params, stage


def version(
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one object.")] = False,
) -> None:
    """Say which dataset, sources, protocol, program and board are here, one fact a line."""
    with stage.reported():
        facts = found()
        if as_json:
            print(json.dumps(facts, indent=1))
            return
        for line in _lines(facts):
            print(line)


def found() -> dict[str, Any]:
    """The facts; None where there is none.

    Returns:
        `dataset` (the version of the sources that params.yaml lists, None unless all are built), `sources`
        (each that is listed or built: its `version`, whether it is a `phantom`, is `listed`, and how many
        cases and slices are `excluded`), `protocol`, `package`, `git` (`commit` and whether the folder
        `differs` from it, or the `problem`), `board` (its `id`, `dataset` and `protocol`, or the `problem`).

    Raises:
        InputError: `params.yaml` or a built source can't be read.
    """
    given = params.load()
    here = set(built(DATA))
    sources: dict[str, dict[str, Any]] = {}
    for slug in [*given.sources, *sorted(here - set(given.sources))]:
        manifest = load_manifest(DATA / slug) if slug in here else None
        sources[slug] = {
            "version": manifest.version if manifest else None,
            "phantom": bool(manifest and manifest.phantom),
            "listed": slug in given.sources,
            "excluded": len(manifest.excluded) if manifest else 0,
        }
    listed = {slug: sources[slug]["version"] for slug in given.sources}
    return {
        "dataset": dataset_version(listed) if all(listed.values()) else None,
        "sources": sources,
        "protocol": given.protocol_version,
        "package": metadata.version("cosmos1050k"),
        "git": _git(),
        "board": _board(),
    }


def _git() -> dict[str, Any]:
    try:
        if Path(_answer("rev-parse", "--show-toplevel")).resolve() != Path.cwd().resolve():
            raise InputError("this folder is no clone, but lies in another project's")
        commit = _answer("rev-parse", "--verify", "HEAD")
        changed = _answer("status", "--porcelain")
    except InputError as error:
        return {"commit": None, "differs": None, "problem": str(error)}
    return {"commit": commit, "differs": bool(changed), "problem": None}


def _answer(*arguments: str) -> str:
    """What git says of this folder.

    Raises:
        InputError: there is no git, or it knows no commit here.
    """
    command = ["git", "--no-optional-locks", *arguments]  # asks only: whoever works here keeps the lock
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise InputError(f"git can't be run ({error.strerror})") from None
    if done.returncode:
        problem = (done.stderr.splitlines() or [f"exit status {done.returncode}"])[0]
        raise InputError(problem.removeprefix("fatal: "))
    return done.stdout.strip()


def _board() -> dict[str, Any]:
    from leaderboard.store.publish import CURRENT, STATE, opened

    names = ("id", "dataset", "protocol", "problem")
    try:
        with opened(STATE / "boards" / CURRENT) as board:
            asked = "select build_id, dataset_version, protocol_version, null from boards"
            return dict(zip(names, board.execute(asked).fetchall()[0], strict=True))
    except InputError as error:
        return {**dict.fromkeys(names), "problem": str(error)}


def _lines(facts: dict[str, Any]) -> list[str]:
    missing = [slug for slug, one in facts["sources"].items() if one["listed"] and not one["version"]]
    none = f"none: not built is {', '.join(missing)}; run `make repro`"
    lines = [f"dataset {facts['dataset'] or none}"]
    for slug, one in facts["sources"].items():
        notes = [
            *(["a phantom"] if one["phantom"] else []),
            *([f"{one['excluded']} excluded"] if one["excluded"] else []),
            *([] if one["listed"] else [f"not listed in {params.PARAMS}"]),
        ]
        lines.append(f"source {slug} {'; '.join([one['version'] or 'not built', *notes])}")
    git, board = facts["git"], facts["board"]
    commit = f"{git['commit']}; the folder {'differs from' if git['differs'] else 'equals'} it"
    another = facts["dataset"] not in (None, board["dataset"])
    shown = (
        f"{board['id']} of {'another dataset, ' if another else 'dataset '}{board['dataset']}, protocol "
        f"{board['protocol']}"
    )
    return [
        *lines,
        f"protocol {facts['protocol']}",
        f"package {facts['package']}",
        f"commit {commit if git['commit'] else 'none: ' + git['problem']}",
        f"board {shown if board['id'] else 'none: ' + board['problem']}",
    ]
