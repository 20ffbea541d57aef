"""What Prometheus is told: right numbers, few labels, nobody's name, and no request fails of it."""

import logging
import re
import socket
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from app.metrics import FIRST, OTHER, ROUTES, Counted, Metrics, route
from app.options import Options
from app.server import build_server
from cosmos1050k.errors import InputError
from leaderboard.submissions.backup import backup
from leaderboard.submissions.client import WorkServer
from leaderboard.submissions.desk import Desk
from leaderboard.submissions.metrics import expose, of_worker
from leaderboard.submissions.queue import QUEUE, Queue
from leaderboard.submissions.states import STATES
from leaderboard.submissions.tally import Tally
from leaderboard.submissions.terms import Limits
from tests.app.conftest import ROOT, free_port
from tests.leaderboard.submissions.queues import BOARD, Clock, declared, sums
from tests.many import many

Told = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Told:
    """Samples by name and labels, as Prometheus' own parser reads them."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def told(metrics: Metrics) -> Callable[..., float | None]:
    """Asks for one number of a scrape."""
    found = parsed(generate_latest(metrics.registry).decode())
    return lambda name, **labels: found.get((name, frozenset(labels.items())))


def alarms() -> list[dict[str, str]]:
    rules: list[dict[str, str]] = yaml.safe_load((ROOT / "docs/operations/alarms.yml").read_text())["groups"][
        0
    ]["rules"]
    return rules


async def answers(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/breaks":
        raise RuntimeError("a fault of a route")
    status = 503 if scope["path"].startswith("/api/v1/work") else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"answered"})


@pytest.fixture
def metrics(tmp_path: Path) -> Metrics:
    return Metrics(tmp_path, None, read_only=True)


def asking(metrics: Metrics) -> TestClient:
    return TestClient(Counted(answers, metrics), raise_server_exceptions=False)


def test_the_queue_is_counted_as_its_entries_are(tmp_path: Path) -> None:
    clock = Clock()
    queue = Queue(tmp_path, clock)
    for number in range(9):
        clock.now += 10
        queue.add(declared(f"m{number}"), f"user{number}@lab.org", BOARD, Limits(), sums(f"m{number}"))
    ends = [
        ("failed", "crashed"),
        ("rejected", "limit"),
        ("rejected", "limit"),
        ("failed", "made up"),
    ]
    for target, reason in ends:
        lease = queue.claim("w", 100, BOARD)
        assert lease
        queue.end_run(lease.id, target, reason=reason)  # type: ignore[arg-type]
    quiet, loud = queue.claim("w", 1000, BOARD), queue.claim("w", 1000, BOARD)
    assert quiet
    assert loud
    clock.now += 70
    queue.beat(loud.id, 1000)
    metrics = Metrics(tmp_path, queue)
    ask = told(metrics)
    entries = queue.entries()
    for state in STATES:
        assert ask("cosmos_submissions", state=state) == sum(entry.state == state for entry in entries)
    oldest = min(entry.created for entry in entries if entry.state == "queued")
    assert ask("cosmos_submission_oldest_seconds", state="queued") == clock.now - oldest == 90
    assert ask("cosmos_submission_oldest_seconds", state="received") == 0
    assert ask("cosmos_run_silent_seconds") == 70
    assert ask("cosmos_submissions_failed", state="rejected", reason="limit") == 2
    assert ask("cosmos_submissions_failed", state="failed", reason="crashed") == 1
    assert ask("cosmos_submissions_failed", state="failed", reason=OTHER) == 1
    text = generate_latest(metrics.registry).decode()
    for secret in ("lab.org", "m1", *(entry.id for entry in entries), str(tmp_path), "made up"):
        assert secret not in text
    clock.now -= 10_000  # the machine's clock was set back: no time is below zero
    ask = told(metrics)
    assert ask("cosmos_submission_oldest_seconds", state="queued") == ask("cosmos_run_silent_seconds") == 0


def test_requests_are_counted_by_few_routes(metrics: Metrics) -> None:
    client = asking(metrics)
    for path in (
        "/",
        "/api/v1/models",
        "/api/v1/models/a%2Fb",
        "/api/v1/modelsx",
        "/api/v1/work/claim",
        "/breaks",
    ):
        client.get(path)
    ask = told(metrics)
    count = "cosmos_http_requests_total"
    assert ask(count, route=FIRST, status="200") == 1
    assert ask(count, route="/api/v1/models", status="200") == 2
    assert ask(count, route="/api/v1/work/claim", status="503") == 1
    assert ask(count, route=OTHER, status="500") == ask(count, route=OTHER, status="200") == 1
    assert ask("cosmos_http_seconds_count", route="/api/v1/models") == 2
    assert {ask("cosmos_http_open", route=label) for label in (*ROUTES, FIRST, OTHER)} == {0}


def test_whatever_is_asked_for_makes_no_new_label() -> None:
    random, parts = Random(1), [*"/.%?ab", "api", "v1", "gradio_api", "work", "queue", "data", "\n", "é"]
    labels = {route("/" + "".join(random.choices(parts, k=random.randrange(9)))) for _ in range(many(10_000))}
    labels |= {route(f"{top}{end}") for top in ROUTES for end in ("", "/", "/x/y", "x")}
    assert labels == {*ROUTES, FIRST, OTHER}


def test_a_fault_of_the_metrics_fails_no_request(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: str) -> None:
        raise RuntimeError("a fault of the metrics")

    for part in ("requests", "open", "seconds"):
        monkeypatch.setattr(getattr(metrics, part), "labels", breaks)
    answer = asking(metrics).get("/api/v1/board")
    assert (answer.status_code, answer.text) == (200, "answered")


def test_while_there_is_no_board_the_log_says_so_once(
    metrics: Metrics, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        assert told(metrics)("cosmos_metrics_had", part="board") == 0
    (line,) = caplog.records
    assert (line.levelno, line.exc_info) == (logging.WARNING, None)
    assert "run `make repro`" in line.message
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards/current.duckdb").write_bytes(b"")
    assert told(metrics)("cosmos_metrics_had", part="board") == 1
    (tmp_path / "boards/current.duckdb").unlink()
    assert told(metrics)("cosmos_metrics_had", part="board") == 0
    assert len(caplog.records) == 2


def test_what_an_alarm_counts_is_there_before_it_happens(tmp_path: Path) -> None:
    ask = told(Metrics(tmp_path, Queue(tmp_path)))
    for status in ("200", "204"):
        assert ask("cosmos_http_requests_total", route="/api/v1/work/claim", status=status) == 0
    for reason in ("crashed", "killed", "machine", "lost", "worker", "not-on-board", OTHER):
        assert ask("cosmos_submissions_failed", state="failed", reason=reason) == 0
    worker = parsed(generate_latest(of_worker(WorkServer("http://127.0.0.1:9", "token"), Tally())).decode())
    for code in ("crashed", "killed", "worker"):
        assert worker["cosmos_worker_failures_total", frozenset({("fault", "ours"), ("code", code)})] == 0


def test_what_can_not_be_had_is_said_and_the_rest_is_shown(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    queue.path.write_bytes(b"no database" * 1000)
    for beside in tmp_path.glob("queue.sqlite-*"):
        beside.unlink()
    ask = told(Metrics(tmp_path, queue))
    assert ask("cosmos_metrics_had", part="queue") == ask("cosmos_metrics_had", part="board") == 0
    assert ask("cosmos_metrics_had", part="disk") == 1
    assert (ask("cosmos_disk_free_bytes") or 0) > 0
    assert ask("cosmos_run_silent_seconds") is None


@pytest.mark.parametrize("fault", ["damaged", "held", ""])
def test_an_app_that_takes_no_submissions_says_so_unless_it_is_read_only(
    fault: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = tmp_path / "state"
    Queue(state)
    backup(state, tmp_path / "a.tar")
    if fault == "damaged":
        (state / QUEUE).write_bytes(b"no database" * 1000)
    held = Desk(state, tmp_path) if fault == "held" else None
    options = Options(state=state, data=tmp_path, metrics_port=1)
    app = build_server(options)
    (rule,) = (one for one in alarms() if one["alert"] == "CosmosNumbersMissing")
    assert rule["expr"] == "cosmos_metrics_had == 0"
    for _ in range(2):
        ask = told(app.state.metrics)
        assert ask("cosmos_metrics_had", part="queue") == (0 if fault else 1)
        assert ask("cosmos_metrics_had", part="backup") == 1
        assert ask("cosmos_backup_timestamp_seconds") == pytest.approx(time.time(), abs=60)
        assert (ask("cosmos_run_silent_seconds") is None) == bool(fault)
    lines = [record.message for record in caplog.records if "submissions" in record.message]
    assert [line.partition(": ")[0] for line in lines] == (
        ["no submissions are taken", "metrics"] if fault else []
    )
    ask = told(build_server(replace(options, read_only=True)).state.metrics)
    for part, had in (("queue", None), ("backup", None), ("disk", 1)):
        assert ask("cosmos_metrics_had", part=part) == had
    for desk in (app.state.desk, held):
        if desk:
            desk.close()


def test_the_board_that_is_shown_is_told(metrics: Metrics, tmp_path: Path) -> None:
    boards = tmp_path / "boards"
    boards.mkdir()
    (boards / "0123abcd.duckdb").write_bytes(b"")
    (boards / "current.duckdb").symlink_to("0123abcd.duckdb")
    published = told(metrics)("cosmos_board_published_timestamp_seconds", build="0123abcd")
    assert published == pytest.approx((boards / "0123abcd.duckdb").stat().st_mtime)


def test_the_last_backup_is_told(tmp_path: Path) -> None:
    state = tmp_path / "state"
    metrics = Metrics(state, Queue(state))
    name = "cosmos_backup_timestamp_seconds"
    assert told(metrics)(name) == 0
    with pytest.raises(InputError):
        backup(state, tmp_path / "nowhere/a.tar")
    assert told(metrics)(name) == 0
    before = time.time()
    backup(state, tmp_path / "a.tar")
    assert before - 1 <= (told(metrics)(name) or 0) <= time.time()


def test_every_alarm_is_of_numbers_that_there_are_and_is_explained(tmp_path: Path) -> None:
    queue = Queue(tmp_path)
    metrics = Metrics(tmp_path, queue)
    queue.add(declared("a"), "ann", BOARD, Limits(), sums("a"))
    lease = queue.claim("w", 100, BOARD)
    assert lease
    queue.end_run(lease.id, "failed", reason="crashed")
    asking(metrics).get("/")
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards/current.duckdb").write_bytes(b"")
    tally = Tally()
    tally.failures["ours", "crashed"] += 1
    shown = [metrics.registry, of_worker(WorkServer("http://127.0.0.1:9", "token"), tally)]
    there = {name for one in shown for name, _ in parsed(generate_latest(one).decode())} | {"up"}
    rules = alarms()
    for rule in rules:
        assert rule.keys() <= {"alert", "expr", "for"}
        named = set(re.findall(r"\b(?:cosmos|process)_\w+|\bup\b", re.sub(r'"[^"]*"', "", rule["expr"])))
        assert named
        assert named <= there, rule
        for given in re.findall(r'route="([^"]*)"', rule["expr"]):
            assert given in ROUTES
        for given in re.findall(r'state=~?"([^"]*)"', rule["expr"]):
            assert set(given.split("|")) <= set(STATES)
    page = (ROOT / "docs/operations.md").read_text()
    explained = re.findall(r"`(Cosmos\w+)`", page.partition("## Alarms")[2])
    assert sorted(explained) == sorted(rule["alert"] for rule in rules)
    listed = page.partition("## Metrics")[2].partition("## Alarms")[0]
    families = {
        re.sub(r"_(bucket|sum|count|created)$", "", name) for name in there if name.startswith("cosmos_")
    }
    assert set(re.findall(r"`(cosmos_\w+)", listed)) == {
        name for name in families if not (name.endswith("_http_requests") or name.endswith("_failures"))
    }


def test_a_worker_tells_of_itself_at_this_machine_alone() -> None:
    server, tally, port = WorkServer("http://127.0.0.1:9", "token"), Tally(), free_port()
    tally.ended("scored", 2.5)
    tally.ended("scored", 1.5)
    tally.failures["ours", "crashed"] += 1
    server.answered = 1e9
    expose(of_worker(server, tally), port)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        found = parsed(answer.read().decode())
    scored, lost = frozenset({("outcome", "scored")}), frozenset({("outcome", "lost")})
    assert found["cosmos_worker_run_seconds_sum", scored] == 4
    assert found["cosmos_worker_run_seconds_count", scored] == 2
    assert found["cosmos_worker_run_seconds_count", lost] == 0
    assert found["cosmos_worker_failures_total", frozenset({("fault", "ours"), ("code", "crashed")})] == 1
    assert found["cosmos_worker_answered_timestamp_seconds", frozenset()] == 1e9
    assert found["process_open_fds", frozenset()] > 3
    with socket.socket() as probe:  # 127.0.0.2 is this machine, too, and yet nobody listens there
        probe.settimeout(5)
        assert probe.connect_ex(("127.0.0.2", port)) != 0
    with pytest.raises(InputError, match=r"--metrics-port$"):
        expose(of_worker(server, tally), port)
