"""The reference versions: what a source's whole release gives, to hold one's own build against."""

import csv
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from cosmos1050k.errors import InputError
from cosmos1050k.shards import Manifest

TABLE = Path(__file__).with_name("reference.csv")
_COLUMNS = ["source", "version", "rows"]

#: `partial` has fewer rows than the reference; `different` has as many or more, of another content.
Verdict = Literal["same", "partial", "different", "phantom", "no reference", "not built"]


class Reference(NamedTuple):
    """The version of a source and the number of its rows."""

    version: str
    rows: int


@cache
def load(path: Path = TABLE) -> dict[str, Reference]:
    """Source → its reference.

    Raises:
        InputError: another header, a line that is not complete, or a source listed twice.
    """
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    header, *rows = list(csv.reader(lines)) or [[]]
    if header != _COLUMNS:
        raise InputError(f"{path.name}: the header must be {','.join(_COLUMNS)}")
    found: dict[str, Reference] = {}
    for row in rows:
        if len(row) != len(_COLUMNS) or not (row[0] and row[1] and row[2].isdecimal()):
            raise InputError(f"{path.name}: the line {','.join(row)!r} must be a source, a version, a number")
        if row[0] in found:
            raise InputError(f"{path.name}: {row[0]} is listed twice")
        found[row[0]] = Reference(row[1], int(row[2]))
    return found


def verdict(slug: str, built: Manifest | None, references: dict[str, Reference] | None = None) -> Verdict:
    """How a build of a source stands to its reference, by default to that of `reference.csv`."""
    if built is None:
        return "not built"
    if built.phantom:
        return "phantom"
    reference = (load() if references is None else references).get(slug)
    if reference is None:
        return "no reference"
    if built.version == reference.version:
        return "same"
    return "partial" if built.rows < reference.rows else "different"
