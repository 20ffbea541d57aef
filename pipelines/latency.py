"""Stage `latency`: how long one model takes."""

import sys
from collections.abc import Callable

import psutil

from leaderboard.latency import Latency, measure, write
from leaderboard.strategies import STRATEGIES
from pipelines import params, stage
from pipelines.machine import machine_here
from pipelines.params import Params

#: Of the machine's processor time; what others take below it hardly shows in a median.
_BUSY = 0.1


def run(model: str, given: Params, *, everything: bool = False) -> None:
    """Measures a model where `evaluate` would run it, writes and prints what was found."""
    of_others = others()
    found = measure(model, machine_here(model, given), everything=everything)
    taken = of_others()
    path = write(found)
    describe(found)
    print(path)
    if taken > _BUSY:
        print(
            f"{model}: other processes took {taken:.0%} of this machine's processors meanwhile, so the times "
            f"may be too long; measure again when it is free: `dvc repro -f -s latency@{model}`",
            file=sys.stderr,
        )


def others() -> Callable[[], float]:
    """From now on the share of this machine's processor time that other processes take, 0…1."""

    def now() -> tuple[float, float, float]:
        every, own = psutil.cpu_times(), psutil.Process().cpu_times()
        idle = every.idle + getattr(every, "iowait", 0.0)
        # A guest's time is among the user's.
        whole = sum(every) - getattr(every, "guest", 0.0) - getattr(every, "guest_nice", 0.0)
        return whole, whole - idle, own.user + own.system

    before = now()

    def taken() -> float:
        whole, busy, own = (after - first for after, first in zip(now(), before, strict=True))
        return max(busy - own, 0.0) / whole if whole > 0 else 0.0

    return taken


def describe(found: Latency) -> None:
    """Prints a table of the parts of the work."""
    threads = f"{found.threads} thread{'s' if found.threads > 1 else ''}"
    print(f"{found.model} on {found.device_name} ({found.device}, {threads}), {found.numerics}")
    print(f"{f'median of {found.rounds}, warm':32} {'ms':>10}")
    print(f"{'encoder':32} {found.encoder_ms:>10.3f}")
    for name, taken in found.prompt_ms.items():
        print(f"{f'{name}, {STRATEGIES[name].title}':32} {taken:>10.3f}")


def main() -> None:
    run(stage.argument("python -m pipelines.latency MODEL"), params.load())


if __name__ == "__main__":
    with stage.reported():
        main()
