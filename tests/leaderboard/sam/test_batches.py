import logging
from collections.abc import Callable, Iterator

import pytest
import torch

from leaderboard.machine import DeviceLost
from leaderboard.sam.batches import halving


def fitting(most: int, asked: list[int], error: Callable[[], Exception]) -> Callable[[slice], list[int]]:
    """Gives back the numbers it is asked for, if they are at most so many."""

    def work(part: slice) -> list[int]:
        numbers = list(range(20))[part]
        asked.append(len(numbers))
        if len(numbers) > most:
            raise error()
        return numbers

    return work


def cpu_error() -> Exception:
    """What torch itself raises."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    return caught.value


def cublas_error() -> Exception:
    return RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


def accelerator_error() -> Exception:
    return torch.AcceleratorError("CUDA error: out of memory")


def oom_error() -> Exception:
    return torch.OutOfMemoryError("CUDA out of memory")


ERRORS = [MemoryError, oom_error, cublas_error, accelerator_error, cpu_error]


@pytest.mark.parametrize("error", ERRORS)
def test_out_of_memory_halves_the_batch_and_goes_on(
    error: Callable[[], Exception], caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[int] = []
    told: list[int] = []
    with caplog.at_level(logging.WARNING):
        found = list(halving(fitting(3, asked, error), 20, 8, "prompts", told.append))
    assert told == [4, 2]
    assert found == list(range(20))
    assert asked == [8, 4, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]
    assert caplog.messages == [
        "out of memory: from here on 4 prompts at a time",
        "out of memory: from here on 2 prompts at a time",
    ]


@pytest.mark.parametrize("error", ERRORS)
def test_what_does_not_even_fit_alone_is_said(error: Callable[[], Exception]) -> None:
    results: Iterator[int] = halving(fitting(0, [], error), 20, 4, "prompts")
    with pytest.raises(MemoryError, match="one of the prompts does not fit"):
        next(results)


def test_other_errors_are_raised_at_once() -> None:
    asked: list[int] = []
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        next(halving(fitting(0, asked, lambda: RuntimeError("mat1 and mat2")), 20, 4, "prompts"))
    assert asked == [4]


def test_a_lost_gpu_is_no_fault_of_the_image() -> None:
    with pytest.raises(DeviceLost, match="unspecified launch failure"):
        next(halving(fitting(0, [], lambda: torch.AcceleratorError("unspecified launch failure")), 20, 4, ""))
