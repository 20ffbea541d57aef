"""Prints every ratio: median seconds of the obvious way, of ours, and how many times faster ours is."""

import cv2

from tests.bench import build, metrics
from tests.bench.timing import ratio


def main() -> None:
    cv2.setNumThreads(1)  # one thread against one thread
    count = build.ours()
    assert count == build.obvious()
    print(f"{'what':<50} {'obvious':>10} {'ours':>10} {'ratio':>7}")
    _line(f"volume to {count} rows, one process", *ratio(build.obvious, build.ours, rounds=3))
    for size in (256, 512, 1024):
        made = metrics.pairs(size)
        times = ratio(lambda made=made: metrics.obvious(made), lambda made=made: metrics.ours(made))  # type: ignore[misc]
        _line(f"4 metrics of {len(made)} pairs of masks, {size}×{size} (medpy)", *times)


def _line(what: str, obvious: float, ours: float, times: float) -> None:
    print(f"{what:<50} {obvious:>8.3f} s {ours:>8.3f} s {times:>6.1f}×")


if __name__ == "__main__":
    main()
