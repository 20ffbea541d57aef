"""Bad samples: what `exclusions.csv` leaves out of the builds. A line that leaves out nothing is refused."""

import csv
import logging
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cosmos1050k import sources
from cosmos1050k.errors import InputError

log = logging.getLogger(__name__)

EXCLUSIONS = Path(__file__).with_name("exclusions.csv")
_COLUMNS = ["source", "case", "slice", "reason"]
_PARTIAL = "this copy, which is not known to be the whole release"
_SLICE = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Exclusion:
    """A line and where it stands: a case in all its modalities, or its slice that rows call `slice_index`."""

    place: str
    source: str
    case: str
    slice: int | None
    reason: str

    def overlaps(self, other: "Exclusion") -> bool:
        """Whether both leave out the same slice."""
        same = (self.source, self.case) == (other.source, other.case)
        return same and (None in (self.slice, other.slice) or self.slice == other.slice)


def load(path: Path = EXCLUSIONS) -> list[Exclusion]:
    """Reads a list of exclusions.

    Raises:
        InputError: it can't be read, has another header, or a line that is not complete, names no source, or
            leaves out what another one does; the text gives the line's number.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}); take it from git again") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8; mend it") from None
    header, *lines = [
        (f"{path.name}, line {number}", line)
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip() and not line.startswith("#")
    ] or [(path.name, "")]
    if _values(*header) != _COLUMNS:
        raise InputError(f"{header[0]}: the header must be {','.join(_COLUMNS)}")
    known, found = set(sources.slugs()), list[Exclusion]()
    of_case: dict[tuple[str, str], list[Exclusion]] = {}
    for place, line in lines:
        one = _exclusion(place, _values(place, line))
        if one.source not in known:
            raise InputError(f"{place}: unknown source {one.source!r}; `cosmos sources` lists them all")
        others = of_case.setdefault((one.source, one.case), [])
        if first := next(filter(one.overlaps, others), None):
            raise InputError(f"{place}: leaves out what {first.place} does; remove one of the two")
        others.append(one)
        found.append(one)
    return found


def _values(place: str, line: str) -> list[str]:
    try:
        return [value.strip() for values in csv.reader([line], strict=True) for value in values]
    except csv.Error as error:
        raise InputError(f"{place}: not a line of a CSV file ({error}); mend it") from None


def _exclusion(place: str, values: Sequence[str]) -> Exclusion:
    if len(values) != len(_COLUMNS):
        advice = 'write a text with a comma as "…"' if len(values) > len(_COLUMNS) else "complete it"
        raise InputError(f"{place}: {len(values)} values where {','.join(_COLUMNS)} are due; {advice}")
    source, case, at, reason = values
    for name, value in (("source", source), ("case", case), ("reason", reason)):
        if not value:
            raise InputError(f"{place}: no {name}; complete it")
    if at and not _SLICE.fullmatch(at):
        raise InputError(f"{place}: slice {at!r} must be a number, or empty for the whole case; mend it")
    return Exclusion(place, source, case, int(at) if at else None, reason)


def by_case(lines: Iterable[Exclusion]) -> dict[str, frozenset[int] | None]:
    """Case → its slices that are left out; None if all of it is."""
    found: dict[str, frozenset[int] | None] = {}
    for line in lines:
        before = found.get(line.case) or frozenset()
        found[line.case] = None if line.slice is None else before | {line.slice}
    return found


def of_cases(
    lines: Iterable[Exclusion], cases: Collection[str], *, labelled: int | None, phantom: bool
) -> list[Exclusion]:
    """The lines whose case is one of a source's.

    Args:
        labelled: cases of the whole release, if known; a line may speak of one that a partial copy lacks, and
            is warned of.
        phantom: the source is synthetic; the others may speak of the owner's release, and are warned of.

    Raises:
        InputError: a line names none of the cases of a whole release, as one with a slip of the pen.
    """
    whole = labelled is not None and len(cases) >= labelled
    found = []
    for line in lines:
        if line.case in cases:
            found.append(line)
        else:
            _refuse(line, "no such case", "the phantom" if phantom else "" if whole else _PARTIAL)
    return found


def of_slices(
    lines: Iterable[Exclusion], slices: Collection[tuple[str, int]], unread: Collection[str], *, phantom: bool
) -> list[Exclusion]:
    """The lines that left out something of a source's build.

    Args:
        slices: cases and slices that would else be images.
        unread: cases that could not be built; of their slices nothing is known.
        phantom: as for `of_cases`.

    Raises:
        InputError: a line names a slice that is no image.
    """
    found = []
    for line in lines:
        if line.slice is None or (line.case, line.slice) in slices:
            found.append(line)
        elif line.case not in unread:
            _refuse(line, f"no image of slice {line.slice} in that case", "the phantom" if phantom else "")
    return found


def _refuse(line: Exclusion, problem: str, excuse: str) -> None:
    """Only warns where an excuse says in what the line may lack what it names."""
    text = f"{line.place}: {line.source}/{line.case}: {problem}"
    if not excuse:
        raise InputError(f"{text}; mend or remove the line")
    log.warning("%s in %s", text, excuse)
