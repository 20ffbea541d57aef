"""`params.yaml`, typed and closed: an unknown key or a wrong value is one clear line."""

from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from cosmos1050k.errors import InputError

Section = TypeVar("Section", bound=BaseModel)

PARAMS = Path("params.yaml")


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{twice[0]} is listed twice")
    return names


#: A list of sources or models; one listed twice would count twice.
Names = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_distinct)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Runtime(_Closed):
    """How it runs; changes no result."""

    workers: int | None = Field(default=None, ge=1)
    build_case_timeout_s: float = Field(default=600, gt=0)
    evaluate_case_timeout_s: float = Field(default=3600, gt=0)


class Params(_Closed):
    """The whole file. A room's own section stays as written until `section` reads it by that room's model, so
    that a stage imports no room but its own."""

    sources: Names
    models: Names
    protocol_version: int
    build: dict[str, Any]
    evaluate: dict[str, Any]
    board_rows: dict[str, Any]
    board: dict[str, Any]
    runtime: Runtime = Runtime()

    def section(self, name: str, kind: type[Section]) -> Section:
        """One room's section, read by its model."""
        return _checked(kind, getattr(self, name), f"{name}.")


def load(path: Path = PARAMS) -> Params:
    """Reads and checks the parameters.

    Raises:
        InputError: the file is missing, no YAML, or holds an unknown key or a wrong value.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: missing; run this in the project's folder") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8; mend it") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML ({str(error).splitlines()[0]}); mend it") from None
    return _checked(Params, content, "")


def _checked(kind: type[Section], content: Any, prefix: str) -> Section:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = prefix + ".".join(str(part) for part in first["loc"])
        raise InputError(f"{PARAMS}: {place or 'the whole'}: {first['msg']}; mend it") from None
