"""Twins as lines for groups.csv: those that are missing there, in its own format."""

import csv
import io
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cosmos1050k.duplicates import Found, Twin
from cosmos1050k.errors import InputError
from cosmos1050k.prints import Patient
from cosmos1050k.splits import GROUPS, group_of, kin, split_of_group


def missing_lines(found: Found, groups: Path = GROUPS) -> list[str]:
    """Lines that put twins into one group each, below a comment that says why; no line for those in one.

    A comment alone stands for twins whom no new line can join, since lines of theirs are there already.

    Raises:
        InputError: `groups` is not in order.
    """
    of_patient = {patient: group_of(*patient, groups=groups) for patient in found.patients}
    members: dict[str, set[Patient]] = defaultdict(set)
    for patient, group in of_patient.items():
        members[group].add(patient)
    lines = []
    for twins in _families(found.twins, of_patient):
        own = sorted({of_patient[patient] for twin in twins for patient in (twin.first, twin.second)})
        if len(own) == 1:
            continue
        lines += [f"# {_evidence(twin)}" for twin in twins]
        joined = _joined({group: members[group] for group in own}, found.official, groups)
        by_hand = f"# To be joined by hand, since lines about them are there: {', '.join(own)}"
        lines += joined if joined is not None else [by_hand]
    return lines


def _evidence(twin: Twin) -> str:
    names = " and ".join("/".join(patient) for patient in (twin.first, twin.second))
    kind = "exact" if twin.kind == "exact" else f"near, likeness {twin.likeness:.2f}"
    return f"Twins by content ({kind}; pictures {twin.pictures} of {twin.of}): {names}"


def _families(twins: Iterable[Twin], of_patient: dict[Patient, str]) -> Iterator[list[Twin]]:
    """Twins together whose groups are, or become, one."""
    family_of: dict[str, list[Twin]] = {}
    for twin in twins:
        joined, names = [twin], {of_patient[twin.first], of_patient[twin.second]}
        for family in {id(family_of[name]): family_of[name] for name in names if name in family_of}.values():
            joined = family + joined
            names |= {of_patient[patient] for other in family for patient in (other.first, other.second)}
        family_of |= dict.fromkeys(names, joined)
    yield from {id(family): family for family in family_of.values()}.values()


def _joined(members: dict[str, set[Patient]], official: frozenset[Patient], groups: Path) -> list[str] | None:
    """Lines that bring all members into one of their groups; None if none can be."""
    whole = {group: own | _namesakes(group, own, groups) for group, own in members.items()}
    test = "yes" if any(own & official for own in whole.values()) else "no"

    def worth(group: str) -> tuple[int, bool, int, str]:
        # One that others' lines lead to stays; then whom a test group would leave stays in test.
        others = len({source for own in members[group] for source in kin(*own, groups=groups)})
        return -others, split_of_group(group) != "test", -len(whole[group]), group

    for target in sorted(members, key=worth):
        moved = sorted(patient for group, own in whole.items() if group != target for patient in own)
        if any(_led_to(group, own, groups) for group, own in whole.items() if group != target):
            continue
        lines = [_line([*patient, target, test]) for patient in moved]
        if _hold(lines, {patient for own in whole.values() for patient in own}, target, groups):
            return lines
    return None


def _namesakes(group: str, own: set[Patient], groups: Path) -> set[Patient]:
    """Patients of other sources who are in the group by a pattern, or by having no line."""
    name = group.partition("/")[2]
    sources = {source for patient in own for source in kin(*patient, groups=groups)}
    return {(source, name) for source in sources if name and group_of(source, name, groups) == group}


def _led_to(group: str, own: set[Patient], groups: Path) -> bool:
    """Whether lines of patients whom we don't know lead to the group: it can't be left without them."""
    sources = {source for patient in own for source in kin(*patient, groups=groups)}
    return bool(sources - {source for source, _ in own})


def _line(values: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


def _hold(lines: Sequence[str], patients: set[Patient], target: str, groups: Path) -> bool:
    """Whether the file, read with these lines by those who will read it, puts the patients into one group."""
    text = groups.read_text(encoding="utf-8").rstrip("\n")
    with tempfile.TemporaryDirectory() as folder:
        tried = Path(folder) / groups.name
        tried.write_text("\n".join([text, *lines]) + "\n", encoding="utf-8")
        try:
            return all(group_of(*patient, groups=tried) == target for patient in patients)
        except InputError:  # a line is there already, or a name reads as a pattern
            return False
