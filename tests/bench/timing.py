"""Two ways to the same result, timed in turn."""

import statistics
import time
from collections.abc import Callable


def ratio(
    obvious: Callable[[], object],
    ours: Callable[[], object],
    rounds: int = 5,
    clock: Callable[[], float] = time.process_time,
) -> tuple[float, float, float]:
    """Median seconds of the obvious way and of ours, and the median of their ratio round by round.

    The two take turns, so that a change of the machine's speed meets both. By default the seconds are this
    process's own, of all its threads, whatever else runs; waiting for the disk is not counted.
    """
    pairs = []
    for _ in range(rounds + 1):
        seconds = []
        for way in (obvious, ours):
            started = clock()
            way()
            seconds.append(clock() - started)
        pairs.append(seconds)
    pairs = pairs[1:]  # the first round warms both up
    first, second = (statistics.median(side) for side in zip(*pairs, strict=True))
    return first, second, statistics.median(one / other for one, other in pairs)
