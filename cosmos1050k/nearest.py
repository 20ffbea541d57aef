"""Why no file of a folder fits a template: the file that comes nearest to it, and what differs."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from cosmos1050k.pairing import FIELD, find, pattern

#: Names are compared letter by letter only among so many of those that come nearest by their parts.
_COMPARED = 200


class _Fit(NamedTuple):
    """Which parts of a template a file's fit, the name's first; whether its ending does; their likeness."""

    parts: tuple[bool, ...]
    ending: bool
    likeness: float
    file: str


def misses(names: Sequence[str], templates: Sequence[str]) -> list[str]:
    """A line for each template that no name fits; none where there are no names."""
    shown = [name for name in names if not name.rsplit("/", 1)[-1].startswith(".")]
    if not shown:
        return []
    return [_miss(shown, template) for template in templates if next(find(shown, template), None) is None]


def readable(template: str) -> str:
    """A template as a person writes it: without the forms of its fields."""
    return FIELD.sub(lambda hit: "" if hit[3] else f"{{{hit[1]}}}" if hit[1] else "*", template)


def _miss(names: Sequence[str], template: str) -> str:
    wanted = readable(template)
    if other := next((name for name in names if pattern(template, ignore_case=True).fullmatch(name)), None):
        return f"no {wanted}; but {other} would fit if upper and lower case did"
    parts = _parts(template)
    fits = sorted((_fit(name, parts) for name in names), reverse=True)
    nearest = max((_alike(fit, wanted) for fit in fits[:_COMPARED]), key=lambda fit: fit[:3])
    return f"no {wanted}; the nearest is {nearest.file}: {_difference(nearest, parts)}"


def _parts(template: str) -> list[str]:
    """The template's parts from the name upwards; a `/` in the form of a field parts nothing."""
    kept = FIELD.sub(lambda hit: "" if hit[3] else hit[0].replace("/", "\0"), template)
    return [part.replace("\0", "/") for part in reversed(kept.split("/"))]


def _fit(name: str, parts: list[str]) -> _Fit:
    own = [*reversed(name.split("/")), *[""] * len(parts)]
    fits = tuple(bool(pattern(part).fullmatch(mine)) for part, mine in zip(parts, own, strict=False))
    return _Fit(fits, name.endswith(re.sub(r"^.*[}*][^.]*", "", parts[0])), 0.0, name)


def _alike(fit: _Fit, wanted: str) -> _Fit:
    return fit._replace(likeness=SequenceMatcher(None, fit.file, wanted, autojunk=False).ratio())


def _difference(fit: _Fit, parts: list[str]) -> str:
    wrong = [readable(part) for part, fits in zip(parts, fit.parts, strict=True) if not fits]
    if not wrong:
        return "parts of it that should be equal differ"
    if fit.parts[0]:
        folder = fit.file.rpartition("/")[0] or "the top folder"
        return f"its name fits, but it lies in {folder}, not in …/{'/'.join(map(readable, parts[:0:-1]))}"
    if len(wrong) == len(parts):
        return f"its name is not {wrong[0]}"
    return f"it lies in the right folder, but its name is not {wrong[0]}"
