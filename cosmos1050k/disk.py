"""A disk that is full, or a folder that may not be written: told of in one line, and the end of the job."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cosmos1050k.pool import Fatal

#: What is the disk's fault, or its owner's wish; any other error is the program's.
_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """What is written in the block goes to `place`.

    Raises:
        Fatal: the disk does not take it.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FAULTS:
            raise
        remedy = "make room or mend the folder, and run it again"
        raise Fatal(f"{place}: can't be written ({os.strerror(error.errno)}); {remedy}") from None
