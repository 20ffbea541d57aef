"""Tasks that fail, crash or hang cost themselves alone; faults of the program are raised."""

import ctypes
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cosmos1050k import pool
from cosmos1050k.errors import BadFile, InputError
from cosmos1050k.pool import Outcome

SLOW_S = 600  # longer than any test: a task that sleeps so long must have been stopped


def outcomes(
    function: Callable, tasks: list, workers: int | None = 2, timeout_s: float = 60
) -> list[Outcome]:
    return list(pool.run(function, tasks, workers=workers, timeout_s=timeout_s, label="test"))


def late_first(task: int) -> int:
    time.sleep(0.4 if task == 0 else 0)
    return task * task


def troubled(task: str) -> str:
    match task:
        case "input":
            raise InputError("it can't be used")
        case "file":
            raise BadFile("a.nii", "truncated", "fetch it again")
        case "exit":
            os._exit(3)
        case "segfault":
            ctypes.string_at(0)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(SLOW_S)
        case "deaf":  # hangs where no signal but SIGKILL is heard
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            time.sleep(SLOW_S)
        case "fault":
            raise KeyError("a fault of the program")
        case "own timeout":
            raise TimeoutError("of the task's own")
    return task.upper()


def threads_of_opencv(_: int) -> int:
    import cv2

    return cv2.getNumThreads()


def mark(folder: Path) -> None:
    (folder / str(time.monotonic_ns())).touch()
    time.sleep(0.2)
    if len(list(folder.iterdir())) == 1:
        raise KeyError("the first")


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(workers: int) -> None:
    tasks = list(range(12))
    assert outcomes(late_first, tasks, workers) == [Outcome(task, task * task) for task in tasks]


def test_no_tasks_no_outcomes() -> None:
    assert outcomes(late_first, []) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_every_trouble_costs_its_own_task_alone(workers: int) -> None:
    failures = {
        "input": "it can't be used",
        "file": "a.nii: truncated; fetch it again",
        "exit": "its process crashed (exit code 3)",
        "segfault": "its process crashed (SIGSEGV)",
        "kill": "its process crashed (killed, as when memory runs out: try fewer workers)",
    }
    tasks = [task for trouble in failures for task in ("good", trouble)] + ["good"]
    assert outcomes(troubled, tasks, workers) == [
        Outcome(task, None, failures[task]) if task in failures else Outcome(task, "GOOD") for task in tasks
    ]


@pytest.mark.parametrize("hanging", ["hang", "deaf"])
def test_a_hang_is_cut(hanging: str) -> None:
    found = outcomes(troubled, ["good", hanging, "better"], workers=1, timeout_s=1)
    assert found == [
        Outcome("good", "GOOD"), Outcome(hanging, None, "no result within 1 s"), Outcome("better", "BETTER")
    ]  # fmt: skip


@pytest.mark.parametrize("task", ["fault", "own timeout"])
def test_a_fault_of_the_program_is_raised(task: str) -> None:
    """Even if it looks like the pool's own time limit; the tasks before it have been yielded."""
    found = pool.run(troubled, ["good", task, "hang"], workers=1, timeout_s=SLOW_S, label="test")
    assert next(found) == Outcome("good", "GOOD")
    with pytest.raises((KeyError, TimeoutError), match=r"a fault of the program|of the task's own"):
        next(found)


def test_a_fault_stops_the_tasks_that_follow(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        outcomes(mark, [tmp_path] * 100, workers=1)
    assert len(list(tmp_path.iterdir())) < 10


def test_a_consumer_that_leaves_stops_the_tasks(tmp_path: Path) -> None:
    found = pool.run(troubled, ["good", "hang", "hang"], workers=2, timeout_s=SLOW_S, label="test")
    assert next(found) == Outcome("good", "GOOD")
    found.close()  # type: ignore[attr-defined]


def test_all_cores_are_used_when_no_number_is_given() -> None:
    assert pool.workers_or_all(None) == len(os.sched_getaffinity(0))
    assert pool.workers_or_all(3) == 3
    assert outcomes(late_first, [1, 2], workers=None) == [Outcome(1, 1), Outcome(2, 4)]


def test_a_worker_has_one_thread() -> None:
    assert [outcome.result for outcome in outcomes(threads_of_opencv, [0, 1])] == [1, 1]


def hungry(task: str) -> str:
    if task == "much":
        raise MemoryError
    return troubled(task)


def test_in_this_process_tasks_fail_alone_too() -> None:
    found = pool.run(
        hungry, ["fine", "input", "much", "file"], workers=1, timeout_s=60, label="test", here=True
    )
    failures = [outcome.failure for outcome in found]
    told = ["it can't be used", "out of memory: try fewer workers", "a.nii: truncated; fetch it again"]
    assert failures == [None, *told]
    fatal = pool.run(
        lambda task: (_ for _ in ()).throw(pool.Fatal("all")),
        [1, 2],
        workers=1,
        timeout_s=60,
        label="test",
        here=True,
    )
    with pytest.raises(pool.Fatal, match="all"):
        list(fatal)
