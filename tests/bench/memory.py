"""A process of its own for SAM's memory: does one thing and prints the most bytes it held at a time.

    python -m tests.bench.memory everything NETWORK POINTS_PER_SIDE HEIGHT WIDTH
    python -m tests.bench.memory score NETWORK PICTURES HEIGHT WIDTH

NETWORK is `network` or `small` of `tests.bench.sam`.
"""

import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import cv2
import pyarrow as pa
import torch

from leaderboard.sam import everything
from leaderboard.score import score
from tests.bench import sam
from tests.leaderboard.sam.images import SmallSam

NETWORKS = {"network": (sam.network, sam.FILTERS), "small": (sam.small, sam.SMALL_FILTERS)}


def main(what: str, which: str, count: int, height: int, width: int) -> None:
    torch.set_num_threads(sam.THREADS)
    cv2.setNumThreads(sam.THREADS)
    network, filters = NETWORKS[which]
    model = SmallSam(deepcopy(network()))
    if what == "everything":
        (embedding,) = model.embed([sam.rgb(height, width)])
        found = everything.masks(model, embedding, replace(filters, points_per_side=count))
        assert sum(1 for _ in found) >= sam.SURVIVORS
    else:
        table = pa.concat_tables([sam.row(height, width)] * count)
        scored = score(model, table, sam.PROMPTED, "bench")
        assert scored.num_rows == count * sam.OBJECTS * len(sam.PROMPTED)
        assert "failed" not in scored["status"].to_pylist()
    print(_most())


def _most() -> int:
    # Not `getrusage`: what it says of a process begins with what its parent held.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
