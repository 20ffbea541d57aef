"""Many independent tasks over worker processes that may crash or hang without taking the job along."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
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
) -> Iterator[Outcome[Task, Result]]:
    """Runs `function` on every task, with a progress bar, and yields the outcomes in the order of the tasks.

    `size` tells how many units a task has, which the bar counts; `timeout_s` is the limit of one of them.
    `here`: in this process, which is single-threaded, one after the other, and without that limit.

    An `InputError` of a task is its failure, and so is want of memory; `Fatal` is raised, and so is any other
    error, a fault of the program.
    """
    from pebble import ProcessPool
    from tqdm import tqdm

    if not tasks:
        return
    bar = tqdm(total=sum(map(size, tasks)), desc=label, unit=f" {unit}", disable=None)
    if here:
        with bar:
            for task in tasks:
                outcome: Outcome[Task, Result] = _outcome(task, partial(function, task), None)
                bar.update(size(task))
                yield outcome
        return
    # Forking a process that has started Arrow's threads can hang its child.
    context = multiprocessing.get_context("forkserver")
    with ProcessPool(
        max_workers=min(workers_or_all(workers), len(tasks)), initializer=single_threaded, context=context
    ) as pool:
        futures: list[Any] = [
            pool.schedule(function, args=(task,), timeout=timeout_s * size(task)) for task in tasks
        ]
        try:
            with bar:
                for task, future in zip(tasks, futures, strict=True):
                    outcome = _outcome(task, future.result, timeout_s * size(task))
                    bar.update(size(task))
                    yield outcome
        except BaseException:
            pool.stop()
            raise


def _outcome(task: Task, result: Callable[[], Result], timeout_s: float | None) -> Outcome[Task, Result]:
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
