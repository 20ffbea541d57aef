"""Puts a board before its readers: a copy under its build id, and a symlink that is replaced in one step."""

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa

from cosmos1050k.errors import InputError
from leaderboard.store import files

log = logging.getLogger(__name__)

STATE = Path("leaderboard/state")
CURRENT = "current.duckdb"
#: Below the boards: those of other dataset or protocol versions, without the single scores.
ARCHIVE = "archive"
KEPT = 2
#: The tables that an archived board lacks: they are the bulk of it.
_FACTS = ("objects", "scores")
#: Bytes before the blocks of a DuckDB file.
_HEADERS = 3 * 4096
#: Where such a file says what it is.
_MARK = slice(8, 12)


def opened(board: Path) -> duckdb.DuckDBPyConnection:
    """A board's file, to be read.

    Raises:
        InputError: there is no such file, or it is no whole board.
    """
    if not board.exists():
        raise InputError(f"{board}: missing; run `make repro`")
    try:
        _check_kind(board)
        connection = duckdb.connect(str(board), read_only=True)
        try:
            _check_whole(connection, board)
        except BaseException:
            connection.close()
            raise
        return connection
    except (duckdb.Error, OSError) as error:
        raise damaged(board, error) from None


def damaged(board: Path, error: Exception) -> InputError:
    """What is raised for a file that the database can't read."""
    return InputError(f"{board}: not a whole board ({str(error).splitlines()[0]}); run `make repro`")


def _check_kind(board: Path) -> None:
    """DuckDB does not look at a file that it has open already, though another may be in its place."""
    with board.open("rb") as stream:
        if stream.read(_MARK.stop)[_MARK] != b"DUCK":
            raise OSError("it is no DuckDB file")


def _check_whole(connection: duckdb.DuckDBPyConnection, board: Path) -> None:
    """DuckDB reads as far as it must: a file that is cut off may open as if it were whole."""
    if ("numerics",) not in connection.execute("select column_name from (describe boards)").fetchall():
        raise OSError("it does not say in which numerics, as one of an older release")
    size = "select sum(block_size * total_blocks)::bigint from pragma_database_size()"
    found = connection.execute(size).fetchall(), connection.execute("select build_id from boards").fetchall()
    if not found[1]:
        raise OSError("it has no build id")
    if board.stat().st_size < _HEADERS + found[0][0][0]:
        raise OSError("it is cut off")


def build_id(board: Path) -> str:
    """The id written into a board's file. Raises: as `opened`."""
    with opened(board) as connection:
        return id_of(connection)


def id_of(connection: duckdb.DuckDBPyConnection) -> str:
    """The id written into an open board."""
    return str(connection.execute("select build_id from boards").fetchall()[0][0])


def boards(folder: Path) -> list[Path]:
    """The boards' files of a folder, the newest first; the link is none."""
    found = []
    for path in folder.glob("[!.]*.duckdb"):
        try:
            if path.name != CURRENT and path.is_file():
                found.append((path.stat().st_mtime, path))
        except FileNotFoundError:  # removed by who publishes
            continue
    return [path for _, path in sorted(found, reverse=True)]


def publish(board: Path, state: Path = STATE) -> Path:
    """Publishes a board file, if it is not the one shown already; keeps the two newest.

    If the one shown is of another dataset or protocol version, its aggregates go into the archive first.

    Returns:
        The published file. Readers that have the old one open keep it until they look again.

    Raises:
        InputError: it is missing or damaged, or the disk is at fault; the board that is shown stays.
    """
    folder = state / "boards"
    with files.writing(folder), files.locked(folder):
        name = f"{build_id(board)}.duckdb"
        link, target = folder / CURRENT, folder / name
        if not _shows(link, name):
            with files.replacing(target) as copy:
                shutil.copyfile(board, copy)
                if name != f"{build_id(copy)}.duckdb":
                    raise InputError(f"{board}: replaced while it was copied; publish it again")
            _keep_old(link, target)
            _point(link, name)
        _forget(folder, target)
    return target


def named(link: Path) -> Path:
    """The file that a link names; the link itself if it names nothing but itself."""
    try:
        return link.resolve()
    except (OSError, RuntimeError):  # Python below 3.13 raises the second
        return link


def archived(state: Path = STATE) -> list[str]:
    """The names of the archived boards, `<dataset version>-<protocol version>`."""
    return sorted(path.stem for path in (state / "boards" / ARCHIVE).glob("[!.]*.duckdb"))


def _keep_old(link: Path, new: Path) -> None:
    """Copies what is shown into the archive, if `new` is of another dataset or protocol version.

    What can't be read is lost; what can't be written there keeps its successor from being shown.
    """
    version = _version(new)
    try:
        shown = _version(named(link))
        tables = {} if shown == version else _aggregates(link)
    except (InputError, duckdb.Error) as error:
        if link.exists():
            log.warning("the board that was shown is not archived: %s", error)
        return
    if tables:
        _archive(link.parent / ARCHIVE, shown, tables)


def _aggregates(link: Path) -> dict[str, pa.Table]:
    """The tables of a board that its archive has."""
    with opened(named(link)) as old:
        names = old.execute("select table_name from duckdb_tables() order by table_name").fetchall()
        return {table: old.table(table).to_arrow_table() for (table,) in names if table not in _FACTS}


def _archive(folder: Path, name: str, tables: Mapping[str, pa.Table]) -> None:
    with (
        files.locked(folder),
        files.replacing(folder / f"{name}.duckdb") as copy,
        duckdb.connect(str(copy)) as archive,
    ):
        for table, content in tables.items():
            files.create(archive, table, content)


def _version(board: Path) -> str:
    with opened(board) as connection:
        query = "select dataset_version || '-' || protocol_version from boards"
        return str(connection.execute(query).fetchall()[0][0])


def _shows(link: Path, name: str) -> bool:
    try:
        return named(link).name == name == f"{build_id(named(link))}.duckdb"
    except InputError:
        return False


def _point(link: Path, name: str) -> None:
    temporary = link.with_name(f".{link.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(name)
    temporary.replace(link)


def _forget(folder: Path, shown: Path) -> None:
    for path in [path for path in boards(folder) if path != shown][KEPT - 1 :]:
        path.unlink()
