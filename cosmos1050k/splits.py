"""Which split a case belongs to: a keyed hash of its patient's group, never of anything else in the build."""

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from pathlib import Path

from cosmos1050k.errors import InputError
from cosmos1050k.source import Case

GROUPS = Path(__file__).with_name("groups.csv")
#: Changing the key moves every case of every source: it is part of the dataset for good.
KEY = b"cosmos1050k/split"
_COLUMNS = ["source", "patient", "group", "official_test"]


def uniform(text: str, key: bytes = KEY) -> float:
    """A keyed hash of a text as a number in [0, 1)."""
    digest = hashlib.blake2b(text.encode(), key=key, digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def split_of_group(group: str) -> str:
    """Train, validation or test in the shares 70/10/20."""
    place = uniform(group)
    return "train" if place < 0.7 else "validation" if place < 0.8 else "test"


@dataclass(frozen=True)
class _Groups:
    of_patient: dict[tuple[str, str], str]
    of_pattern: tuple[tuple[str, str, str], ...]
    official_test: frozenset[str]

    def sources_of(self, group: str) -> set[str]:
        """The sources that have, or may have, a patient of the group."""
        owner, _, patient = group.partition("/")
        owners = {owner} if patient else set()  # whose patient has that group without any line
        patterns = {
            source
            for source, pattern, named in self.of_pattern
            if named == owner and fnmatchcase(patient, pattern)
        }
        return owners | self._named.get(group, set()) | patterns

    @cached_property
    def _named(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for (source, _), group in self.of_patient.items():
            found.setdefault(group, set()).add(source)
        return found


@lru_cache(maxsize=8)  # a table of lines that are tried is asked for once
def _groups(path: Path) -> _Groups:
    """Reads groups.csv.

    Raises:
        InputError: another header, a line that is not complete, or one patient in two groups.
    """
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    reader = csv.DictReader(lines)
    if reader.fieldnames != _COLUMNS:
        raise InputError(f"{path.name}: the header must be {','.join(_COLUMNS)}")
    of_patient: dict[tuple[str, str], str] = {}
    of_pattern, tests = [], set()
    for row in reader:
        line = lines[reader.line_num - 1]
        if None in row or not (row["source"] and row["patient"] and row["group"]):
            raise InputError(f"{path.name}: the line {line!r} must have four values")
        if row["official_test"] not in ("yes", "no", ""):
            raise InputError(f"{path.name}: official_test in {line!r} must be yes or no")
        if any(sign in row["patient"] for sign in "*?["):
            if row["official_test"] == "yes":
                raise InputError(f"{path.name}: {line!r} must name its official test patients, a line each")
            if "/" in row["group"]:
                raise InputError(f"{path.name}: the group in {line!r} must not name one patient")
            of_pattern.append((row["source"], row["patient"], row["group"]))
            continue
        known = of_patient.setdefault((row["source"], row["patient"]), row["group"])
        if known != row["group"]:
            raise InputError(f"{path.name}: {row['source']}/{row['patient']} is in two groups")
        if row["official_test"] == "yes":
            tests.add(row["group"])
    return _Groups(of_patient, tuple(of_pattern), frozenset(tests))


def group_of(source: str, patient: str, groups: Path = GROUPS) -> str:
    """The group of a patient: of the line that names it, else of the pattern it fits, else its own.

    Patterns (`*`, `?`, `[…]` as in a shell) are for owners who give a patient the same name in several
    releases: each patient that fits has the group `<the line's group>/<patient>`. A patient in no line has
    the group `<source>/<patient>`, so that other sources' lines can name it, or patterns all of its source.

    Raises:
        InputError: `groups` is not in order, or the patient fits the patterns of two groups.
    """
    table = _groups(groups)
    if (named := table.of_patient.get((source, patient))) is not None:
        return named
    fitting = {
        named
        for other, pattern, named in table.of_pattern
        if other == source and fnmatchcase(patient, pattern)
    }
    if len(fitting) > 1:
        raise InputError(f"{groups.name}: {source}/{patient} is in two groups")
    return f"{fitting.pop() if fitting else source}/{patient}"


def kin(source: str, patient: str, groups: Path = GROUPS) -> set[str]:
    """The sources that have, or may have, the patient's group: its own, and those that groups.csv tells of.

    Raises:
        InputError: as `group_of`.
    """
    return _groups(groups).sources_of(group_of(source, patient, groups)) | {source}


def assign(source: str, cases: Iterable[Case], groups: Path = GROUPS) -> dict[str, str]:
    """Patient → split, for the cases of one source.

    A group is test if any member is an official labelled test case, else its hash decides. Cases that bear a
    split of their own (the sample's slabs) don't ask for their patient's.

    Raises:
        InputError: `groups` is not in order, or hides an official test case from sources that share it.
    """
    table, cases = _groups(groups), list(cases)
    groups_here = {case.patient: group_of(source, case.patient, groups) for case in cases}
    tests = {groups_here[case.patient] for case in cases if case.official_test}
    untold = sorted(group for group in tests - table.official_test if table.sources_of(group) - {source})
    if untold:
        # Their builds see this file alone, and would put the same patient into training.
        raise InputError(
            f"{groups.name}: official_test of group {untold[0]} must be yes, since {source} has it"
        )
    tests |= table.official_test
    return {
        patient: "test" if group in tests else split_of_group(group) for patient, group in groups_here.items()
    }
