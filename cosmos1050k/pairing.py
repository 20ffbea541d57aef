r"""Pairs a release's files by name: what every source's `cases(root)` is made of.

A template is a path relative to the source's folder. `{patient}` is a part of a name (no `/`), `{frame:\d+}`
one of that form; the same field in two templates, or twice in one, has the same text. `**/` at the start is
any folders or none, `*` any part of a name.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import ValidationError

from cosmos1050k import release
from cosmos1050k.errors import BadFile
from cosmos1050k.source import Case


@dataclass(frozen=True)
class Match:
    """Files that belong together: the fields of their templates, and per role the file's name."""

    fields: dict[str, str]
    files: dict[str, str]

    def __getitem__(self, field: str) -> str:
        return self.fields[field]


def matched(
    root: Path, make: Callable[[Match], Case | Iterable[Case] | None], **templates: str
) -> Iterator[Case | BadFile]:
    """The cases that `make` gives for every set of files, one per role, whose common fields are equal.

    A file that lacks a partner, and one that another file is already the same of, is yielded as what is wrong
    with it. Files are paired in the order of the first role's names; hidden files are passed over.
    """
    for match in matches(root, **templates):
        if isinstance(match, BadFile):
            yield match
            continue
        first = next(iter(match.files.values()))
        try:
            made = make(match)
            yield from [made] if isinstance(made, Case) else made or ()
        except ValidationError as error:
            problem = f"can't be made a case ({error.errors()[0]['msg']})"
            yield BadFile(first, problem, "rename the file as the release has it")


def matches(root: Path, **templates: str) -> Iterator[Match | BadFile]:
    """Like `matched`, but the files themselves."""
    names = list(release.files(root))
    found: dict[str, dict[tuple[str, ...], Match]] = {}
    shared = sorted(set.intersection(*(set(fields(template)) for template in templates.values())))
    for role, template in templates.items():
        found[role] = {}
        for match in find(names, template):
            key = tuple(match[field] for field in shared)
            other = found[role].setdefault(key, match)
            if other is not match:
                yield BadFile(match.files[""], f"the same case as {other.files['']}", "remove one of the two")
    everything = {key: None for role in templates for key in found[role]}
    for key in everything:
        have = {role: found[role][key] for role in templates if key in found[role]}
        missing = [templates[role] for role in templates if role not in have]
        if missing:
            lone = next(iter(have.values()))
            partner = _filled(missing[0], lone.fields)
            yield BadFile(lone.files[""], f"its partner {partner} is missing", "fetch the source again")
            continue
        merged = {name: text for match in have.values() for name, text in match.fields.items()}
        yield Match(merged, {role: match.files[""] for role, match in have.items()})


def find(names: Iterable[str], template: str) -> Iterator[Match]:
    """The names that fit a template; each match has the one role `""`."""
    pattern = _pattern(template)
    for name in names:
        hidden = name.rsplit("/", 1)[-1].startswith(".")  # such as macOS's ._case.nii.gz
        if not hidden and (hit := pattern.fullmatch(name)):
            yield Match(hit.groupdict(), {"": name})


_FIELD = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[^{}]*\})*))?\}|(\*\*/)|(\*)")


def fields(template: str) -> list[str]:
    """The names of a template's fields, each once."""
    return list(dict.fromkeys(hit[1] for hit in _FIELD.finditer(template) if hit[1]))


def _filled(template: str, known: dict[str, str]) -> str:
    """The template with the fields that are known, for a message."""
    return _FIELD.sub(lambda hit: "" if hit[3] else known.get(hit[1] or "", "…"), template)


@cache
def _pattern(template: str) -> re.Pattern[str]:
    parts, place, known = [], 0, set()
    for hit in _FIELD.finditer(template):
        parts.append(re.escape(template[place : hit.start()]))
        place = hit.end()
        field, form, folders, _ = hit.groups()
        if folders:
            parts.append("(?:.*/)?")
        elif field in known:
            parts.append(f"(?P={field})")
        elif field:
            known.add(field)
            parts.append(f"(?P<{field}>{form or '[^/]+?'})")
        else:
            parts.append("[^/]*")
    return re.compile("".join(parts) + re.escape(template[place:]))
