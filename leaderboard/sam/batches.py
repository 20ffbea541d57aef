"""Work in batches that shrink when memory runs out."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from leaderboard.machine import DeviceLost

Result = TypeVar("Result")

log = logging.getLogger(__name__)


def halving(
    work: Callable[[slice], Sequence[Result]],
    count: int,
    batch: int,
    what: str,
    shrunk: Callable[[int], None] = lambda _: None,
) -> Iterator[Result]:
    """The results of `work` on `batch` of `count` things at a time, in order.

    Out of memory halves the batch, down to one, and goes on; `shrunk` is told the new one, and `what` names
    the things in the log.

    Raises:
        MemoryError: even one does not fit.
        DeviceLost: the GPU failed.
    """
    start = 0
    while start < count:
        try:
            done = work(slice(start, start + batch))
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                if isinstance(error, torch.AcceleratorError):
                    raise DeviceLost(str(error).splitlines()[0]) from error
                raise
            if batch == 1:
                raise MemoryError(f"one of the {what} does not fit") from error
            batch //= 2
            shrunk(batch)
            log.warning("out of memory: from here on %d %s at a time", batch, what)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            continue
        yield from done
        start += batch


def _out_of_memory(error: Exception) -> bool:
    """torch has a class of its own for it, and other words where a library of NVIDIA's or the CPU ran out."""
    known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return known or any(words in str(error) for words in ("allocate memory", "ALLOC_FAILED", "out of memory"))
