"""What a submitter and a worker send, against a server of the standard library that fails at will."""

import hashlib
import io
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from cosmos1050k.errors import InputError
from cosmos1050k.fetch.download import Patience
from leaderboard.submissions.client import Submitting, Unreadable, WorkServer
from leaderboard.submissions.connection import PIECE, Away, Refusal
from leaderboard.submissions.declared import Declared, parsed
from leaderboard.submissions.entry import LeaseLost
from leaderboard.submissions.order import Beat, Claim, Order, Report
from leaderboard.submissions.terms import Limits
from tests.leaderboard.submissions.platform import CUT, HALF, OTHER, PUT_OFF, TOKEN, Platform

QUICK = Patience(connect_s=5, stall_s=5, tries=3, backoff_s=0.01, longest_s=2)
LEASE = "lease-0-secret"
BYTES = bytes(range(256)) * 2000


@pytest.fixture
def platform() -> Iterator[Platform]:
    with Platform(leases={LEASE: "s1"}, weights={"s1": BYTES}).running() as started:
        yield started


@pytest.fixture
def submitter(platform: Platform) -> Submitting:
    return Submitting(platform.address, TOKEN, patience=QUICK)


@pytest.fixture
def worker(platform: Platform) -> WorkServer:
    return WorkServer(platform.address, TOKEN, patience=QUICK)


def declared() -> Declared:
    return parsed(
        '{"name": "mine", "architecture": "nano", "licence": "MIT", "contact": "a@b.org", "description": "é"}'
    )


def order(data: bytes = BYTES) -> Order:
    sums = hashlib.sha256(data).hexdigest()
    return Order(
        submission="s1",
        record=declared().record("whole", sums, "0" * 64),
        weights_bytes=len(data),
        weights_sha256=sums,
        sources={"first": "1" * 64},
        only=("first",),
        protocol_version=1,
        evaluate={},
        board_rows={},
        limits=Limits(),
    )


def nothing() -> None:
    pass


@pytest.mark.parametrize(
    "address", ["cosmos.example.org", "ftp://x.org", "http://", "http://[", "http://u:p@x.org"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="no address such as"):
        Submitting(address, TOKEN)


@pytest.mark.parametrize(
    "address", ["http://cosmos.example.org", "http://10.0.0.1:7860", "http://127.0.0.1.org"]
)
def test_a_token_is_not_sent_for_all_to_read(address: str) -> None:
    with pytest.raises(InputError, match="over http") as refused:
        Submitting(address, TOKEN)
    assert TOKEN not in str(refused.value)
    Submitting(address, TOKEN, insecure=True)
    Submitting(address.replace("http:", "https:"), TOKEN)


@pytest.mark.parametrize("token", ["", f"{TOKEN}\n", f"{TOKEN} {TOKEN}", f"{TOKEN}ü"])
def test_what_can_be_no_token_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(InputError, match="token") as refused:
        Submitting("http://localhost", token)
    assert TOKEN not in str(refused.value)


def test_a_submission_arrives_whole(platform: Platform, submitter: Submitting, tmp_path: Path) -> None:
    file = tmp_path / "../weights.safetensors"
    file.write_bytes(BYTES)
    receipt = submitter.submit(declared(), file)
    ((said, came),) = platform.submitted
    assert Declared.model_validate(said) == declared()
    assert came == BYTES
    assert (receipt.id, receipt.state, receipt.place, receipt.already) == ("s1", "queued", 2, False)
    assert submitter.page(receipt) == f"{platform.address}/?submission=s1"
    submitter.submit(declared(), None)
    assert platform.submitted[1][1] is None


@pytest.mark.parametrize("fault", [CUT, PUT_OFF, 500, 429])
def test_a_submission_is_sent_again_from_its_start(
    platform: Platform, submitter: Submitting, tmp_path: Path, fault: int | str
) -> None:
    (tmp_path / "weights").write_bytes(BYTES)
    platform.faults["submit"] = [fault, fault]
    submitter.submit(declared(), tmp_path / "weights")
    assert [came for _, came in platform.submitted] == [BYTES]
    platform.faults["submit"] = [fault] * 3
    with pytest.raises(Away, match="try again later"):
        submitter.submit(declared(), tmp_path / "weights")
    assert len(platform.submitted) == 1


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 409, 413, 422])
def test_a_refusal_is_one_line_and_asked_for_once(
    platform: Platform, submitter: Submitting, status: int
) -> None:
    platform.faults["submit"] = [status]
    with pytest.raises(Refusal) as refused:
        submitter.submit(declared(), None)
    assert refused.value.status == status
    assert refused.value.code == ("told" if status == 422 else "")
    assert ("elsewhere.example" if status == 302 else f"told to say {status}") in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(platform.calls("submit")) == 1


def test_a_share_that_is_used_up_is_a_refusal(
    platform: Platform, submitter: Submitting, monkeypatch: pytest.MonkeyPatch
) -> None:
    for code, kind in (("quota", Refusal), ("", Away)):
        monkeypatch.setattr("leaderboard.submissions.connection._told", lambda _, code=code: ("no", code))
        platform.faults["submit"] = [429] * 3
        with pytest.raises(kind) as raised:
            submitter.submit(declared(), None)
        assert getattr(raised.value, "code", "") == code
    assert len(platform.calls("submit")) == 1 + QUICK.tries


def test_another_token_is_said_before_anything_is_sent(platform: Platform) -> None:
    with pytest.raises(Refusal, match="ask for another"):
        Submitting(platform.address, TOKEN.upper(), patience=QUICK).known()


def test_what_is_no_platform_is_said(platform: Platform, submitter: Submitting) -> None:
    platform.later["s1"] = [{"hello": "world"}]
    with pytest.raises(InputError, match="is no Seen; check --server"):
        next(submitter.follow("s1"))


def test_nothing_that_is_said_holds_the_token_or_a_lease(
    platform: Platform, worker: WorkServer, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("urllib3").setLevel(logging.NOTSET)
    caplog.set_level(logging.DEBUG)
    said = []
    for fault in (500, 403, 410, 302, CUT):
        platform.faults["heartbeat"] = [fault]
        with pytest.raises(InputError) as raised:
            worker.beat(LEASE, Beat())
        said.append(str(raised.value))
    assert TOKEN not in caplog.text + "".join(said)
    assert LEASE not in "".join(said)


def test_a_submission_is_followed_to_its_end(platform: Platform, submitter: Submitting) -> None:
    looks = [
        {"id": "s1", "state": "queued", "place": 2},
        {"id": "s1", "state": "queued", "place": 2},
        {"id": "s1", "state": "running", "message": "an old one", "doing": "scores", "done": 1, "total": 4},
        {"id": "s1", "state": "rejected", "reason": "fails", "message": "it fails", "log": "why"},
    ]
    platform.later["s1"] = list(looks)
    platform.faults["seen"] = [500]
    seen = list(submitter.follow("s1", poll_s=0.01))
    assert [one.state for one in seen] == ["queued", "running", "rejected"]
    assert str(seen[0]) == "queued, place 2: it waits for a worker"
    assert (str(seen[1]), seen[1].done, seen[1].total) == ("running: a worker scores it", 1, 4)
    assert (str(seen[2]), seen[2].log) == ("rejected: it fails", "why")


def test_work_is_claimed_once(platform: Platform, worker: WorkServer) -> None:
    claim = Claim(worker="w", devices=("cpu",), sources={"first": "1"})
    assert worker.claim(claim) is None
    platform.orders = [order().model_dump(mode="json")]
    granted = worker.claim(claim)
    assert granted
    assert granted.order == order()
    assert platform.claims == [claim.model_dump(mode="json")] * 2
    platform.faults["claim"] = [500]
    with pytest.raises(Away):
        worker.claim(claim)
    assert len(platform.calls("claim")) == 3


def test_a_claim_says_what_it_speaks_and_one_of_another_release_can_be_read() -> None:
    said = {"worker": "w", "devices": ["cpu"], "sources": {}}
    assert Claim.model_validate(said).model_dump(mode="json") == said | {"bases": [], "speaks": 1}
    other = Claim.model_validate(said | {"speaks": 7, "memory": {"gb": 16}})
    assert (other.worker, other.speaks) == ("w", 7)
    with pytest.raises(ValidationError, match="memory"):
        Order.model_validate(order().model_dump() | {"memory": 16})


@pytest.mark.parametrize(
    ("lease", "told"), [(LEASE, LEASE), ("", None), ("../submissions", None), (7, None), (None, None)]
)
def test_of_work_that_cannot_be_read_the_lease_is_told(
    platform: Platform, worker: WorkServer, monkeypatch: pytest.MonkeyPatch, lease: object, told: str | None
) -> None:
    answer = {"lease": lease, "lease_s": 120, "order": order().model_dump(mode="json") | {"new": 1}}
    monkeypatch.setattr(
        "tests.leaderboard.submissions.platform._Handler._claim", lambda self, *_: self._send(200, answer)
    )
    with pytest.raises(Unreadable, match=r"is no Granted; .* one release") as raised:
        worker.claim(Claim(worker="w", devices=("cpu",), sources={}))
    assert raised.value.lease == told
    assert LEASE not in str(raised.value)


def test_what_is_no_work_at_all_has_no_lease(platform: Platform, worker: WorkServer) -> None:
    platform.faults["claim"] = [OTHER]
    with pytest.raises(Unreadable) as raised:
        worker.claim(Claim(worker="w", devices=("cpu",), sources={}))
    assert raised.value.lease is None


@pytest.mark.parametrize("ranges", [True, False])
def test_weights_are_gone_on_with_where_they_broke_off(
    platform: Platform, worker: WorkServer, tmp_path: Path, ranges: bool
) -> None:
    platform.ranges = ranges
    platform.faults["weights"] = [HALF, CUT, PUT_OFF]
    worker.weights(LEASE, order(), tmp_path / "w", nothing)
    assert (tmp_path / "w").read_bytes() == BYTES
    asked = [headers.get("Range") for headers in platform.calls("weights")]
    assert len(asked) == 4
    assert asked[0] is None
    (again,) = set(asked[1:])
    assert 0 <= len(BYTES) // 2 - int(str(again)[len("bytes=") : -1]) < PIECE
    assert [path.name for path in tmp_path.iterdir()] == ["w"]
    worker.weights(LEASE, order(), tmp_path / "w", nothing)
    assert len(platform.calls("weights")) == 4


@pytest.mark.parametrize("sent", [BYTES[:-1] + b"x", BYTES + b"x", BYTES[:100]])
def test_other_weights_are_refused(
    platform: Platform, worker: WorkServer, tmp_path: Path, sent: bytes
) -> None:
    platform.weights["s1"] = sent
    with pytest.raises(InputError, match="not those of its order"):
        worker.weights(LEASE, order(), tmp_path / "w", nothing)
    assert not list(tmp_path.iterdir())


def test_weights_that_never_come_are_given_up(platform: Platform, worker: WorkServer, tmp_path: Path) -> None:
    platform.faults["weights"] = [500] * 20
    with pytest.raises(Away, match="told to say 500"):
        worker.weights(LEASE, order(), tmp_path / "w", nothing)
    assert len(platform.calls("weights")) == QUICK.tries


@pytest.fixture
def file(tmp_path: Path) -> Iterator[io.FileIO]:
    path = tmp_path / "content"
    path.write_bytes(BYTES)
    with io.FileIO(path) as opened:
        yield opened


def test_scores_wait_for_a_server_that_is_away(file: io.FileIO) -> None:
    """More often than it is asked otherwise, and ticking meanwhile."""
    platform, ticks = Platform(leases={LEASE: "s1"}), []
    with platform.running():
        worker = WorkServer(platform.address, TOKEN, patience=QUICK)
    handed = threading.Thread(target=worker.put, args=(LEASE, "first", file, lambda: ticks.append(1)))
    handed.start()
    time.sleep(1)
    with platform.running():
        handed.join()
        assert platform.scores == {("s1", "first"): BYTES}
        assert worker.finish(LEASE, b"{}", nothing) == "scored"
        assert platform.manifests == {"s1": b"{}"}
        with pytest.raises(LeaseLost):
            worker.put(LEASE, "first", file, nothing)
    assert len(ticks) > QUICK.tries


def test_a_tick_ends_what_is_being_sent_or_taken(
    platform: Platform, worker: WorkServer, file: io.FileIO, tmp_path: Path
) -> None:
    def lost() -> None:
        raise LeaseLost("over")

    with pytest.raises(LeaseLost, match="over"):
        worker.put(LEASE, "first", file, lost)
    with pytest.raises(LeaseLost, match="over"):
        worker.weights(LEASE, order(), tmp_path / "w", lost)
    assert not platform.scores
    platform.faults["report"] = [500]
    with pytest.raises(LeaseLost, match="over"):
        worker.report(LEASE, Report(kind="ours", code="x", message=""), lost)


def test_the_state_of_what_there_is(platform: Platform, worker: WorkServer) -> None:
    platform.states["s1"] = "published"
    assert worker.state("s1") == "published"
    assert worker.state("s2") is None
