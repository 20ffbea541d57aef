"""Twins: patients of two groups whose pictures are the same, to the pixel or but for how they were stored."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cosmos1050k import hamming, hashes, prints, units
from cosmos1050k.prints import Case, Patient, Pictures
from cosmos1050k.schema import SPLITS
from cosmos1050k.splits import GROUPS, group_of, split_of_group

#: Hashes of the same slice, stored in two ways, differ in so many of 128 bits or fewer: of strangers' slices,
#: even of one organ, few come as near.
RADIUS = 16
#: Of the smaller case's slices, the share that must find theirs: two sources keep the slices of their own
#: organs, so that much of a volume may be missing in the other.
LEAST_SHARE = 0.3
#: Slices that match must come in the other case's order, or in the reverse: this much correlated.
LEAST_ORDER = 0.9
_ORDERED = 4
#: Of the details of matching slices, their median. Phantoms' strangers reach 0.86 in a slice; twins that were
#: compressed, resized, turned or windowed anew stay above 0.98.
LEAST_LIKENESS = 0.9
#: A picture stands alone where a volume has many witnesses.
LEAST_LIKENESS_ALONE = 0.92
#: Slices of the smaller case that are compared with all of the other, and those whose details are.
_SLICES, _DETAILED, _RIVALS = 64, 5, 3


class Twin(NamedTuple):
    """Two patients, and how many pictures of the smaller one (of the smaller case, if near) agree."""

    kind: str  # exact or near
    first: Patient
    second: Patient
    pictures: int
    of: int
    likeness: float


@dataclass(frozen=True)
class Found:
    """What was looked at and found. `blank` pictures are too even to tell anything, and were left out.

    `official`: patients in test whom their group's hash puts elsewhere, so whom their owner put there.
    """

    pictures: int
    blank: int
    twins: tuple[Twin, ...]
    patients: tuple[Patient, ...]
    official: frozenset[Patient]


def find(
    data: Path,
    slugs: Sequence[str],
    *,
    groups: Path = GROUPS,
    workers: int | None = None,
    store: units.Units | None = None,
) -> Found:
    """Looks for twins within and across the built sources `slugs` below `data`.

    Patients whose groups are the same already are not compared. Twins that follow from others (a patient's
    second volume, a third copy) may be left unsaid.

    Args:
        workers: processes; all cores if not given, and none but this for one.
        store: where shards' hashes are kept.

    Raises:
        InputError: a source is not built, or damaged; `groups` is not in order.
    """
    seen = prints.load(data, slugs, workers=workers, store=store)
    joined = _Joined([group_of(*case.patient, groups=groups) for case in seen.cases])
    twins = [*_exact(seen, joined), *_near(seen, joined, workers)]
    return Found(seen.number, seen.number - len(seen.rows), tuple(twins), *_patients(seen.cases, groups))


class _Joined:
    """The groups of cases, joined by and by."""

    def __init__(self, groups: Sequence[str]) -> None:
        numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
        self._of_case = np.array([numbers[group] for group in groups], np.int64)
        self._parent = list(range(len(numbers)))

    def _root(self, group: int) -> int:
        while self._parent[group] != group:
            self._parent[group] = self._parent[self._parent[group]]
            group = self._parent[group]
        return group

    def of(self, case: int) -> int:
        return self._root(int(self._of_case[case]))

    def all(self) -> NDArray[np.int64]:
        roots = np.array([self._root(group) for group in range(len(self._parent))], np.int64)
        return roots[self._of_case]

    def join(self, one: int, other: int) -> None:
        """Joins the groups of two cases."""
        self._parent[self.of(one)] = self.of(other)


def _exact(seen: Pictures, joined: _Joined) -> Iterator[Twin]:
    """Patients who share a picture, pixel by pixel."""
    groups = joined.all()
    numbers = {patient: number for number, patient in enumerate({case.patient: 0 for case in seen.cases})}
    of_case = np.array([numbers[case.patient] for case in seen.cases], np.int64)
    owner = of_case[seen.case]
    order = np.lexsort((owner, seen.exact[:, 0], seen.exact[:, 1]))
    words = seen.exact[order]
    same = np.flatnonzero((words[1:] == words[:-1]).all(axis=1))
    shared: Counter[tuple[int, int]] = Counter()
    for one, other in zip(order[same].tolist(), order[same + 1].tolist(), strict=True):
        first, second = int(seen.case[one]), int(seen.case[other])
        if groups[first] != groups[second]:
            shared[int(owner[one]), int(owner[other])] += 1
            joined.join(first, second)
    patients, counts = list(numbers), np.bincount(owner, minlength=len(numbers))
    for (first, second), number in sorted(shared.items()):
        least = int(min(counts[first], counts[second]))
        yield Twin("exact", patients[first], patients[second], number, least, 1.0)


def _near(seen: Pictures, joined: _Joined, workers: int | None) -> Iterator[Twin]:
    """Patients who have a case that looks like another's, picture by picture."""
    turned, picture = seen.turned
    pairs = hamming.near_cases(turned, seen.case[picture], joined.all(), RADIUS, workers)
    for one, other in tqdm(pairs.tolist(), desc="compare cases", disable=None, leave=False):
        if joined.of(one) != joined.of(other) and (twin := _compared(seen, one, other)):
            joined.join(one, other)
            yield twin


def _compared(seen: Pictures, one: int, other: int) -> Twin | None:
    """The twins that two cases make, if they do."""
    sizes = [int(seen.bounds[case + 1] - seen.bounds[case]) for case in (one, other)]
    small, large = (one, other) if sizes[0] <= sizes[1] else (other, one)
    mine = np.arange(seen.bounds[small], seen.bounds[small + 1])
    mine = mine[_spread(len(mine), _SLICES)]
    theirs = np.arange(seen.bounds[large], seen.bounds[large + 1])
    bits = _distances(seen, mine, theirs)
    matched = np.flatnonzero(bits.min(axis=1) <= RADIUS)
    alone = len(mine) == 1
    if len(matched) < (1 if alone else max(2, LEAST_SHARE * len(mine))):
        return None
    there = bits[matched].argmin(axis=1)
    if len(matched) >= _ORDERED:
        places = seen.place[mine[matched]].astype(float), seen.place[theirs[there]].astype(float)
        if places[1].std() == 0 or abs(np.corrcoef(*places)[0, 1]) < LEAST_ORDER:
            return None
    alike = []
    for place in matched[_spread(len(matched), _DETAILED)]:
        # A slice's neighbours have hashes as near: its own is among the nearest few.
        rivals = np.argsort(bits[place], kind="stable")[:_RIVALS]
        own = seen.thumbnail(int(mine[place]))
        alike.append(max(hashes.likeness(own, seen.thumbnail(int(theirs[rival]))) for rival in rivals))
    likeness = float(np.median(alike))
    if likeness < (LEAST_LIKENESS_ALONE if alone else LEAST_LIKENESS):
        return None
    first, second = seen.cases[one].patient, seen.cases[other].patient
    return Twin("near", first, second, len(matched), len(mine), likeness)


def _spread(number: int, most: int) -> NDArray[np.int64]:
    """At most so many of the first numbers, evenly apart."""
    return np.linspace(0, number - 1, min(number, most)).round().astype(np.int64)


def _distances(seen: Pictures, mine: NDArray[np.int64], theirs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bits between pictures, whichever way they were turned, len(mine)×len(theirs)."""
    turned, picture = seen.turned
    sides, starts = [], []
    for chosen in (mine, theirs):
        begins, ends = np.searchsorted(picture, chosen), np.searchsorted(picture, chosen, side="right")
        counts = ends - begins
        starts.append(np.cumsum(counts) - counts)
        ways = np.arange(counts.sum()) - np.repeat(starts[-1] - begins, counts)
        sides.append(turned[ways].view("<u8"))
    found = np.zeros((len(sides[0]), len(sides[1])), np.int64)
    for word in range(sides[0].shape[1]):
        found += np.bitwise_count(sides[0][:, word, None] ^ sides[1][None, :, word])
    return np.minimum.reduceat(np.minimum.reduceat(found, starts[0], axis=0), starts[1], axis=1)


def _patients(cases: Sequence[Case], groups: Path) -> tuple[tuple[Patient, ...], frozenset[Patient]]:
    """All patients, and those of whom the owner, not the hash, says that they are for test."""
    split_of: dict[Patient, set[str]] = defaultdict(set)
    for case in cases:
        split_of[case.patient].add(case.split)
    official = {
        patient
        for patient, found in split_of.items()
        if found == {SPLITS[2]} and split_of_group(group_of(*patient, groups=groups)) != SPLITS[2]
    }
    return tuple(sorted(split_of)), frozenset(official)
