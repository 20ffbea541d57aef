"""What workers ask by the API: claims, weights by parts, heartbeats, scores, and leases that are lost."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Message

from app import api_work
from app.api import PREFIX
from leaderboard.submissions.order import Order
from tests.app.submitting import TERMS, Site, decoder, refused, scored

CLAIM: dict[str, Any] = {"worker": "lab 1", "devices": ["cpu"], "sources": TERMS.sources}
CLAIM["bases"] = ["sam_nano"]
GONE = "lease-lost"


@pytest.fixture
def worker(ours: Site) -> Iterator[TestClient]:
    with ours.asking(ours.token("lab", "worker")) as client:
        yield client


def claimed(worker: TestClient) -> tuple[str, Order]:
    """The lease and the order of a claim."""
    answer = worker.post("work/claim", json=CLAIM)
    assert answer.status_code == 200, answer.text
    assert answer.json()["lease_s"] == 120
    return f"work/{answer.json()['lease']}", Order.model_validate(answer.json()["order"])


def test_work_is_claimed_once_by_who_can_do_it(ours: Site, worker: TestClient) -> None:
    nothing = worker.post("work/claim", json=CLAIM)
    assert (nothing.status_code, nothing.content) == (204, b"")
    one = ours.submit()
    stale = CLAIM | {"sources": {"sample": "abc", "toy": "old"}}
    assert "toy: another version" in refused(worker.post("work/claim", json=stale), 409, "versions")
    assert refused(worker.post("work/claim", json=CLAIM | {"devices": []}), 409, "versions")
    for unfit in ({}, CLAIM | {"worker": "<b>"}, CLAIM | {"devices": ["tpu"]}):
        assert refused(worker.post("work/claim", json=unfit), 422, "form")
    lease, order = claimed(worker)
    assert (order.submission, order.only, order.record.name) == (one, ("sample", "toy"), "mine")
    entry = ours.desk.queue.get(one)
    assert (entry.state, entry.worker) == ("running", "lab 1")
    assert worker.post("work/claim", json=CLAIM).status_code == 204
    said = json.dumps(worker.get(f"submissions/{one}").json())
    assert lease.removeprefix("work/") not in said


def test_weights_come_whole_and_in_parts(ours: Site, worker: TestClient) -> None:
    ours.submit()
    lease, order = claimed(worker)
    whole = worker.get(f"{lease}/weights")
    assert (whole.status_code, whole.content) == (200, decoder())
    assert order.weights_bytes == len(whole.content)
    part = worker.get(f"{lease}/weights", headers={"Range": "bytes=1000-"})
    assert (part.status_code, part.content) == (206, decoder()[1000:])
    assert part.headers["content-range"] == f"bytes 1000-{order.weights_bytes - 1}/{order.weights_bytes}"
    assert worker.get(f"{lease}/weights", headers={"Range": "bytes=9999999-"}).status_code == 416
    ours.desk._intake.folder.path(str(ours.desk.queue.get(order.submission).tensors_sha256)).unlink()
    assert refused(worker.get(f"{lease}/weights"), 503, "")


def test_a_heartbeat_is_seen(ours: Site, worker: TestClient) -> None:
    one = ours.submit()
    lease, _ = claimed(worker)
    beat = worker.post(f"{lease}/heartbeat", json={"doing": "S5 on toy", "done": 3, "total": 8})
    entry = ours.desk.queue.get(one)
    assert (beat.status_code, beat.json()) == (200, {"expires": entry.expires})
    assert (entry.doing, entry.done, entry.total) == ("S5 on toy", 3, 8)
    page = worker.get(f"submissions/{one}").json()
    assert (page["heartbeat"], page["doing"], page["done"]) == (entry.heartbeat, "S5 on toy", 3)
    assert refused(worker.post(f"{lease}/heartbeat", json={"done": -1}), 422, "form")


def test_scores_are_handed_in_whole(ours: Site, worker: TestClient) -> None:
    one = ours.submit()
    lease, order = claimed(worker)
    scores, manifest = scored(order)
    staged = ours.desk._state / "staging" / one
    for source in ("other", "..", "..%2Ftoy", "toy%00", "toy.parquet", "a" * 101):
        answer = worker.put(f"{lease}/scores/{source}", content=scores)
        assert answer.status_code in (404, 422), source
        assert answer.json().keys() == {"detail", "code"}
    assert not staged.exists()
    assert worker.put(f"{lease}/scores/toy", content=b"first").status_code == 204
    assert (staged / "toy.parquet").read_bytes() == b"first"
    assert worker.put(f"{lease}/scores/toy", content=scores).status_code == 204
    assert "sample.parquet: not handed in" in refused(
        worker.post(f"{lease}/finish", content=manifest), 422, "form"
    )
    assert worker.put(f"{lease}/scores/sample", content=scores).status_code == 204
    assert {path.name for path in staged.iterdir()} == {"toy.parquet", "sample.parquet"}
    assert "manifest" in refused(worker.post(f"{lease}/finish", content=b"{}"), 422, "form").lower()
    assert ours.desk.queue.get(one).state == "running"
    done = worker.post(f"{lease}/finish", content=manifest)
    assert (done.status_code, done.json()) == (200, {"state": "scored"})
    assert (staged / "toy.parquet").read_bytes() == scores
    assert refused(worker.post(f"{lease}/finish", content=manifest), 410, GONE)


def test_a_run_without_scores_ends_as_its_report_says(ours: Site, worker: TestClient) -> None:
    bad, unlucky = ours.submit(), ours.submit("other", seed=1)
    report = {"kind": "model", "code": "fails", "message": "it fails\non all images", "log": "Traceback"}
    answer = worker.post(f"{claimed(worker)[0]}/report", json=report)
    assert (answer.status_code, answer.json()) == (200, {"state": "rejected"})
    page = worker.get(f"submissions/{bad}").json()
    told = (page["reason"], page["message"], page["log"])
    assert told == ("fails", "it fails on all images", "Traceback")
    lease, order = claimed(worker)
    assert order.submission == unlucky
    answer = worker.post(f"{lease}/report", json=report | {"kind": "ours", "code": "disk"})
    assert answer.json() == {"state": "queued"}
    assert refused(worker.post(f"{lease}/report", json=report), 410, GONE)


def test_a_lost_lease_is_told_at_every_call(ours: Site, worker: TestClient) -> None:
    one = ours.submit()
    lease, order = claimed(worker)
    scores, manifest = scored(order)
    ours.desk.withdraw(one, "ann")
    for gone in (lease, "work/guess"):
        for answer in (
            worker.get(f"{gone}/weights"),
            worker.post(f"{gone}/heartbeat", json={}),
            worker.put(f"{gone}/scores/toy", content=scores),
            worker.post(f"{gone}/finish", content=manifest),
            worker.post(f"{gone}/report", json={"kind": "ours", "code": "x", "message": "y"}),
        ):
            assert refused(answer, 410, GONE)
    assert not (ours.desk._state / "staging" / one).exists()


def put(ours: Site, path: str, messages: Iterator[bytes | None]) -> tuple[int, Any]:
    """`PUT` of what comes message by message; None: the client is gone."""
    said: list[Any] = []

    async def receive() -> Message:
        piece = next(messages)
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    async def send(message: Message) -> None:
        said.append(message)

    token = ours.token("lab", "worker")["Authorization"].encode()
    scope = {"type": "http", "method": "PUT", "path": f"{PREFIX}/{path}", "query_string": b""}
    with ThreadPoolExecutor(1) as thread:
        asking = ours.api({**scope, "headers": [(b"authorization", token)]}, receive, send)
        thread.submit(asyncio.run, asking).result()
    return said[0]["status"], json.loads(said[1]["body"] or "null")


def test_scores_that_break_off_or_come_too_late_are_not_kept(ours: Site, worker: TestClient) -> None:
    one = ours.submit()
    lease, _ = claimed(worker)
    staged = ours.desk._state / "staging" / one
    assert put(ours, f"{lease}/scores/toy", iter([b"a" * 3_000_000, None]))[0] == 400
    assert list(staged.iterdir()) == []
    assert put(ours, f"{lease}/scores/toy", iter([b"a" * 3_000_000, b"b", b""])) == (204, None)
    assert (staged / "toy.parquet").stat().st_size == 3_000_001

    def withdrawn() -> Iterator[bytes]:
        yield b"a" * 3_000_000
        ours.desk.withdraw(one, "ann")
        yield b""

    status, answer = put(ours, f"{lease}/scores/toy", withdrawn())
    assert (status, answer["code"]) == (410, GONE)
    # What came too late is not there; the keeper removes what came before.
    assert [(path.name, path.stat().st_size) for path in staged.iterdir()] == [("toy.parquet", 3_000_001)]


def test_what_workers_send_has_a_limit(
    ours: Site, worker: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ours.submit()
    lease, _ = claimed(worker)
    assert "at most 1,000,000 bytes" in refused(
        worker.post("work/claim", content=bytes(1_000_001)), 413, "too-large"
    )
    monkeypatch.setattr(api_work, "_SCORES", 250_000)
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield bytes(100_000)

    status, answer = put(ours, f"{lease}/scores/toy", endless())
    assert (status, answer["code"], read) == (413, "too-large", 3)
    assert list((ours.desk._state / "staging" / one).iterdir()) == []
    assert [api_work.most_bytes(path) for path in ("/work/a/finish", "/work/a/report")] == [
        20_000_000,
        1_000_000,
    ]


def test_workers_at_once_get_each_submission_once(ours: Site, worker: TestClient) -> None:
    ids = [ours.submit(f"m{seed}", seed) for seed in range(9)]
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: worker.post("work/claim", json=CLAIM), range(14)))
    given = [answer.json()["order"]["submission"] for answer in answers if answer.status_code == 200]
    assert sorted(given) == sorted(ids)
    assert [answer.status_code for answer in answers].count(204) == 5
