"""Puts a board in front of its readers: a copy under its build id, and a symlink that is replaced in one step."""

import os
import shutil
from pathlib import Path

import duckdb

from cosmos1050k.errors import InputError

STATE = Path("leaderboard/state")
CURRENT = "current.duckdb"
KEPT = 2


def build_id(board: Path) -> str:
    """The id written into a board's file.

    Raises:
        InputError: there is no such file, or it is no whole board.
    """
    if not board.exists():
        raise InputError(f"{board}: missing; run `make repro`")
    try:
        with duckdb.connect(str(board), read_only=True) as connection:
            return str(connection.execute("select build_id from boards").fetchall()[0][0])
    except (duckdb.Error, IndexError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{board}: not a whole board ({reason}); run `make repro`") from None


def publish(board: Path, state: Path = STATE) -> Path:
    """Publishes a board file, if it is not the one shown already; keeps the two newest.

    Returns:
        The published file. Readers that have the old one open keep it until they look again.
    """
    folder = state / "boards"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{build_id(board)}.duckdb"
    link, target = folder / CURRENT, folder / name
    if not (link.exists() and link.resolve().name == name):
        _copy(board, target)
        temporary = folder / f".{CURRENT}.{os.getpid()}"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(name)
        temporary.replace(link)
    _forget(folder, target)
    return target


def _copy(board: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.copyfile(board, temporary)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _forget(folder: Path, shown: Path) -> None:
    boards = [path for path in folder.glob("[!.]*.duckdb") if path.name != CURRENT and path != shown]
    for path in sorted(boards, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT - 1 :]:
        path.unlink()
