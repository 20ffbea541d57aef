"""What a worker counts of its runs; plain numbers, so that it starts without what shows them."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

#: How a run ends that is no longer the worker's; else it ends in a state of its submission.
LOST = "lost"


@dataclass
class Tally:
    """`runs` and `seconds` by how they ended: a state, `queued` if it is tried again, or `LOST`.

    `failures`: reports without scores, by whose fault (`model`, `ours`) and code.
    """

    runs: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)

    def ended(self, how: str, seconds: float) -> None:
        self.runs[how] += 1
        self.seconds[how] += seconds
