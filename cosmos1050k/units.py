"""Finished pieces of work, kept on disk under a key of all that they depend on.

DVC forgets a stage that was killed; this does not. A piece is written to a temporary folder and renamed when
whole, so a folder under its key is always complete, whoever was killed and however many processes write it.
"""

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cosmos1050k import disk, locks
from cosmos1050k.errors import InputError
from cosmos1050k.pool import Fatal

UNITS = Path("data/units")
#: The file that every finished folder holds, of a built source and of a model's scores.
MANIFEST = "manifest.json"
_YOUNG_S = 86_400


def key(**parts: Any) -> str:
    """The key of a unit: 32 hexadecimal digits over its parts (JSON values)."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Units:
    """The finished units of one stage, in `<root>/<stage>/<key>/`."""

    def __init__(self, stage: str, root: Path = UNITS) -> None:
        self.folder = root / stage

    def path(self, key: str) -> Path:
        return self.folder / key

    def has(self, key: str) -> bool:
        return self.path(key).is_dir()

    def require(self, key: str) -> None:
        """Of a unit that is finished, by this machine or another.

        Raises:
            Fatal: it is not seen here.
        """
        if not self.has(key):
            raise Fatal(
                f"{self.path(key)}: was finished and is not seen here: removed meanwhile, as by "
                "`cosmos clean`, or on NFS without lookupcache=positive; run it again"
            )

    def besides(self, keys: Collection[str]) -> Iterator[Path]:
        """Folders that are none of these units: other ones, and what killed processes left half-written.

        What is half-written and younger than a day may be a living process's, and is not among them.
        """
        if not self.folder.is_dir():
            return
        for path in sorted(self.folder.iterdir()):
            hidden = path.name.startswith(".")
            if path.name not in keys and not (hidden and time.time() - path.stat().st_mtime < _YOUNG_S):
                yield path

    @contextmanager
    def write(self, key: str) -> Iterator[Path]:
        """A temporary folder that becomes the unit when the block ends without an error.

        Raises:
            Fatal: the disk does not take it.
        """
        temporary = self.folder / f".{key}.{uuid.uuid4().hex}"
        with disk.writing(self.folder):
            try:
                temporary.mkdir(parents=True)
                yield temporary
                try:
                    os.rename(temporary, self.path(key))  # noqa: PTH104 (the error below is os.rename's)
                except OSError:
                    if not self.has(key):  # another process finished the same unit first
                        raise
            finally:
                shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A new, empty folder that takes the place of `target` when the block ends without an error.

    Whatever happens, a whole folder remains: the new one, or the one that was there.

    Raises:
        InputError: `target` is or holds what no build or evaluation wrote, can't be written, or another
            process is writing it.
    """
    target = target.absolute()
    refuse_foreign(target)
    new, old, lock = (target.with_name(f".{target.name}.{part}") for part in ("new", "old", "lock"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        opened = lock.open("w")
    except OSError as error:
        raise InputError(f"{target}: can't be written ({error.strerror}); choose another folder") from None
    with opened as held:
        locks.take(held, f"{target}: another process is writing it; wait until it has ended")
        _settle(target, new, old)
        with disk.writing(target):
            try:
                new.mkdir()
                yield new
                if target.exists():
                    target.rename(old)
                new.rename(target)
            finally:
                _settle(target, new, old)


def refuse_foreign(target: Path) -> None:
    """What is replaced is deleted: only a folder of ours may be, which a manifest tells.

    Raises:
        InputError: it is or holds what no build or evaluation wrote.
    """
    if not target.exists():
        return
    kept: Path | None = target
    if target.is_dir() and not target.is_symlink():
        files = [path for path in target.rglob("*") if path.is_symlink() or not path.is_dir()]
        ours = (target / MANIFEST).is_file()
        kept = next((f for f in files if not ours or (f.name != MANIFEST and f.suffix != ".parquet")), None)
    if kept is not None:
        raise InputError(f"{kept}: not of a build or an evaluation and would be lost; choose another folder")


def _settle(target: Path, new: Path, old: Path) -> None:
    """Puts `old` back if it was moved and nothing took its place, and clears what is left over."""
    if old.exists() and not target.exists():
        old.rename(target)
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
