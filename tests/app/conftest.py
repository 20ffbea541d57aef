"""Boards to show, servers that show them, and a browser to look with."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from leaderboard.store.publish import publish
from tests.app.boards import HOSTILE_SOURCE, Made, make_board
from tests.app.submitting import Site, site

ROOT = Path(__file__).resolve().parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

expect.set_options(timeout=20_000)  # a machine that runs other tests beside these is slow

Serve = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A board of the source `sample` alone, of two patients."""
    return make_board(tmp_path_factory.mktemp("sample"), "sample", patients=2, slices=3, seed=1)


@pytest.fixture(scope="session")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A board of another source with patients enough for intervals."""
    return make_board(tmp_path_factory.mktemp("larger"), "toy", patients=21, slices=1, seed=2)


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A board of a source built from synthetic files, whose name would run if nothing escaped it."""
    folder = tmp_path_factory.mktemp("phantom")
    return make_board(folder, HOSTILE_SOURCE, patients=2, slices=1, seed=3, phantom=True)


@pytest.fixture(scope="session")
def sample_state(sample: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of published boards with `sample` in front."""
    state = tmp_path_factory.mktemp("state")
    publish(sample.path, state)
    return state


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """Runs `python -m app` on a folder of boards, with more options and environment; the value is its
    address.
    """

    @contextmanager
    def run(state: Path, *options: str, **environ: str) -> Iterator[str]:
        log = tmp_path_factory.mktemp("server") / "log.txt"
        port = free_port()
        command = [sys.executable, "-m", "app", "--port", str(port), "--state", str(state), *options]
        with log.open("w") as output:
            child = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **environ}, stdout=output, stderr=subprocess.STDOUT
            )
            try:
                _wait(f"http://127.0.0.1:{port}/", child, log)
                yield f"http://127.0.0.1:{port}/"
            finally:
                child.terminate()
                child.wait(10)
        assert "Traceback" not in log.read_text(), log.read_text()

    return run


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(address: str, child: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and child.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.1)
    pytest.fail(f"the app did not start: {log.read_text()}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        missing = "no Chromium found; install it, such as by `apt-get install chromium`"
        if os.environ.get("COSMOS_REQUIRE_BROWSER") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that must neither log an error nor ask another host for anything."""
    faults: list[str] = []
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("request", lambda asked: None if _own(asked.url) else faults.append(asked.url))
    yield opened
    opened.close()
    assert not faults


def _own(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "data:", "blob:"))


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Site]:
    """A server that takes submissions, with nothing going on in the background."""
    with site(tmp_path / "state", tmp_path / "uploads") as opened:
        yield opened
