"""Safetensors into SAM's networks: every tensor checked against the module before one of them is taken."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from cosmos1050k.errors import BadFile
from leaderboard.weights import open_safetensors

#: What the names begin with in a checkpoint of a mask decoder alone.
_PARTIAL = "mask_decoder."
_OTHER = "give the architecture that it is of, or other weights"


def load(path: Path, module: nn.Module, base: Path | None = None) -> None:
    """Fills a module with the tensors of a safetensors file.

    Args:
        base: the weights of the whole model, when `path` holds a mask decoder alone.

    Raises:
        InputError: a file can't be read or does not fit the module.
    """
    wanted = module.state_dict()
    if base is not None:
        load(base, module)
        wanted = part(wanted)
    state = read(path)
    if base is None and is_partial(state):
        raise BadFile(str(path), "a mask decoder alone", "name the base that it was trained on")
    check(state, wanted, path)
    with torch.no_grad():
        for name, own in wanted.items():
            own.copy_(state[name])


def read(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file, mapped from the disk and read when they are used.

    Raises:
        InputError: it is missing, something else, or cut off.
    """
    with open_safetensors(path, "pt") as file:
        state: dict[str, torch.Tensor] = file.get_tensors()
    return state


def is_partial(state: Mapping[str, torch.Tensor]) -> bool:
    """Whether these are the tensors of a mask decoder alone."""
    return bool(state) and all(name.startswith(_PARTIAL) for name in state)


def part(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Those of a mask decoder."""
    return {name: tensor for name, tensor in state.items() if name.startswith(_PARTIAL)}


def check(state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], path: Path) -> None:
    """Holds the tensors of a file against those of a module.

    Raises:
        BadFile: of the first that is missing, not wanted, or of another shape; no number, or not finite.
    """
    missing = next((name for name in wanted if name not in state), None)
    extra = next((name for name in state if name not in wanted), None)
    if missing is not None:
        instead = f" and has {_shown(extra)}" if extra is not None else ""
        raise BadFile(str(path), f"lacks the tensor {_shown(missing)}{instead}", _OTHER)
    if extra is not None:
        raise BadFile(str(path), f"has a tensor {_shown(extra)}, which is none of the architecture's", _OTHER)
    for name, own in wanted.items():
        tensor = state[name]
        if tensor.shape != own.shape:
            shapes = f"{list(tensor.shape)}, not {list(own.shape)}"
            raise BadFile(str(path), f"the tensor {_shown(name)} has the shape {shapes}", _OTHER)
        if tensor.layout != torch.strided or not tensor.is_floating_point():
            kind = f"{tensor.dtype}, {tensor.layout}".replace("torch.", "")
            raise BadFile(
                str(path), f"the tensor {_shown(name)} is no plain floating-point one ({kind})", _OTHER
            )
    for name, own in wanted.items():
        if not torch.isfinite(state[name].to(own.dtype)).all():
            problem = f"the tensor {_shown(name)} holds NaN or infinity"
            raise BadFile(str(path), problem, "nothing can be computed with it; give other weights")


def _shown(name: str) -> str:
    """A stranger's name, on one line whatever it is."""
    return repr(name[:100])
