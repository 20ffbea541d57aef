"""Many independent tasks over worker processes that may crash or hang without taking the job along."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from cosmos1050k.errors import InputError

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome(Generic[Task, Result]):
    """What became of one task: its result, or the one line that says why there is none."""

    task: Task
    result: Result | None
    failure: str | None = None


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster: `auto` or host:port; none is RAY_ADDRESS of the environment, or this machine's cores."""

    address: str | None = None


class Fatal(InputError):
    """A task's failure that every other task would share: it ends the whole job."""


def workers_or_all(workers: int | None) -> int:
    """The number asked for, or one per core this process may use."""
    return workers or len(os.sched_getaffinity(0))


def single_threaded() -> None:
    """The parallelism is in the processes; so no result depends on how many there are."""
    import cv2

    cv2.setNumThreads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # read by torch when a task imports it


def _cause(code: int) -> str:
    """What an exit code says; −n is death by signal n."""
    if code == -signal.SIGKILL:
        return "killed, as when memory runs out: try fewer workers"
    known = {-number: number.name for number in signal.Signals}
    return known.get(code, f"exit code {code}")


def run(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    workers: int | None,
    timeout_s: float,
    label: str,
    unit: str = "case",
    size: Callable[[Task], int] = lambda _: 1,
    here: bool = False,
    cluster: Cluster | None = None,
    gpu: bool = False,
) -> Generator[Outcome[Task, Result], None, None]:
    """Runs `function` on every task, with a progress bar, and yields the outcomes in the order of the tasks.

    `size` tells how many units a task has, which the bar counts; `timeout_s` is the limit of one of them.
    `here`: in this process, which is single-threaded, one after the other, and without that limit.
    `cluster`: on its machines, `workers` tasks at a time in all; a task takes a core there, or a `gpu`.

    An `InputError` of a task is its failure, and so is want of memory; `Fatal` is raised, and so is any other
    error, a fault of the program.
    """
    from tqdm import tqdm

    if not tasks:
        return
    found: Generator[Outcome[Task, Result], None, None]
    if here:
        found = (outcome_of(task, partial(function, task), None) for task in tasks)
    elif cluster is None:
        found = _by_processes(function, tasks, workers, timeout_s, size)
    else:
        from cosmos1050k.cluster import outcomes

        found = outcomes(
            function, tasks, cluster, workers=workers, timeout_s=timeout_s, label=label, size=size, gpu=gpu
        )
    with (
        closing(found),
        tqdm(total=sum(map(size, tasks)), desc=label, unit=f" {unit}", disable=None) as bar,
    ):
        for outcome in found:
            bar.update(size(outcome.task))
            yield outcome


def _by_processes(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    workers: int | None,
    timeout_s: float,
    size: Callable[[Task], int],
) -> Generator[Outcome[Task, Result], None, None]:
    from pebble import ProcessPool

    # Forking a process that has started Arrow's threads can hang its child.
    context = multiprocessing.get_context("forkserver")
    with ProcessPool(
        max_workers=min(workers_or_all(workers), len(tasks)), initializer=single_threaded, context=context
    ) as pool:
        futures: list[Any] = [
            pool.schedule(function, args=(task,), timeout=timeout_s * size(task)) for task in tasks
        ]
        try:
            for task, future in zip(tasks, futures, strict=True):
                yield outcome_of(task, future.result, timeout_s * size(task))
        except BaseException:
            pool.stop()
            raise


def outcome_of(task: Task, result: Callable[[], Result], timeout_s: float | None) -> Outcome[Task, Result]:
    """What became of a task, once that is known."""
    from pebble import ProcessExpired

    try:
        return Outcome(task, result())
    except Fatal:
        raise
    except InputError as error:
        return Outcome(task, None, str(error))
    except ProcessExpired as error:
        return Outcome(task, None, f"its process crashed ({_cause(error.exitcode)})")
    except MemoryError:
        return Outcome(task, None, "out of memory: try fewer workers")
    except TimeoutError as error:
        if timeout_s is None or error.__cause__ is not None:  # raised by the task, not by the pool
            raise
        return Outcome(task, None, f"no result within {timeout_s:.0f} s")
