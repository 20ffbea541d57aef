"""Private folders for what people bring: no other user reads them, and they end with session or process."""

import shutil
import tempfile
from pathlib import Path

from cosmos1050k import locks
from cosmos1050k.errors import InputError

_PREFIX = "cosmos-demo-"
_LOCK = ".lock"


class Private:
    """A folder of this process below the system's temporary one, for a folder per session.

    What a process that was killed left behind goes when the next one starts: a lock tells that its owner
    lives.
    """

    def __init__(self) -> None:
        _sweep()
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = (self.path / _LOCK).open("w")
        locks.take(self._lock, f"{self.path}: held by another process")

    def folder(self) -> Path:
        """A new folder, of mode 0700."""
        return Path(tempfile.mkdtemp(dir=self.path))

    def close(self) -> None:
        """Removes all of it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _sweep() -> None:
    """Removes what processes left that are no more."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if path.is_symlink() or not (path / _LOCK).is_file():
            continue
        try:
            with (path / _LOCK).open("a") as lock:
                locks.take(lock, "its owner lives")
                shutil.rmtree(path, ignore_errors=True)
        except (InputError, OSError):  # it lives, or is another user's
            continue
