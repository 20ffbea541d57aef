"""The queue against a plain model of it, step by step; and many threads and processes at it at once."""

import multiprocessing
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cosmos1050k.errors import InputError
from leaderboard.submissions.entry import LeaseLost, Unknown
from leaderboard.submissions.queue import QUEUE, Queue
from leaderboard.submissions.refusals import Refused
from leaderboard.submissions.states import STATES, TRANSITIONS, State
from leaderboard.submissions.terms import Limits
from tests.leaderboard.submissions.queues import BOARD, Clock, declared, sums

LEASE_S, WEEK_S = 100.0, 7 * 24 * 3600.0
LIMITS = Limits(weekly_quota=4, open_at_once=3, retries=2, backoff_s=10, losses=3)
FINAL = {"published", "rejected", "failed", "withdrawn"}
BADLY = {"rejected", "failed", "withdrawn"}
people = st.sampled_from(["ann", "bob"])
texts = st.sampled_from(["one", "two", "three"])


@dataclass
class Known:
    """What the model knows of a submission."""

    number: int
    owner: str
    name: str
    commit: str | None
    weights: str | None
    state: str = "received"
    ways: list[tuple[str | None, str]] = field(default_factory=lambda: [(None, "received")])
    lease: str = ""
    until: float = 0
    not_before: float = 0
    retries: int = 0
    losses: int = 0
    scored: float | None = None

    def go(self, target: str) -> None:
        self.ways.append((self.state, target))
        self.state = target


def some(*states: str) -> Any:
    """Only where some submission is in one of the states."""
    return precondition(lambda self: any(one.state in states for one in self.known.values()))


class Machine(RuleBasedStateMachine):
    """Does to the queue what app, workers and people do, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = Clock()
        self.queue = Queue(self.folder, self.clock)
        self.known: dict[str, Known] = {}
        #: Leases that ended.
        self.ended: list[str] = []

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def of(self, data: st.DataObject, *states: str) -> str:
        return data.draw(st.sampled_from([id for id, one in self.known.items() if one.state in states]))

    @initialize()
    def start(self) -> None:
        assert self.queue.entries() == []

    @rule(who=people, name=texts, weights=texts, hub=st.booleans())
    def add(self, who: str, name: str, weights: str, hub: bool) -> None:
        given = declared(name, weights if hub else None, contact=who)
        expected = self.expected(who, name, weights, hub)
        if isinstance(expected, str) and expected not in self.known:
            with pytest.raises(Refused) as caught:
                self.queue.add(given, who, BOARD, LIMITS, None if hub else sums(weights))
            assert caught.value.code == expected
            return
        entry, already = self.queue.add(given, who, BOARD, LIMITS, None if hub else sums(weights))
        assert already == (expected is not None)
        if already:
            assert entry.id == expected
            return
        new = Known(entry.number, who, name, weights if hub else None, None if hub else weights)
        for state in () if hub else ("validating", "queued"):
            new.go(state)
        self.known[entry.id] = new

    def expected(self, who: str, name: str, weights: str, hub: bool) -> str | None:
        """The id of the same one, the code of a refusal, or None."""
        held = {id: one for id, one in self.known.items() if one.name == name and one.state not in BADLY}
        for id, one in held.items():
            if (one.commit if hub else one.weights) == weights:
                return id
        if held:
            return "name-taken"
        own = [one for one in self.known.values() if one.owner == who]
        under_way = [one for one in own if one.state not in FINAL]
        if len(under_way) >= LIMITS.open_at_once:
            return "too-many-open"
        counted = [one for one in own if one.scored is not None and one.scored > self.clock.now - WEEK_S]
        unscored = [one for one in under_way if one.scored is None]
        return "quota" if len(counted) + len(unscored) >= LIMITS.weekly_quota else None

    @rule(seconds=st.sampled_from([1.0, 11.0, LEASE_S, WEEK_S / 3]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @some("received")
    @rule(data=st.data())
    def check(self, data: st.DataObject) -> None:
        id = self.of(data, "received")
        until = self.clock.now + LEASE_S
        assert self.queue.move(id, "received", "validating", "app", expires=until)
        self.known[id].go("validating")
        self.known[id].until = until

    @some("validating")
    @rule(data=st.data(), end=st.sampled_from(["queued", "rejected", "failed"]))
    def checked(self, data: st.DataObject, end: State) -> None:
        id = self.of(data, "validating")
        one = self.known[id]
        found = sums(str(one.commit)) if end == "queued" else {}
        assert self.queue.move(id, "validating", end, "app", expires=None, **found)
        one.weights = one.commit if end == "queued" else None
        one.go(end)

    @rule()
    def start_anew(self) -> None:
        self.queue = Queue(self.folder, self.clock)
        self.queue.recover()
        for one in self.known.values():
            if one.state == "validating":
                one.go("received")

    @rule()
    def claim(self) -> None:
        waiting = [
            (one.number, id)
            for id, one in self.known.items()
            if one.state == "queued" and one.not_before <= self.clock.now
        ]
        lease = self.queue.claim("worker", LEASE_S, BOARD)
        if not waiting:
            assert lease is None
            return
        assert lease
        assert lease.entry.id == min(waiting)[1]
        one = self.known[lease.entry.id]
        one.go("running")
        one.lease, one.until = lease.id, self.clock.now + LEASE_S

    @some("running")
    @rule(data=st.data())
    def beat(self, data: st.DataObject) -> None:
        one = self.known[self.of(data, "running")]
        one.until = self.clock.now + LEASE_S
        assert self.queue.beat(one.lease, LEASE_S, "scores", 1, 2) == one.until

    @some("running")
    @rule(data=st.data(), end=st.sampled_from(["scored", "rejected"]))
    def end_run(self, data: st.DataObject, end: State) -> None:
        one = self.known[self.of(data, "running")]
        assert self.queue.end_run(one.lease, end, "note").state == end
        one.go(end)
        if end == "scored" and one.scored is None:
            one.scored = self.clock.now
        self.ended.append(one.lease)

    @some("running")
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        one = self.known[self.of(data, "running")]
        self.queue.fail_run(one.lease, LIMITS, "machine", "broke", "log")
        self.ended.append(one.lease)
        if one.retries == LIMITS.retries:
            one.go("failed")
            return
        one.not_before = self.clock.now + 10 * 4**one.retries
        one.retries += 1
        one.go("queued")

    @rule()
    def reap(self) -> None:
        lost = {
            id
            for id, one in self.known.items()
            if one.state in ("running", "validating") and one.until < self.clock.now
        }
        assert {entry.id for entry in self.queue.reap(LIMITS)} == lost
        for id in lost:
            one = self.known[id]
            one.losses += 1
            back = "queued" if one.state == "running" else "received"
            if one.state == "running":
                self.ended.append(one.lease)
            one.go("failed" if one.losses == LIMITS.losses else back)

    @some("scored")
    @rule(data=st.data())
    def publish(self, data: st.DataObject) -> None:
        id = self.of(data, "scored")
        assert self.queue.move(id, "scored", "published", "app")
        self.known[id].go("published")

    @some("published", "failed")
    @rule(data=st.data())
    def requeue(self, data: st.DataObject) -> None:
        id = self.of(data, "published", "failed")
        one = self.known[id]
        others = {own.name for own in self.known.values() if own is not one and own.state not in BADLY}
        state: State = "failed" if one.state == "failed" else "published"
        clear = {"retries": 0, "losses": 0, "not_before": 0}
        if one.name in others:
            with pytest.raises(Refused, match="is called"):
                self.queue.move(id, state, "queued", "root", **clear)
            return
        assert self.queue.move(id, state, "queued", "root", **clear)
        one.go("queued")
        one.retries = one.losses = 0
        one.not_before = 0

    @some(*(state for state in STATES if "withdrawn" in TRANSITIONS[state]))
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        id = self.of(data, *(set(STATES) - {"rejected", "withdrawn"}))
        one = self.known[id]
        if one.state == "running":
            self.ended.append(one.lease)
        source = self.queue.get(id).state
        assert self.queue.move(id, source, "withdrawn", one.owner, lease=None, expires=None)
        one.go("withdrawn")

    @some(*STATES)
    @rule(data=st.data(), source=st.sampled_from(STATES), to=st.sampled_from(STATES))
    def move_wrongly(self, data: st.DataObject, source: State, to: State) -> None:
        id = self.of(data, *STATES)
        if to not in TRANSITIONS[source]:
            with pytest.raises(AssertionError, match="no way"):
                self.queue.move(id, source, to, "nobody")
        elif source != self.known[id].state and to in BADLY:
            assert not self.queue.move(id, source, to, "nobody")

    @precondition(lambda self: self.ended)
    @rule(data=st.data())
    def come_late(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.ended))
        for call in (
            lambda: self.queue.leased(lease),
            lambda: self.queue.beat(lease, LEASE_S),
            lambda: self.queue.end_run(lease, "scored"),
            lambda: self.queue.fail_run(lease, LIMITS, "machine", "late", ""),
        ):
            with pytest.raises(LeaseLost):
                call()

    @invariant()
    def agree(self) -> None:
        found = self.queue.entries()
        assert [entry.id for entry in found] == sorted(self.known, key=lambda id: -self.known[id].number)
        waiting = sorted(one.number for one in self.known.values() if one.state == "queued")
        for entry in found:
            one = self.known[entry.id]
            told = (entry.state, entry.identity, entry.retries, entry.losses, entry.not_before)
            assert told == (one.state, one.owner, one.retries, one.losses, one.not_before)
            ways = [(event.source, event.target) for event in self.queue.events(entry.id)]
            assert ways == one.ways
            runs = Counter(target for _, target in ways)
            assert runs["scored"] <= runs["running"]
            place = 1 + waiting.index(one.number) if one.state == "queued" else None
            assert self.queue.place(entry.id) == place
            if one.state == "running":
                assert self.queue.leased(one.lease).id == entry.id
        held = [one.lease for one in self.known.values() if one.state == "running"]
        assert len(held) == len(set(held))


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=12, stateful_step_count=40, suppress_health_check=list(HealthCheck)
)


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
    clock.now += WEEK_S + 1
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
