"""A small platform in a folder: a built source, a board, its terms; the app and workers as processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import requests
from safetensors.numpy import load_file, save_file

from cosmos1050k import shards
from leaderboard.evaluate import BoardRows, EvaluateOptions
from leaderboard.store.build import BoardOptions, build_board
from leaderboard.store.publish import publish
from leaderboard.store.runs import BoardInput
from leaderboard.submissions import terms
from leaderboard.submissions.connection import TOKEN
from leaderboard.submissions.entry import Entry
from leaderboard.submissions.queue import Queue
from leaderboard.submissions.states import FINAL
from leaderboard.submissions.terms import Limits, Terms
from leaderboard.submissions.tokens import Role, Tokens
from leaderboard.weights import shipped
from tests.app import boards
from tests.app.conftest import free_port

SOURCE = "toy"
#: So that a test need not wait: short leases, no pause after a failure, as many submissions as it likes.
LIMITS = Limits(
    weekly_quota=1000, open_at_once=1000, lease_s=4, backoff_s=0, retries=20, losses=50, check_images=1
)
_START_S = 120


@dataclass
class Platform:
    """A folder like the project's, and what runs on it; whatever still runs at the end is killed."""

    folder: Path
    port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return self.folder / "leaderboard" / "state"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def queue(self) -> Queue:
        return Queue(self.state)

    def token(self, name: str = "ana", role: Role = "submitter") -> str:
        return Tokens(self.state).create(name, role, 1)

    def app(self, *options: str) -> subprocess.Popen[bytes]:
        """Starts the app and waits until it answers."""
        command = [
            "-m",
            "app",
            "--port",
            str(self.port),
            "--state",
            str(self.state),
            "--data",
            str(self.data),
        ]
        process = self._started("app", [*command, *options])
        end = time.monotonic() + _START_S
        while time.monotonic() < end:
            assert process.poll() is None, self.log("app")
            try:
                requests.get(f"{self.address}/api/v1/submissions", timeout=5)
                return process
            except requests.RequestException:
                time.sleep(0.05)
        raise AssertionError(f"the app did not start: {self.log('app')}")

    def worker(self, name: str, token: str) -> subprocess.Popen[bytes]:
        command = ["-m", "leaderboard.submissions.worker", "--server", self.address, "--name", name]
        command += ["--work", str(self.folder / name), "--data", str(self.data), "--poll", "0.2"]
        return self._started(name, [*command, "--workers", "1"], {TOKEN: token})

    def _started(
        self, name: str, arguments: list[str], environ: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.folder,
                env={**os.environ, **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def submit(self, token: str, name: str, file: Path, **more: Any) -> requests.Response:
        """Sends a file; the answer, whatever it is."""
        said = {"name": name, "architecture": "nano", "licence": "MIT", "contact": "ana@example.org", **more}
        with file.open("rb") as weights:
            return requests.post(
                f"{self.address}/api/v1/submissions",
                headers={"Authorization": f"Bearer {token}"},
                data={"submission": json.dumps(said)},
                files={"file": ("weights.safetensors", weights)},
                timeout=120,
            )

    def until_final(self, seconds: float) -> list[Entry]:
        """Waits until all submissions have ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.queue.entries()
            if all(entry.state in FINAL for entry in found):
                return found
            time.sleep(0.2)
        told = [(entry.name, entry.state, entry.doing, entry.message) for entry in self.queue.entries()]
        logs = "\n".join(path.read_text()[-3000:] for path in self.folder.glob("*.log"))
        raise AssertionError(f"not ended after {seconds} s: {told}\n{logs}")


def ended(process: subprocess.Popen[bytes]) -> None:
    """Kills a process as nobody can prevent."""
    process.send_signal(signal.SIGKILL)
    process.wait(20)


def below(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """What a process has started, and what those have."""
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


@contextmanager
def platform(folder: Path, *, patients: int = 1) -> Iterator[Platform]:
    """A platform whose board has the model box, on a source of so many patients, an image each."""
    made = Platform(folder)
    rows, version = boards.write_source(folder, SOURCE, patients, 1, seed=5, phantom=False)
    scores = folder / "leaderboard" / "scores"
    boards.write_scores(scores / "box", "box", SOURCE, rows, version)
    given = Terms(
        sources={SOURCE: shards.load_manifest(made.data / SOURCE).version},
        models=("box",),
        protocol_version=1,
        evaluate=EvaluateOptions(strategies=boards.STRATEGIES),
        board_rows=BoardRows(),
        board=BoardOptions(bootstrap_draws=100),
        device="cpu",
        numerics="float32",
        limits=LIMITS,
    )
    board = folder / "first.duckdb"
    none = folder / "none"
    build_board(BoardInput(made.data, scores, none, none, (SOURCE,), ("box",), 1), board, options=given.board)
    publish(board, made.state)
    terms.write(given, made.state)
    try:
        yield made
    finally:
        for process in made.processes:
            if process.poll() is None:
                ended(process)


def finetuned(folder: Path, seed: int) -> Path:
    """The mask decoder of the shipped network, a little changed: another for each seed."""
    random = np.random.default_rng(seed)
    tensors = {
        name: (tensor + random.normal(0, 1e-3, tensor.shape)).astype(np.float32)
        for name, tensor in load_file(shipped("sam_nano")).items()
        if name.startswith("mask_decoder.")
    }
    file = folder / f"weights-{seed}.safetensors"
    save_file(tensors, file)
    return file
