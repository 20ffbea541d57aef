"""App, workers and people in any order: the queue does what a model of it does."""

import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from leaderboard.submissions.entry import LeaseLost
from leaderboard.submissions.queue import Queue
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
    queued: float = 0

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
        new.queued = self.clock.now
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
        one.queued = self.clock.now
        one.go(end)

    @rule()
    def start_anew(self) -> None:
        self.queue = Queue(self.folder, self.clock)
        self.queue.recover(LIMITS)
        for one in self.known.values():
            if one.state == "validating":
                one.go("received")
            elif one.state == "running":
                one.until = max(one.until, self.clock.now + LIMITS.lease_s)

    @rule()
    def claim(self) -> None:
        waiting = [
            (one.queued, one.number, id)
            for id, one in self.known.items()
            if one.state == "queued" and one.not_before <= self.clock.now
        ]
        lease = self.queue.claim("worker", LEASE_S, BOARD)
        if not waiting:
            assert lease is None
            return
        assert lease
        assert lease.entry.id == min(waiting)[2]
        one = self.known[lease.entry.id]
        one.go("running")
        one.lease, one.until = lease.id, self.clock.now + LEASE_S

    @some("running")
    @rule(data=st.data())
    def beat(self, data: st.DataObject) -> None:
        one = self.known[self.of(data, "running")]
        one.until = self.clock.now + LEASE_S
        one.scored = one.scored or self.clock.now
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
        one.queued = self.clock.now
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
        waiting = sorted((o.queued, o.number) for o in self.known.values() if o.state == "queued")
        for entry in found:
            one = self.known[entry.id]
            told = (entry.state, entry.identity, entry.retries, entry.losses, entry.not_before)
            assert told == (one.state, one.owner, one.retries, one.losses, one.not_before)
            ways = [(event.source, event.target) for event in self.queue.events(entry.id)]
            assert ways == one.ways
            runs = Counter(target for _, target in ways)
            assert runs["scored"] <= runs["running"]
            place = 1 + waiting.index((one.queued, one.number)) if one.state == "queued" else None
            assert self.queue.place(entry.id) == place
            if one.state == "running":
                assert self.queue.leased(one.lease).id == entry.id
        held = [one.lease for one in self.known.values() if one.state == "running"]
        assert len(held) == len(set(held))


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=12, stateful_step_count=40, suppress_health_check=list(HealthCheck)
)
