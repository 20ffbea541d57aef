"""Records of what was measured of a model: a file per model, in a folder per measurement."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from cosmos1050k.disk import replace_text
from cosmos1050k.errors import InputError


class Measured(BaseModel):
    """What was measured of a model."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    model: str


Record = TypeVar("Record", bound=Measured)


def write(found: Measured, folder: Path) -> Path:
    """Writes what was measured, in place of what was measured of that model before; returns the file."""
    path = folder / f"{found.model}.json"
    replace_text(path, found.model_dump_json(indent=1) + "\n")
    return path


def read(kind: type[Record], path: Path, command: str) -> Record:
    """What `write` wrote.

    Args:
        command: measures it again.

    Raises:
        InputError: the file is missing, damaged, or another model's.
    """
    again = f"run `{command}`"
    try:
        found = kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: missing; {again}") from None
    except ValidationError:
        raise InputError(f"{path}: damaged or of another release; {again}") from None
    if found.model != path.stem:
        raise InputError(f"{path}: measured of {found.model}; {again}")
    return found
