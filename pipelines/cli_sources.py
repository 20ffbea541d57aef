"""The verbs of `cosmos` about sources and their raw files; `cli` registers them."""

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosmos1050k import index as raw_index
from cosmos1050k import release
from cosmos1050k import sources as registry
from cosmos1050k.errors import InputError
from cosmos1050k.source import Source
from pipelines import params, stage

if TYPE_CHECKING:  # loads what downloads need
    from cosmos1050k.fetch import plan

Slug = Annotated[str, typer.Argument(help="A source; see `cosmos sources`.")]


def sources(
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    present: Annotated[bool, typer.Option("--present", help="Only those with raw files here.")] = False,
    write: Annotated[
        bool, typer.Option("--write", help="With --present: make them the list in params.yaml, indexed.")
    ] = False,
) -> None:
    """List the sources: what they are, what is here and what is built, beside the reference version."""
    from cosmos1050k.status import status
    from pipelines import sources_table

    with stage.reported():
        if write and not present:
            raise InputError("--write: only with --present")
        if write:
            params.load()  # what is wrong with it costs nothing yet
        rows = [status(slug) for slug in registry.slugs()]
        if present:
            rows = [row for row in rows if row.present]
        if as_json:
            print(json.dumps([row.model_dump(mode="json") for row in rows], indent=1))
        else:
            sources_table.show(rows)
        if write:
            _write([row.slug for row in rows])


def _write(slugs: list[str]) -> None:
    """Indexes the sources and makes those that give cases the list of params.yaml."""
    from cosmos1050k.status import usable

    chosen = []
    for slug in slugs:
        found = raw_index.write(slug)
        if usable(registry.get(slug).SOURCE):
            chosen.append(slug)
            _tell(f"{slug}: {_described(found)}")
        else:
            _tell(f"{slug}: left out, it has files but no case; `cosmos doctor {slug}` says why")
    real = [slug for slug in chosen if registry.get(slug).SOURCE.package is None]
    if real and len(real) < len(chosen):
        _tell("the sample is left out: it is no part of the dataset")
    params.write_sources(real or chosen)
    _tell(f"{params.PARAMS}: sources are {', '.join(real or chosen)}")


def _tell(line: str) -> None:
    """A remark, which is not what was asked for."""
    print(line, file=sys.stderr)


def index(slug: Slug) -> None:
    """Hash a source's raw files into data/raw/SLUG.json, on which its build depends."""
    with stage.reported():
        _index(slug)


def _index(slug: str) -> None:
    print(f"{slug}: {_described(raw_index.write(slug))}")


def _described(found: raw_index.RawIndex) -> str:
    phantom = ", a phantom: synthetic files" if found.phantom else ""
    unread = "".join(
        f"\n{name}: can't be read ({reason}); mend its permissions or remove it"
        for name, reason in found.unreadable.items()
    )
    size = sum(file.size for file in found.files)
    return f"{_count(len(found.files), 'file')}, {_count(size, 'byte')}{phantom}{unread}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + "s" * (number != 1)


def link(slug: Slug, folder: Annotated[Path, typer.Argument(help="Where its release lies.")]) -> None:
    """Use a release where it lies: make data/raw/SLUG a link to its folder, and index it."""
    from cosmos1050k.link import link as linked

    with stage.reported():
        target, before = linked(slug, folder)
        print(f"{registry.RAW / slug} leads to {target}" + (f"; it led to {before}" if before else ""))
        _index(slug)


def fetch(
    slug: Slug,
    more: Annotated[
        list[Path] | None, typer.Argument(help="Further files of --from.", metavar="FILE")
    ] = None,
    given: Annotated[
        list[Path] | None,
        typer.Option("--from", metavar="FILE…", help="Files that you downloaded: check them, place them."),
    ] = None,
    anew: Annotated[
        bool,
        typer.Option(
            "--anew",
            help="Forget what the files of --from, or else those not here, were when first fetched: the "
            "owner has published another version, or the first was wrong.",
        ),
    ] = False,
) -> None:
    """Fetch a source's raw files, or say how to get them by hand; go on where an earlier try ended."""
    from cosmos1050k.fetch import plan

    with stage.reported():
        if more and not given:
            raise InputError(f"{more[0]}: give the files that you downloaded after --from")
        source = registry.get(slug).SOURCE
        files = [*(given or ()), *(more or ())]
        events = plan.place(slug, files, anew) if files else plan.fetch(slug, anew=anew)
        print(f"{source.name}, {source.homepage}\nlicence: {source.licence}\nto cite: {source.citation}")
        counts, complete = Counter(map(_told, events)), True
        if counts["there"] + counts["fetched"] + counts["placed"]:
            _index(slug)
            for problem in release.problems(registry.RAW / slug):
                print(problem)
            complete = _counted(source)
        by_hand = counts["by hand"] or not (source.needed or given)
        if by_hand or (counts["failed"] and not given):
            _by_hand(source)
        if by_hand:
            raise InputError(f"{slug}: not all of it can be fetched; the steps above get the rest")
        if counts["failed"]:
            raise typer.Exit(1)
        if not complete:
            raise InputError(f"{slug}: no case is found in its files; `cosmos doctor {slug}` says why")


def _counted(source: Source) -> bool:
    """Prints how many cases a source's files give; returns whether any, or whether more files are to come."""
    root = registry.RAW / source.slug
    cases, _ = registry.cases_of(registry.get(source.slug), root)
    missing = [download.file for download in source.needed if not (root / download.file).exists()]
    more = f"; {_count(len(missing), 'file')} of it not here, such as {missing[0]}" if missing else ""
    print(f"{source.slug}: {_count(len({case.case for case in cases}), 'case')}{more}")
    return bool(cases or missing)


def _told(event: "plan.Event") -> str:
    """Prints what became of a file; returns it in a word."""
    if event.word == "failed":
        print(f"error: {event.file}: {event.detail}", file=sys.stderr)
    else:
        print(f"{event.file}: {event.word}" + (f", {event.detail}" if event.detail else ""))
    return event.word


def _by_hand(source: Source) -> None:
    steps = source.steps or f"Look for the files at {source.homepage}."
    print(f"\nBy hand: {steps}\nThen: cosmos fetch {source.slug} --from FILE…")


def doctor(slug: Slug) -> None:
    """Say what is missing or wrong in a source's raw folder, and what to do; exit status 1 if anything is."""
    from cosmos1050k.doctor import examine

    with stage.reported():
        wrong = False
        for finding in examine(slug):
            wrong |= finding.word == "wrong"
            print(f"{finding.word:<7}{finding.text}")
        if wrong:
            raise typer.Exit(1)


#: In the order in which `cosmos --help` lists them.
VERBS: tuple[Callable[..., None], ...] = (sources, fetch, doctor, index, link)
