"""The registry of models.

Every module of this package but `base` declares one as `MODEL`; every folder of `data/models` is a finetuned
one, every folder of `data/click_models` a click model.
"""

import importlib
import pkgutil
from functools import cache

from cosmos1050k.errors import InputError
from leaderboard import click_models, finetuned
from leaderboard.machine import Machine
from leaderboard.models.base import Declaration, Segmenter


def names() -> list[str]:
    """All models' names, sorted; nothing of them is imported."""
    return sorted({*modules(), *finetuned.names(), *click_models.names()})


def kind(name: str) -> type[Segmenter]:
    """A model's class, which declares it; nothing of its weights is read.

    Raises:
        InputError: there is no such model, or two are called so.
    """
    own, clicked = name in finetuned.names(), name in click_models.names()
    if name in modules():
        if own or clicked:
            folder = finetuned.MODELS if own else click_models.CLICK_MODELS
            raise InputError(f"{folder / name}: a model of the platform has that name; rename it")
        found: type[Segmenter] = importlib.import_module(f"{__name__}.{name}").MODEL
        return found
    if own and clicked:
        raise InputError(f"{click_models.CLICK_MODELS / name}: a finetuned model has that name; rename it")
    if clicked:
        from leaderboard import click_segmenter

        return click_segmenter.kind_of(click_models.record(name))
    if not own:
        raise InputError(f"unknown model {name!r}; known are {', '.join(names())}")
    from leaderboard.sam.finetuned import kind_of

    return kind_of(finetuned.record(name))


def get(name: str, machine: Machine | None = None) -> Segmenter:
    """A model, ready to embed and prompt; made once per process, as long as its declaration is the same.

    Args:
        machine: where it runs; by default on the CPU.

    Raises:
        InputError: there is no such model, or its weights are missing or unfit.
    """
    return _made(kind(name).declaration, machine or Machine())


@cache
def _made(declaration: Declaration, machine: Machine) -> Segmenter:
    return kind(declaration.name).on(machine)


def modules() -> list[str]:
    """Names of the models that this package declares."""
    return [module.name for module in pkgutil.iter_modules(__path__) if module.name != "base"]
