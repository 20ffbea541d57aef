"""A process of its own for SAM's memory: does one thing and prints the most bytes it held at a time.

python -m tests.bench.memory everything ARCHITECTURE POINTS_PER_SIDE HEIGHT WIDTH
python -m tests.bench.memory score ARCHITECTURE PICTURES HEIGHT WIDTH
"""

import sys
from copy import deepcopy
from pathlib import Path

import cv2
import pyarrow as pa
import torch

from leaderboard.sam import everything
from leaderboard.sam.everything import Filters
from leaderboard.score import score
from tests.bench import sam
from tests.leaderboard.sam.images import SmallSam


def main(what: str, architecture: str, count: int, height: int, width: int) -> None:
    torch.set_num_threads(sam.THREADS)
    cv2.setNumThreads(sam.THREADS)
    model = SmallSam(deepcopy(sam.network(architecture)))
    if what == "everything":
        filters = Filters(**{**sam.FILTERS.__dict__, "points_per_side": count})
        found = sum(1 for _ in everything.masks(model, model.embed([sam.rgb(height, width)])[0], filters))
        assert found >= sam.SURVIVORS
    else:
        table = pa.concat_tables([sam.row(height, width)] * count)
        assert score(model, table, sam.PROMPTED, "bench").num_rows == count * sam.OBJECTS * len(sam.PROMPTED)
    print(_most())


def _most() -> int:
    # Not `getrusage`: what it says of a process begins with what its parent held.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
