"""Safetensors into SAM's networks: every tensor checked against the module before one of them is taken."""

from collections.abc import Mapping, Sequence
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


class Mismatch(BadFile):
    """Tensors that are not a module's; `lines` lists all of them."""

    lines: tuple[str, ...] = ()


def check(state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], path: Path) -> None:
    """Holds the tensors of a file against those of a module.

    Raises:
        Mismatch: tensors are missing, not wanted, or of another shape.
        BadFile: one is no number, or not finite.
    """
    _names_and_shapes(state, wanted, path)
    for name in wanted:
        tensor = state[name]
        if tensor.layout != torch.strided or not tensor.is_floating_point():
            kind = f"{tensor.dtype}, {tensor.layout}".replace("torch.", "")
            raise BadFile(
                str(path), f"the tensor {_shown(name)} is no plain floating-point one ({kind})", _OTHER
            )
    for name, own in wanted.items():
        if not torch.isfinite(state[name].to(own.dtype)).all():
            problem = f"the tensor {_shown(name)} holds NaN or infinity"
            raise BadFile(str(path), problem, "nothing can be computed with it; give other weights")


def _names_and_shapes(
    state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], path: Path
) -> None:
    missing = [name for name in wanted if name not in state]
    extra = [name for name in state if name not in wanted]
    shapes = {name: f"{list(state[name].shape)}, not {list(own.shape)}" for name, own in wanted.items()
              if name in state and state[name].shape != own.shape}  # fmt: skip
    if not (missing or extra or shapes):
        return
    remedy = _OTHER
    if missing:
        instead = f" and has {_shown(extra[0])}{_more(extra)}" if extra else ""
        problem = f"lacks the tensor {_shown(missing[0])}{_more(missing)}{instead}"
    elif extra:
        problem = f"has a tensor {_shown(extra[0])}{_more(extra)}, none of the architecture's"
    else:
        first = next(iter(shapes))
        problem = f"the tensor {_shown(first)}{_more(list(shapes))} has the shape {shapes[first]}"
    if shapes and (missing or extra):
        problem += f", and {len(shapes)} of another shape"
    # Of another encoder nearly all is missing; adapters leave what is there, under its name or below it.
    if len(missing) < len(wanted) / 2 and (added := _modules(extra, wanted)):
        problem += f"; it has modules that SAM has not: {', '.join(map(_shown, added[:5]))}{_more(added, 5)}"
        remedy = "adapters are not supported; merge what is low-rank into the weights, or give other weights"
    error = Mismatch(str(path), problem, remedy)
    error.lines = (
        *(f"missing: {_shown(name)}" for name in missing),
        *(f"not the architecture's: {_shown(name)}" for name in extra),
        *(f"another shape: {_shown(name)} {shape}" for name, shape in shapes.items()),
    )
    raise error


def _more(names: Sequence[str], shown: int = 1) -> str:
    return f" and {len(names) - shown} more" if len(names) > shown else ""


def _modules(extra: Sequence[str], wanted: Mapping[str, torch.Tensor]) -> list[str]:
    """What in the extra names is a module that none of the wanted ones has, within one that they have."""
    known = {"", *(name[:place] for name in wanted for place, sign in enumerate(name) if sign == ".")}
    found = []
    for name in extra:
        parts = name.split(".")
        depth = next(n for n in range(1, len(parts) + 1) if ".".join(parts[:n]) not in known)
        if 1 < depth < len(parts) and not parts[depth - 1].isdigit():
            found.append(parts[depth - 1])
    return sorted(set(found))


def _shown(name: str) -> str:
    """A stranger's name, on one line whatever it is."""
    return repr(name[:100])
