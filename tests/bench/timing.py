"""Two ways to the same result, timed in turn."""

import statistics
import time
from collections.abc import Callable


def ratio(
    obvious: Callable[[], object], ours: Callable[[], object], rounds: int = 5
) -> tuple[float, float, float]:
    """Median seconds of the obvious way and of ours, and the median of their ratio round by round.

    The two take turns, so that a change of the machine's speed meets both.
    """
    pairs = []
    for _ in range(rounds + 1):
        seconds = []
        for way in (obvious, ours):
            started = time.perf_counter()
            way()
            seconds.append(time.perf_counter() - started)
        pairs.append(seconds)
    pairs = pairs[1:]  # the first round warms both up
    first, second = (statistics.median(side) for side in zip(*pairs, strict=True))
    return first, second, statistics.median(one / other for one, other in pairs)
