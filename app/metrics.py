"""What the app tells Prometheus: counts, times and sizes. It names nobody, no submission and no address."""

import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api_refusals import CODES, PREFIX, below, inner
from cosmos1050k.errors import InputError
from leaderboard.store.publish import CURRENT, named
from leaderboard.submissions.backup import BACKED_UP
from leaderboard.submissions.metrics import registry
from leaderboard.submissions.queue import Queue
from leaderboard.submissions.states import FINAL, STATES

_EVENTS = "/gradio_api"
#: Open as long as a page is.
_PAGE, _STREAM = f"{_EVENTS}/heartbeat", f"{_EVENTS}/queue/data"
_API = ("board", "models", "pairs", "prompt", "submissions", "work/claim", "work")
#: Addresses below which requests are counted together, the first that fits; all others are `OTHER`.
ROUTES = (
    *(f"{PREFIX}/{name}" for name in _API),
    _PAGE,
    _STREAM,
    f"{_EVENTS}/upload",
    _EVENTS,
)
FIRST, OTHER = "/", "other"
_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)
#: Why submissions fail beside the refusals; a worker may report a reason that is none of these.
_REASONS = frozenset({*CODES, "crashed", "killed", "lost", "machine", "not-on-board", "worker"})

log = logging.getLogger(__name__)


def route(path: str) -> str:
    """The label of a path: one of few, whatever is asked for."""
    return FIRST if path == FIRST else next((top for top in ROUTES if below(path, top)), OTHER)


class Metrics:
    """The app's numbers; `registry` shows them."""

    def __init__(self, state: Path, queue: Queue | None, *, read_only: bool = False) -> None:
        """Args:
        queue: None: no submissions are taken, which is at fault unless the app is `read_only`.
        """
        self.registry = made = registry()
        told = "Requests answered; status none: nobody waited for the answer."
        self.requests = Counter("cosmos_http_requests", told, ["route", "status"], registry=made)
        told = "From a request to the end of its answer."
        self.seconds = Histogram("cosmos_http_seconds", told, ["route"], registry=made, buckets=_SECONDS)
        told = f"Requests under way; of {_PAGE} one for each open page."
        self.open = Gauge("cosmos_http_open", told, ["route"], registry=made)
        for label in (*ROUTES, FIRST, OTHER):
            self.open.labels(label)
        for status in ("200", "204"):  # from the start: an alarm can't see the first step from nothing
            self.requests.labels(f"{PREFIX}/work/claim", status)
        self.registry.register(_Looked(state, queue, read_only))


class Counted:
    """In front of all that answers: counts requests. A fault in here is logged and fails none."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        label, started, status = route(inner(scope)), time.monotonic(), "none"

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        self._noted(lambda: self._metrics.open.labels(label).inc())
        try:
            await self._app(scope, receive, sent)
        except Exception:
            status = "500"
            raise
        finally:
            self._noted(lambda: self._ended(label, status, time.monotonic() - started))

    def _ended(self, label: str, status: str, seconds: float) -> None:
        self._metrics.open.labels(label).dec()
        self._metrics.requests.labels(label, status).inc()
        if label not in (_PAGE, _STREAM):
            self._metrics.seconds.labels(label).observe(seconds)

    def _noted(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception:
            log.exception("metrics: a fault of the program")


class _Looked(Collector):
    """What is looked up when it is asked for; a part that can't be had is missing, and said to be."""

    def __init__(self, state: Path, queue: Queue | None, read_only: bool) -> None:
        self._state, self._queue = state, queue
        #: Of each part that can't be had, what the log says of it already.
        self._lacks: dict[str, str] = {}
        self._parts: dict[str, Callable[[], Iterator[Metric]]] = {"disk": self._disk, "board": self._board}
        if not read_only:  # also without a queue: that it is missing is what an alarm sees
            self._parts |= {"queue": self._submissions, "backup": self._backup}

    def describe(self) -> Iterable[Metric]:
        return ()  # else it would be collected once, only to learn its names

    def collect(self) -> Iterator[Metric]:
        told = "Whether this part of the numbers could be had; if not, they are missing."
        had = GaugeMetricFamily("cosmos_metrics_had", told, labels=["part"])
        for name, part in self._parts.items():
            try:
                found = list(part())
                self._lacks.pop(name, None)
            except (InputError, FileNotFoundError) as error:
                found = []
                self._warn(name, str(error))
            except Exception:
                log.exception("metrics: %s can't be had", name)
                found = []
            had.add_metric([name], bool(found))
            yield from found
        yield had

    def _warn(self, name: str, problem: str) -> None:
        """Once, however often the numbers are asked for."""
        if self._lacks.get(name) != problem:
            self._lacks[name] = problem
            log.warning("metrics: %s can't be had: %s", name, problem)

    def _disk(self) -> Iterator[Metric]:
        usage = shutil.disk_usage(self._state)
        yield GaugeMetricFamily("cosmos_disk_free_bytes", "Free where the state lies.", usage.free)
        yield GaugeMetricFamily("cosmos_disk_bytes", "Size of that disk.", usage.total)

    def _backup(self) -> Iterator[Metric]:
        noted = self._state / BACKED_UP
        told = "When `cosmos backup` last wrote one; 0: never."
        when = noted.stat().st_mtime if noted.exists() else 0
        yield GaugeMetricFamily("cosmos_backup_timestamp_seconds", told, when)

    def _submissions(self) -> Iterator[Metric]:
        if self._queue is None:
            raise InputError("no submissions are taken since the app started, and the log says there why")
        return _submissions(self._queue)

    def _board(self) -> Iterator[Metric]:
        shown = named(self._state / "boards" / CURRENT)
        if not shown.exists():
            raise InputError(f"{shown}: missing; run `make repro`")
        told = "When the board that is shown was published."
        family = GaugeMetricFamily("cosmos_board_published_timestamp_seconds", told, labels=["build"])
        family.add_metric([shown.stem], shown.stat().st_mtime)
        yield family


def _submissions(queue: Queue) -> Iterator[Metric]:
    found, now = queue.counted(), queue.clock()
    states = GaugeMetricFamily("cosmos_submissions", "Submissions, by state.", labels=["state"])
    told = "Since when the oldest is in a state that it is to leave; 0: there is none."
    oldest = GaugeMetricFamily("cosmos_submission_oldest_seconds", told, labels=["state"])
    for state in STATES:
        own = [one for one in found if one.state == state]
        states.add_metric([state], sum(one.count for one in own))
        if state not in FINAL:
            oldest.add_metric([state], max((max(now - one.since, 0) for one in own), default=0))
    yield states
    yield oldest
    told = "Submissions that failed or were rejected, by reason."
    ended = GaugeMetricFamily("cosmos_submissions_failed", told, labels=["state", "reason"])
    failures = ("failed", "rejected")
    reasons = dict.fromkeys(((state, reason) for state in failures for reason in (*_REASONS, OTHER)), 0)
    for one in found:
        if one.state in failures:
            key = (one.state, one.reason if one.reason in _REASONS else OTHER)
            reasons[key] += one.count
    for labels, count in sorted(reasons.items()):
        ended.add_metric(list(labels), count)
    yield ended
    told = "Since when nothing was heard of the run that is silent longest; 0: none is under way."
    beats = [one.heartbeat for one in found if one.state == "running" and one.heartbeat is not None]
    silent = max((max(now - beat, 0) for beat in beats), default=0)
    yield GaugeMetricFamily("cosmos_run_silent_seconds", told, silent)
