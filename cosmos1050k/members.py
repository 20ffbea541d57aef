"""Where an archive's members go: below one folder, none larger than it said, and no link is ever made."""

import errno
import os
import posixpath
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from tqdm import tqdm

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import AGAIN

#: Deflate can't expand further; what claims to, lies.
MOST_EXPANSION = 1032
#: So far no release expands that is larger than a few masks: it is a bomb.
USUAL_EXPANSION, HARMLESS_BYTES = 200, 2**31
#: Bytes of the disk that no archive may take.
KEEP_FREE = 2**30
BY_HAND = "unpack it by hand into a folder of its name beside it"
_CHUNK = 2**20
#: The disk is at fault, not a member's name.
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}


class Passing(BadFile):
    """No fault of the archive: after the remedy it is unpacked as it is."""


class Damaged(Exception):
    """A member, or an archive, that is not what it said it is."""


class Member(NamedTuple):
    """A file in an archive: its size, and its compressed size if deflate alone made it."""

    name: str
    size: int
    deflated: int | None = None


class Target:
    """The empty folder that an archive's members go into, and a line for each one left out.

    Args:
        archive: its size limits what it may promise; its date is given to the members.
        name: what messages call it.
    """

    def __init__(self, archive: Path, name: str, folder: Path, bar: "tqdm[Any]") -> None:
        self.name, self.folder = name, folder
        self.problems: list[BadFile] = []
        self.files: set[str] = set()
        self._bar = bar
        status = archive.stat()
        self._size, self.time = status.st_size, status.st_mtime_ns
        self._promised = self._written = 0
        self._links: dict[str, tuple[str, str]] = {}

    def bad(self, problem: str, remedy: str = AGAIN) -> BadFile:
        return BadFile(self.name, problem, remedy)

    def leave_out(self, member: str, problem: str, remedy: str = "check where the archive is from") -> None:
        self.problems.append(self.bad(f"its member {printable(member)} {problem}", remedy))

    def expect(self, members: Sequence[Member]) -> None:
        """Refuses what would fill the disk, before any of it is written.

        Raises:
            BadFile: a bomb.
            Passing: there is not enough room.
        """
        self._promised += sum(member.size for member in members)
        bomb = next((m for m in members if m.deflated is not None and _is_bomb(m.size, m.deflated)), None)
        if bomb or _is_bomb(self._promised, self._size):
            what = f"its member {printable(bomb.name)}" if bomb else "it"
            problem = f"a bomb: {what} promises over {USUAL_EXPANSION} times its bytes"
            raise self.bad(problem, f"remove it, or, if it is sound, {BY_HAND}")
        free = max(shutil.disk_usage(self.folder).free - KEEP_FREE, 0)
        if (needed := self._promised - self._written) > free:
            problem = f"needs {needed / 2**30:.1f} GiB of disk, but {free / 2**30:.1f} GiB are free"
            raise Passing(self.name, problem, "make room")

    def open(self, member: Member) -> "Writer | None":
        """Where to write a member; None if it is left out."""
        place = self._place(member.name)
        if place is None:
            return None
        path = self.folder / place
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return Writer(self, path, place, member.size)
        except OSError as error:
            if error.errno in _DISK:
                raise
            self.leave_out(member.name, f"can't be written ({error.strerror})", BY_HAND)
            return None

    def copy(self, member: Member, opened: Callable[[], IO[bytes]]) -> None:
        """Writes a member from a stream. If that fails, no file is left.

        Raises:
            Damaged: the stream is longer or shorter than the member's size.
        """
        writer = self.open(member)
        if writer is None:
            return
        try:
            with opened() as stream:
                while chunk := stream.read(_CHUNK):
                    writer.write(chunk)
            writer.close()
        except BaseException:
            writer.remove()
            raise

    def link(self, member: str, to: str, *, hard: bool = False) -> None:
        """Notes a link: to a place beside the member or, if hard, to one from the archive's top."""
        place = self._place(member)
        if place is not None:
            self._links[place] = (to, to if hard else posixpath.join(posixpath.dirname(place), to))

    def settle_links(self) -> None:
        """Gives every link the file that it leads to, over other links."""
        for place, (to, leads) in self._links.items():
            end = self._end(leads)
            if end is None:
                self.leave_out(place, f"is a link that leads out of the archive, to {printable(to)}")
            elif end not in self.files:
                self.leave_out(place, f"is a link to {printable(to)}, which is no file of the archive")
            else:
                path = self.folder / place
                path.parent.mkdir(parents=True, exist_ok=True)
                os.link(self.folder / end, path)

    def wrote(self, count: int) -> None:
        self._written += count
        self._bar.update(count)

    def _end(self, leads: str) -> str | None:
        """The place in the archive that a link leads to; None if it leads out."""
        for _ in range(40):  # as many as Linux follows
            place = inside(posixpath.normpath(leads.replace("\\", "/")))
            if place is None or place not in self._links:
                return place
            leads = self._links[place][1]
        return ""  # links in a circle: no file has this name

    def _place(self, member: str) -> str | None:
        place = inside(member)
        if place is None:
            self.leave_out(member, "leads out of the archive")
        elif not place or not place.isprintable():
            self.leave_out(member, "has a name that no file can have")
        elif place in self.files or place in self._links:
            self.leave_out(member, "is in it twice")
        else:
            return place
        return None


class Writer:
    """A file of a size that is known beforehand."""

    def __init__(self, target: Target, path: Path, place: str, size: int) -> None:
        self._file = path.open("xb")
        self._target, self._path, self._place, self._size, self._left = target, path, place, size, size

    def write(self, chunk: bytes) -> None:
        """Raises Damaged beyond the size."""
        self._left -= len(chunk)
        if self._left < 0:
            raise Damaged(f"more than the {self._size} bytes it promises")
        self._file.write(chunk)
        self._target.wrote(len(chunk))

    def close(self) -> None:
        """Raises Damaged before the size."""
        self._file.close()
        if self._left:
            raise Damaged(f"truncated: {self._size - self._left} of {self._size} bytes")
        # An archive within this one is known by its date too.
        os.utime(self._path, ns=(self._target.time, self._target.time))
        self._target.files.add(self._place)

    def remove(self) -> None:
        self._file.close()
        self._path.unlink()


def inside(member: str) -> str | None:
    """The place of a member below a folder, whatever system spelt it; None if it is not below."""
    name = member.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or re.match("[A-Za-z]:", name):
        return None
    return "/".join(parts)


def printable(member: str) -> str:
    """A name in quotes and on one line, without what no terminal shows."""
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in member)
    return f"{text[:200]!r}"


def _is_bomb(size: int, packed: int) -> bool:
    most = USUAL_EXPANSION if size > HARMLESS_BYTES else MOST_EXPANSION
    return size > most * packed
