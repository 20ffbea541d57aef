"""Which split a case belongs to: a keyed hash of its patient's group, never of anything else in the build."""

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
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
    official_test: frozenset[str]


@cache
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
    tests = set()
    for row in reader:
        if None in row or not (row["source"] and row["patient"] and row["group"]):
            raise InputError(f"{path.name}: the line {lines[reader.line_num - 1]!r} must have four values")
        if row["official_test"] not in ("yes", "no", ""):
            raise InputError(
                f"{path.name}: official_test in {lines[reader.line_num - 1]!r} must be yes or no"
            )
        known = of_patient.setdefault((row["source"], row["patient"]), row["group"])
        if known != row["group"]:
            raise InputError(f"{path.name}: {row['source']}/{row['patient']} is in two groups")
        if row["official_test"] == "yes":
            tests.add(row["group"])
    return _Groups(of_patient, frozenset(tests))


def assign(source: str, cases: Iterable[Case], groups: Path = GROUPS) -> dict[str, str]:
    """Patient → split, for the cases of one source.

    A group is test if any member is an official labelled test case, else its hash decides. Cases that bear a
    split of their own (the sample's slabs) don't ask for their patient's.

    Raises:
        InputError: `groups` is not in order, or hides an official test case from sources that share it.
    """
    table, cases = _groups(groups), list(cases)
    elsewhere = {group for (other, _), group in table.of_patient.items() if other != source}
    group_of = {
        case.patient: table.of_patient.get((source, case.patient), f"{source}/{case.patient}")
        for case in cases
    }
    tests = table.official_test | {group_of[case.patient] for case in cases if case.official_test}
    if untold := sorted((tests & elsewhere) - table.official_test):
        # Their builds see this file alone, and would put the same patient into training.
        raise InputError(
            f"{groups.name}: official_test of group {untold[0]} must be yes, since {source} has it"
        )
    return {
        patient: "test" if group in tests else split_of_group(group) for patient, group in group_of.items()
    }
