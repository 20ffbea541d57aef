"""Numbers for Prometheus, at a port that this machine alone reaches, and those of a worker."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from cosmos1050k.errors import InputError
from leaderboard.submissions.connection import Server
from leaderboard.submissions.tally import LOST, Tally

#: Who asks need show nothing: a proxy in front of the app does not lead here, nor does another machine.
_HOST = "127.0.0.1"
#: How runs end; each has a number from the start, since an alarm can't see the first step from nothing.
_ENDS = ("scored", "rejected", "failed", "queued", LOST)
#: Of whose fault and which code reports are, likewise.
_FAULTS = (("model", "limit"), *(("ours", code) for code in ("crashed", "killed", "worker")))


def registry() -> CollectorRegistry:
    """A registry with what there is of this process: memory, open files, time."""
    made = CollectorRegistry()
    ProcessCollector(registry=made)
    return made


def expose(shown: CollectorRegistry, port: int) -> None:
    """Answers at `http://127.0.0.1:PORT/metrics`, from a thread of its own, until the process ends.

    Raises:
        InputError: the port can't be listened on.
    """
    try:
        start_http_server(port, _HOST, shown)
    except (OSError, OverflowError):
        raise InputError(f"can't listen on {_HOST}:{port}; give another --metrics-port") from None


def of_worker(server: Server, tally: Tally) -> CollectorRegistry:
    """What a worker shows."""
    made = registry()
    made.register(_Runs(server, tally))
    return made


class _Runs(Collector):
    def __init__(self, server: Server, tally: Tally) -> None:
        self._server, self._tally = server, tally

    def collect(self) -> Iterator[Metric]:
        told = "Runs, and the seconds they took, by the submission's state after them."
        runs = SummaryMetricFamily("cosmos_worker_run_seconds", told, labels=["outcome"])
        for how in sorted({*_ENDS, *self._tally.runs}):
            runs.add_metric([how], self._tally.runs[how], self._tally.seconds.get(how, 0.0))
        yield runs
        told = "Runs without scores, by whose fault and the code of it."
        failures = CounterMetricFamily("cosmos_worker_failures", told, labels=["fault", "code"])
        for fault, code in sorted({*_FAULTS, *self._tally.failures}):
            failures.add_metric([fault, code], self._tally.failures[fault, code])
        yield failures
        told = "When the server answered last; 0: not yet."
        yield GaugeMetricFamily("cosmos_worker_answered_timestamp_seconds", told, self._server.answered)
