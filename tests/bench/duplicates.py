"""The search for twins: a million hashes, and how many planted twins of each kind are found.

python -m tests.bench.duplicates [PICTURES]
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cosmos1050k import hamming, hashes
from cosmos1050k.duplicates import RADIUS
from tests.cosmos1050k import twins

PICTURES = 1_000_000
#: Planted twins among the pictures, each hash with a share of its bits flipped.
TWINS, FLIPPED = 1000, 0.07
ORIGINALS = 4
SLICES, LOOKS = 100, 40

Hashes = NDArray[np.uint8]


def main(number: int) -> None:
    _search(number)
    _planted()


def _search(number: int) -> None:
    """Six in ten pictures are slices of volumes of a few organs, one in ten is of a few looks of many."""
    near, cases, pairs = _made(number)
    doubt = np.random.default_rng(1).choice([0, 1, 2, 4, 3], len(near), p=[0.6, 0.15, 0.1, 0.05, 0.1])
    before = _most()
    started, used = time.perf_counter(), time.process_time()
    turned, picture = hashes.turned(near, doubt.astype(np.uint8))
    found = hamming.near_cases(turned, cases[picture], np.arange(cases[-1] + 1), RADIUS)
    seconds, own = time.perf_counter() - started, time.process_time() - used
    known = set(map(tuple, found.tolist()))
    bits = np.bitwise_count(near[pairs[:, 0]] ^ near[pairs[:, 1]]).sum(axis=1)
    within = [tuple(cases[pair].tolist()) in known for pair in pairs[bits <= RADIUS]]
    print(f"{number} pictures, {len(turned)} hashes: {seconds:.0f} s, {own:.0f} s of one core's work")
    print(f"peak memory {_most() / 2**30:.2f} GB, {before / 2**30:.2f} GB before")
    print(f"pairs of cases to compare {len(found)}; planted twins found {sum(within)} of {len(within)}")


def _made(number: int) -> tuple[Hashes, NDArray[np.int64], NDArray[np.int64]]:
    """Hashes, their cases, and which pairs of them are twins."""
    random = np.random.default_rng(0)

    def flipped(near: Hashes, share: float) -> Hashes:
        return near ^ np.packbits(random.random((len(near), hashes.BITS), np.float32) < share, axis=1)

    looks = random.integers(256, size=(LOOKS, hashes.BYTES), dtype=np.uint8)
    volumes = 6 * number // (10 * SLICES)
    patients = flipped(looks[random.integers(LOOKS, size=volumes)], 0.2)
    slices = flipped(np.repeat(patients, SLICES, axis=0), 0.06)
    alike = flipped(looks[random.integers(LOOKS, size=number // 10)], 0.05)
    others = number - len(slices) - len(alike) - TWINS
    single = random.integers(256, size=(others, hashes.BYTES), dtype=np.uint8)
    near = np.concatenate([slices, alike, single, flipped(single[:TWINS], FLIPPED)])
    pictures = len(near) - len(slices)
    cases = np.concatenate([np.repeat(np.arange(volumes), SLICES), volumes + np.arange(pictures)])
    first = len(slices) + len(alike) + np.arange(TWINS)
    return near, cases, np.stack([first, len(near) - TWINS + np.arange(TWINS)], axis=1)


def _planted() -> None:
    kinds = list(twins.KINDS)
    with tempfile.TemporaryDirectory() as folder:
        results = twins.measure(Path(folder), kinds, list(twins.WAYS), ORIGINALS)
    print(f"{'twins found of ' + str(ORIGINALS):16}" + "".join(f"{kind:>16}" for kind in kinds) + "   wrong")
    for name, result in results.items():
        cells = "".join(f"{result.found[kind]:>16}" for kind in kinds)
        print(f"{name:16}{cells}{len(result.wrong):>8}")


def _most() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else PICTURES)
