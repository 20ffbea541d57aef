"""The queue: runs that fail or vanish, quotas, wishes for a board; threads and processes at it at once."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import Pool
from pathlib import Path

import pytest

from cosmos1050k.errors import InputError
from leaderboard.submissions.entry import Unknown
from leaderboard.submissions.queue import QUEUE, Queue
from leaderboard.submissions.refusals import Refused
from leaderboard.submissions.terms import Limits
from tests.leaderboard.submissions.queues import BOARD, Clock, declared, sums


def test_a_run_that_fails_waits_longer_each_time_and_ends(tmp_path: Path) -> None:
    clock = Clock()
    queue = Queue(tmp_path, clock)
    entry, _ = queue.add(declared("a"), "ann", BOARD, Limits(), sums("a"))
    waits = []
    while queue.get(entry.id).state != "failed":
        lease = queue.claim("w", 100, BOARD)
        assert lease
        after = queue.fail_run(lease.id, Limits(), "machine", "no room", "the log")
        assert (after.reason, after.message, after.log) == ("machine", "no room", "the log")
        if after.state == "queued":
            waits.append(after.not_before - clock.now)
            clock.now = after.not_before - 1
            assert queue.claim("w", 100, BOARD) is None
            clock.now += 1
    assert waits == [30, 120, 480]


def test_a_submission_whose_workers_vanish_fails_in_the_end(tmp_path: Path) -> None:
    clock = Clock()
    queue = Queue(tmp_path, clock)
    entry, _ = queue.add(declared("a"), "ann", BOARD, Limits(), sums("a"))
    for lost in range(1, 11):
        assert queue.claim("w", 100, BOARD)
        assert queue.reap(Limits()) == []
        clock.now += 101
        (found,) = queue.reap(Limits())
        assert found.losses == lost
    assert (found.id, found.state, found.reason) == (entry.id, "failed", "lost")
    assert found.message == "10 workers vanished with it"


def test_what_is_scored_again_takes_nobody_s_quota(tmp_path: Path) -> None:
    clock, limits = Clock(), Limits(weekly_quota=2)
    queue = Queue(tmp_path, clock)
    for name in ("a", "b"):
        entry, _ = queue.add(declared(name), "ann", BOARD, limits, sums(name))
        lease = queue.claim("w", 100, BOARD)
        assert lease
        queue.end_run(lease.id, "scored")
        if name == "a":
            with pytest.raises(Refused, match="is called"):
                queue.add(declared("a"), "bob", BOARD, limits, sums("other"))
    with pytest.raises(Refused, match="2 runs of yours were scored in the last seven days and 0 are"):
        queue.add(declared("c"), "ann", BOARD, limits, sums("c"))
    queue.add(declared("c"), "bob", BOARD, limits, sums("c"))
    clock.now += 7 * 24 * 3600 + 1
    for entry in queue.entries(identity="ann"):
        queue.move(entry.id, "scored", "published", "app")
        queue.move(entry.id, "published", "queued", "root")
    assert queue.add(declared("d"), "ann", BOARD, limits, sums("d"))[1] is False


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    for call in (lambda: queue.get("nobody"), lambda: queue.note("nobody", "ann", "x")):
        with pytest.raises(Unknown, match="there is no submission 'nobody'"):
            call()
    assert queue.place("nobody") is None
    assert not queue.move("nobody", "queued", "withdrawn", "ann")
    (tmp_path / QUEUE).write_bytes(b"no database" * 1000)
    for left in tmp_path.glob(f"{QUEUE}-*"):
        left.unlink()
    with pytest.raises(InputError, match=r"the queue can.t be used .*`cosmos restore` a backup"):
        Queue(tmp_path)


def test_a_wish_for_a_board_that_comes_while_one_is_made_is_kept(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    assert queue.board_wanted() == 0
    queue.want_board()
    wanted = queue.board_wanted()
    Queue(tmp_path).want_board()
    queue.board_made(wanted)
    assert queue.board_wanted()
    queue.board_made(queue.board_wanted())
    assert queue.board_wanted() == 0


def taken(state: Path, worker: str) -> list[str]:
    """Scores until nothing waits, with a queue of its own."""
    queue, found = Queue(state), []
    while lease := queue.claim(worker, 1000, BOARD):
        queue.beat(lease.id, 1000, "scores")
        found.append(queue.end_run(lease.id, "scored").id)
    return found


@pytest.fixture(scope="module")
def processes() -> Iterator[Pool]:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        yield pool


def test_of_many_claimed_at_once_none_is_lost_and_none_comes_twice(tmp_path: Path, processes: Pool) -> None:
    limits = Limits(weekly_quota=200, open_at_once=200)

    def add(number: int) -> str:
        name = f"m{number:03}"
        return Queue(tmp_path).add(declared(name), "ann", BOARD, limits, sums(name))[0].id

    with ThreadPoolExecutor(8) as threads:  # the first of them make the file
        added = list(threads.map(add, range(200)))
    assert len(set(added)) == 200
    with ThreadPoolExecutor(8) as threads:
        apart = [processes.apply_async(taken, (tmp_path, f"p{number}")) for number in range(4)]
        here = [threads.submit(taken, tmp_path, f"t{number}") for number in range(8)]
        found = [id for result in apart for id in result.get()] + [id for one in here for id in one.result()]
    assert sorted(found) == sorted(added)
    queue = Queue(tmp_path)
    assert {entry.state for entry in queue.entries()} == {"scored"}
    expected = ["received", "validating", "queued", "running", "scored"]
    assert all([event.target for event in queue.events(id)] == expected for id in added)


def test_many_open_a_queue_that_is_not_there_yet(tmp_path: Path, processes: Pool) -> None:
    for time in range(10):
        given = [(tmp_path / str(time), f"p{number}") for number in range(8)]
        assert processes.starmap(taken, given, chunksize=1) == [[]] * 8
