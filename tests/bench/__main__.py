"""Prints every ratio: median seconds of the other way, of ours, and how many times faster ours is."""

import os
import tempfile
import time
from functools import partial
from pathlib import Path

import cv2

from cosmos1050k import pictures
from tests.bench import build, metrics
from tests.bench.timing import ratio

WORDS = build.objects_by_words, build.regions_by_words
NUMPY = build.objects_by_numpy, build.regions_by_numpy
#: So many that what a process needs to start, about a second, hardly counts.
CASES = 96


def main() -> None:
    cv2.setNumThreads(1)  # one thread against one thread
    print(f"load before: {', '.join(f'{mean:.1f}' for mean in os.getloadavg())} on {os.cpu_count()} cores")
    print(f"{'what':<62} {'other':>10} {'ours':>10} {'ratio':>8}  wanted")
    with tempfile.TemporaryDirectory() as folder:
        _volume_to_rows(Path(folder))
    _metrics()


def _metrics() -> None:
    for size, rounds, wanted in ((256, 5, 8), (512, 5, None), (1024, 5, 20), (3000, 2, 40)):
        made = metrics.pairs(size)
        times = ratio(partial(metrics.obvious, made), partial(metrics.ours, made), rounds)
        _line(f"4 metrics of {len(made)} pairs of masks, {size}×{size} (medpy)", *times, wanted)
    found = metrics.everything(1024, 200, 30)
    times = ratio(partial(metrics.matched_by_numpy, *found), partial(metrics.matched, *found), 1)
    _line("DICE of 200 masks with 30 objects, 1024×1024 (numpy)", *times)


def _volume_to_rows(folder: Path) -> None:
    sample, ct = build.sample(), build.ct(folder / "ct", (512, 512, 24))
    for name, work, way, rounds in (
        ("the sample, all by the protocol's words", sample.some(60, 62), WORDS, 1),
        ("CT 512×512, all by the protocol's words", ct.some(11, 13), WORDS, 1),
        ("the sample, objects and regions by numpy", sample, NUMPY, 2),
        ("CT 512×512, objects and regions by numpy", ct, NUMPY, 2),
    ):
        assert work.count == work.obvious(*way)
        times = ratio(partial(work.obvious, *way), work.ours, rounds)
        _line(f"{work.count} rows of {name}", *times, wanted=6)
    for name, work in (("the sample", sample), ("CT 512×512", ct)):
        rows = [row for table in work.ours() for row in table.to_pylist()]
        encoded = [pictures.decode(row[column]["bytes"]) for row in rows for column in ("image", "mask")]
        times = ratio(partial(work.least, encoded), work.ours, 7)
        _line(f"{len(rows)} rows of {name}: gunzip and PNG alone", *times, wanted=0.5)
    cube = 256, 256, 256
    transverse = build.ct(folder / "cube", cube)
    for view in ("sagittal", "coronal"):
        other = build.ct(folder / "cube", cube, view=view)
        one, two, times = ratio(transverse.ours, other.ours, 3)
        share = other.count / transverse.count  # all slices are 256×256, but not all are kept
        _line(
            f"{other.count} of 256 {view} slices: transverse, per row", one * share, two, times * share, 0.5
        )
    found = build.release(folder / "raw", ct, CASES)
    seconds = ratio(
        lambda: build.built(folder / "raw", found, 1),
        lambda: build.built(folder / "raw", found, 2),
        2,
        time.perf_counter,
    )
    _line(f"{CASES} cases of CT built: one process against two", *seconds, wanted=1.7)


def _line(what: str, other: float, ours: float, times: float, wanted: float | None = None) -> None:
    asked = "" if wanted is None else f"  ≥ {wanted}{'' if times >= wanted else ', MISSED'}"
    print(f"{what:<62} {other:>8.3f} s {ours:>8.3f} s {times:>7.2f}×{asked}", flush=True)


if __name__ == "__main__":
    main()
