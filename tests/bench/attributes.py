"""Objects' attributes: against whole masks and pyefd, and a source of many objects from shards to file."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cosmos1050k import attributes, pictures
from tests.cosmos1050k.test_attributes import plain_order
from tests.leaderboard import dataset
from tests.leaderboard.dataset import SmallCase, Thing

SIDE = 512
#: Objects of a picture, like those of an abdomen's slice; the paper's whole.
OBJECTS, ALL = 20, 6_000_000
#: Different pictures; more objects are these again, under other names.
_PICTURES = 50
_WRITE = """
import json, time
from pathlib import Path
from cosmos1050k import attributes, pool
pool.single_threaded()
started = time.process_time()
attributes.write("bench", Path("data"), Path("bench.parquet"), workers=1)
seconds = time.process_time() - started
lines = Path("/proc/self/status").read_text().splitlines()
most = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
print(json.dumps([seconds, most / 2**20]))
"""

Row = dict[str, Any]


class Written(NamedTuple):
    """Seconds of one core for a source's attributes, and peak memory of its process in gigabytes."""

    seconds: float
    memory: float


def hours(seconds: float, objects: int) -> float:
    """That all objects take two cores, at the rate of some."""
    return seconds / objects * ALL / 2 / 3600


def rows(count: int) -> list[Row]:
    """Pictures of noise with blobs of all sizes, most of them small, some rough."""
    rng = np.random.default_rng(1050)
    made = []
    for number in range(count):
        things: list[Thing] = []
        while len(things) < OBJECTS:
            side = int(SIDE * rng.beta(1.2, 5)) + 12
            field = cv2.GaussianBlur(rng.standard_normal((side, side)), (0, 0), side / rng.uniform(6, 30))
            _, parts, stats, _ = cv2.connectedComponentsWithStats(
                (field > np.quantile(field, 0.6)).view(np.uint8)
            )
            mask = np.zeros((SIDE, SIDE), bool)
            top, left = rng.integers(0, SIDE - side, 2)
            mask[top : top + side, left : left + side] = parts == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()
            things.append(Thing("Blob", mask))
        picture = rng.integers(0, 256, (SIDE, SIDE)).astype(np.uint8)
        case = SmallCase(f"case{number}", "patient", ((picture, tuple(things)),))
        made += dataset.rows("bench", case).to_pylist()
    return made


def ours(made: Sequence[Row]) -> None:
    for row in made:
        attributes.of_row(row)


def obvious(made: Sequence[Row]) -> None:
    """Both pictures decoded for each object, whole masks, all orders anew by pyefd."""
    for row in made:
        for thing in row["objects"]:
            picture, regions = (pictures.decode(row[column]["bytes"]) for column in ("image", "mask"))
            mask = np.isin(regions, thing["values"])
            grown = np.zeros_like(mask)
            x0, y0, x1, y1 = thing["box"]
            more_x, more_y = max((x1 - x0 + 1) // 10, 1), max((y1 - y0 + 1) // 10, 1)
            grown[max(y0 - more_y, 0) : y1 + more_y + 1, max(x0 - more_x, 0) : x1 + more_x + 1] = True
            abs(picture[mask].mean() - picture[grown & ~mask].mean())
            plain_order(mask)


def build(data: Path, objects: int) -> None:
    """The built source `bench` with so many objects, in shards of 512 rows."""
    images = objects // OBJECTS
    distinct = rows(min(_PICTURES, images))
    folder = data / "bench"
    folder.mkdir(parents=True)
    shards = []
    for first in range(0, images, 512):
        made = [
            {**distinct[number % len(distinct)], "image_id": f"bench/{number}"}
            for number in range(first, min(first + 512, images))
        ]
        name = f"{first}.parquet"
        table = pa.Table.from_pylist(made, schema=dataset.SCHEMA)
        pq.write_table(table, folder / name, row_group_size=64, compression="none", use_dictionary=False)
        shards.append({"file": name, "rows": len(made), "bytes": 0, "sha256": f"{objects}/{first}"})
    nothing: dict[str, Any] = {name: {} for name in ("splits", "modalities", "objects", "pairs")}
    counts = {"rows": images, "cases": images, "empty": 0, "patients": 1}
    told = {"source": "bench", "phantom": True, "version": str(objects), "skipped": [], "shards": shards}
    (folder / "manifest.json").write_text(json.dumps({**told, **counts, **nothing}))


def written(folder: Path, objects: int) -> Written:
    """A source of so many objects measured by a process of its own."""
    build(folder / "data", objects)
    done = subprocess.run(
        [sys.executable, "-c", _WRITE],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        check=True,
        capture_output=True,
        text=True,
    )
    assert pq.read_metadata(folder / "bench.parquet").num_rows == objects
    return Written(*json.loads(done.stdout))
