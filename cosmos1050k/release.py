"""A source's raw files as one tree: its folder, and every archive in it as a folder of the archive's name."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmos1050k.archives import MAX_DEPTH, Archive, stem
from cosmos1050k.errors import BadFile
from cosmos1050k.members import printable

#: What an index can hold and a line of text can say.
_UTF_8 = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]+")
NO_LINK = "put what it leads to in its place, or link the whole release with `cosmos link`"


@dataclass(frozen=True)
class Contents:
    """All files of a release, by their names relative to its folder, which of them are archives, and the
    folders and links that can't be followed.
    """

    files: dict[str, Path]
    archives: list[Archive]
    unreadable: list[BadFile]


def files(root: Path) -> dict[str, Path]:
    """Name relative to `root` → where the file lies, sorted by name.

    A member of an archive that was unpacked (`archives.unpack`) is listed below the archive's name without
    its ending: `x.nii.gz` in `Task01.tar` is `Task01/x.nii.gz`. A file that lies there itself goes before it,
    and an archive beside a folder of its name is passed over: somebody unpacked it by hand.

    A link to a file is followed if what it leads to lies below `root` too; others are left out (`leaves`),
    and so are links to folders, whose files are listed where they lie.
    """
    return dict(sorted(contents(root).files.items()))


def problems(root: Path) -> list[BadFile]:
    """What is wrong below `root`: a line for each folder that can't be read, each link that leads out, each
    archive that gave nothing, each member of one that was left out.
    """
    found = contents(root)
    return found.unreadable + [problem for archive in found.archives for problem in archive.problems()]


def contents(root: Path) -> Contents:
    """The files of `root`, then those of its archives, then those of archives in these."""
    found = Contents({}, [], [])
    folders = [(root, "", 1)]
    for top, prefix, depth in folders:  # grows on the way
        for name, path in sorted(_walk(top, found.unreadable)):
            if found.files.setdefault(prefix + name, path) is not path:
                continue
            folder = stem(path.name)
            if folder is None or not path.is_file() or path.with_name(folder).is_dir():
                continue
            archive = Archive(prefix + name, path, depth)
            found.archives.append(archive)
            if depth <= MAX_DEPTH and archive.files.is_dir():
                folders.append((archive.files, prefix + name[: -len(path.name)] + folder + "/", depth + 1))
    return found


def leaves(root: Path, path: Path) -> bool:
    """Whether a link below `root` leads out of it."""
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def _walk(root: Path, unreadable: list[BadFile]) -> Iterator[tuple[str, Path]]:
    def note(error: OSError) -> None:
        name = os.path.relpath(error.filename, root)
        if name != ".":  # a root that isn't there has no files
            unreadable.append(
                BadFile(name, f"can't be looked into ({error.strerror})", "mend its permissions")
            )

    for folder, folders, names in os.walk(root, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name, is_file in [*((name, False) for name in folders), *((name, True) for name in names)]:
            path = Path(folder) / name
            inside = str(path.relative_to(root))
            if problem := _problem(root, path, inside):
                unreadable.append(problem)
            elif is_file:
                yield inside, path


def _problem(root: Path, path: Path, inside: str) -> BadFile | None:
    """Why what lies there is no file or folder of the release; None if it is, or a link to nothing."""
    if not _UTF_8.fullmatch(inside):
        return BadFile(printable(inside), "a name that can't be written down", "rename it")
    try:
        if path.is_symlink() and leaves(root, path):
            return BadFile(inside, "a link that leads out of the release", NO_LINK)
        if not path.is_file() and not path.is_dir() and path.exists():
            return BadFile(inside, "no regular file", "remove it")
    except OSError as error:
        return BadFile(inside, f"can't be looked at ({error.strerror})", "mend the permissions of its folder")
    return None
