"""`python -m leaderboard.submissions.worker`: scores what was submitted, one model after the other.

A lease, its heartbeats and the scoring child are one thread's, so that nothing of them outlives the others.
"""

import argparse
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from cosmos1050k import locks, shards, units
from cosmos1050k.errors import InputError
from leaderboard import weights
from leaderboard.machine import Device
from leaderboard.submissions import sandbox, workspace
from leaderboard.submissions.client import Unreadable, WorkServer
from leaderboard.submissions.connection import TOKEN, Away, Refusal, Tick, pausing, token_of
from leaderboard.submissions.entry import LeaseLost
from leaderboard.submissions.order import Beat, Claim, Granted, Order, Report
from leaderboard.submissions.sandbox import Ended
from leaderboard.submissions.states import FINAL, State
from leaderboard.submissions.tally import Tally
from leaderboard.submissions.verdict import ours, verdict

WORK = Path("data/worker")
#: Below it, the files of weights as they came.
_WEIGHTS = ".weights"
#: Seconds between heartbeats, at most, and after which folders of runs are given up.
_BEAT_S, _OLD_S = 5.0, 7 * 24 * 3600.0
#: The most seconds that a worker waits after faults of its own.
_LONGEST_S = 600.0
#: Runs the child of a workspace, and ticks meanwhile.
Run = Callable[[Path, Tick], Ended]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """How a worker works.

    Args:
        work: its folder; no other worker may use it.
        data: the built sources.
        name: what the queue shows of it.
        workers: processes that score; if not given as suits the machine.
        once: ends after one submission, or when there is none.
        poll_s: seconds between two questions for work.
        metrics_port: where, on this machine alone, Prometheus is told how it goes; 0: nowhere.
    """

    work: Path = WORK
    data: Path = shards.DATA
    name: str = ""
    workers: int | None = None
    once: bool = False
    poll_s: float = 5
    metrics_port: int = 0


class Worker:
    """Claims, scores, hands in. Whatever ends it, its next start goes on with what is finished."""

    def __init__(self, server: WorkServer, settings: Settings, run: Run | None = None) -> None:
        self._server, self._settings, self._run = server, settings, run or sandbox.score
        self._name = settings.name or re.sub(r"[^\w.@ -]", "-", socket.gethostname())[:64] or "worker"
        if not re.fullmatch(r"[\w.@ -]{1,64}", self._name):
            raise InputError(f"--name {self._name!r}: up to 64 letters, digits, dots and dashes; mend it")
        self._devices = devices()
        self.tally = Tally()
        self._said = ""
        #: Seconds to wait since the last run ended by a fault of this worker.
        self._pause = 0.0

    def serve(self) -> None:
        """Works until it is stopped, or `once`.

        Raises:
            InputError: the server does not take it, or another worker uses its folder.
        """
        with _alone(self._settings.work):
            self._tidy()
            while True:
                wait = self._turn()
                if self._settings.once:
                    return
                pausing(wait, lambda: None)

    def _turn(self) -> float:
        """One submission, if there is one; returns how long to wait before the next is asked for."""
        try:
            granted = self._server.claim(self._claim())
        except Refusal as refusal:  # 409: what is built or spoken here is not the board's
            if refusal.status != 409 or self._settings.once:
                raise
            self._say(str(refusal))
            return self._settings.poll_s
        except Away as away:
            if self._settings.once:
                raise
            self._say(str(away))
            return max(self._settings.poll_s, away.wait)
        except Unreadable as unreadable:
            self._give_back(unreadable)
            return self._paused(True)
        if granted is None:
            self._say("no work now")
            return self._settings.poll_s
        self._said = ""
        fault = self._work(granted)
        self._tidy()
        return self._paused(fault)

    def _paused(self, fault: bool) -> float:
        """How long to wait after a run: twice as long after each that a fault of this worker ended."""
        self._pause = min(2 * (self._pause or self._settings.poll_s), _LONGEST_S) if fault else 0
        if fault and not self._settings.once:
            log.warning("a fault of this worker: it asks for work again after %.0f s", self._pause)
        return self._pause

    def _give_back(self, unreadable: Unreadable) -> None:
        """Reports work that can't be read here, if that much can be read; else its lease lapses."""
        if unreadable.lease is None and self._settings.once:
            raise unreadable
        log.warning("%s", unreadable)
        if unreadable.lease is not None:
            report = ours("worker", "the worker can't read the order; it must be of the server's release")
            try:
                self._server.report(unreadable.lease, report, lambda: None)
            except (LeaseLost, Away) as lost:
                log.warning("%s", lost)

    def _claim(self) -> Claim:
        data = self._settings.data
        versions = {slug: shards.load_manifest(data / slug).version for slug in shards.built(data)}
        return Claim(worker=self._name, devices=self._devices, sources=versions, bases=bases())

    def _work(self, granted: Granted) -> bool:
        """A submission to the end of its run, or until it is no longer this worker's; returns whether a fault
        of this worker was reported."""
        order, started = granted.order, time.monotonic()
        log.info("%s: %s", order.submission, order.record.name)
        try:
            state, fault = self._ended(granted, _Heart(self._server, granted))
        except (LeaseLost, Away) as lost:  # what is finished stays here, for whoever gets it again
            log.warning("%s: %s", order.submission, lost)
            self.tally.ended("lost", time.monotonic() - started)
            return False
        self.tally.ended(state, time.monotonic() - started)
        log.info("%s: %s, after %.0f s", order.submission, state, time.monotonic() - started)
        if state in (*FINAL, "scored"):
            self._forget(order.submission)
        return fault

    def _ended(self, granted: Granted, heart: "_Heart") -> tuple[State, bool]:
        """Scores and hands in, or says why there are no scores.

        Returns the submission's state, and whether a fault of this worker was reported.

        Raises:
            LeaseLost, Away: it is no longer this worker's, or will not be; no child is left.
            Refusal: the server takes nothing more from this worker.
        """
        try:
            report = self._scored(granted.order, granted.lease, heart)
            if report is None:
                return self._hand_in(granted.order, granted.lease, heart), False
        except (LeaseLost, Away):
            raise
        except InputError as error:
            if isinstance(error, Refusal) and error.status in (401, 403):
                raise
            report = ours("worker", str(error))
        except Exception as error:
            log.exception("%s: a fault of the worker", granted.order.submission)
            report = ours("worker", f"{type(error).__name__}: {error}")
        log.warning("%s: %s: %s", granted.order.submission, report.code, report.message)
        self.tally.failures[report.kind, report.code] += 1
        return self._server.report(granted.lease, report, heart), report.kind == "ours"

    def _scored(self, order: Order, lease: str, heart: "_Heart") -> Report | None:
        """Makes the scores; returns why there are none, if so. Raises: as `_ended`, and `InputError`."""
        own = self._settings
        file = own.work / _WEIGHTS / order.submission
        heart.doing = lambda: Beat(doing="fetches the weights")
        self._server.weights(lease, order, file, heart)
        job = workspace.Job(order=order, data=own.data.absolute(), workers=own.workers)
        folder = workspace.prepare(own.work, job, file)
        heart.doing = lambda: workspace.progress(folder)
        return verdict(self._run(folder, heart))

    def _hand_in(self, order: Order, lease: str, heart: "_Heart") -> State:
        heart.doing = lambda: Beat(doing="hands in the scores")
        found = workspace.results(self._settings.work / order.submission)
        manifest = found.pop(units.MANIFEST).read_bytes()
        for name, path in found.items():
            with path.open("rb") as scores:
                self._server.put(lease, name.removesuffix(".parquet"), scores, heart)
        return self._server.finish(lease, manifest, heart)

    def _tidy(self) -> None:
        """Removes what is left of submissions that ended, or that nobody gave out again for a week."""
        for submission, used in _left(self._settings.work).items():
            if time.time() - used > _OLD_S or self._over(submission):
                self._forget(submission)

    def _over(self, submission: str) -> bool:
        try:
            state = self._server.state(submission)
        except InputError:  # it is asked again after the next run
            return False
        return state is None or state in FINAL

    def _forget(self, submission: str) -> None:
        for path in _of(self._settings.work, submission):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _say(self, text: str) -> None:
        """Logs what is no news only once."""
        if text != self._said:
            log.info("%s", text)
        self._said = text


class _Heart:
    """The heartbeats of one lease: called often, it beats when it is time."""

    def __init__(self, server: WorkServer, granted: Granted) -> None:
        self.doing: Callable[[], Beat] = Beat
        self._server, self._granted = server, granted
        #: Often enough for who watches, and four times within a lease.
        self._between = min(granted.lease_s / 4, _BEAT_S)
        self._next = time.monotonic() + self._between

    def __call__(self) -> None:
        """Raises:
        LeaseLost: the work is no longer this worker's.
        """
        if time.monotonic() < self._next:
            return
        with suppress(Away):  # tried again soon
            self._server.beat(self._granted.lease, self.doing())
        self._next = time.monotonic() + self._between


def start(server: WorkServer, settings: Settings, *, allow_open: bool = False) -> None:
    """Works until it is told to stop, by SIGTERM or Ctrl+C: then its lease lapses, and units stay.

    Args:
        allow_open: works where the child can't be kept off the network, too.

    Raises:
        InputError: it may not start, or not go on.
    """
    if not allow_open and not sandbox.holds().namespaces:
        problem = "what scores strangers' weights can't be kept off the network here"
        raise InputError(f"{problem}; see `cosmos worker --check`, or give --allow-open")
    worker = Worker(server, settings)
    if settings.metrics_port:
        from leaderboard.submissions import metrics

        metrics.expose(metrics.of_worker(server, worker.tally), settings.metrics_port)
    signal.signal(signal.SIGTERM, _stop)
    try:
        worker.serve()
    except KeyboardInterrupt:
        log.info("stopped")


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: what follows clears up
    raise KeyboardInterrupt


def devices() -> tuple[Device, ...]:
    """What can be computed on here, found without torch."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return ("cpu",)
    if Path("/dev/nvidia0").exists():
        return ("cpu", "cuda")
    if (tool := shutil.which("nvidia-smi")) is None:
        return ("cpu",)
    listed = subprocess.run([tool, "-L"], capture_output=True, check=False)
    return ("cpu", "cuda") if listed.returncode == 0 and listed.stdout.strip() else ("cpu",)


def bases() -> tuple[str, ...]:
    """The models whose weights lie here, for mask decoders to stand on; found without torch."""
    found = list(weights.SHIPPED)
    for name in weights.OFFICIAL:
        with suppress(InputError):  # missing, or others
            weights.path(name)
            found.append(name)
    return tuple(found)


def _left(work: Path) -> dict[str, float]:
    """The submissions of which something lies here, and when it was last used."""
    found: dict[str, float] = {}
    for path in [*work.iterdir(), *(work / _WEIGHTS).iterdir()]:
        name = path.name.removesuffix(".part")
        if re.fullmatch("[a-z0-9]{1,32}", name):
            found[name] = max(found.get(name, 0), path.lstat().st_mtime)
    return found


def _of(work: Path, submission: str) -> tuple[Path, ...]:
    """All that may lie here of a submission."""
    file = work / _WEIGHTS / submission
    return work / submission, file, file.with_name(f"{file.name}.part")


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Holds a worker's folder.

    Raises:
        InputError: it can't be written, or another worker has it.
    """
    try:
        (work / _WEIGHTS).mkdir(parents=True, exist_ok=True)
        lock = (work / ".lock").open("w")
    except OSError as error:
        raise InputError(f"{work}: can't be written ({error.strerror}); give another folder") from None
    with lock:
        locks.take(lock, f"{work}: another worker uses it; give this one a folder of its own")
        yield


def main() -> None:
    given = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        settings = Settings(
            given.work, given.data, given.name, given.workers, given.once, given.poll, given.metrics_port
        )
        server = WorkServer(given.server, token_of(given.token, given.token_file), insecure=given.insecure)
        start(server, settings, allow_open=given.allow_open)
    except InputError as error:
        sys.exit(f"error: {error}")


def _parser() -> argparse.ArgumentParser:
    own = Settings()
    parser = argparse.ArgumentParser(
        prog="python -m leaderboard.submissions.worker", description="Scores what was submitted."
    )
    parser.add_argument("--server", required=True, metavar="URL", help="the platform's address")
    parser.add_argument("--token", help=f"others see it: {TOKEN} in the environment is better")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="a file that holds the token")
    parser.add_argument("--work", type=Path, default=own.work, help="its folder (%(default)s)")
    parser.add_argument("--data", type=Path, default=own.data, help="the built sources (%(default)s)")
    parser.add_argument("--name", default="", help="what the queue shows of it (the machine's name)")
    parser.add_argument("--workers", type=int, metavar="N", help="processes that score")
    parser.add_argument("--once", action="store_true", help="end after one submission, or without one")
    parser.add_argument("--poll", type=float, default=own.poll_s, metavar="S", help="seconds (%(default)s)")
    parser.add_argument("--metrics-port", type=int, metavar="N", default=0, help="127.0.0.1:N for Prometheus")
    parser.add_argument("--insecure", action="store_true", help="send the token over http, for all to read")
    parser.add_argument("--allow-open", action="store_true", help="work without network isolation, too")
    return parser


if __name__ == "__main__":
    main()
