"""What is missing or wrong in a source's raw folder, and what to do: `cosmos doctor`. It changes nothing."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from tqdm import tqdm

from cosmos1050k import index, nearest, release, sources
from cosmos1050k.errors import BadFile, InputError
from cosmos1050k.fetch import kinds
from cosmos1050k.fetch.state import State, state
from cosmos1050k.fetch.sums import Ledger
from cosmos1050k.pairing import seeking
from cosmos1050k.source import Case, Source

#: So many lines of one kind are said in full; the rest is counted.
_SAID = 20


class Finding(NamedTuple):
    """One line: what is as it should be, what is worth knowing, what is wrong."""

    word: Literal["ok", "note", "wrong"]
    text: str


def examine(slug: str) -> Iterator[Finding]:
    """Looks at a source's raw folder, the folder first, then files, archives, cases and the index.

    Raises:
        InputError: there is no such source, or the package that ships it is missing.
    """
    source = sources.get(slug).SOURCE
    root = sources.raw_root(source)
    folder = _folder(source, root)
    yield folder
    if folder.word == "wrong":
        return
    try:
        states = _states(source, root)
    except InputError as error:
        states = []
        yield Finding("wrong", str(error))
    cases, unpaired, templates = _cases(source, root)
    names = {case.case for case in cases}
    complete = all(found.word == "right" for found in states)
    synthetic = any(name.rpartition("/")[2] == index.PHANTOM for name in release.files(root))
    short = source.labelled is not None and len(names) < source.labelled and not synthetic
    yield from _limited([_of(found, needed=short or not cases) for found in states])
    if source.package is None:
        yield from _limited([Finding("wrong", str(problem)) for problem in release.problems(root)])
    yield from _of_cases(source, cases, short, wrong=short and not complete)
    yield from _limited(_of_content(root, cases))
    yield from _limited([Finding("wrong", str(problem)) for problem in unpaired])
    if not cases:
        missed = dict.fromkeys(nearest.misses(list(release.files(root)), templates))
        yield from _limited([Finding("note", line) for line in missed])
    yield from _of_index(source, root)


def _folder(source: Source, root: Path) -> Finding:
    remedy = f"`cosmos fetch {source.slug}`, or `cosmos link {source.slug} FOLDER` if a release is at hand"
    if source.package is not None:
        return Finding("ok", f"{root}, of the package {source.package.partition('/')[0]}")
    if root.is_symlink() and not root.exists():
        return Finding("wrong", f"{root}: leads to {root.readlink()}, where nothing is; {remedy}")
    if root.exists() and not root.is_dir():
        return Finding("wrong", f"{root}: not a folder; move it elsewhere, then {remedy}")
    try:
        found = root.is_dir() and (release.files(root) or _states(source, root, "begun"))
    except OSError as error:
        return Finding("wrong", f"{error.filename}: can't be read ({error.strerror}); mend its permissions")
    if not found and not release.problems(root):
        what = "empty" if root.is_dir() else "missing"
        return Finding("wrong", f"{root}: {what}; {remedy}")
    return Finding("ok", f"{root}, a link to {root.readlink()}" if root.is_symlink() else str(root))


def _states(source: Source, root: Path, word: str = "") -> list[State]:
    """How the files to download stand; of the optional ones, those that are there."""
    ledger = Ledger(source.slug)
    found = [state(root, download, ledger) for download in source.downloads]
    found = [one for one in found if not one.download.optional or one.word in ("right", "wrong")]
    return [one for one in found if word in ("", one.word)]


def _of(found: State, needed: bool) -> Finding:
    """A missing file matters if cases are missing too: else somebody unpacked it under another name."""
    file = found.download.file
    if found.word == "wrong":
        return Finding("wrong", f"{file}: {found.detail}; remove it and fetch it again")
    if found.word in ("right", "unpacked"):
        return Finding("ok", f"{file}: {found.detail}")
    text = "only begun to be fetched, " + found.detail if found.word == "begun" else "missing"
    if needed:
        return Finding("wrong", f"{file}: {text}")
    return Finding("note", f"{file}: {text}, but no case is")


def _cases(source: Source, root: Path) -> tuple[list[Case], list[BadFile], list[str]]:
    """The cases, what is found that is none, and the templates that were looked for."""
    with seeking() as templates:
        cases, bad = sources.cases_of(sources.get(source.slug), root)
    return cases, bad, templates


def _of_cases(source: Source, cases: list[Case], short: bool, wrong: bool) -> Iterator[Finding]:
    if not cases:
        yield Finding("wrong", "no case is found")
        return
    names = {case.case for case in cases}
    counts = Counter(case.modality for case in cases)
    kinds = ", ".join(f"{counts[name]} {name}" for name in source.modalities if name in counts)
    text = f"{_count(len(names), 'case')} of {_count(len({c.patient for c in cases}), 'patient')} ({kinds})"
    if source.labelled is None:
        yield Finding("ok", f"{text}; how many the whole release has is not known")
    elif not short:
        yield Finding("ok", f"{text}; the whole release has {source.labelled}")
    else:
        text = f"{text}; the whole release has {source.labelled}, {source.labelled - len(names)} more"
        yield Finding("wrong" if wrong else "note", text)


def _of_content(root: Path, cases: list[Case]) -> list[Finding]:
    """The files of cases that by their first bytes can't be what their names say."""
    paths, wrong = release.files(root), []
    names = dict.fromkeys(name for case in cases for name in case.files if name in paths)
    for name in tqdm(names, desc="look into files", disable=None, leave=False):
        try:
            problem = kinds.problem(paths[name], name)
        except OSError as error:
            problem = f"can't be read ({error.strerror})"
        if problem:
            wrong.append(Finding("wrong", f"{name}: {problem}; fetch it again"))
    return wrong


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _of_index(source: Source, root: Path) -> Iterator[Finding]:
    remedy = f"run `cosmos index {source.slug}`"
    if not index.path_of(source.slug).exists():
        yield Finding("wrong" if source.package is None else "note", f"not indexed yet; {remedy}")
        return
    try:
        indexed = index.load(source.slug)
    except InputError as error:
        yield Finding("wrong", str(error))
        return
    changed = _changed(source, root, indexed)
    if changed:
        yield Finding("wrong", f"{index.path_of(source.slug)} is out of date: {changed}; {remedy}")
    else:
        phantom = ", a phantom: synthetic files" if indexed.phantom else ""
        yield Finding("ok", f"{index.path_of(source.slug)}: {_count(len(indexed.files), 'file')}{phantom}")


def _changed(source: Source, root: Path, indexed: index.RawIndex) -> str:
    """What changed since a source was indexed, told by names, sizes and times; empty if nothing did."""
    if source.package is None:
        files = release.files(root)
    else:
        named = [download.file for download in source.downloads]
        files = {name: root / name for name in named if (root / name).is_file()}
    seen = index.seen(source.slug)
    parts = []
    for names, what in (
        (sorted(files.keys() - indexed.sizes), "new"),
        (sorted(indexed.sizes.keys() - files), "gone"),
        ([name for name in files if name in indexed.sizes and _other(files[name], seen)], "changed"),
    ):
        if names:
            parts.append(f"{len(names)} {what}, such as {names[0]}")
    return ", ".join(parts)


def _other(path: Path, seen: dict[str, index.Look]) -> bool:
    """Whether a file is not as the index saw it."""
    path = path.resolve()
    status = path.stat()
    look = seen.get(str(path))
    return look is None or look[:2] != (status.st_size, status.st_mtime_ns)


def _limited(findings: list[Finding]) -> Iterator[Finding]:
    """The first of many lines, and how many more there are; what is wrong first."""
    findings = sorted(findings, key=lambda finding: finding.word != "wrong")
    yield from findings[:_SAID]
    if rest := findings[_SAID:]:
        wrong = sum(finding.word == "wrong" for finding in rest)
        more = f"and {len(rest)} more such lines"
        yield Finding("wrong", f"{more}, {wrong} of what is wrong") if wrong else Finding("ok", more)
