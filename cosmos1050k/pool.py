"""Many independent tasks over worker processes that may crash or hang without taking the job along."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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


def workers_or_all(workers: int | None) -> int:
    """The number asked for, or one per core this process may use."""
    return workers or len(os.sched_getaffinity(0))


def _single_threaded() -> None:
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
) -> Iterator[Outcome[Task, Result]]:
    """Runs `function` on every task, with a progress bar, and yields the outcomes in the order of the tasks.

    An `InputError` of a task is its failure, and so is want of memory; any other error is a fault of the
    program and is raised.
    """
    from pebble import ProcessExpired, ProcessPool
    from tqdm import tqdm

    if not tasks:
        return
    # Forking a process that has started Arrow's threads can hang its child.
    context = multiprocessing.get_context("forkserver")
    with ProcessPool(
        max_workers=min(workers_or_all(workers), len(tasks)), initializer=_single_threaded, context=context
    ) as pool:
        futures: list[Any] = [pool.schedule(function, args=(task,), timeout=timeout_s) for task in tasks]
        try:
            for task, future in tqdm(
                zip(tasks, futures, strict=True), total=len(tasks), desc=label, unit="case", disable=None
            ):
                try:
                    yield Outcome(task, future.result())
                except InputError as error:
                    yield Outcome(task, None, str(error))
                except ProcessExpired as error:
                    yield Outcome(task, None, f"its process crashed ({_cause(error.exitcode)})")
                except MemoryError:
                    yield Outcome(task, None, "out of memory: try fewer workers")
                except TimeoutError as error:
                    if error.__cause__ is not None:  # raised by the task, not by the pool
                        raise
                    yield Outcome(task, None, f"no result within {timeout_s:.0f} s")
        except BaseException:
            pool.stop()
            raise
