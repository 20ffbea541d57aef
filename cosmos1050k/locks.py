"""Files that are held while a process does what no other may do meanwhile."""

import fcntl
from typing import IO

from cosmos1050k.errors import InputError


def take(lock: IO[str], busy: str) -> None:
    """Holds an opened file until it is closed, or its process ends.

    Raises:
        InputError: another process holds it; the text is `busy`.
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(busy) from None
