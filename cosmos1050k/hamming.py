"""Which cases hold hashes that lie near each other: all of a million, without comparing each with each.

Two hashes of 16 bytes that differ in at most 13 bits agree in three whole bytes or more. So hashes are sorted
by every choice of three bytes, and only those that agree there are compared.
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cosmos1050k import pool

#: Bytes that must agree. Two would give fewer tables of longer buckets; with four they are too many.
_AGREEING = 3
#: With how many others of its bucket a hash is compared on either side. Only look-alikes make longer buckets;
#: each table mixes them anew, so that twins meet in one of the hundred and more that they share.
_REACH = 8
#: Of a case's look-alikes, so many are worth a closer look, the nearest.
CLOSEST = 20
_LANE_BITS = 26
_PLACE_BITS = 14
_DISTANCE_BITS = 8
#: A hit's place among all that are held.
_HIT_BITS = 28
#: Hits are put together when so many have come up.
_HELD = 1_000_000
_AT_ONCE = 12


def near_cases(
    hashes: NDArray[np.uint8],
    cases: NDArray[np.int64],
    groups: NDArray[np.int64],
    radius: int,
    workers: int | None = None,
) -> NDArray[np.int64]:
    """Pairs of cases of two groups that hold hashes within `radius` bits of each other, M×2, sorted.

    All are found whose nearest hashes differ in at most 13 bits, unless over 8 cases share three bytes, or a
    case has several hashes in a bucket, of which one stands for them; and nearly all of the others. Then of
    each case the CLOSEST are kept, and those it is one of the CLOSEST of.

    Args:
        hashes: N×16; byte by byte of like value.
        cases: of each hash, N numbers.
        groups: of each case, by its number.
        workers: threads; all cores if not given. They change nothing of the result.
    """
    order = np.lexsort((*hashes.T, cases))
    hashes, cases = np.ascontiguousarray(hashes[order]), cases[order]
    lanes, columns = _lanes(cases), np.ascontiguousarray(hashes.T)
    words = [np.ascontiguousarray(word) for word in hashes.view("<u8").T]
    found, held = np.empty(0, np.int64), [np.empty(0, np.int64)]
    number = len(groups)
    reach = np.full(number, radius, np.uint8)
    mixer = np.random.default_rng(0)
    tables = list(combinations(range(hashes.shape[1]), _AGREEING))
    odd = (mixer.integers(2**_LANE_BITS, size=len(tables)) | 1).tolist()

    def hits(chosen: tuple[int, ...], factor: int) -> NDArray[np.int64]:
        """A table's hits: the two cases, and behind them how far apart they are."""
        rows, at = _meetings(columns, chosen, *lanes, factor)
        own = cases[rows]
        group, far, (low, high) = groups[own], reach[own], [word[rows] for word in words]
        made = [np.empty(0, np.int64)]
        for step, one in enumerate(at, start=1):
            one = one[group[one] != group[one + step]]
            other = one + step
            bits = np.bitwise_count(low[one] ^ low[other]) + np.bitwise_count(high[one] ^ high[other])
            close = np.flatnonzero(bits <= np.maximum(far[one], far[other]))
            pair = own[one[close]], own[other[close]]
            both = np.minimum(*pair) * number + np.maximum(*pair)
            made.append(both << _DISTANCE_BITS | bits[close])
        return np.concatenate(made)

    # Threads, since numpy sorts and counts without Python's lock; of tables by the dozen, to hold few hits.
    with ThreadPoolExecutor(pool.workers_or_all(workers)) as threads:
        bar = tqdm(total=len(tables), desc="look for twins", unit=" table", disable=None, leave=False)
        with bar:
            for first in range(0, len(tables), _AT_ONCE):
                some = slice(first, first + _AT_ONCE)
                held += threads.map(hits, tables[some], odd[some])
                bar.update(len(tables[some]))
                if sum(map(len, held)) > _HELD:
                    found, held = _nearest(found, held, reach), []
    found = _nearest(found, held, reach)
    return np.stack(np.divmod(found >> _DISTANCE_BITS, number), axis=1)


def _nearest(
    found: NDArray[np.int64], held: list[NDArray[np.int64]], reach: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """Hits, sorted: of each pair of cases the nearest, if it is among the CLOSEST of either of the two.

    Where a case has so many, its `reach` becomes the farthest's distance: later hits beyond are none of them.
    """
    hits = np.concatenate([found, *held])
    hits.sort()  # np.unique is many times slower
    hits = hits[np.diff(hits >> _DISTANCE_BITS, prepend=-1) != 0]
    bits = hits & (2**_DISTANCE_BITS - 1)
    kept = np.zeros(len(hits), bool)
    sides = np.divmod(hits >> _DISTANCE_BITS, len(reach))
    own = np.concatenate([side << _DISTANCE_BITS | bits for side in sides]) << _HIT_BITS
    assert len(own) <= 2**_HIT_BITS
    own |= np.arange(len(own))
    own.sort()  # a stable argsort is many times slower
    case = own >> (_HIT_BITS + _DISTANCE_BITS)
    begins = np.flatnonzero(np.diff(case, prepend=-1))
    rank = np.arange(len(own)) - np.repeat(begins, np.diff(begins, append=len(own)))
    kept[(own[rank < CLOSEST] & (2**_HIT_BITS - 1)) % max(len(hits), 1)] = True
    last = np.flatnonzero(rank == CLOSEST - 1)
    reach[case[last]] = own[last] >> _HIT_BITS & (2**_DISTANCE_BITS - 1)
    return hits[kept]


def _lanes(cases: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64]]:
    """Of sorted cases: the lane of each hash, its place in it, and where each lane begins.

    A lane is a case, or a part of one with more hashes than a place has numbers for.
    """
    begins = np.flatnonzero(np.diff(cases, prepend=-1))
    within = np.arange(len(cases)) - np.repeat(begins, np.diff(begins, append=len(cases)))
    places = within % 2**_PLACE_BITS
    starts = np.flatnonzero(places == 0)
    lanes = np.cumsum(places == 0) - 1
    assert len(starts) <= 2**_LANE_BITS
    return lanes.astype(np.uint64), places.astype(np.uint64), starts


def _meetings(
    columns: NDArray[np.uint8],
    chosen: tuple[int, ...],
    lanes: NDArray[np.uint64],
    places: NDArray[np.uint64],
    starts: NDArray[np.int64],
    odd: int,
) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
    """Hashes that agree with another lane's in the chosen bytes, the lanes mixed by an odd factor.

    Returns:
        their rows, bucket by bucket, of a lane one in each; and for each step from 1, the places among them
        of those whose bucket goes on for so many steps.
    """
    packed = lanes * np.uint64(odd << _PLACE_BITS)
    packed |= places
    for byte, column in enumerate(reversed(chosen), start=(_LANE_BITS + _PLACE_BITS) // 8):
        packed.view(np.uint8)[byte::8] = columns[column]
    packed.sort()
    packed = packed[_shared(packed >> np.uint64(_LANE_BITS + _PLACE_BITS))]
    first = packed >> np.uint64(_PLACE_BITS)
    packed = packed[np.flatnonzero(np.diff(first, prepend=~first[:1]))]
    keys = packed >> np.uint64(_LANE_BITS + _PLACE_BITS)
    both = _shared(keys)
    packed, keys = packed[both], keys[both]
    back = np.uint64(pow(odd, -1, 2**_LANE_BITS))
    lane = ((packed >> np.uint64(_PLACE_BITS)) * back) & np.uint64(2**_LANE_BITS - 1)
    rows = starts[lane.astype(np.int64)] + (packed & np.uint64(2**_PLACE_BITS - 1)).astype(np.int64)
    steps, at = [], np.arange(len(keys))
    for step in range(1, _REACH + 1):
        at = at[: np.searchsorted(at, len(keys) - step)]
        at = at[keys[at + step] == keys[at]]
        steps.append(at)
    return rows, steps


def _shared(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Where a sorted key has an equal beside it."""
    same = np.zeros(len(keys) + 1, bool)
    same[1:-1] = keys[1:] == keys[:-1]
    return np.flatnonzero(same[1:] | same[:-1])
