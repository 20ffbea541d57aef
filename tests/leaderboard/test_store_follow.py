import logging
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from cosmos1050k.errors import InputError
from leaderboard.store import follow
from leaderboard.store.publish import CURRENT, publish
from leaderboard.store.read import REMEMBERED, BoardReader

IDS = ("first", "second", "third")


@pytest.fixture(scope="module")
def three(board: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Boards that differ in their id alone."""
    folder = tmp_path_factory.mktemp("three")
    made = []
    for name in IDS:
        made.append(Path(shutil.copy(board, folder / f"{name}.duckdb")))
        with duckdb.connect(str(made[-1])) as connection:
            connection.execute("update boards set build_id = ?", [name])
    return made


def point(state: Path, name: str) -> Path:
    """Links a file as a publisher would; it need not be there."""
    link = state / "boards" / CURRENT
    link.unlink()
    link.symlink_to(name)
    return link.parent / name


def shown(reader: BoardReader) -> str:
    """The board's id, after questions to large and small tables."""
    assert len(reader.headlines()) == 9
    assert reader.cases("Liver-CT", "S5")
    assert reader.board()["build_id"] == reader.build_id()
    return reader.build_id()


def offsets(size: int) -> list[int]:
    """Where a file may be cut: at its headers, at blocks, in between, at its last byte."""
    edges = {1, 8, 12, 4095, 4096, 8192, 12288, 12289, size - 1, size - 4096}
    return sorted(edges | set(range(0, size, size // 8)))


@pytest.mark.slow
def test_a_half_written_board_leaves_the_last_one(three: list[Path], tmp_path: Path) -> None:
    publish(three[0], tmp_path)
    reader, whole = BoardReader(tmp_path), three[1].read_bytes()
    assert shown(reader) == "first"
    assert reader.trouble() is None
    bad = point(tmp_path, "second.duckdb")
    for offset in offsets(len(whole)):
        bad.write_bytes(whole[:offset])
        for one in (reader, BoardReader(tmp_path)):  # open since before, and opened now
            assert shown(one) == "first"
            trouble = one.trouble()
            assert trouble is not None
            assert f"{bad}: not a whole board (" in trouble
            assert trouble.endswith("); run `make repro`; until then the board first is shown")
            assert "\n" not in trouble
    publish(three[1], tmp_path)
    assert (shown(reader), reader.trouble()) == ("second", None)


def folder(path: Path) -> None:
    path.mkdir()


def nothing(path: Path) -> None:
    assert not path.exists()


def text(path: Path) -> None:
    path.write_text("no database at all\n" * 100_000)


def another_database(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table boards (build_id text)")


def itself(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("damage", [folder, nothing, text, another_database, itself])
def test_what_is_no_board_leaves_the_last_one(
    three: list[Path], tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    publish(three[0], tmp_path)
    reader = BoardReader(tmp_path)
    assert shown(reader) == "first"
    damage(point(tmp_path, "bad.duckdb"))
    for one in (reader, BoardReader(tmp_path)):
        for _ in range(2):
            assert shown(one) == "first"
            assert "run `make repro`; until then the board first is shown" in str(one.trouble())
    publish(three[1], tmp_path)
    assert (shown(reader), reader.trouble()) == ("second", None)


def test_without_a_link_the_newest_board_that_is_kept(three: list[Path], tmp_path: Path) -> None:
    publish(three[0], tmp_path)
    publish(three[1], tmp_path)
    (tmp_path / "boards" / CURRENT).unlink()
    reader = BoardReader(tmp_path)
    assert shown(reader) == "second"
    assert str(reader.trouble()).startswith("no board is published at ")
    (tmp_path / "boards" / "second.duckdb").write_bytes(b"DUCK" * 5000)
    assert shown(BoardReader(tmp_path)) == "first"


def test_with_no_whole_board_there_is_one_line(three: list[Path], tmp_path: Path) -> None:
    for board in three[:2]:
        publish(board, tmp_path).write_bytes(b"")
    reader = BoardReader(tmp_path)
    for ask in (reader.board, reader.build_id, lambda: reader.remembered(str)):
        with pytest.raises(InputError, match=r"second\.duckdb: not a whole board .*; run `make repro`$"):
            ask()
    assert "\n" not in str(reader.trouble())
    publish(three[2], tmp_path)
    assert (shown(reader), reader.trouble()) == ("third", None)


def test_a_board_that_is_damaged_while_it_is_shown(three: list[Path], tmp_path: Path) -> None:
    publish(three[0], tmp_path)
    target = publish(three[1], tmp_path)
    reader = BoardReader(tmp_path)
    assert reader.build_id() == "second"
    with target.open("r+b") as stream:  # in place: what is open is damaged too
        stream.truncate(20_000)
    assert shown(reader) == "first"
    assert "until then the board first is shown" in str(reader.trouble())
    publish(three[1], tmp_path)
    assert (shown(reader), reader.trouble()) == ("second", None)


def test_another_file_in_the_place_of_the_board_that_is_shown(three: list[Path], tmp_path: Path) -> None:
    target = publish(three[0], tmp_path)
    reader = BoardReader(tmp_path)
    assert shown(reader) == "first"
    text(tmp_path / "text")
    (tmp_path / "text").replace(target)  # larger than the board, which DuckDB still has open
    assert shown(reader) == "first"
    assert "no DuckDB file); run `make repro`; until then the board first is shown" in str(reader.trouble())


def test_bytes_that_rot_while_they_are_shown(three: list[Path], tmp_path: Path) -> None:
    target = publish(three[0], tmp_path)
    reader = BoardReader(tmp_path)
    assert reader.build_id() == "first"
    size = target.stat().st_size
    with target.open("r+b") as stream:
        stream.seek(20_000)
        stream.write(b"\xff" * (size - 20_000))
    with pytest.raises(InputError, match="not a whole board") as caught:
        shown(reader)
    assert "\n" not in str(caught.value)
    publish(three[1], tmp_path)
    assert (shown(reader), reader.trouble()) == ("second", None)


def test_a_file_that_is_mended_as_it_was_is_tried_again(
    three: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(three[0], tmp_path)
    reader = BoardReader(tmp_path)
    monkeypatch.setattr(follow, "opened", refusing)  # as a file that nobody may read now
    with pytest.raises(InputError, match="not for you"):
        reader.build_id()
    monkeypatch.undo()
    with pytest.raises(InputError, match="not for you"):
        reader.build_id()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 10)
    assert reader.build_id() == "first"


def refusing(board: Path) -> duckdb.DuckDBPyConnection:
    raise InputError(f"{board}: not for you")


def test_a_board_that_stays_damaged_is_told_of_once(
    three: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish(three[0], tmp_path)
    reader = BoardReader(tmp_path)
    assert shown(reader) == "first"
    text(point(tmp_path, "bad.duckdb"))
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            assert shown(reader) == "first"
    assert len(caplog.messages) == 1


@pytest.mark.slow
def test_many_threads_while_boards_come_and_go(three: list[Path], tmp_path: Path) -> None:
    publish(three[0], tmp_path)
    reader, over = BoardReader(tmp_path), threading.Event()

    def look() -> set[str]:
        found = set()
        while not over.is_set():
            found.add(reader.board()["build_id"])
            assert reader.remembered(headlines)[1]
        return found

    with ThreadPoolExecutor(4) as threads:
        looking = [threads.submit(look) for _ in range(4)]
        for turn in range(6):
            publish(three[turn % 3], tmp_path)
            point(tmp_path, "bad.duckdb").write_bytes(b"x" * turn)
            time.sleep(0.02)
        publish(three[2], tmp_path)
        over.set()
        assert set().union(*(one.result() for one in looking)) <= set(IDS)
    assert (reader.build_id(), reader.trouble()) == ("third", None)


def headlines(reader: BoardReader) -> tuple[str, int]:
    return reader.build_id(), len(reader.headlines())


def test_what_is_remembered_is_of_one_board(three: list[Path], tmp_path: Path) -> None:
    publish(three[0], tmp_path)
    reader, asked = BoardReader(tmp_path), []

    def both(reader: BoardReader, second: int) -> list[str]:
        asked.append(reader.build_id())
        if len(asked) == 1:
            publish(three[second], tmp_path)  # in between
        return [asked[-1], reader.board()["build_id"]]

    assert reader.remembered(both, 1) == ["second", "second"]
    assert asked == ["first", "second"]
    assert reader.remembered(both, 1) == ["second", "second"]
    assert len(asked) == 2
    publish(three[0], tmp_path)
    assert reader.remembered(both, 1) == ["first", "first"]


def test_no_more_is_remembered_than_there_is_room_for(three: list[Path], tmp_path: Path) -> None:
    publish(three[0], tmp_path)
    reader = BoardReader(tmp_path)
    for number in range(3 * REMEMBERED):
        assert reader.remembered(twice, number) == 2 * number
    assert reader._remembered.held == REMEMBERED


def twice(reader: BoardReader, number: int) -> int:
    return 2 * number
