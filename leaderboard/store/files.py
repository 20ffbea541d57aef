"""Files that appear whole or not at all, whoever is killed while writing them."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from cosmos1050k import disk
from cosmos1050k.errors import InputError

#: Of the database, when it can't write: a commit that failed, or what does not fit the memory nor beside it.
_UNWRITTEN = (duckdb.FatalException, duckdb.OutOfMemoryException, duckdb.TransactionException)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a folder, made if need be: who else wants to write there waits."""
    folder.mkdir(parents=True, exist_ok=True)
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path to write to. What is there replaces `target` when the block ends without an error.

    The caller holds the folder. The path is in a folder of its own, because a database puts its log beside
    its file; what a killed writer left there is removed by the next.

    Raises:
        InputError: a database's log is still there: when it was closed, the disk did not take all of it.
    """
    own = target.with_name(".new.duckdb")
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    try:
        yield own / target.name
        if any(own.glob("*.wal")):
            problem = "the disk is full or at fault"
            raise InputError(f"{target}: can't be written ({problem}); make room, and run it again")
        with (own / target.name).open("rb") as written:
            os.fsync(written.fileno())
        (own / target.name).replace(target)
    finally:
        shutil.rmtree(own, ignore_errors=True)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """What is written in the block goes to `target`, also by the database.

    Raises:
        InputError: the disk does not take it.
    """
    try:
        with disk.writing(target):
            yield
    except (duckdb.IOException, *_UNWRITTEN) as error:
        problem = str(error).splitlines()[0].rpartition(": ")[2]
        remedy = "make room or mend the folder, and run it again"
        raise InputError(f"{target}: can't be written ({problem}); {remedy}") from None


def unwritten(error: duckdb.Error) -> bool:
    """Whether the database could not write, in a statement that reads as well."""
    refused = ("Could not write", *(os.strerror(number) for number in disk.UNWRITTEN))
    return isinstance(error, _UNWRITTEN) or (
        isinstance(error, duckdb.IOException) and any(one in str(error) for one in refused)
    )


def sync_folder(folder: Path) -> None:
    """Returns when the folder's names are on the disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def create(
    connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table, *, temporary: bool = False
) -> None:
    """Writes a small table of the board, its rows in an order of their own."""
    kind = "temporary table" if temporary else "table"
    connection.register("arrow", table)
    connection.execute(f"create {kind} {name} as select * from arrow order by all")
    connection.unregister("arrow")
