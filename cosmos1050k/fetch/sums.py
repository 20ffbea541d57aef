"""How a raw file is known to be the right one: the sum its source declares, or that of its first fetch."""

import hashlib
import shlex
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from cosmos1050k import disk, index, sources
from cosmos1050k.errors import InputError
from cosmos1050k.fetch import kinds
from cosmos1050k.source import Download


class Fetched(BaseModel):
    """What a file without a declared sum was when it was first fetched: its size in bytes and its sha256."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    size: int
    sha256: str


class Sum(NamedTuple):
    """A sum that a file must have, and whether its source declares it or only the first fetch has it."""

    algorithm: str
    value: str
    declared: bool


_Records = TypeAdapter(dict[str, Fetched])


class Ledger:
    """The sums of one source's files: declared, or noted in `data/raw/.<slug>.fetched.json`.

    Raises:
        InputError: the note is damaged.
    """

    def __init__(self, slug: str) -> None:
        self._slug, self._seen = slug, index.seen(slug)
        self._path = sources.RAW / f".{slug}.fetched.json"
        try:
            self._records = _Records.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            self._records = {}
        except ValidationError:
            problem = "damaged; remove it, and the next fetch starts it anew"
            raise InputError(f"{self._path}: {problem}") from None

    def known(self, download: Download) -> Sum | None:
        """The sum that a file must have, if any is known."""
        if download.varies:
            return None
        if download.sha256:
            return Sum("sha256", download.sha256, True)
        if download.md5:
            return Sum("md5", download.md5, True)
        first = self._records.get(download.file)
        return Sum("sha256", first.sha256, False) if first else None

    def record(self, download: Download, path: Path) -> None:
        """Notes what a file is, if nothing else says what it must be."""
        if download.varies or self.known(download):
            return
        size, _, sha256 = index.looked(path, self._seen)
        self._records[download.file] = Fetched(size=size, sha256=sha256)
        disk.replace_text(self._path, _Records.dump_json(self._records, indent=1).decode() + "\n")

    def forget(self, download: Download) -> None:
        """Lets go of what a file was when it was first fetched, for good once any other is noted."""
        self._records.pop(download.file, None)

    def problem(self, download: Download, path: Path, fetched: bool = False) -> str | None:
        """Why a file is not the one that it should be; None if it is, as far as can be known.

        Args:
            fetched: just now, so that nobody but us knows of `path`.

        Raises:
            OSError: it can't be read.
        """
        wanted = self.known(download)
        found = wanted and self.digest(path, wanted.algorithm)
        if wanted and found == wanted.value:
            return None
        if other := kinds.problem(path, download.file):
            return other
        if not wanted or not found:
            return None
        if wanted.declared:
            return f"its {wanted.algorithm} {found[:12]}… is not the release's {wanted.value[:12]}…"
        given = "" if fetched else f" --from {shlex.quote(str(path))}"
        told = f"its sha256 {found[:12]}… is not {wanted.value[:12]}… as at the first fetch"
        takes = f"`cosmos fetch {self._slug}{given} --anew` takes it"
        return f"{told} (if that one was wrong, or the owner has published another version: {takes})"

    def digest(self, path: Path, algorithm: str) -> str:
        """A file's sum in hexadecimal; a sha256 that the source's index remembers is not made again."""
        if algorithm == "sha256":
            return index.looked(path, self._seen)[2]
        with path.open("rb") as file:
            return hashlib.file_digest(file, algorithm).hexdigest()
