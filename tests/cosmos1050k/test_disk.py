"""Whose fault an error is while something is written."""

import errno
import os
from pathlib import Path

import pytest

from cosmos1050k import disk
from cosmos1050k.pool import Fatal


@pytest.mark.parametrize(
    ("number", "name", "said"),
    [
        (errno.EACCES, "out/first/a.parquet", "out/first: can't be written (Permission denied)"),
        (errno.EACCES, "out/.first.new", "out/first: can't be written (Permission denied)"),
        (errno.EIO, None, "out/first: can't be written (Input/output error)"),
        (errno.ENOSPC, None, "out/first: can't be written (No space left on device)"),
        (errno.ENOSPC, "elsewhere/b", "elsewhere/b: can't be written (No space left on device)"),
        (errno.EACCES, "raw/first/a.png", None),
        (errno.EACCES, "out/first-one/a.png", None),
        (errno.EIO, "raw/first/a.png", None),
        (errno.ENOENT, "out/first/a.parquet", None),
    ],
)
def test_the_target_is_told_of_for_its_own_errors_alone(
    number: int, name: str | None, said: str | None
) -> None:
    error = OSError(number, os.strerror(number), name)
    with pytest.raises((Fatal, OSError)) as caught, disk.writing(Path("out/first")):
        raise error
    if said is None:
        assert caught.value is error
    else:
        assert str(caught.value) == f"{said}; make room or mend the folder, and run it again"
