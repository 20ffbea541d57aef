"""The archives of a release, each unpacked once into `data/unpacked/<key>/`.

The raw folder may be a laboratory's: it is only read. The key is of the archive's place, size and date, so
that another archive in its place is unpacked anew.
"""

import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cosmos1050k import units
from cosmos1050k.errors import BadFile, InputError
from cosmos1050k.members import BY_HAND, Passing

UNPACKED = Path("data/unpacked")
#: An archive in an archive in an archive is unpacked; one that is deeper is a mistake or a bomb.
MAX_DEPTH = 3

_NAME = re.compile(r"([^.].*?)\.(?:zip|7z|tar|tar\.gz|tgz|tar\.bz2|tbz2?|tar\.xz|txz)", re.IGNORECASE)
_RAR = re.compile(r"([^.].*?)(?:\.part(\d+))?\.rar", re.IGNORECASE)


def stem(name: str) -> str | None:
    """The name of the folder that an archive stands for; None for a hidden file or what is no archive.

    Of a RAR archive in parts, the first stands for all.
    """
    if match := _RAR.fullmatch(name):
        return match[1] if int(match[2] or 1) == 1 else None
    match = _NAME.fullmatch(name)
    return match and match[1]


@dataclass(frozen=True)
class Archive:
    """An archive of a release: its name relative to the raw folder, its path, and 1 + how deep in others."""

    name: str
    path: Path
    depth: int

    @cached_property
    def _folder(self) -> Path:
        status = self.path.stat()
        what = f"{self.path.absolute()}\0{status.st_size}\0{status.st_mtime_ns}"
        return UNPACKED / hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()[:16]

    @property
    def files(self) -> Path:
        """The folder that holds its members, if it was unpacked and any of it is sound."""
        return self._folder / "files"

    @property
    def settled(self) -> bool:
        """Whether another try would end as the last one did."""
        kept = self._kept()
        return kept is not None and not kept["again"]

    def problems(self) -> list[BadFile]:
        """What was wrong with it when it was unpacked."""
        if self.depth > MAX_DEPTH:
            return [BadFile(self.name, f"an archive {self.depth - 1} deep in others", BY_HAND)]
        kept = self._kept()
        if kept is None:
            return [BadFile(self.name, "not unpacked yet", "run `cosmos index` for its source")]
        return [BadFile(self.name, problem, remedy) for problem, remedy in kept["problems"]]

    def unpack(self) -> None:
        """Unpacks it, as a whole or not at all, and keeps what was wrong.

        Raises:
            InputError: the folder of unpacked archives can't be written, or another process unpacks it now.
        """
        from cosmos1050k.unpacking import extract  # loads the archive formats' libraries

        with units.replacing(self._folder) as folder:
            files = folder / self.files.name
            files.mkdir()
            again = False
            try:
                problems = extract(self.path, self.name, files)
            except BadFile as error:
                problems, again = [error], isinstance(error, Passing)
                shutil.rmtree(files)
            kept = {
                "archive": str(self.path.absolute()),
                "again": again,
                "problems": [(problem.problem, problem.remedy) for problem in problems],
            }
            (folder / units.MANIFEST).write_text(json.dumps(kept, indent=1))

    def _kept(self) -> dict[str, Any] | None:
        path = self._folder / units.MANIFEST
        try:
            kept: dict[str, Any] = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError:
            raise InputError(f"{path}: damaged; remove its folder") from None
        return kept


def unpack(root: Path) -> list[BadFile]:
    """Unpacks every archive below a raw folder that is not unpacked yet, and those within.

    Returns:
        What was wrong, now or earlier, with any archive there.

    Raises:
        InputError: `UNPACKED` can't be written, or another process unpacks one of them now.
    """
    from cosmos1050k import release  # which asks here where an archive's members lie

    tried: set[Path] = set()
    while fresh := [
        archive
        for archive in release.contents(root).archives
        if archive.depth <= MAX_DEPTH and archive.path not in tried and not archive.settled
    ]:
        for archive in fresh:
            tried.add(archive.path)
            archive.unpack()
    return release.problems(root)
