"""Twins: patients of two groups whose pictures are the same, to the pixel or but for how they were stored."""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosmos1050k import disk, hamming, hashes, pool, prints, units
from cosmos1050k.errors import InputError
from cosmos1050k.prints import Case, Looks, Patient, Pictures
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
#: Of the details of matching slices, their median. Strangers reach 0.86 on DRIVE; twins that were compressed,
#: resized or turned stay above 0.98.
LEAST_LIKENESS = 0.9
#: A picture stands alone where a volume has many witnesses. Strangers among X-ray phantoms reach 0.952; real
#: twins stay above 0.96, but for cropped ones and those in a narrow window.
LEAST_LIKENESS_ALONE = 0.95
#: Slices of the smaller case that are compared with all of the other, and those whose details are.
_SLICES, _DETAILED, _RIVALS = 64, 5, 3
#: Of pairs that are compared at a time, about so many thumbnails.
_THUMBNAILS = 4096
#: Of a pair.
_TIMEOUT_S = 60.0
_PAIRS = "pairs.npy"


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
    return Found(seen.number, seen.number - len(seen.case), tuple(twins), *_patients(seen.cases, groups))


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
    looks = seen.looks
    pairs = hamming.near_cases(looks.hashes, seen.case[seen.picture], joined.all(), RADIUS, workers)
    with tempfile.TemporaryDirectory() as folder:
        with disk.writing(Path(folder)):
            looks.keep(Path(folder))
            np.save(Path(folder) / _PAIRS, pairs)
        for outcome in pool.run(
            _compared, _blocks(Path(folder), looks, pairs), workers=workers, timeout_s=_TIMEOUT_S,
            label="compare cases", unit="pair", size=_Block.size, here=workers == 1,
        ):  # fmt: skip
            if outcome.failure:
                raise InputError(outcome.failure)
            for agreed in outcome.result or ():
                one, other = pairs[agreed.pair].tolist()
                if joined.of(one) != joined.of(other):
                    joined.join(one, other)
                    patients = seen.cases[one].patient, seen.cases[other].patient
                    yield Twin("near", *patients, agreed.pictures, agreed.of, agreed.likeness)


class _Block(NamedTuple):
    """Some of the pairs that lie in a folder, beside what their pictures look like."""

    folder: Path
    first: int
    stop: int

    def size(self) -> int:
        return self.stop - self.first


class _Agreed(NamedTuple):
    """A pair of cases that agree, and how well, as a Twin tells."""

    pair: int
    pictures: int
    of: int
    likeness: float


class _Asked(NamedTuple):
    """A pair of cases whose hashes agree: the slices whose details shall, and for each of them its rivals."""

    pair: int
    pictures: int
    of: int
    mine: NDArray[np.int64]
    theirs: NDArray[np.int64]


def _blocks(folder: Path, looks: Looks, pairs: NDArray[np.int64]) -> list[_Block]:
    """Pairs by so many that their thumbnails are few enough to be held."""
    of_pair = np.cumsum(np.where(_alone(looks, pairs), 1, _DETAILED * (1 + _RIVALS))) // _THUMBNAILS
    bounds = [*np.flatnonzero(np.diff(of_pair, prepend=-1)).tolist(), len(pairs)]
    return [_Block(folder, first, stop) for first, stop in pairwise(bounds)]


def _alone(looks: Looks, pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which pairs are of two cases of one picture each."""
    return np.asarray((looks.bounds[pairs + 1] - looks.bounds[pairs] == 1).all(axis=1))


def _compared(block: _Block) -> list[_Agreed]:
    """Runs in a worker: those of a block's pairs that agree."""
    looks = Looks.kept(block.folder)
    pairs = np.load(block.folder / _PAIRS, mmap_mode="r")[block.first : block.stop]
    alone = _alone(looks, pairs)
    # Two pictures alone have near hashes, or they would not be a pair.
    single, many = (block.first + np.flatnonzero(chosen) for chosen in (alone, ~alone))
    asked = [_asked(looks, number, *pairs[number - block.first].tolist()) for number in many.tolist()]
    found = [one for one in asked if one]
    mine = [looks.bounds[pairs[alone, 0]], *(np.repeat(one.mine, one.theirs.shape[1]) for one in found)]
    theirs = [looks.bounds[pairs[alone, 1]], *(one.theirs.ravel() for one in found)]
    shown, places = np.unique([np.concatenate(mine), np.concatenate(theirs)], return_inverse=True)
    alike = hashes.likeness(looks.thumbnails(shown), *places.reshape(2, -1))
    alike, *rest = np.split(alike, np.cumsum([len(side) for side in mine])[:-1])
    best = np.flatnonzero(alike >= LEAST_LIKENESS_ALONE)
    agreed = [_Agreed(int(single[number]), 1, 1, float(alike[number])) for number in best.tolist()]
    for one, own in zip(found, rest, strict=True):
        likeness = float(np.median(own.reshape(one.theirs.shape).max(axis=1)))
        if likeness >= (LEAST_LIKENESS_ALONE if one.of == 1 else LEAST_LIKENESS):
            agreed.append(_Agreed(one.pair, one.pictures, one.of, likeness))
    return sorted(agreed)


def _asked(looks: Looks, pair: int, one: int, other: int) -> _Asked | None:
    """What is to be asked of two cases' details, if their hashes agree."""
    sizes = [int(looks.bounds[case + 1] - looks.bounds[case]) for case in (one, other)]
    small, large = (one, other) if sizes[0] <= sizes[1] else (other, one)
    mine = looks.bounds[small] + _spread(min(sizes), _SLICES)
    theirs = np.arange(looks.bounds[large], looks.bounds[large + 1])
    bits = _distances(looks, mine, theirs)
    matched = np.flatnonzero(bits.min(axis=1) <= RADIUS)
    if len(matched) < (1 if len(mine) == 1 else max(2, LEAST_SHARE * len(mine))):
        return None
    if len(matched) >= _ORDERED:
        there = theirs[bits[matched].argmin(axis=1)]
        places = looks.place[mine[matched]].astype(float), looks.place[there].astype(float)
        if places[1].std() == 0 or abs(np.corrcoef(*places)[0, 1]) < LEAST_ORDER:
            return None
    detailed = matched[_spread(len(matched), _DETAILED)]
    # A slice's neighbours have hashes as near: its own is among the nearest few.
    rivals = np.argsort(bits[detailed], axis=1, kind="stable")[:, :_RIVALS]
    return _Asked(pair, len(matched), len(mine), mine[detailed], theirs[rivals])


def _spread(number: int, most: int) -> NDArray[np.int64]:
    """At most so many of the first numbers, evenly apart."""
    return np.linspace(0, number - 1, min(number, most)).round().astype(np.int64)


def _distances(looks: Looks, mine: NDArray[np.int64], theirs: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Bits between pictures, whichever way they were turned, len(mine)×len(theirs)."""
    sides, starts = [], []
    for chosen in (mine, theirs):
        begins, counts = looks.ways[chosen], looks.ways[chosen + 1] - looks.ways[chosen]
        starts.append(np.cumsum(counts) - counts)
        ways = np.arange(counts.sum()) - np.repeat(starts[-1] - begins, counts)
        sides.append(looks.hashes[ways].view("<u8"))
    found = np.zeros((len(sides[0]), len(sides[1])), np.uint8)
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
