"""The app under many people at once, on a large board: nothing fails, views come in time, memory stays."""

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from leaderboard.store.publish import publish
from tests.app.boards import Made
from tests.app.conftest import ROOT, Serve
from tests.app.large import make_large

pytestmark = pytest.mark.slow

#: `COSMOS_LOAD_SECONDS=45` tries it in short, without a judgement on the memory.
SECONDS = int(os.environ.get("COSMOS_LOAD_SECONDS", "300"))
VIEWERS, CLICKERS = 100, 10
VIEW_EVERY, CLICK_EVERY = 10, 3
#: Seconds until all have come.
STARTING = 20
MINUTE = 60
#: Milliseconds within which nineteen of twenty board views are shown.
VIEW_MS = 1000
#: Bytes by which the server's memory may grow from the first minute's second half to the last minute.
GROWTH = 50_000_000


@dataclass(frozen=True)
class Counted:
    """What Locust counted of one kind of request."""

    requests: int
    failures: int
    milliseconds: dict[float, int]

    def within(self, share: float) -> float:
        """Milliseconds within which so large a share was answered."""
        left = share * sum(self.milliseconds.values())
        for time_ms, count in sorted(self.milliseconds.items()):
            left -= count
            if left <= 0:
                return time_ms
        raise AssertionError("nothing was counted")


def test_many_look_and_click_at_once(serve: Serve, sample: Made, tmp_path: Path) -> None:
    publish(make_large(tmp_path / "large.duckdb"), tmp_path / "state")
    with serve(tmp_path / "state", "--data", str(sample.path.parent / "data")) as address:
        counted, memory = run(address.rstrip("/"), tmp_path / "counted")
    failed = {name: one.failures for name, one in counted.items() if one.failures}
    assert not failed
    people = {name: one for (kind, name), one in counted.items() if kind == "PERSON"}
    slow = {name: one.within(0.95) for name, one in people.items() if one.within(0.95) >= VIEW_MS}
    assert not slow
    clicks = people.pop("a click is answered by a mask").requests
    views = sum(one.requests for one in people.values())
    steady = SECONDS - STARTING
    assert views > 0.9 * VIEWERS * steady / VIEW_EVERY
    assert clicks > 0.9 * CLICKERS * steady / CLICK_EVERY
    if SECONDS > 2 * MINUTE:  # before, what is remembered is still being gathered
        first, last = memory[MINUTE // 2 : MINUTE], memory[-MINUTE:]
        assert statistics.median(last) - statistics.median(first) < GROWTH


def run(address: str, file: Path) -> tuple[dict[tuple[str, str], Counted], list[int]]:
    """Locust's counts by kind and name, and the server's memory in bytes, second by second.

    Args:
        file: where Locust writes, without its suffix.
    """
    command = [sys.executable, "-m", "locust", "-f", str(Path(__file__).with_name("load") / "locustfile.py")]
    command += ["--headless", "--only-summary", "--skip-log", "--json-file", str(file), "--host", address]
    people = VIEWERS + CLICKERS
    rate = people / VIEW_EVERY  # they come one by one over the time between two views, and so they go on
    command += ["--users", str(people), "--spawn-rate", str(rate), "--run-time", f"{SECONDS}s"]
    environ = {**os.environ, "COSMOS_VIEWERS": str(VIEWERS), "COSMOS_CLICKERS": str(CLICKERS)}
    server, memory = server_of(address), []
    locust = subprocess.Popen(command, cwd=ROOT, env=environ)
    try:
        while locust.poll() is None:
            memory.append(server.memory_info().rss)
            time.sleep(1)
    finally:
        locust.kill()
        locust.wait()
    rows = json.loads(file.with_suffix(".json").read_text())
    return {(row["method"], row["name"]): of(row) for row in rows}, memory


def of(row: dict[str, Any]) -> Counted:
    times = {float(time_ms): count for time_ms, count in row["response_times"].items()}
    return Counted(row["num_requests"], row["num_failures"], times)


def server_of(address: str) -> psutil.Process:
    """The child of these tests that serves an address."""
    port = str(urlsplit(address).port)
    return next(child for child in psutil.Process().children() if port in child.cmdline())
