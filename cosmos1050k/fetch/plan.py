"""The two ways into `data/raw/<slug>`: fetched, or placed from what a user downloaded."""

import errno
import fcntl
import filecmp
import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from cosmos1050k import locks, pairing, release, sources
from cosmos1050k.archives import stem
from cosmos1050k.errors import BadFile, InputError
from cosmos1050k.fetch import kinds
from cosmos1050k.fetch.download import Downloader, Patience
from cosmos1050k.fetch.state import STAGING, part_of, state
from cosmos1050k.fetch.sums import Ledger
from cosmos1050k.source import Download, Source

#: Makes a file share another's blocks until one of them changes (Linux: btrfs, XFS).
_FICLONE = 0x40049409


class Event(NamedTuple):
    """What became of one file; of `by hand` and `failed` the detail is what is to be done."""

    file: str
    word: Literal["there", "fetched", "placed", "by hand", "failed"]
    detail: str


def fetch(slug: str, patience: Patience | None = None, anew: bool = False) -> Iterator[Event]:
    """Fetches the files of a source that aren't there yet; one that fails keeps no other from being fetched.

    Args:
        anew: forget what those that aren't there were when they were first fetched.

    Raises:
        InputError: nothing can be fetched into its folder.
    """
    source = _wanted(slug)
    with _folder(source) as (root, ledger):
        _refuse_unpacked(source, root, ledger)
        for download in source.needed:
            if anew and not (root / download.file).exists():
                ledger.forget(download)
            found = state(root, download, ledger)
            if found.word in ("right", "unpacked"):
                if found.word == "right":
                    ledger.record(download, root / download.file)
                yield Event(download.file, "there", found.detail)
            elif found.word == "wrong":
                yield Event(download.file, "failed", f"{found.detail}; remove it and fetch again")
            elif download.url is None:
                yield Event(download.file, "by hand", "")
            else:
                try:
                    yield _fetch(download, download.url, root, ledger, patience)
                except InputError as error:
                    yield Event(download.file, "failed", str(error).removeprefix(f"{download.file}: "))


def place(slug: str, files: Sequence[Path], anew: bool = False) -> Iterator[Event]:
    """Checks files that a user downloaded and puts them into the source's folder; they stay where they are.

    Args:
        anew: forget what they were when they were first fetched.

    Raises:
        InputError: nothing can be put into its folder.
    """
    source = _wanted(slug)
    with _folder(source) as (root, ledger):
        for path in files:
            try:
                download = _identified(source, path, root, ledger, anew)
                yield _place(download, path, root, ledger)
            except BadFile as error:
                yield Event(error.file, "failed", f"{error.problem}; {error.remedy}")


def _wanted(slug: str) -> Source:
    source = sources.get(slug).SOURCE
    if source.package is not None:
        package = source.package.partition("/")[0]
        raise InputError(f"{slug}: its files come with the package {package}; there is nothing to fetch")
    return source


@contextmanager
def _folder(source: Source) -> Iterator[tuple[Path, Ledger]]:
    """The source's folder, this process's alone, and what is known of its files.

    Raises:
        InputError: the folder is a link, can't be written, or another process fetches into it.
    """
    root = sources.RAW / source.slug
    if root.is_symlink():
        found = f"{root}: leads to {root.readlink()}, and nothing is written there"
        raise InputError(f"{found}; put the files there yourself, or remove the link")
    staging = root / STAGING
    for path in (sources.RAW, root, staging):
        own = path != staging or not path.is_symlink()  # what lies in staging may be removed
        if os.path.lexists(path) and not (own and path.is_dir()):
            raise InputError(f"{path}: no folder; remove it, or move it elsewhere")
    try:
        staging.mkdir(parents=True, exist_ok=True)
        opened = root.with_name(f".{source.slug}.fetch.lock").open("w")
    except OSError as error:
        raise InputError(f"{root}: can't be written ({error.strerror}); mend {sources.RAW}") from None
    with opened as held:
        locks.take(held, f"{root}: another process fetches into it; wait until it has ended")
        _sweep(source, root)
        try:
            yield root, Ledger(source.slug)
        finally:
            _sweep(source, root)


def _sweep(source: Source, root: Path) -> None:
    """Clears what killed processes left, but for parts that can be gone on with, and empty folders."""
    parts = [part_of(root, download) for download in source.downloads]
    kept = {path for part in parts for path in (part, part.with_name(f"{part.name}.json"))}
    for folder, _, names in os.walk(root / STAGING, topdown=False):
        for name in names:
            if (path := Path(folder) / name) not in kept:
                path.unlink()
        if not any(Path(folder).iterdir()):
            Path(folder).rmdir()
    if root.is_dir() and not any(root.iterdir()):
        root.rmdir()


def _refuse_unpacked(source: Source, root: Path, ledger: Ledger) -> None:
    """An archive fetched beside what somebody unpacked from it would give every case twice."""
    if not release.files(root) or any((root / download.file).exists() for download in source.downloads):
        return
    if any(state(root, download, ledger).word == "unpacked" for download in source.needed):
        return
    cases = sources.get(source.slug).cases(root)
    if first := next((case for case in cases if not isinstance(case, BadFile)), None):
        found = f"{root}: holds cases already, such as {first.image_files[0]}, but none of the files to fetch"
        raise InputError(f"{found}; `cosmos doctor {source.slug}` says what it lacks")


def _fetch(download: Download, url: str, root: Path, ledger: Ledger, patience: Patience | None) -> Event:
    """Fetches one file; it appears in the folder whole and checked, or not at all."""
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    downloader = Downloader(download.file, part_of(root, download), patience)
    wanted = ledger.known(download)
    store = pooch.create(
        path=root / STAGING,
        base_url="",
        registry={download.file: wanted and f"{wanted.algorithm}:{wanted.value}"},
        urls={download.file: url},
    )
    try:
        staged = Path(store.fetch(download.file, downloader=downloader))
        problem = None if wanted else ledger.problem(download, staged)
        ends = None if problem or wanted or downloader.sure else kinds.ends(staged)
    except ValueError as error:  # of pooch, of a wrong sum
        staged, ends = part_of(root, download), None
        problem = ledger.problem(download, staged, fetched=True) if staged.exists() else None
        problem = problem or " ".join(str(error).split())
    except OSError as error:
        raise InputError(f"{download.file}: can't be written ({error.strerror}); make room") from None
    if ends is False:
        problem = "it is cut off or damaged"
    if problem:
        staged.unlink(missing_ok=True)
        downloader.discard()
        told = f"what {url} gives is not the file, {problem}"
        raise InputError(f"{download.file}: {told}; nothing was placed: fetch again, or get it by hand")
    _settle(staged, root, download)
    downloader.discard()
    ledger.record(download, root / download.file)
    size = f"{(root / download.file).stat().st_size} bytes"
    if wanted is None and not downloader.sure and ends is None:
        size += "; whether that is all can't be checked: the server says no length, and no sum is known"
    return Event(download.file, "fetched", size)


def _settle(staged: Path, root: Path, download: Download) -> None:
    """Renames a whole file into its place."""
    target = root / download.file
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if release.leaves(root, target.parent):
            raise InputError(f"{target.parent}: leads out of {root}, and nothing is written there; remove it")
        staged.rename(target)
    except OSError as error:
        raise InputError(f"{target}: can't be written ({error.strerror}); mend {target.parent}") from None


def _identified(source: Source, path: Path, root: Path, ledger: Ledger, anew: bool) -> Download:
    """Which of the source's files this is, by its name, or whatever its name by its sum.

    Raises:
        BadFile: it is none, or not the one its name says.
    """
    if not path.is_file():
        what = "a folder; give files, or use `cosmos link` for a release" if path.is_dir() else "no such file"
        raise BadFile(str(path), *_halves(what))
    problem = None
    for download in _named(source, path, root):
        if anew:
            ledger.forget(download)
        problem = ledger.problem(download, path)
        if problem is None and ledger.known(download) is None and kinds.ends(path) is False:
            problem = "it is cut off or damaged"
        if problem is None:
            return download
    for download in source.downloads:
        wanted = ledger.known(download)
        if wanted and ledger.digest(path, wanted.algorithm) == wanted.value:
            return download
    if problem:
        raise BadFile(str(path), problem, "download it again")
    if not source.downloads:
        what = f"no archive, and a file of this name alone makes no case of {source.slug}"
        raise BadFile(str(path), what, "give what the owner gives, or use `cosmos link` for its folder")
    names = [Path(download.file).name for download in source.downloads]
    listed = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    raise BadFile(str(path), f"none of the files of {source.slug}", f"they are {listed}")


def _named(source: Source, path: Path, root: Path) -> list[Download]:
    """The source's files that this may be by its name, those first whose name it is to the letter."""
    if not source.downloads:  # the owner's names are not known: any archive will do, and what fits a template
        with pairing.seeking() as templates:
            sources.cases_of(sources.get(source.slug), root)
        name = path.name.lstrip(".")
        archive = stem(name) or name.lower().endswith(".rar")  # also a part that is not the first
        fits = archive or any(next(pairing.find([name], template), None) for template in templates)
        return [Download(file=name)] if fits else []
    names = {path.name, re.sub(r" ?\(\d+\)(?=\.|$)", "", path.name)}  # a browser's second copy
    alike = {name.lower() for name in names}
    found = [one for one in source.downloads if Path(one.file).name.lower() in alike]
    return sorted(found, key=lambda download: Path(download.file).name not in names)


def _halves(text: str) -> tuple[str, str]:
    problem, _, remedy = text.partition("; ")
    return problem, remedy or "check the name"


def _place(download: Download, path: Path, root: Path, ledger: Ledger) -> Event:
    target, staged = root / download.file, root / STAGING / download.file
    if target.exists():
        if _same(target, path, download, root, ledger):
            ledger.record(download, target)
            return Event(download.file, "there", "as it should be")
        raise BadFile(str(target), "there, and not the file that was given", "remove it and place again")
    try:
        staged.parent.mkdir(parents=True, exist_ok=True)
        how = _bring(path.resolve(), staged)
    except OSError as error:
        raise BadFile(str(path), f"can't be placed ({error.strerror})", f"make room or mend {root}") from None
    _settle(staged, root, download)
    Downloader(download.file, part_of(root, download)).discard()
    ledger.record(download, target)
    return Event(download.file, "placed", f"{how}; {path} stays as it is")


def _same(target: Path, path: Path, download: Download, root: Path, ledger: Ledger) -> bool:
    """Whether the file that is there is the one that is given, which is known to be right."""
    if target.samefile(path):
        return True
    if state(root, download, ledger).word != "right":
        return False
    return ledger.known(download) is not None or filecmp.cmp(target, path, shallow=False)


def _bring(path: Path, to: Path) -> str:
    """Makes a file appear in another place too, without a second copy on the disk where that can be had."""
    to.unlink(missing_ok=True)
    try:
        with path.open("rb") as source, to.open("wb") as target:
            fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
        return "a reflink"
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EACCES):
            raise
        to.unlink()
    try:
        os.link(path, to)
        return "a hard link"
    except OSError:
        shutil.copyfile(path, to)
        return "a copy"
