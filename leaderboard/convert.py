"""A checkpoint of any make to safetensors of a whole model: `cosmos convert`, on its owner's own machine."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from cosmos1050k.errors import InputError
from leaderboard import weights
from leaderboard.finetuned import Base, base_of
from leaderboard.weights import Origin


def convert(
    file: Path, new: Path, architecture: str | None = None, base: str | None = None
) -> tuple[Origin, Base | None]:
    """Writes the tensors of a checkpoint; the file stays as it is.

    Args:
        new: is not there yet; it appears whole or not at all.
        architecture: of the checkpoint; told from its tensors if not given.
        base: the model whose other parts are taken if it holds a mask decoder alone.

    Returns:
        What is written with them, and the base if it was given.

    Raises:
        Refused: they don't match; its lines list how.
        InputError: the file can't be read, `new` is there already or can't be written.
    """
    if architecture is not None and architecture not in weights.PARAMETERS:
        known = ", ".join(weights.PARAMETERS)
        raise InputError(f"--architecture: unknown {architecture!r}; known are {known}")
    own = base_of(base) if base is not None else None
    if own is not None and architecture not in (None, own.architecture):
        raise InputError(f"--architecture: {base} is {own.architecture}, not {architecture}; leave it out")
    asked = Origin(
        name=new.stem,
        architecture=own.architecture if own else architecture,
        sha256=weights.sha256(file),
        part="either" if own else "whole",
    )
    with _reserved(new) as made:
        weights.convert(file, made, asked)
        found = weights.origin(made)
        assert found is not None, "it was just written"
        if own is not None and found.part == "mask_decoder":
            found = found.model_copy(update={"part": "whole"})
            _merge(made, own, found)
    return found, own


@contextmanager
def _reserved(new: Path) -> Iterator[Path]:
    """A file in a folder apart that takes the name `new` when the block ends; till then that is kept free."""
    try:
        new.touch(exist_ok=False)
    except FileExistsError:
        raise InputError(f"{new}: is there already; remove it, or choose another name") from None
    except OSError as error:
        raise InputError(f"{new}: can't be written ({error.strerror}); choose another name") from None
    staging, done = None, False
    try:
        staging = Path(tempfile.mkdtemp(prefix=f".{new.name[:50]}.", dir=new.parent))
        yield staging / "new.safetensors"
        (staging / "new.safetensors").chmod(0o644)  # safetensors writes files for their owner alone
        (staging / "new.safetensors").replace(new)
        done = True
    except (OSError, SafetensorError) as error:
        raise InputError(f"{new}: can't be written ({error}); make room or choose another place") from None
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        if not done:
            new.unlink(missing_ok=True)


def _merge(part: Path, base: Base, origin: Origin) -> None:
    """Puts a mask decoder's tensors, a safetensors file, among those of its base."""
    from safetensors.torch import load_file, save_file

    merged = {**load_file(base.path), **load_file(part)}
    save_file(merged, part, metadata=origin.model_dump())
