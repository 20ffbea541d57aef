"""The registry of models: every module of this package but `base` declares one model as `MODEL`."""

import importlib
import pkgutil
from functools import cache

from cosmos1050k.errors import InputError
from leaderboard.machine import Machine
from leaderboard.models.base import Segmenter


def names() -> list[str]:
    """All models' names, sorted; nothing is imported."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "base")


def kind(name: str) -> type[Segmenter]:
    """A model's class, which declares it; nothing of its weights is read.

    Raises:
        InputError: there is no such model.
    """
    if name not in names():
        raise InputError(f"unknown model {name!r}; known are {', '.join(names())}")
    found: type[Segmenter] = importlib.import_module(f"{__name__}.{name}").MODEL
    return found


@cache
def get(name: str, machine: Machine = Machine()) -> Segmenter:  # noqa: B008 (frozen)
    """A model, ready to embed and prompt; made once per process.

    Raises:
        InputError: there is no such model, or its weights are missing or unfit.
    """
    return kind(name).on(machine)
