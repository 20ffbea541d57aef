"""`params.yaml`, typed and closed: an unknown key or a wrong value is one clear line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from cosmos1050k.disk import replace_text
from cosmos1050k.errors import InputError
from cosmos1050k.pool import Cluster

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
    """How it runs; changes no result beyond rounding."""

    workers: int | None = Field(default=None, ge=1)
    engine: Literal["processes", "ray"] = "processes"
    #: `auto` or host:port; none: the environment's RAY_ADDRESS, else a cluster on this machine's cores.
    ray_address: str | None = None
    build_case_timeout_s: float = Field(default=600, gt=0)
    evaluate_image_timeout_s: float = Field(default=600, gt=0)
    image_batch: int | None = Field(default=None, ge=1)
    prompt_batch: int | None = Field(default=None, ge=1)

    @property
    def cluster(self) -> Cluster | None:
        """The Ray cluster to run on, if it is not processes of this machine."""
        return Cluster(self.ray_address) if self.engine == "ray" else None


class Params(_Closed):
    """The whole file. A room's own section stays as written until `section` reads it by that room's model, so
    that a stage imports no room but its own."""

    sources: Names
    models: Names
    protocol_version: int
    build: dict[str, Any]
    evaluate: dict[str, Any]
    board_rows: dict[str, Any]
    studies: dict[str, Any] = Field(default_factory=dict)
    board: dict[str, Any]
    finetune: dict[str, Any] = Field(default_factory=dict)
    submissions: dict[str, Any] = Field(default_factory=dict)
    runtime: Runtime = Runtime()

    def section(self, name: str, kind: type[Section]) -> Section:
        """One room's section, read by its model."""
        return _checked(kind, getattr(self, name), f"{name}.")

    def entry(self, name: str, key: str, kind: type[Section]) -> Section:
        """What a room's section says under a name.

        Raises:
            InputError: it has no such name, or a wrong value under it.
        """
        entries = getattr(self, name)
        if key not in entries:
            raise InputError(f"{PARAMS}: {name} has no {key!r}; add it")
        return _checked(kind, entries[key], f"{name}.{key}.")


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
    place, problem = _first(kind, content)
    if problem:
        raise InputError(f"{PARAMS}: {prefix}{place or 'the whole'}: {problem}; mend it")
    return kind.model_validate(content)


def _first(kind: type[BaseModel], content: Any) -> tuple[str, str]:
    """The first place that is wrong and what is wrong with it; empty texts if nothing is."""
    try:
        kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        return ".".join(str(part) for part in first["loc"]), first["msg"]
    return "", ""


def options(kind: type[Section], given: dict[str, Any]) -> Section:
    """A command's options, read by the room's model.

    Raises:
        InputError: one of them is wrong.
    """
    place, problem = _first(kind, given)
    if problem:
        raise InputError(f"--{place.split('.')[0].replace('_', '-')}: {problem}")
    return kind.model_validate(given)


def listed(strategies: str) -> list[str]:
    """An option such as `S1,S5`.

    Raises:
        InputError: one of them is unknown.
    """
    from leaderboard.strategies import STRATEGIES

    names = strategies.split(",")
    for name in names:
        if name not in STRATEGIES:
            raise InputError(f"--strategies: unknown {name!r}; known are {', '.join(STRATEGIES)}")
    return names


def write_sources(names: Sequence[str], path: Path = PARAMS) -> None:
    """Makes `names` the list `sources` of the file; nothing else in it changes, comments included.

    A line of the list that stays is kept as it is, with what stands behind or above it.

    Raises:
        InputError: there is no name, the file is not valid, or its list is written in a way that can't be
            edited.
    """
    if not names:
        raise InputError(f"{path}: the list of sources would be empty; it stays as it is")
    before = load(path)
    text = path.read_text()
    root = yaml.compose(text)
    assert isinstance(root, yaml.MappingNode)  # or it would not have been valid
    node = next(value for key, value in root.value if key.value == "sources")
    edited = (_flow if node.flow_style else _block)(text, node, names)
    expected = before.model_copy(update={"sources": tuple(names)})
    try:
        right = Params.model_validate(yaml.safe_load(edited)) == expected
    except (yaml.YAMLError, ValidationError):
        right = False
    if not right:
        raise InputError(f"{path}: its list of sources can't be edited; write it as one name a line")
    replace_text(path.resolve(), edited)


def _flow(text: str, node: yaml.SequenceNode, names: Sequence[str]) -> str:
    """The text with another `[a, b]`."""
    return text[: node.start_mark.index] + f"[{', '.join(names)}]" + text[node.end_mark.index :]


def _block(text: str, node: yaml.SequenceNode, names: Sequence[str]) -> str:
    """The text with another list of a name a line."""
    lines = text.splitlines(keepends=True)
    dash = " " * node.start_mark.column + "- "
    first, kept = node.start_mark.line, {}
    start = first
    for item in node.value:
        kept[item.value] = "".join(lines[start : item.end_mark.line + 1])
        start = item.end_mark.line + 1
    listed = [kept.get(name, f"{dash}{name}\n") for name in names]
    whole = [line if line.endswith("\n") else line + "\n" for line in listed]
    return "".join([*lines[:first], *whole, *lines[start:]])
