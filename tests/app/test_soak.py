"""App and worker under mixed load for long: nothing fails, and memory and open files do not grow.

`COSMOS_SOAK_MINUTES=30` is the real one; a short one tries it, without a judgement on the memory, since
caches still fill.
"""

import io
import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random

import numpy as np
import psutil
import pytest
import requests
from PIL import Image

from leaderboard.demo.engine import MOST_EMBEDDINGS
from leaderboard.submissions.states import FINAL
from tests.app.conftest import ROOT, free_port
from tests.app.platform import Platform, below, finetuned, platform

pytestmark = pytest.mark.slow

MINUTES = float(os.environ.get("COSMOS_SOAK_MINUTES", "2"))
#: From so many minutes on memory is judged, over the second half: bytes a minute, of app and of worker. The
#: first ten fill what is bounded: pages, views, and the gaps that threads leave between what they free.
JUDGED, GROWTH = 20, 1_000_000
#: Open files by which the second half's line may rise from its start to its end.
FILES = 5
VIEWERS, CLICKERS = 8, 2
_EVERY_S = 2.0
#: Seconds for a submission to its end: of a machine that does other work too.
_ENDS_S = 900


def test_memory_and_open_files_stay_flat(tmp_path: Path) -> None:
    with platform(tmp_path, patients=3) as made:
        port = free_port()
        app = made.app("--private", "--metrics-port", str(port))
        worker = made.worker("worker", made.token(role="worker"))
        for prompt in [_prompts(made)] * MOST_EMBEDDINGS:
            prompt()  # from then on an encoded picture takes another one's place
        watched = {name: psutil.Process(one.pid) for name, one in (("app", app), ("worker", worker))}
        with _people(made), _beside(_prompts(made)) as prompts, _beside(_submissions(made)) as submissions:
            seen = _watch(watched, f"http://127.0.0.1:{port}/metrics")
        entries = made.until_final(_ENDS_S)
        assert not below(worker), "a run's child is left"
        logs = made.log("app") + made.log("worker")
    assert "Traceback" not in logs, logs[-5000:]
    assert {entry.state for entry in entries} <= {"published", "withdrawn"}
    assert submissions["done"] >= MINUTES / 5
    assert prompts["done"] >= 10 * MINUTES
    told = f"{MINUTES:g} minutes, {prompts['done']} prompts, {submissions['done']} submissions"
    for name, (memory, files) in seen.items():
        told += f"; {name}: {memory[0][1] / 1e6:.0f} MB, then {memory[-1][1] / 1e6:.0f} MB"
        told += f", {_slope(memory) * 60 / 1e6:+.2f} MB a minute"
        told += f", {files[-1][1]:.0f} files"
    sys.stdout.write(f"{told}\n")  # shown with `-s`
    for memory, files in seen.values():
        half_s = files[-1][0] - files[len(files) // 2][0]
        assert _slope(files) * half_s < FILES, told
        if MINUTES >= JUDGED:
            assert _slope(memory) * 60 < GROWTH, told


Line = list[tuple[float, float]]


def _watch(watched: dict[str, psutil.Process], metrics: str) -> dict[str, tuple[Line, Line]]:
    """Memory and open files of each process over the time of the test, in seconds since its start."""
    seen: dict[str, tuple[Line, Line]] = defaultdict(lambda: ([], []))
    started = time.monotonic()
    while (now := time.monotonic() - started) < 60 * MINUTES:
        for name, process in watched.items():
            memory, files = seen[name]
            memory.append((now, process.memory_info().rss))
            files.append((now, process.num_fds()))
        with urllib.request.urlopen(metrics, timeout=30) as answer:
            assert b"cosmos_http_requests_total" in answer.read()
        time.sleep(_EVERY_S)
    return dict(seen)


def _slope(line: Line) -> float:
    """Of the second half, per second."""
    half = line[len(line) // 2 :]
    return statistics.linear_regression(*zip(*half, strict=True)).slope


@contextmanager
def _people(made: Platform) -> Iterator[None]:
    """People who look at the board and click in the demo, meanwhile; none of them may be failed."""
    file = ROOT / "tests/app/load/locustfile.py"
    command = [sys.executable, "-m", "locust", "-f", str(file), "--headless", "--only-summary", "--skip-log"]
    command += ["--users", str(VIEWERS + CLICKERS), "--spawn-rate", "1", "--host", made.address]
    environ = {**os.environ, "COSMOS_VIEWERS": str(VIEWERS), "COSMOS_CLICKERS": str(CLICKERS)}
    with (made.folder / "people.txt").open("wb") as log:
        locust = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log)
        try:
            yield
            assert locust.poll() is None, "the people left"
            locust.terminate()
            assert locust.wait(60) == 0, (made.folder / "people.txt").read_text()[-5000:]  # 1: one was failed
        finally:
            locust.kill()
            locust.wait()


@contextmanager
def _beside(step: Callable[[], None]) -> Iterator[Counter[str]]:
    """Does a step again and again meanwhile; the value counts how often it was done."""
    done: Counter[str] = Counter()
    ending = threading.Event()

    def run() -> None:
        while not ending.wait(0.5):
            step()
            done["done"] += 1

    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(run)
        try:
            yield done
        finally:
            ending.set()
        future.result()


def _prompts(made: Platform) -> Callable[[], None]:
    random = Random(1)

    def prompt() -> None:
        stream = io.BytesIO()
        picture = np.random.default_rng(random.randrange(2**32)).integers(0, 255, (96, 128), np.uint8)
        Image.fromarray(picture).save(stream, "PNG")
        answer = requests.post(
            f"{made.address}/api/v1/prompt",
            files={"image": ("a.png", stream.getvalue())},
            data={"model": random.choice(["sam_nano", "box"]), "box": "[10, 20, 90, 80]"},
            timeout=120,
        )
        assert answer.status_code == 200, answer.text

    return prompt


def _submissions(made: Platform) -> Callable[[], None]:
    """One after the other to its end; the one before it is withdrawn then, so that the board stays small."""
    token, sent = made.token(), list[str]()

    def submit() -> None:
        file = finetuned(made.folder, len(sent))
        answer = made.submit(token, f"model-{len(sent)}", file)
        file.unlink()
        assert answer.status_code == 201, answer.text
        sent.append(answer.json()["id"])
        end = time.monotonic() + _ENDS_S
        while made.queue.get(sent[-1]).state not in FINAL:
            assert time.monotonic() < end, made.queue.get(sent[-1])
            time.sleep(0.2)
        if len(sent) > 1:
            address = f"{made.address}/api/v1/submissions/{sent[-2]}/withdraw"
            answer = requests.post(address, headers={"Authorization": f"Bearer {token}"}, timeout=60)
            assert answer.status_code == 200, answer.text

    return submit
