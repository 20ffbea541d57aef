"""Files that appear whole or not at all, whoever is killed while writing them."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa


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
    """
    own = target.with_name(".new.duckdb")
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    try:
        yield own / target.name
        with (own / target.name).open("rb") as written:
            os.fsync(written.fileno())
        (own / target.name).replace(target)
    finally:
        shutil.rmtree(own, ignore_errors=True)


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
