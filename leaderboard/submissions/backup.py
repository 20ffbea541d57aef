"""A server's submissions in one file, a tar, which is made while the server goes on.

It holds copies of the queue and the tokens of one moment, and the files that the queue then knew.
"""

import hashlib
import io
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Literal, cast

from pydantic import BaseModel, ConfigDict

from cosmos1050k import locks
from cosmos1050k.errors import InputError
from leaderboard.store.files import sync_folder
from leaderboard.store.publish import ARCHIVE, CURRENT
from leaderboard.submissions.queue import QUEUE, Queue
from leaderboard.submissions.score_folders import HIDDEN, SCORES, STAGING
from leaderboard.submissions.terms import TERMS
from leaderboard.submissions.tokens import SECRET, TOKENS
from leaderboard.submissions.weights_folder import WEIGHTS

BOARDS = "boards"
#: The last member of an archive: what must be in it.
CONTENTS = "backup.json"
#: An empty file of the state; its time is that of the last backup.
BACKED_UP = "backed_up"
_PATIENCE_S = 60
#: How often a folder is looked for that is being replaced, and how long is waited in between.
_TRIES, _PAUSE_S = 10, 0.05


class File(BaseModel):
    """A file of an archive."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    bytes: int
    sha256: str


class Contents(BaseModel):
    """What an archive says that it holds.

    Args:
        made: when.
        board: the file in `boards` that is shown, if there is one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: Literal[1] = 1
    made: str
    board: str | None
    files: dict[str, File]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files.values())


def backup(state: Path, target: Path) -> Contents:
    """Writes an archive of a folder of the state, whole or not at all; one of that name is replaced.

    Raises:
        InputError: there is no queue, a file can't be read or written, or another backup writes that one.
    """
    if not (state / QUEUE).is_file():
        raise InputError(f"{state}: no submissions were ever taken there; give --state")
    try:
        with _alone(target):
            contents = _replaced(state, target)
        (state / BACKED_UP).touch()
        return contents
    except sqlite3.Error as error:
        raise InputError(f"{state}: its queue or tokens can't be read ({error}); mend it") from None
    except OSError as error:
        what = error.filename or target
        raise InputError(f"{what}: can't be read or written ({error.strerror or error}); mend it") from None


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """No other process writes the archive meanwhile; nothing is left beside it.

    Raises:
        InputError: one does.
    """
    path = target.with_name(f".{target.name}.lock")
    while True:
        with path.open("a") as lock:
            locks.take(lock, f"{target}: another backup writes it; wait until it has ended")
            if not _names(path, lock):
                continue  # who held it has removed it, and the next one holds another
            try:
                yield
            finally:
                _remove(path)
            return


def _names(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _replaced(state: Path, target: Path) -> Contents:
    new = target.with_name(f".{target.name}.new")
    try:
        new.unlink(missing_ok=True)
        # It holds the secret that tokens are signed with.
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            contents = _written(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(target)
        sync_folder(target.parent)
    finally:
        _remove(new)
    return contents


def _remove(path: Path) -> None:
    with suppress(OSError):  # what can't be written may not let anything be removed
        path.unlink(missing_ok=True)


def _written(state: Path, stream: BinaryIO) -> Contents:
    files: dict[str, File] = {}
    with (
        tempfile.TemporaryDirectory() as copies,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        # The queue first: what it names is there until a submission is withdrawn, and nothing else is needed.
        for name in (QUEUE, TOKENS):
            if (state / name).is_file():
                _copy(state / name, Path(copies) / name)
                with (Path(copies) / name).open("rb") as copy:
                    files[name] = _add(tar, name, copy)
        found = Queue(Path(copies))
        for opened in (_single(state), _folders(state, found), _weights(state, found), _boards(state)):
            for name, file in opened:
                files[name] = _add(tar, name, file)
        board = next((path.name for path in map(PurePosixPath, files) if path.parent.name == BOARDS), None)
        made = datetime.now(UTC).isoformat(timespec="seconds")
        contents = Contents(made=made, board=board, files=files)
        text = contents.model_dump_json(indent=1).encode()
        tar.addfile(_info(CONTENTS, len(text), 0o600), io.BytesIO(text))
    return contents


def _copy(database: Path, copy: Path) -> None:
    """A copy of one moment of a database that others write to, in one file."""
    address = f"{database.absolute().as_uri()}?mode=rw"
    with (
        closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE_S)) as source,
        closing(sqlite3.connect(copy)) as made,
    ):
        source.backup(made)
    shutil.copymode(database, copy)


def _single(state: Path) -> Iterator[tuple[str, BinaryIO]]:
    for name in (SECRET, TERMS):
        yield from _opened(state, name)


def _folders(state: Path, queue: Queue) -> Iterator[tuple[str, BinaryIO]]:
    """Scores: those that wait to be put in place before those that are, among which they may be by then."""
    staged = [state / STAGING / entry.id for entry in queue.entries(states=["scored"]) if entry.staged]
    placed = [run for top in (SCORES, HIDDEN) for run in sorted(_runs(state / top))]
    for folder in [*staged, *placed]:
        with _whole(folder) as files:
            for name, file in files.items():
                yield f"{folder.relative_to(state).as_posix()}/{name}", file


def _runs(top: Path) -> set[Path]:
    """The folders of runs; one that is being replaced may have, just then, only the name it is kept under."""
    # Asked for the one and then for the other, it might be neither.
    every = {path.with_name(re.sub(r"^\.(.+)\.old$", r"\1", path.name)) for path in top.glob("[!.]*/*")}
    return {path for path in every if not path.name.startswith(".")}


def _weights(state: Path, queue: Queue) -> Iterator[tuple[str, BinaryIO]]:
    sums = {entry.tensors_sha256 for entry in queue.entries() if entry.tensors_sha256}
    for tensors in sorted(sums):
        yield from _opened(state, f"{WEIGHTS}/{tensors}.safetensors")


def _boards(state: Path) -> Iterator[tuple[str, BinaryIO]]:
    """The board that is shown, and those of the archive."""
    link, shown = state / BOARDS / CURRENT, False
    while link.is_symlink() and not shown:  # what it names is gone where two others were published meanwhile
        for name, file in _opened(state, f"{BOARDS}/{link.readlink().name}"):
            shown = True
            yield name, file
        if not link.exists():
            break
    for path in sorted((state / BOARDS / ARCHIVE).glob("[!.]*.duckdb")):
        yield from _opened(state, path.relative_to(state).as_posix())


def _opened(state: Path, name: str) -> Iterator[tuple[str, BinaryIO]]:
    """A file, or nothing where it is gone; what has it open may read it to its end."""
    try:
        file = (state / name).open("rb")
    except FileNotFoundError:
        return
    with file:
        yield name, file


@contextmanager
def _whole(folder: Path) -> Iterator[dict[str, BinaryIO]]:
    """The files of a folder that is replaced as a whole, all of one time; none if it is gone."""
    for _ in range(_TRIES):
        with ExitStack() as stack:
            try:
                opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                stack.callback(os.close, opened)
                files = {
                    name: stack.enter_context(cast(BinaryIO, os.fdopen(_file(name, opened), "rb")))
                    for name in sorted(os.listdir(opened))  # noqa: PTH208 (of an open folder)
                    if not name.startswith(".")
                }
                same = os.path.samestat(os.fstat(opened), folder.stat())
            except (FileNotFoundError, NotADirectoryError):
                same, files = False, {}
            if same:
                yield files
                return
        time.sleep(_PAUSE_S)
    yield {}


def _file(name: str, folder: int) -> int:
    return os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)


def _add(tar: tarfile.TarFile, name: str, file: BinaryIO) -> File:
    found, hashed = os.fstat(file.fileno()), _Hashed(file)
    tar.addfile(_info(name, found.st_size, found.st_mode, found.st_mtime), cast(BinaryIO, hashed))
    return File(bytes=found.st_size, sha256=hashed.sum.hexdigest())


def _info(name: str, size: int, mode: int, mtime: float = 0) -> tarfile.TarInfo:
    """Of a member; whose it is on this machine says nothing elsewhere."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, mode & 0o777, int(mtime)
    return info


class _Hashed:
    """A file whose sum is taken as it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.sum = file, hashlib.sha256()

    def read(self, size: int) -> bytes:
        piece = self._file.read(size)
        self.sum.update(piece)
        return piece
