"""Which board a reader shows: the published one, or while that can't be read the last that could be."""

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from cosmos1050k.errors import InputError
from leaderboard.store.publish import CURRENT, boards, id_of, named, opened

log = logging.getLogger(__name__)

#: Seconds after which a file that could not be read is tried again though it looks the same.
_AGAIN = 5.0
#: Path, inode, time of change in nanoseconds and size of a file; zeros where there is none.
_Looks = tuple[Path, int, int, int]


@dataclass(frozen=True)
class Shown:
    """An open board."""

    looks: _Looks
    build_id: str
    connection: duckdb.DuckDBPyConnection


@dataclass(frozen=True)
class _Refused:
    """A published file that can't be read, why, and when that was found."""

    looks: _Looks
    reason: str
    at: float


class Follower:
    """Opens the board that a link names, and the next as soon as that is published. For many threads."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self._lock = threading.Lock()
        self._shown: Shown | None = None
        self._refused: _Refused | None = None
        self._suspect: _Looks | None = None

    def shown(self) -> Shown:
        """The board that the link names; if it can't be read the one shown before, or the newest other.

        Raises:
            InputError: there is no board that can be read.
        """
        with self._lock:
            return self._look()

    def cursor(self) -> tuple[Shown, duckdb.DuckDBPyConnection]:
        """What `shown` gives, and a cursor on it, to be closed. Raises: as `shown`."""
        with self._lock:
            shown = self._look()
            return shown, shown.connection.cursor()

    def trouble(self) -> str | None:
        """Why the published board is not shown, what to do, and what is shown; None: it is shown."""
        with self._lock:
            try:
                shown = self._look()
            except InputError as error:
                return str(error)
            if self._refused is None:
                return None
            return f"{self._refused.reason}; until then the board {shown.build_id} is shown"

    def broken(self, shown: Shown, reason: str) -> None:
        """Takes note that a question to an open board failed: it is opened anew, and if that was so already
        refused. DuckDB holds on to a file that was replaced until nobody has it open."""
        with self._lock:
            if self._shown is not shown:
                return
            self._shown = None
            shown.connection.close()
            if self._suspect == shown.looks:
                self._refuse(shown.looks, reason)
            self._suspect = shown.looks

    def _look(self) -> Shown:
        while True:
            looks = _looks(named(self.link))  # DuckDB caches by path: it is never given the link
            if self._shown is not None and self._shown.looks == looks:
                self._refused = None
                return self._shown
            reason = self._known(looks)
            if reason is None:
                try:
                    self._shown = _open(looks)  # the one before closes with its last cursor
                    continue
                except InputError as error:
                    if looks != _looks(named(self.link)):
                        continue  # published anew, and the old file removed, in between
                    reason = self._refuse(looks, str(error))
            if self._shown is None:
                self._shown = self._other(looks[0], reason)
            return self._shown

    def _known(self, looks: _Looks) -> str | None:
        """Why a file was refused a moment ago."""
        known = self._refused
        if known is None or known.looks != looks or time.monotonic() > known.at + _AGAIN:
            return None
        return known.reason

    def _refuse(self, looks: _Looks, reason: str) -> str:
        if not looks[0].exists():
            reason = f"no board is published at {self.link}; run `make repro`"
        if self._refused is None or self._refused.looks != looks:
            log.warning("%s", reason)
        self._refused = _Refused(looks, reason, time.monotonic())
        return reason

    def _other(self, bad: Path, reason: str) -> Shown:
        """The newest other board of the folder that can be read; an archived one stands for itself."""
        for path in boards(self.link.parent) if self.link.name == CURRENT else []:
            if path != bad:
                try:
                    return _open(_looks(path))
                except InputError as error:
                    log.warning("%s", error)
        raise InputError(reason)


def _open(looks: _Looks) -> Shown:
    connection = opened(looks[0])
    return Shown(looks, id_of(connection), connection)


def _looks(path: Path) -> _Looks:
    try:
        found = path.stat()
    except OSError:
        return path, 0, 0, 0
    return path, found.st_ino, found.st_mtime_ns, found.st_size
