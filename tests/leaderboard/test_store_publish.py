import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from cosmos1050k.errors import InputError
from leaderboard.store.build import BoardOptions
from leaderboard.store.publish import ARCHIVE, CURRENT, archived, build_id, publish
from leaderboard.store.read import BoardReader
from tests.leaderboard.boards import Scored
from tests.many import many

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def three(scored: Scored, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three boards that differ in their seed alone."""
    folder = tmp_path_factory.mktemp("three")
    other = scored.copy(folder)
    made = []
    for seed in range(3):
        other.board(options=BoardOptions(bootstrap_draws=100, seed=seed))
        made.append(Path(shutil.copy(other.path, folder / f"{seed}.duckdb")))
    return made


def published(state: Path) -> set[str]:
    """The names of all that lies in the folder of boards."""
    return {path.name for path in (state / "boards").iterdir()}


def shown(state: Path) -> str:
    return str(BoardReader(state).board()["build_id"])


def names(*boards: Path) -> set[str]:
    return {CURRENT, *(f"{build_id(board)}.duckdb" for board in boards)}


def test_a_board_is_copied_and_linked(three: list[Path], tmp_path: Path) -> None:
    target = publish(three[0], tmp_path)
    assert target == tmp_path / "boards" / f"{build_id(three[0])}.duckdb"
    assert target.read_bytes() == three[0].read_bytes()
    link = tmp_path / "boards" / CURRENT
    assert link.is_symlink()
    assert link.readlink() == Path(target.name)  # relative: the folder may be moved
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    assert shown(moved) == build_id(three[0])


def test_publishing_what_is_shown_changes_nothing(three: list[Path], tmp_path: Path) -> None:
    target = publish(three[0], tmp_path)
    before = target.stat(), (tmp_path / "boards" / CURRENT).lstat()
    assert publish(three[0], tmp_path) == target
    assert (target.stat().st_ino, target.stat().st_mtime_ns) == (before[0].st_ino, before[0].st_mtime_ns)
    assert (tmp_path / "boards" / CURRENT).lstat().st_ino == before[1].st_ino
    assert published(tmp_path) == names(three[0])


def test_a_published_board_that_was_lost_is_published_again(three: list[Path], tmp_path: Path) -> None:
    publish(three[0], tmp_path).unlink()
    publish(three[0], tmp_path)
    assert shown(tmp_path) == build_id(three[0])


def test_the_two_newest_are_kept(three: list[Path], tmp_path: Path) -> None:
    first, second, third = three
    for board, kept in (
        (first, names(first)),
        (second, names(first, second)),
        (third, names(second, third)),
        (second, names(second, third)),
        (first, names(first, second)),
    ):
        publish(board, tmp_path)
        assert published(tmp_path) == kept
        assert shown(tmp_path) == build_id(board)


def test_an_open_reader_shows_the_next_board_at_its_next_call(three: list[Path], tmp_path: Path) -> None:
    publish(three[0], tmp_path)
    reader = BoardReader(tmp_path)
    for board in (three[0], three[1], three[2], three[1], three[0]):
        publish(board, tmp_path)
        assert reader.board()["build_id"] == build_id(board)
        assert reader.headlines()


_READ = """
import sys
from pathlib import Path
from leaderboard.store.read import BoardReader
reader = BoardReader(Path(sys.argv[1]))
for _ in sys.stdin:
    print(reader.board()["build_id"], flush=True)
"""

_PUBLISH = """
import sys
from pathlib import Path
from leaderboard.store.publish import publish
state, *boards = map(Path, sys.argv[1:])
print("ready", flush=True)
while True:
    for board in boards:
        publish(board, state)
"""


@contextmanager
def child(script: str, *arguments: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_reader_in_another_process_does_too(three: list[Path], tmp_path: Path) -> None:
    publish(three[0], tmp_path)
    with child(_READ, tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for board in (three[0], three[1], three[2]):
            publish(board, tmp_path)
            published_at = time.monotonic()
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline().strip() == build_id(board)
            assert time.monotonic() - published_at < 5


def test_a_publisher_that_is_killed_leaves_a_whole_board(three: list[Path], tmp_path: Path) -> None:
    # Three boards in turn, one of them of another protocol version, so that the archive is written too.
    with duckdb.connect(str(three[2])) as connection:
        connection.execute("update boards set protocol_version = 2")
    publish(three[0], tmp_path)
    whole = {build_id(board) for board in three}
    reader = BoardReader(tmp_path)
    moment = random.Random(0)
    with child(_READ, tmp_path) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        for _ in range(many(60)):
            with child(_PUBLISH, tmp_path, *three) as process:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
                end = time.monotonic() + moment.uniform(0, 0.2)
                while time.monotonic() < end:  # somebody reads meanwhile
                    assert reader.board()["build_id"] in whole
                process.send_signal(signal.SIGKILL)
                process.wait()
            found = shown(tmp_path)
            assert found in whole
            assert reader.board()["build_id"] == found
            other.stdin.write("\n")
            other.stdin.flush()
            assert other.stdout.readline().strip() == found  # open since before the kill
            target = (tmp_path / "boards" / CURRENT).resolve()
            assert target.read_bytes() == next(b for b in three if build_id(b) == found).read_bytes()
            for name in archived(tmp_path):
                assert BoardReader(tmp_path, name).headlines()
    for board in three:
        publish(board, tmp_path)
    assert published(tmp_path) == names(*three[1:]) | {ARCHIVE}  # nothing is left of the killed
    assert archived(tmp_path)
    assert {path.stem for path in (tmp_path / "boards" / ARCHIVE).iterdir()} == set(archived(tmp_path))


@pytest.mark.slow
def test_two_publishers_at_once_do_no_harm(three: list[Path], tmp_path: Path) -> None:
    with child(_PUBLISH, tmp_path, *three) as one, child(_PUBLISH, tmp_path, *three[::-1]) as other:
        for process in (one, other):
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        reader = BoardReader(tmp_path)
        for _ in range(8):
            publish(three[1], tmp_path)
            assert reader.board()["build_id"] in {build_id(board) for board in three}
        link, known = tmp_path / "boards" / CURRENT, names(*three)
        assert {str(link.readlink()) for _ in range(100_000)} <= known  # there is not a moment without a link
        assert one.poll() is None
        assert other.poll() is None


def not_a_database(path: Path, board: Path) -> None:
    path.write_bytes(b"no database at all" * 1000)


def half_written(path: Path, board: Path) -> None:
    content = board.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def empty(path: Path, board: Path) -> None:
    path.write_bytes(b"")


def cut_off(path: Path, board: Path) -> None:
    path.write_bytes(board.read_bytes()[:-1])


def another_database(path: Path, board: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table boards (build_id text)")


def of_an_older_release(path: Path, board: Path) -> None:
    path.write_bytes(board.read_bytes())
    with duckdb.connect(str(path)) as connection:
        connection.execute("alter table boards drop column numerics")


DAMAGES = [not_a_database, half_written, cut_off, empty, of_an_older_release]


@pytest.mark.parametrize("damage", [*DAMAGES, another_database])
def test_a_file_that_is_no_board_is_not_published(three: list[Path], tmp_path: Path, damage: object) -> None:
    publish(three[0], tmp_path)
    assert callable(damage)
    damage(tmp_path / "bad.duckdb", three[1])
    with pytest.raises(InputError, match=r"bad\.duckdb: not a whole board .*run `make repro`") as caught:
        publish(tmp_path / "bad.duckdb", tmp_path)
    assert "\n" not in str(caught.value)
    assert published(tmp_path) == names(three[0])
    assert shown(tmp_path) == build_id(three[0])


def test_a_board_that_is_missing_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing; run `make repro`"):
        publish(tmp_path / "none.duckdb", tmp_path)


def test_a_reader_without_a_board(three: list[Path], tmp_path: Path) -> None:
    reader = BoardReader(tmp_path)
    for _ in range(2):
        with pytest.raises(InputError, match=r"no board is published at .*; run `make repro`") as caught:
            reader.board()
        assert "\n" not in str(caught.value)
    publish(three[0], tmp_path)
    assert reader.board()["build_id"] == build_id(three[0])


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_reader_of_a_damaged_board(three: list[Path], tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    target = publish(three[0], tmp_path)
    damage(target, three[0])
    reader = BoardReader(tmp_path)
    with pytest.raises(InputError, match=r"duckdb: not a whole board .*; run `make repro`") as caught:
        reader.board()
    assert "\n" not in str(caught.value)
    publish(three[1], tmp_path)
    assert reader.board()["build_id"] == build_id(three[1])


def test_a_published_board_that_was_damaged_is_published_again(three: list[Path], tmp_path: Path) -> None:
    target = publish(three[0], tmp_path)
    half_written(target, three[0])
    publish(three[0], tmp_path)
    assert shown(tmp_path) == build_id(three[0])
