"""What all of COSMOS 1050K takes: docs/scale.md's tables, from docs/scale.json and the paper's table 4.

python -m tests.bench.scale [--measure] [--price USD]
"""

import argparse
import csv
import datetime
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from leaderboard import paper
from leaderboard.strategies import STRATEGIES
from tests.bench.generated import MASKS

DOC, FIGURES = Path("docs/scale.md"), Path("docs/scale.json")
#: Of COSMOS 1050K (paper, section 2).
IMAGES = 1_050_311
GPUS = (1, 8, 64)
#: US dollars for an hour of one GPU.
PRICE = 1.0
#: An embedding of a SAM: 256×64×64, in half precision.
EMBEDDING_BYTES = 256 * 64 * 64 * 2
HOUR, GIB = 3600, 2**30


class Figure(NamedTuple):
    """What was measured of one thing: seconds of one core and bytes on the disk, of one of `per`."""

    stage: str
    of: str
    per: str
    seconds: float
    bytes: float


def measured() -> dict[str, Any]:
    """Measures on this machine: seconds are the process's own, whatever else runs."""
    import cv2

    from cosmos1050k import pool

    pool.single_threaded()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        figures = [*_built(Path(folder)), *_attributes(Path(folder)), *_scored(Path(folder))]
    processor = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return {
        "machine": f"one core of {processor[1] if processor else 'an unknown processor'}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "figures": [figure._asdict() for figure in figures],
    }


def _seconds(work: Callable[[], object], rounds: int = 3) -> float:
    """The fewest of some rounds, after one to warm up: what else runs only adds to them."""
    taken = []
    for _ in range(rounds + 1):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken[1:])


def _built(folder: Path) -> list[Figure]:
    import pyarrow as pa

    from cosmos1050k import shard_writer
    from tests.bench import build

    found = []
    for name, work in (
        ("brain MRI, 197×233, the sample", build.sample()),
        ("CT, 512×512, synthetic", build.ct(folder / "ct", (512, 512, 24))),
    ):
        file = folder / "rows.parquet"

        def write(work: build.Work = work, file: Path = file) -> int:
            table = pa.concat_tables(work.ours())
            shard_writer.write_rows(file, table, row_group_rows=64)
            return table.num_rows

        rows = write()
        found.append(Figure("build", name, "image", _seconds(write) / rows, file.stat().st_size / rows))
    return found


def _attributes(folder: Path) -> list[Figure]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from cosmos1050k import attributes
    from tests.bench import attributes as bench

    file = folder / "attributes.parquet"
    found = []
    made = {
        "blobs, 20 an image of 512×512, synthetic": bench.rows(10),
        "brain MRI, 197×233, the sample": _sample(),
    }
    for name, rows in made.items():

        def write(rows: Sequence[bench.Row] = rows) -> int:
            entries = [entry for row in rows for entry in attributes.of_row(row)]
            pq.write_table(pa.Table.from_pylist(entries, attributes.SCHEMA), file, compression="zstd")
            return len(entries)

        count = write()
        found.append(Figure("attributes", name, "mask", _seconds(write) / count, file.stat().st_size / count))
    return found


def _sample() -> list[dict[str, Any]]:
    from tests.bench import build

    rows = [row for table in build.sample().ours() for row in table.to_pylist()]
    return rows[:: max(len(rows) // 20, 1)]


def _scored(folder: Path) -> list[Figure]:
    """Of one score of a model that takes no time: four metrics of one candidate."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from cosmos1050k.schema import SCHEMA
    from leaderboard import models
    from leaderboard.score import score

    rows = pa.Table.from_pylist(_sample(), schema=SCHEMA)
    model, file = models.get("box"), folder / "scores.parquet"

    def write() -> int:
        table = score(model, rows, ("S5", "S6"), "version")
        pq.write_table(table, file, compression="zstd")
        return int(table.num_rows)

    count = write()
    name = "brain MRI, 197×233, the sample; metrics of one candidate, no network"
    return [Figure("evaluate", name, "score", _seconds(write) / count, file.stat().st_size / count)]


def tables(stored: dict[str, Any], price: float) -> dict[str, str]:
    """Marker → the table that stands at it in the document."""
    figures = [Figure(**entry) for entry in stored["figures"]]
    seconds = paper_seconds()
    return {
        "rates": _table(
            ("stage", "of", "one core", "per hour", "bytes"), [_rate(figure) for figure in figures]
        ),
        "all": _table(
            ("stage", "at the rate of", "all", "core hours", "on the disk"),
            [*map(_all, figures), _embeddings()],
        ),
        "gpu-hours": _gpu_hours(seconds),
        "gpus": _gpus(seconds, price),
    }


def paper_seconds() -> dict[str, dict[str, float]]:
    """Model → `embedding` of an image, S1 of an image, S2–S6 of a mask: seconds of the paper's table 4."""
    with (paper.FOLDER / "table_4.csv").open() as file:
        return {
            row.pop("model"): {name: float(value) for name, value in row.items()}
            for row in csv.DictReader(file)
        }


def hours(seconds: dict[str, float]) -> dict[str, float]:
    """Part of the work → hours of one GPU for the whole dataset: each image is encoded once."""
    return {
        name: value * (IMAGES if name in ("embedding", "S1") else MASKS) / HOUR
        for name, value in seconds.items()
    }


def _rate(figure: Figure) -> tuple[str, ...]:
    of = f"{figure.per}: {figure.of}"
    each = f"{1000 * figure.seconds:.2f} ms"
    return figure.stage, of, each, f"{HOUR / figure.seconds:,.0f}", f"{figure.bytes:,.0f}"


def _all(figure: Figure) -> tuple[str, ...]:
    number = {"image": IMAGES, "mask": MASKS, "score": MASKS * len(STRATEGIES)}[figure.per]
    core_hours, size = figure.seconds * number / HOUR, figure.bytes * number / GIB
    return figure.stage, figure.of, f"{number:,} {figure.per}s", f"{core_hours:,.1f}", f"{size:,.1f} GiB"


def _embeddings() -> tuple[str, ...]:
    size = f"{EMBEDDING_BYTES * IMAGES / GIB:,.1f} GiB"
    return "evaluate.keep_embeddings", "256×64×64 numbers of 16 bits", f"{IMAGES:,} images", "", size


def _gpu_hours(seconds: dict[str, dict[str, float]]) -> str:
    lines = []
    for model, parts in seconds.items():
        found = hours(parts)
        lines.append((model, *(f"{value:,.1f}" for value in found.values()), f"{sum(found.values()):,.1f}"))
    return _table(("model", *next(iter(seconds.values())), "all six"), lines)


def _gpus(seconds: dict[str, dict[str, float]], price: float) -> str:
    lines = []
    for model, parts in seconds.items():
        found = hours(parts)
        six = sum(found.values())
        for work, needed in (("S1–S6", six), ("S2–S6", six - found["S1"])):
            times = (_duration(needed / number) for number in GPUS)
            lines.append((model, work, *times, f"{needed * price:,.0f}"))
    head = (f"{number} GPU{'s' if number > 1 else ''}" for number in GPUS)
    return _table(("model", "strategies", *head, f"US dollars at {price:.2f} per GPU-hour"), lines)


def _duration(in_hours: float) -> str:
    return f"{in_hours / 24:.1f} days" if in_hours >= 48 else f"{in_hours:.1f} h"


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def filled(text: str, made: dict[str, str]) -> str:
    """The document with its tables in place of what stands between their markers.

    Raises:
        ValueError: it lacks a table's markers.
    """
    for name, table in made.items():
        begin, end = f"<!-- {name} -->", f"<!-- end {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"{DOC}: no place for the table {name}")
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale", description="Writes the tables.")
    parser.add_argument("--measure", action="store_true", help=f"measure again, into {FIGURES}")
    parser.add_argument("--price", type=float, default=PRICE, help="US dollars for an hour of one GPU")
    given = parser.parse_args()
    if given.measure:
        FIGURES.write_text(json.dumps(measured(), indent=1, ensure_ascii=False) + "\n")
    made = tables(json.loads(FIGURES.read_text()), given.price)
    for table in made.values():
        print(table, end="\n\n")
    if given.price == PRICE:
        DOC.write_text(filled(DOC.read_text(), made))


if __name__ == "__main__":
    main()
