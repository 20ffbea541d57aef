"""The search for twins: a million pictures, and how many planted twins of each kind are found.

python -m tests.bench.duplicates [PICTURES [WORKERS]]
"""

import argparse
import csv
import io
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, chdir, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cosmos1050k import duplicates, hamming, hashes, prints, units
from cosmos1050k.shards import CASES, CASES_SCHEMA
from pipelines import duplicates as stage
from tests.cosmos1050k import twins

PICTURES = 1_000_000
#: Planted twins among the pictures, each hash with a share of its bits flipped.
TWINS, FLIPPED = 1000, 0.07
ORIGINALS = 4
SLICES, LOOKS = 100, 40
SHARD = 10_000

Hashes = NDArray[np.uint8]


def main(number: int, workers: int | None) -> None:
    found = whole(number, workers)
    parts = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in found.parts.items())
    own = ": all of them" if workers == 1 else " without the other processes'"
    print(f"{number} pictures: {found.seconds:.0f} s ({parts}); processor {found.own:.0f} s{own}")
    print(f"peak memory {found.memory:.2f} GB; pairs of cases compared {found.pairs}")
    print(f"planted twins found {found.twins} of {found.planted}, others {found.wrong}, lines {found.lines}")
    _planted()


@dataclass
class Measured:
    """A search through made pictures: seconds, of its parts and of this process alone; GB; what it found."""

    seconds: float
    own: float
    parts: dict[str, float]
    memory: float
    pairs: int
    twins: int
    planted: int
    wrong: int
    lines: int


def whole(number: int, workers: int | None) -> Measured:
    """All of `cosmos duplicates` but the hashing of shards, on hashes and thumbnails made here."""
    parts: dict[str, float] = {}
    pairs: list[int] = []

    def timed(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def done(*args: Any, **named: Any) -> Any:
            started = time.perf_counter()
            result = work(*args, **named)
            parts[name] = time.perf_counter() - started
            if isinstance(result, np.ndarray):
                pairs.append(len(result))
            return result

        return done

    with tempfile.TemporaryDirectory() as name, chdir(name), ExitStack() as patched:
        planted = _written(Path("data"), number)
        table = Path("groups.csv")
        table.write_text("source,patient,group,official_test\n")
        for module, verb, what in (
            (prints, "load", "read"), (hamming, "near_cases", "near hashes"), (duplicates, "find", "find"),
            (stage, "missing_lines", "lines"),
        ):  # fmt: skip
            patched.enter_context(mock.patch.object(module, verb, timed(what, getattr(module, verb))))
        out = patched.enter_context(redirect_stdout(io.StringIO()))
        started, used = time.perf_counter(), time.process_time()
        stage.run(["made"], Path("data"), Path("out"), workers, table)
        seconds, own = time.perf_counter() - started, time.process_time() - used
        lines = [line for line in out.getvalue().splitlines() if line[0] != "#"]
        with (Path("out") / stage.TWINS).open() as stream:
            told = {frozenset((row["patient"], row["other_patient"])) for row in csv.DictReader(stream)}
    parts["compare"] = parts.pop("find") - parts["read"] - parts["near hashes"]
    right = len(told & planted)
    return Measured(
        seconds, own, parts, _most() / 2**30, pairs[0], right, len(planted), len(told) - right, len(lines)
    )


def _written(data: Path, number: int) -> set[frozenset[str]]:
    """A built source `made`, hashed already; the patients who are twins."""
    near, cases, pairs = _made(number)
    random = np.random.default_rng(1)
    made = np.zeros(len(near), hashes.PRINT)
    made["exact"][:, 0], made["near"], made["telling"] = np.arange(len(near)), near, True
    made["doubt"] = random.choice([0, 1, 2, 4, 3], len(near), p=[0.6, 0.15, 0.1, 0.05, 0.1])
    source = np.arange(len(near))
    source[pairs[:, 1]] = pairs[:, 0]
    texture, look = random.integers(0, 2**32, (2, len(near)))
    store, folder = units.Units("duplicates"), data / "made"
    grains = np.stack([_field(seed, 0.8) for seed in range(64)])
    shapes = np.stack([_field(1000 + seed, 4) for seed in range(LOOKS)])
    shards = []
    for first in range(0, len(near), SHARD):
        own = source[first : first + SHARD]
        key = f"{number}/{first}"
        grain = sum(9 * grains[(texture[own] >> bits) % 64] for bits in (0, 6, 12, 18))
        small = (
            128 + 45 * shapes[look[own] % LOOKS] + grain + random.normal(0, 1, (len(own), *grains[0].shape))
        )
        with store.write(units.key(version=hashes.VERSION, shard=key)) as unit:
            np.save(unit / "prints.npy", made[first : first + SHARD])
            np.save(unit / "thumbnails.npy", small.clip(0, 255).astype(np.uint8))
        shards.append({"file": f"{first}.parquet", "rows": len(own), "bytes": 0, "sha256": key})
    folder.mkdir(parents=True)
    starts = np.flatnonzero(np.diff(cases, prepend=-1))
    nothing: dict[str, Any] = {name: {} for name in ("splits", "modalities", "objects", "pairs")}
    counts = {"rows": len(near), "cases": len(starts), "empty": 0, "patients": len(starts)}
    told = {"source": "made", "phantom": True, "version": "", "skipped": [], "shards": shards}
    (folder / "manifest.json").write_text(json.dumps({**told, **counts, **nothing}))
    columns = {
        "patient": [f"p{case}" for case in range(len(starts))],
        "shard": [f"{first // SHARD * SHARD}.parquet" for first in starts.tolist()],
        "first_row": starts % SHARD,
        "rows": np.diff(starts, append=len(near)),
        "pairs": [[]] * len(starts),
    }
    same = {"source": "made", "case": "c", "modality": "CT", "split": "train", "digest": ""}
    columns |= {name: [value] * len(starts) for name, value in same.items()}
    pq.write_table(pa.table(columns).select(CASES_SCHEMA.names).cast(CASES_SCHEMA), folder / CASES)
    bits = np.bitwise_count(near[pairs[:, 0]] ^ near[pairs[:, 1]]).sum(axis=1)
    return {
        frozenset(f"p{case}" for case in pair) for pair in cases[pairs[bits <= duplicates.RADIUS]].tolist()
    }


def _field(seed: int, sigma: float) -> NDArray[np.float32]:
    """Smooth noise of deviation 1, SIDE×SIDE."""
    noise = np.random.default_rng(seed).standard_normal((hashes.SIDE, hashes.SIDE)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigma)
    return np.asarray(smooth / smooth.std(), np.float32)


def _made(number: int) -> tuple[Hashes, NDArray[np.int64], NDArray[np.int64]]:
    """Hashes, their cases, and which pairs of them are twins.

    Six in ten pictures are slices of volumes of a few organs, one volume in five near its organ's look; one
    in ten is of a few looks of many.
    """
    random = np.random.default_rng(0)

    def flipped(near: Hashes, share: float | NDArray[np.float64]) -> Hashes:
        return near ^ np.packbits(random.random((len(near), hashes.BITS), np.float32) < share, axis=1)

    looks = random.integers(256, size=(LOOKS, hashes.BYTES), dtype=np.uint8)
    volumes = 6 * number // (10 * SLICES)
    shares = np.where(np.arange(volumes) % 5, 0.2, 0.05)[:, None]
    patients = flipped(looks[random.integers(LOOKS, size=volumes)], shares)
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
    """What the thresholds were chosen by, then what only that of pictures alone was, by its X-rays."""
    for kinds, ways in ((twins.KINDS, twins.WAYS), (twins.OTHER_KINDS, twins.OTHER_WAYS)):
        with tempfile.TemporaryDirectory() as folder:
            results = twins.measure(Path(folder), kinds, ways, ORIGINALS)
        print(
            f"{'twins found of ' + str(ORIGINALS):18}" + "".join(f"{kind:>15}" for kind in kinds) + "   wrong"
        )
        for name, result in results.items():
            cells = "".join(f"{result.found[kind]:>15}" for kind in kinds)
            print(f"{name:18}{cells}{len(result.wrong):>8}")
        found, planted = (
            sum(sum(getattr(result, what).values()) for result in results.values())
            for what in ("found", "planted")
        )
        wrong = sum(len(result.wrong) for result in results.values())
        print(f"recall {found / planted:.3f} ({found} of {planted}), precision {found / (found + wrong):.3f}")


def _most() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given.add_argument("pictures", nargs="?", type=int, default=PICTURES)
    given.add_argument("workers", nargs="?", type=int, help="default: all cores")
    asked = given.parse_args()
    main(asked.pictures, asked.workers)
