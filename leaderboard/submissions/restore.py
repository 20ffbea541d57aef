"""Puts a server's submissions back from an archive of `backup`, whole or not at all."""

import hashlib
import os
import re
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cosmos1050k import locks
from cosmos1050k.errors import BadFile, InputError
from leaderboard.store.files import sync_folder
from leaderboard.store.publish import CURRENT
from leaderboard.submissions.backup import BOARDS, CONTENTS, Contents, File
from leaderboard.submissions.desk import LOCK
from leaderboard.submissions.entry import Entry
from leaderboard.submissions.queue import QUEUE, Queue
from leaderboard.submissions.score_folders import HIDDEN, SCORES, STAGING, ScoreFolders
from leaderboard.submissions.states import CLOSED
from leaderboard.submissions.table import NO_LEASE
from leaderboard.submissions.terms import TERMS
from leaderboard.submissions.tokens import SECRET, TOKENS
from leaderboard.submissions.weights_folder import INCOMING, WEIGHTS

#: Below the folder of the state: what is not yet checked, and what was there before.
_NEW, _OLD = ".restoring", "before"
_ACTOR = "restore"
_PART = r"(?!\.)[^/\x00]+"
_NAME = re.compile(
    rf"{QUEUE}|{TOKENS}|{SECRET}|{TERMS}|({SCORES}|{HIDDEN})/{_PART}/{_PART}/{_PART}|{STAGING}/{_PART}/{_PART}"
    rf"|{WEIGHTS}/[0-9a-f]{{64}}\.safetensors|{BOARDS}/(archive/)?{_PART}\.duckdb"
)
#: A database's own files beside it: of another database they would damage it.
_BESIDE = ("", "-wal", "-shm", "-journal")
_FILES = (*(f"{name}{end}" for name in (QUEUE, TOKENS) for end in _BESIDE), SECRET, TERMS)
_FOLDERS = (SCORES, HIDDEN, STAGING, INCOMING, WEIGHTS, BOARDS)
_MOST_CONTENTS, _PIECE = 2**28, 2**20


@dataclass(frozen=True)
class Restored:
    """What is there again.

    `lacking`: a line for each submission that is not as it was; `before`: where lies what was there.
    """

    contents: Contents
    submissions: int
    lacking: list[str]
    before: Path | None


def restore(archive: Path, state: Path, *, replace: bool = False) -> Restored:
    """Puts an archive's files into a folder of the state.

    Args:
        replace: moves a queue that is there aside, with all that belongs to it.

    Raises:
        InputError: there is a queue, a server runs, or the archive is damaged; nothing is changed.
    """
    made = not state.exists()
    try:
        with _held(state):
            if not replace and any((state / name).exists() for name in (QUEUE, TOKENS)):
                problem = "there are submissions or tokens already"
                raise InputError(f"{state}: {problem}; give --replace to move them aside, or another --state")
            new = state / _NEW
            shutil.rmtree(new, ignore_errors=True)
            try:
                contents = _unpacked(archive, new)
                submissions, lacking = _mended(new)
                before = _aside(state)
                _place(new, state)
            finally:
                shutil.rmtree(new, ignore_errors=True)
                if made and not (state / QUEUE).exists():
                    shutil.rmtree(state)
    except OSError as error:
        what = error.filename or state
        raise InputError(f"{what}: can't be read or written ({error.strerror or error}); mend it") from None
    except sqlite3.Error as error:
        raise _bad(archive, f"its queue: {error}") from None
    return Restored(contents, submissions, lacking, before)


@contextmanager
def _held(state: Path) -> Iterator[None]:
    """Keeps servers away."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / LOCK).open("a") as lock:
        locks.take(lock, f"{state}: a server uses it; stop that first")
        yield


def _unpacked(archive: Path, folder: Path) -> Contents:
    """An archive's files in a new folder, each of them checked.

    Raises:
        InputError: it is cut off, altered or no archive of ours.
    """
    folder.mkdir()
    found: dict[str, File] = {}
    contents: Contents | None = None
    try:
        with tarfile.open(archive, "r:") as tar:  # as it is: nothing that grows when it is unpacked
            for member in tar:
                if contents is not None:
                    raise _bad(archive, f"something follows {CONTENTS}")
                if member.name == CONTENTS:
                    contents = _contents(tar, member)
                else:
                    found[member.name] = _take(tar, member, folder)
    except (tarfile.TarError, ValidationError, FileExistsError, EOFError) as error:
        raise _bad(archive, " ".join(str(error).split())[:200]) from None
    if contents is None:
        raise _bad(archive, "its end is missing")
    if contents.files != found:
        names = sorted(
            name for name in {*contents.files, *found} if contents.files.get(name) != found.get(name)
        )
        raise _bad(archive, f"{names[0]} is missing or altered")
    if QUEUE not in found or (contents.board and f"{BOARDS}/{contents.board}" not in found):
        raise _bad(archive, "it lacks its queue or its board")
    if contents.board:
        (folder / BOARDS / CURRENT).symlink_to(contents.board)
    return contents


def _contents(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Contents:
    file = tar.extractfile(member) if member.type == tarfile.REGTYPE else None
    if file is None or member.size > _MOST_CONTENTS:
        raise tarfile.ReadError(f"{CONTENTS} is no file")
    return Contents.model_validate_json(file.read())


def _take(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> File:
    """Writes a member; what is no plain file of a name of ours is refused."""
    plain = member.type == tarfile.REGTYPE and not member.issparse()
    if not plain or not _NAME.fullmatch(member.name):
        raise tarfile.ReadError(f"{member.name[:80]!r} is none of ours")
    path, total = folder / member.name, hashlib.sha256()
    if not path.parent.exists():
        path.parent.mkdir(mode=0o700 if path.parent.name == WEIGHTS else 0o777, parents=True)
    file = tar.extractfile(member)
    assert file is not None
    with file, path.open("xb") as written:
        while piece := file.read(_PIECE):
            total.update(piece)
            written.write(piece)
        written.flush()
        os.fsync(written.fileno())
    path.chmod(member.mode & 0o755 | 0o600)
    os.utime(path, (member.mtime, member.mtime))
    return File(bytes=path.stat().st_size, sha256=total.hexdigest())


def _bad(archive: Path, problem: str) -> BadFile:
    return BadFile(str(archive), f"no whole backup ({problem})", "take another one")


def _mended(state: Path) -> tuple[int, list[str]]:
    """Ends what nobody works on any more, before anybody sees it; how many there are, and what is lacking."""
    queue, folders, lacking = Queue(state), ScoreFolders(state), []
    for entry in queue.entries(states=["running"]):
        queue.move(
            entry.id, "running", "queued", _ACTOR, "its worker belongs to the server before", **NO_LEASE
        )
    for entry in queue.entries(states=["scored", "published"]):
        if entry.staged and not folders.gathered(entry):
            shutil.rmtree(state / STAGING / entry.id, ignore_errors=True)
        if not (entry.staged and (state / STAGING / entry.id).is_dir()) and not any(folders.placed(entry)):
            lacking.append(_scored_again(queue, state, entry))
    entries = queue.entries()
    for entry in entries:
        needed = entry.tensors_sha256 and entry.state not in CLOSED
        if needed and not (state / WEIGHTS / f"{entry.tensors_sha256}.safetensors").is_file():
            remedy = "it can't be scored again until it is withdrawn and submitted anew"
            lacking.append(f"{entry.id} {entry.name} ({entry.state}): its weights are missing; {remedy}")
    queue.want_board()
    return len(entries), lacking


def _scored_again(queue: Queue, state: Path, entry: Entry) -> str:
    """What has lost its scores is scored again; a line that says so."""
    problem = "its scores are missing"
    if not (state / WEIGHTS / f"{entry.tensors_sha256}.safetensors").is_file():
        if entry.state == "scored":
            queue.move(
                entry.id, "scored", "failed", _ACTOR, problem, reason="lost", message=problem, staged=0
            )
        return f"{entry.id} {entry.name}: {problem}"
    clear: dict[str, Any] = {"sources": "[]", "reason": "", "message": "", "staged": 0, "placed": 0}
    queue.move(entry.id, entry.state, "queued", _ACTOR, problem, **clear)
    return f"{entry.id} {entry.name}: {problem}; it is scored again"


def _aside(state: Path) -> Path | None:
    """Moves what an archive replaces into a folder of its own; the queue first, so none is half there."""
    there = [state / name for name in _FILES if (state / name).exists()]
    there += [path for folder in _FOLDERS for path in (state / folder).glob("[!.]*") if path.suffix != ".md"]
    if not there:
        return None
    before = state / f"{_OLD}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    before.mkdir()
    for path in there:
        target = before / path.relative_to(state)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    sync_folder(state)
    return before


def _place(new: Path, state: Path) -> None:
    """Renames what was unpacked into its place; the queue last, so that who is killed starts anew."""
    for folder in _FOLDERS:
        if (new / folder).is_dir():
            (state / folder).mkdir(mode=0o700 if folder == WEIGHTS else 0o777, exist_ok=True)
            for path in (new / folder).iterdir():
                path.rename(state / folder / path.name)
            sync_folder(state / folder)
    for name in (TERMS, SECRET, TOKENS, QUEUE):
        if (new / name).exists():
            (new / name).rename(state / name)
    sync_folder(state)
