"""Stage `latency`: how long one model takes."""

from leaderboard.latency import Latency, measure, write
from leaderboard.strategies import STRATEGIES
from pipelines import params, stage
from pipelines.machine import machine_here
from pipelines.params import Params


def run(model: str, given: Params, *, everything: bool = False) -> None:
    """Measures a model where `evaluate` would run it, writes and prints what was found."""
    found = measure(model, machine_here(model, given), everything=everything)
    path = write(found)
    describe(found)
    print(path)


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
