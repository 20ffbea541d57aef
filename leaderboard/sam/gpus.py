"""One process per GPU: each takes one that no other process of ours holds."""

from functools import cache
from pathlib import Path
from typing import IO

import torch

from cosmos1050k import locks
from cosmos1050k.errors import InputError
from leaderboard.machine import Device

#: Where the locks lie: of processes of one project.
_LOCKS = Path("data")

_held: list[IO[str]] = []


def device(kind: Device) -> torch.device:
    """The device of this process; the same one each time.

    Raises:
        InputError: it should be a GPU and there is none.
    """
    if kind == "cpu":
        return torch.device("cpu")
    # Convolutions would compute in TF32, which is neither float32 nor said in the numerics.
    torch.backends.cudnn.allow_tf32 = False
    return torch.device("cuda", claimed(count()))


def count() -> int:
    """How many there are.

    Raises:
        InputError: none.
    """
    if not torch.cuda.is_available():
        raise InputError("evaluate.device: cuda, and torch finds no GPU; say cpu or auto")
    return torch.cuda.device_count()


@cache
def claimed(count: int) -> int:
    """A number below `count` that is this process's until it ends; 0, shared, when all are taken."""
    _LOCKS.mkdir(exist_ok=True)
    for number in range(count):
        lock = (_LOCKS / f".gpu{number}.lock").open("w")
        try:
            locks.take(lock, "taken")
        except InputError:
            lock.close()
            continue
        _held.append(lock)
        return number
    return 0
