"""A disk that is full, or a folder that may not be written: told of in one line, and the end of the job."""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cosmos1050k.pool import Fatal

#: What only writing meets, wherever it is.
UNWRITTEN = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
#: What reading meets as well: of another file it is not the target's fault.
_EITHER = frozenset({errno.EACCES, errno.EPERM, errno.EIO})


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """What is written in the block goes to `place`, or to hidden names beside it.

    Raises:
        Fatal: the disk does not take it. An error with another file passes as it is.
    """
    try:
        yield
    except OSError as error:
        names = [Path(name) for name in (error.filename, error.filename2) if isinstance(name, str)]
        own = not names or any(_belongs(name, place) for name in names)
        if error.errno not in UNWRITTEN and not (own and error.errno in _EITHER):
            raise
        where, remedy = place if own else names[-1], "make room or mend the folder, and run it again"
        raise Fatal(f"{where}: can't be written ({os.strerror(error.errno)}); {remedy}") from None


def _belongs(path: Path, place: Path) -> bool:
    """Whether it is the place, in it, the folder that holds it, or hidden beside it."""
    path, place = path.absolute(), place.absolute()
    if path == place.parent:
        return True
    if not path.is_relative_to(place.parent):
        return False
    first = path.relative_to(place.parent).parts[0]
    return first == place.name or first.startswith(".")


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path to write to; the file there replaces `target` when the block ends without an error.

    Raises:
        Fatal: the disk does not take it; `target` is as it was.
    """
    new = target.with_name(f".{target.name}.{os.getpid()}")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield new
            new.replace(target)
        finally:
            new.unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """Writes a file in one step, and only if its content differs.

    Raises:
        Fatal: the disk does not take it; the file is as it was.
    """
    if path.exists() and path.read_text() == text:
        return
    with replacing(path) as new:
        new.write_text(text)


def write_all(files: Mapping[Path, bytes]) -> None:
    """Writes files of which each appears whole, and none before all are written; what is equal stays.

    The first is put in its place last.

    Raises:
        Fatal: the disk does not take one; if that is told while they are written, all are as they were.
    """
    with ExitStack() as stack:
        for target, content in files.items():
            if not (target.is_file() and target.read_bytes() == content):
                stack.enter_context(replacing(target)).write_bytes(content)
