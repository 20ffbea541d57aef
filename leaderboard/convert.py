"""A checkpoint of any make to safetensors of a whole model: `cosmos convert`, on its owner's own machine."""

import shutil
from pathlib import Path

from cosmos1050k.errors import InputError
from leaderboard import weights
from leaderboard.finetuned import Base, base_of
from leaderboard.weights import Origin


def convert(file: Path, new: Path, architecture: str | None = None, base: str | None = None) -> Origin:
    """Writes the tensors of a checkpoint; the file stays as it is.

    Args:
        architecture: of the checkpoint; told from its tensors if not given.
        base: the model whose other parts are taken if it holds a mask decoder alone.

    Returns:
        What is written with them.

    Raises:
        Refused: they don't match; its lines list how.
        InputError: the file can't be read, `new` is there already or can't be written.
    """
    if architecture is not None and architecture not in weights.PARAMETERS:
        raise InputError(
            f"--architecture: unknown {architecture!r}; known are {', '.join(weights.PARAMETERS)}"
        )
    if new.exists():
        raise InputError(f"{new}: is there already; remove it, or choose another name")
    own = base_of(base) if base is not None else None
    if own is not None and architecture not in (None, own.architecture):
        raise InputError(f"--architecture: {base} is {own.architecture}, not {architecture}; leave it out")
    asked = Origin(
        name=new.stem,
        architecture=own.architecture if own else architecture,
        sha256=weights.sha256(file),
        part="either" if own else "whole",
    )
    staging = new.with_name(f".{new.name}.staged")
    try:
        staging.mkdir(parents=True, exist_ok=True)
        made = staging / new.name
        weights.convert(file, made, asked)
        found = weights.origin(made)
        assert found is not None, "it was just written"
        if own is not None and found.part == "mask_decoder":
            found = found.model_copy(update={"part": "whole"})
            _merge(made, own, found)
        made.replace(new)
    except OSError as error:
        raise InputError(f"{new}: can't be written ({error.strerror}); mend it") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return found


def _merge(part: Path, base: Base, origin: Origin) -> None:
    """Puts a mask decoder's tensors, a safetensors file, among those of its base."""
    from safetensors.torch import load_file, save_file

    merged = {**load_file(base.path), **load_file(part)}
    save_file(merged, part, metadata=origin.model_dump())
