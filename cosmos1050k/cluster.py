"""The pool's tasks on a Ray cluster: each in a process beside a Ray worker, which no task's crash kills."""

import ctypes
import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

from cosmos1050k import disk
from cosmos1050k.errors import InputError
from cosmos1050k.pool import (
    Cluster,
    Fatal,
    Outcome,
    Result,
    Task,
    outcome_of,
    single_threaded,
    workers_or_all,
)
from cosmos1050k.units import UNITS

if TYPE_CHECKING:
    from pebble import ProcessPool

#: Tasks handed to the cluster at a time, per core or GPU of it: the next one waits where it will run.
_AHEAD = 2
#: So often a task may be lost with its machine or its Ray worker before it counts as one that can't be done.
_LOSSES = 3
#: How often it is looked whether machines have come or gone.
_LOOK_S = 10
#: Of the objects that tasks hand over there are hardly any: tasks are small, and results are on the disk.
_OBJECT_STORE = 80 * 2**20
_CONNECT_S = 30
_PR_SET_PDEATHSIG = 1
_SAME = "start Ray there from the same folder and environment"

#: In a Ray worker: the process that its tasks run in, under the folder and the GPUs that it was started with.
_beside: dict[tuple[str, str | None], "ProcessPool"] = {}


def outcomes(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    cluster: Cluster,
    *,
    workers: int | None,
    timeout_s: float,
    label: str,
    size: Callable[[Task], int],
    gpu: bool,
) -> Generator[Outcome[Task, Result], None, None]:
    """As `pool.run`, which calls this; a task whose machine is lost is run again on another.

    Raises:
        InputError: there is no such cluster, or nothing in it that could run a task.
        Fatal: a machine of it does not see this folder.
    """
    ray = _connected(cluster, workers)
    kind = "GPU" if gpu else "CPU"
    needs = {"num_gpus": 1, "num_cpus": 0} if gpu else {"num_cpus": 1}
    remote = ray.remote(_in_worker).options(**needs, max_retries=0, name=label)
    with _seen() as token:

        def begin(task: Task) -> Any:
            return remote.remote(function, task, timeout_s * size(task), token)

        window: _Window[Task, Result] = _Window(ray, tasks, begin)
        try:
            for place in range(len(tasks)):
                while place not in window.known:
                    slots = _slots(ray, kind)
                    window.fill(workers or _AHEAD * slots)
                    window.collect()
                told = window.known.pop(place)
                if isinstance(told, Exception):
                    raise told
                yield told
        finally:
            for ref in window.running:
                ray.cancel(ref, force=True)


class _Window(Generic[Task, Result]):
    """The tasks, by number: those that wait here, those that the cluster has, those whose end is known."""

    def __init__(self, ray: Any, tasks: Sequence[Task], begin: Callable[[Task], Any]) -> None:
        self._ray, self._tasks, self._begin = ray, tasks, begin
        self._waiting = deque(range(len(tasks)))
        self._losses: Counter[int] = Counter()
        self.running: dict[Any, int] = {}
        self.known: dict[int, Outcome[Task, Result] | Exception] = {}

    def fill(self, most: int) -> None:
        """Hands over tasks until the cluster has so many."""
        while self._waiting and len(self.running) < most:
            number = self._waiting.popleft()
            self.running[self._begin(self._tasks[number])] = number

    def collect(self) -> None:
        """Takes what has ended; waits for the first, unless that takes long."""
        refs = list(self.running)
        self._ray.wait(refs, timeout=_LOOK_S)
        for ref in self._ray.wait(refs, num_returns=len(refs), timeout=0)[0]:
            number = self.running.pop(ref)
            found = _found(self._ray, ref, self._tasks[number])
            if found is None:
                self._losses[number] += 1
                if self._losses[number] < _LOSSES:
                    self._waiting.appendleft(number)
                    continue
                found = Outcome(self._tasks[number], None, f"its process was lost {_LOSSES} times")
            elif isinstance(found, Exception):  # nothing behind it will be asked for
                self._waiting = deque(other for other in self._waiting if other < number)
            self.known[number] = found


def _connected(cluster: Cluster, workers: int | None) -> Any:
    """Ray, connected once for as long as this process lives."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns of a change to come
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # those of tasks that nobody waits for any more
    try:
        import ray
    except ImportError:
        raise InputError(
            "runtime.engine: needs the package ray; run `pip install -e '.[ray]'`, or say processes"
        ) from None
    if ray.is_initialized():
        return ray
    address = cluster.address or os.environ.get("RAY_ADDRESS") or "local"
    own: dict[str, Any] = {"num_cpus": workers_or_all(workers), "object_store_memory": _OBJECT_STORE}
    more = own if address == "local" else {}
    try:
        host, colon, port = address.rpartition(":")
        if colon and "/" not in host:  # Ray itself would try for minutes
            socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()
        ray.init(address, include_dashboard=False, logging_level=logging.ERROR, **more)
    except Exception as error:  # of no closer class when it does not start in time
        where = f"runtime.ray_address: no cluster at {address}", "start one by `ray start --head`"
        if address == "local":
            where = "runtime.engine: Ray did not start on this machine", "run it again, or say processes"
        raise InputError(f"{where[0]} ({_line(error)}); {where[1]}") from error
    return ray


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")


def _slots(ray: Any, kind: str) -> int:
    """How many tasks the cluster can run at a time.

    Raises:
        InputError: there is none of that kind.
    """
    found = int(ray.cluster_resources().get(kind, 0))
    if not found:
        raise InputError(f"the Ray cluster has no {kind}; add a machine that has, and run it again")
    return found


def _found(ray: Any, ref: Any, task: Task) -> Outcome[Task, Any] | Exception | None:
    """What became of a task: none if it was lost with what ran it, an exception if the job ends with it."""
    from ray import exceptions

    lost = (exceptions.WorkerCrashedError, exceptions.NodeDiedError, exceptions.ObjectLostError)
    try:
        result, failure = ray.get(ref)
    except lost:
        return None
    except exceptions.OutOfMemoryError:
        return Outcome(task, None, "out of memory: try fewer workers")
    except exceptions.RayTaskError as error:
        cause: Exception = error.cause
        if isinstance(cause, exceptions.RaySystemError):  # the task can't be read there
            return Fatal(f"a machine of the Ray cluster lacks this installation ({_line(cause)}); {_SAME}")
        cause.__cause__ = None if isinstance(cause, InputError) else error  # with the traceback over there
        return cause
    return Outcome(task, result, failure)


@contextmanager
def _seen() -> Iterator[Path]:
    """A file among the units, by which a machine tells that it sees them."""
    with disk.writing(UNITS):
        UNITS.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=UNITS.absolute(), prefix=".cluster.") as file:
            yield Path(file.name)


def _in_worker(
    function: Callable[[Task], Result], task: Task, limit_s: float, token: Path
) -> tuple[Result | None, str | None]:
    """Runs in a Ray worker, in the driver's folder: a task's result, or why there is none."""
    folder = token.parents[len(UNITS.parts)]
    if not token.is_file():
        raise Fatal(
            f"{socket.gethostname()}: does not see {token.parent}; "
            f"mount {folder} there, at the same place, and run it again"
        )
    os.chdir(folder)
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES")
    place = str(folder), gpu
    if place not in _beside:
        _stop()
        _beside[place] = _process(_beside_gpu() if gpu else None)
    future = _beside[place].schedule(function, args=(task,), timeout=limit_s)
    outcome: Outcome[Task, Result] = outcome_of(task, future.result, limit_s)
    return outcome.result, outcome.failure


def _beside_gpu() -> set[int] | None:
    """Of this machine's cores its GPU's share; none if a task has no GPU, or they are not numbered from 0."""
    import ray

    context, cores = ray.get_runtime_context(), sorted(os.sched_getaffinity(0))
    own = next(node for node in ray.nodes() if node["NodeID"] == context.get_node_id())
    taken, gpus = context.get_accelerator_ids()["GPU"], int(own["Resources"].get("GPU", 0))
    if not taken or not taken[0].isdigit() or not int(taken[0]) < gpus <= len(cores):
        return None
    place = int(taken[0])
    return set(cores[place * len(cores) // gpus : (place + 1) * len(cores) // gpus])


def _process(cores: set[int] | None = None) -> "ProcessPool":
    from pebble import ProcessPool

    # Forking a Ray worker, which has many threads, can hang its child.
    context = multiprocessing.get_context("spawn")
    return ProcessPool(max_workers=1, initializer=_begin, initargs=(cores,), context=context)


def _stop() -> None:
    while _beside:
        _, other = _beside.popitem()
        other.stop()
        other.join()


def _begin(cores: set[int] | None) -> None:
    """A process beside a Ray worker dies with it, even while it computes, and keeps to its cores, if any."""
    single_threaded()
    if cores:
        os.sched_setaffinity(0, cores)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
