r"""Pairs a release's files by name: what every source's `cases(root)` is made of.

A template is a path relative to the source's folder. `{patient}` is a part of a name (no `/`), `{frame:\d+}`
one of that form; the same field in two templates, or twice in one, has the same text. `**/` at the start is
any folders or none, `*` any part of a name. If each slice is a file, `{slice}` tells a stack's files apart.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

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


@dataclass(frozen=True)
class Stack:
    """Stacks that belong together: their common fields, and per role the files' names, slice by slice."""

    fields: dict[str, str]
    files: dict[str, tuple[str, ...]]

    def __getitem__(self, field: str) -> str:
        return self.fields[field]


Found = TypeVar("Found", Match, Stack)


def matched(
    root: Path, make: Callable[[Match], Case | Iterable[Case] | None], **templates: str
) -> Iterator[Case | BadFile]:
    """The cases that `make` gives for every set of files, one per role, whose common fields are equal.

    A file that lacks a partner, and one that another file is already the same of, is yielded as what is wrong
    with it; so is what `make` raises. Files are paired in the order of the first role's names; hidden files
    are passed over.
    """
    for match in matches(root, **templates):
        if isinstance(match, BadFile):
            yield match
        else:
            yield from _made(make, match)


def first_of(
    root: Path, make: Callable[[Match], Case | Iterable[Case] | None], *layouts: Mapping[str, str]
) -> Iterator[Case | BadFile]:
    """Like `matched`, for a release that exists in several layouts: the cases of the first that is there.

    Args:
        layouts: templates by role; a layout is there if a file fits its first.
    """
    names = list(release.files(root))
    for layout in layouts:
        if any(find(names, next(iter(layout.values())))):
            yield from matched(root, make, **layout)
            return


def stacked(
    root: Path,
    make: Callable[[Stack], Case | Iterable[Case] | None],
    *,
    by_place: bool = False,
    some: bool = False,
    **templates: str,
) -> Iterator[Case | BadFile]:
    """Like `matched`, for slices in a file each: the cases that `make` gives for every set of stacks.

    Args:
        by_place: where no two roles' `{slice}` are equal, pairs the files by their place, if every role has
            equally many.
        some: only some slices are labelled: those of the first role that lack a partner are passed over.
    """
    for stack in stacks(root, by_place=by_place, some=some, **templates):
        if isinstance(stack, BadFile):
            yield stack
        else:
            yield from _made(make, stack)


def gathered(
    root: Path,
    make: Callable[[dict[str, str], Match], Case | Iterable[Case] | None],
    *,
    each: str,
    **templates: str,
) -> Iterator[Case | BadFile]:
    """Like `matched`, for masks in a file each, of which a case has any number.

    A case without a mask is not labelled and is passed over; a mask without its case is yielded as wrong.

    Args:
        make: is given the case's masks, `{name}` → file, by name, and the match of `templates`.
        each: fits every mask; its field `{name}` tells those of a case apart.
    """
    return _gathered(root, make, each, templates, matches(root, **templates))


def gathered_stacks(
    root: Path,
    make: Callable[[dict[str, str], Stack], Case | Iterable[Case] | None],
    *,
    each: str,
    **templates: str,
) -> Iterator[Case | BadFile]:
    """Like `gathered`, for slices in a file each: the match of `templates` is of stacks."""
    return _gathered(root, make, each, templates, stacks(root, by_place=False, some=False, **templates))


def _gathered(
    root: Path,
    make: Callable[[dict[str, str], Found], Case | Iterable[Case] | None],
    each: str,
    templates: Mapping[str, str],
    wholes: Iterable[Found | BadFile],
) -> Iterator[Case | BadFile]:
    common = sorted(set(fields(each)).intersection(*(fields(template) for template in templates.values())))
    found: dict[tuple[str, ...], dict[str, Match]] = {}
    for match in find(release.files(root), each):
        others = found.setdefault(tuple(match[field] for field in common), {})
        other = others.setdefault(match["name"], match)
        if other is not match:
            problem = f"the same mask as {other.files['']}"
            yield BadFile(match.files[""], problem, "remove one of the two")
    used = set()
    for whole in wholes:
        if isinstance(whole, BadFile):
            yield whole
            continue
        used.add(key := tuple(whole[field] for field in common))
        if masks := found.get(key):
            files = {name: masks[name].files[""] for name in sorted(masks, key=natural)}
            yield from _made(partial(make, files), whole)
    for key, masks in found.items():
        if key not in used:
            match = next(iter(masks.values()))
            yield _lone(match.files[""], _filled(next(iter(templates.values())), match.fields))


def _made(make: Callable[[Found], Case | Iterable[Case] | None], found: Found) -> Iterator[Case | BadFile]:
    try:
        made = make(found)
        yield from [made] if isinstance(made, Case) else made or ()
    except BadFile as problem:
        yield problem
    except ValidationError as error:
        reason = f"can't be made a case ({error.errors()[0]['msg']})"
        first = next(iter(found.files.values()))
        yield BadFile(
            first if isinstance(first, str) else first[0], reason, "rename the file as the release has it"
        )


def matches(root: Path, **templates: str) -> Iterator[Match | BadFile]:
    """Like `matched`, but the files themselves."""
    names = list(release.files(root))
    found: dict[str, dict[tuple[str, ...], Match]] = {}
    shared = _shared(templates)
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


def stacks(
    root: Path, *, by_place: bool = False, some: bool = False, **templates: str
) -> Iterator[Stack | BadFile]:
    """Like `stacked`, but the files themselves, in the order of their `{slice}`, numbers in it as numbers."""
    names = list(release.files(root))
    common = [field for field in _shared(templates) if field != "slice"]
    found: dict[tuple[str, ...], dict[str, dict[str, Match]]] = {}
    twins: dict[tuple[object, ...], BadFile] = {}  # one line per stack, not one per slice
    for role, template in templates.items():
        for match in find(names, template):
            key = tuple(match[field] for field in common)
            other = found.setdefault(key, {}).setdefault(role, {}).setdefault(match["slice"], match)
            if other is not match:
                problem = f"the same slice as {other.files['']}"
                twins.setdefault((key, role), BadFile(match.files[""], problem, "remove one of the two"))
    yield from twins.values()
    for key, have in found.items():
        if some and not (have := _labelled(have, templates)):
            continue
        yield _stack(dict(zip(common, key, strict=True)), have, templates, by_place)


def _labelled(have: dict[str, dict[str, Match]], templates: dict[str, str]) -> dict[str, dict[str, Match]]:
    """Without the slices of the first role that another lacks."""
    lead, *others = templates
    partners = [have.get(role, {}) for role in others]
    kept = {name: match for name, match in have.get(lead, {}).items() if all(name in own for own in partners)}
    rest = {role: own for role, own in have.items() if role != lead}
    return {lead: kept, **rest} if kept else rest


def _stack(
    known: dict[str, str], have: dict[str, dict[str, Match]], templates: dict[str, str], by_place: bool
) -> Stack | BadFile:
    """The stack of one set of common fields, from the slices of each role."""
    files = {
        role: tuple(slices[name].files[""] for name in sorted(slices, key=natural))
        for role, slices in have.items()
    }
    lead, *others = templates
    for role in templates:
        if role not in have:
            return _lone(next(iter(files.values()))[0], _filled(templates[role], known))
    for role in others:
        ours, theirs = have[lead], have[role]
        if by_place and not ours.keys() & theirs.keys():
            if len(ours) != len(theirs):
                problem = f"one of {len(theirs)} slices, but {files[lead][0]} is one of {len(ours)}"
                return BadFile(files[role][0], problem, "fetch the source again")
            continue
        if unpaired := ours.keys() ^ theirs.keys():
            lone = min(unpaired, key=natural)
            match, partner = (ours[lone], role) if lone in ours else (theirs[lone], lead)
            return _lone(match.files[""], _filled(templates[partner], match.fields))
    return Stack(known, files)


def _shared(templates: dict[str, str]) -> list[str]:
    """The fields that every role has. Files are paired by these, so no field may be some roles' alone."""
    count = Counter(field for template in templates.values() for field in fields(template))
    partly = [field for field, times in count.items() if 1 < times < len(templates)]
    if partly:
        raise ValueError(f"{partly[0]} is a field of some of {list(templates.values())}, not of one or all")
    return sorted(field for field, times in count.items() if times == len(templates))


def _lone(name: str, partner: str) -> BadFile:
    return BadFile(name, f"its partner {partner} is missing", "fetch the source again")


def natural(text: str) -> list[str | int]:
    """A key to sort names by with the numbers in them as numbers: `2` comes before `10`."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", text)]


def table(
    root: Path, template: str, *columns: str, delimiter: str = ","
) -> tuple[str, list[dict[str, str]]] | None:
    """The name and the rows of the first CSV file that fits a template, blanks round every cell taken off.

    Raises:
        BadFile: it can't be read, or lacks one of the columns.
    """
    listed = text(root, template)
    if listed is None:
        return None
    name, content = listed
    try:
        cells = [
            [cell.strip() for cell in row]
            for row in csv.reader(io.StringIO(content), delimiter=delimiter)
            if row
        ]
    except csv.Error as error:
        raise BadFile(name, f"no CSV file ({error})", "fetch it again") from None
    header, *rows = cells or [[]]
    for column in columns:
        if column not in header:
            raise BadFile(name, f"no column {column}", "fetch it again")
    for place, row in enumerate(rows, start=2):
        if len(row) != len(header):
            problem = f"row {place} has {len(row)} cells, the header {len(header)}"
            raise BadFile(name, problem, "fetch it again")
    return name, [dict(zip(header, row, strict=True)) for row in rows]


def lines(root: Path, template: str) -> frozenset[str]:
    """The lines of the first text file that fits a template, blanks taken off; none where there is no file.

    Raises:
        BadFile: it can't be read.
    """
    _, content = text(root, template) or ("", "")
    return frozenset(line.strip() for line in content.splitlines() if line.strip())


def text(root: Path, template: str) -> tuple[str, str] | None:
    """The name and the content of the first text file that fits a template.

    Raises:
        BadFile: it can't be read.
    """
    paths = release.files(root)
    match = next(find(paths, template), None)
    if match is None:
        return None
    name = match.files[""]
    try:
        return name, paths[name].read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(name, f"can't be read ({error})", "fetch it again") from None


def find(names: Iterable[str], template: str) -> Iterator[Match]:
    """The names that fit a template; each match has the one role `""`."""
    if (sought := _SOUGHT.get()) is not None and template not in sought:
        sought.append(template)
    form = pattern(template)
    for name in names:
        hidden = name.rsplit("/", 1)[-1].startswith(".")  # such as macOS's ._case.nii.gz
        if not hidden and (hit := form.fullmatch(name)):
            yield Match(hit.groupdict(), {"": name})


_SOUGHT: ContextVar[list[str] | None] = ContextVar("sought", default=None)


@contextmanager
def seeking() -> Iterator[list[str]]:
    """The templates that `find` looks for within the block, each once, in this order."""
    sought: list[str] = []
    token = _SOUGHT.set(sought)
    try:
        yield sought
    finally:
        _SOUGHT.reset(token)


#: A field of a template (its name, its form), or `**/`, or `*`.
FIELD = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[^{}]*\})*))?\}|(\*\*/)|(\*)")


def fields(template: str) -> list[str]:
    """The names of a template's fields, each once."""
    return list(dict.fromkeys(hit[1] for hit in FIELD.finditer(template) if hit[1]))


def _filled(template: str, known: dict[str, str]) -> str:
    """The template with the fields that are known, for a message."""
    return FIELD.sub(lambda hit: "" if hit[3] else known.get(hit[1] or "", "…"), template)


@cache
def pattern(template: str, ignore_case: bool = False) -> re.Pattern[str]:
    """What the names that fit a template match; each field is a group."""
    parts, place, known = [], 0, set()
    for hit in FIELD.finditer(template):
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
    flags = re.IGNORECASE if ignore_case else 0
    return re.compile("".join(parts) + re.escape(template[place:]), flags)
