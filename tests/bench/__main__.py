"""Prints every ratio: median seconds of the other way, of ours, and how many times faster ours is."""

import os
import tempfile
from pathlib import Path

import cv2

from cosmos1050k import pictures
from tests.bench import build, metrics
from tests.bench.timing import ratio


def main() -> None:
    cv2.setNumThreads(1)  # one thread against one thread
    load = ", ".join(f"{mean:.1f}" for mean in os.getloadavg())
    print(f"{os.cpu_count()} cores, load before it {load}: what else runs here falsifies ratios")
    print(f"{'what':<64} {'other':>10} {'ours':>10} {'ratio':>8}  wanted")
    with tempfile.TemporaryDirectory() as folder:
        _volume_to_rows(Path(folder))
    for size in (256, 512, 1024):
        made = metrics.pairs(size)
        times = ratio(lambda made=made: metrics.obvious(made), lambda made=made: metrics.ours(made))  # type: ignore[misc]
        _line(f"4 metrics of {len(made)} pairs of masks, {size}×{size} (medpy)", *times)


def _volume_to_rows(folder: Path) -> None:
    ct = build.ct(folder / "ct", (512, 512, 24))
    few = build.ct(folder / "ct", (512, 512, 24), slices=(11, 13))
    numpy, words = (
        (build.objects_by_numpy, build.regions_by_numpy), (build.objects_by_words, build.regions_by_words),
    )  # fmt: skip
    for name, work, way, rounds in (
        ("the sample, all by the protocol's words", build.sample(), words, 1),
        ("CT 512×512, all by the protocol's words", few, words, 1),
        ("the sample, objects and regions by numpy", build.sample(), numpy, 3),
        ("CT 512×512, objects and regions by numpy", ct, numpy, 2),
    ):
        count = len(work.ours())
        assert count == work.obvious(*way)
        times = ratio(lambda work=work, way=way: work.obvious(*way), work.ours, rounds)  # type: ignore[misc]
        _line(f"{count} rows of {name}", *times, wanted=6)
    for name, work in (("the sample", build.sample()), ("CT 512×512", ct)):
        encoded = [
            pictures.decode(row[column]["bytes"]) for row in work.ours() for column in ("image", "mask")
        ]
        times = ratio(lambda work=work, encoded=encoded: work.least(encoded), work.ours, 5)  # type: ignore[misc]
        _line(f"{len(encoded) // 2} rows of {name}: against gunzip and PNG alone", *times, wanted=0.5)
    cube = folder / "cube"
    planes = [build.ct(cube, (256, 256, 256), view=view) for view in ("transverse", "sagittal", "coronal")]
    for plane, work in zip(("sagittal", "coronal"), planes[1:], strict=True):
        _line(f"256³ to rows: transverse against {plane}", *ratio(planes[0].ours, work.ours, 3), wanted=0.5)
    found = build.release(folder / "raw", ct, count := 16)
    times = ratio(
        lambda: build.built(folder / "raw", found, 1), lambda: build.built(folder / "raw", found, 2), 3
    )
    _line(f"{count} cases of CT built: one process against two", *times, wanted=1.7)


def _line(what: str, other: float, ours: float, times: float, wanted: float | None = None) -> None:
    asked = "" if wanted is None else f"  ≥ {wanted}{'' if times >= wanted else ', MISSED'}"
    print(f"{what:<64} {other:>8.3f} s {ours:>8.3f} s {times:>7.2f}×{asked}", flush=True)


if __name__ == "__main__":
    main()
