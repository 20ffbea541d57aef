"""A board of the size of all of COSMOS: built, published, looked at; and its statistics alone."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa

from leaderboard.statistics import board
from leaderboard.statistics.aggregation import aggregate, image_means, patient_sums
from leaderboard.statistics.bootstrap import resample
from leaderboard.store import views
from leaderboard.store.publish import publish
from leaderboard.store.read import BoardReader
from tests.bench.generated import PAIRS, generate

#: The board is built by two threads, whatever the machine has.
THREADS = 2
_BUILD = """
import json, sys, time
from pathlib import Path
import duckdb
from leaderboard.store.build import build_board
from leaderboard.store.runs import BoardInput
given = json.loads(sys.argv[1])
folder = Path(given["scores"]).parent
parts = [Path(given["data"]), Path(given["scores"]), folder / "none", folder / "none"]
given = BoardInput(*parts, tuple(given["sources"]), tuple(given["models"]), 1)
started = time.perf_counter()
built = build_board(given, folder / "board.duckdb")
seconds = time.perf_counter() - started
assert not built.left_out, built.left_out
lines = Path("/proc/self/status").read_text().splitlines()
most = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
print(json.dumps([seconds, most / 2**20]))
"""


@dataclass(frozen=True)
class Built:
    """Seconds and peak memory in gigabytes of a build, and gigabytes of its file."""

    rows: int
    seconds: float
    memory: float
    file: float
    publishing: float


def built(folder: Path, masks: int, sources: int) -> Built:
    """Generates, builds in a process of its own, and publishes into the folder."""
    made = generate(folder, 2, masks, sources)
    given = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(made).items()}
    done = subprocess.run(
        [sys.executable, "-c", _BUILD, json.dumps(given)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(THREADS)},
    )
    seconds, memory = json.loads(done.stdout.splitlines()[-1])
    path = folder / "board.duckdb"
    started = time.perf_counter()
    publish(path, folder / "state")
    publishing = time.perf_counter() - started
    return Built(made.rows, seconds, memory, path.stat().st_size / 2**30, publishing)


def looked_at(folder: Path) -> dict[str, tuple[float, float]]:
    """View → milliseconds cold (another process's file, not in memory, nothing opened) and warm."""
    state = folder / "state"
    pair = BoardReader(state).pair_list()[0]["pair"]
    asked: dict[str, Callable[[BoardReader], Any]] = {
        "view: models": views.models_view,
        "view: models of a modality": lambda reader: views.models_view(reader, by="modality", name="CT"),
        "view: pairs": views.pairs_view,
        "view: modalities": views.groups_view,
        "view: by contact": lambda reader: reader.contacts("S5"),
        "view: the paper's": views.reported_models,
        "drill-down: cases of a pair": lambda reader: reader.cases(pair, "S5"),
    }
    return {name: _times(state, ask) for name, ask in asked.items()}


def _times(state: Path, ask: Callable[[BoardReader], Any]) -> tuple[float, float]:
    for path in (state / "boards").glob("*.duckdb"):
        with path.open("rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    reader, times = BoardReader(state), []
    for _ in range(6):
        started = time.perf_counter()
        ask(reader)
        times.append(1000 * (time.perf_counter() - started))
    return times[0], median(times[1:])


def scores(models: int, patients: int) -> tuple[pa.Table, pa.Table]:
    """A score of every model in every pair of every patient, and the patients, 200 of a source."""
    total = models * PAIRS * patients
    patient = np.tile(np.arange(patients, dtype=np.int32), models * PAIRS)
    pair = np.repeat(np.arange(PAIRS, dtype=np.int32), models * patients)
    names = [f"source_{place:02}" for place in range(-(-patients // 200))]

    def coded(indices: Any, values: list[str]) -> pa.DictionaryArray:
        return pa.DictionaryArray.from_arrays(pa.array(indices), pa.array(values))

    table = pa.table(
        {
            "model": coded(
                np.tile(np.repeat(np.arange(models, dtype=np.int32), patients), PAIRS),
                [f"model_{place:02}" for place in range(models)],
            ),
            "pair": coded(pair, pair_names()),
            "source": coded(patient // 200, names),
            "patient": pa.array(patient),
            "image_id": pa.array(pair * np.int32(patients) + patient),
            "object": coded(pair, pair_names()),
            "dice": np.random.default_rng(0).beta(5, 2, total),
        }
    )
    everyone = np.arange(patients, dtype=np.int32)
    return table, pa.table({"source": [names[place // 200] for place in everyone], "patient": everyone})


def pair_names() -> list[str]:
    return [f"Object {place:03}-CT" for place in range(PAIRS)]


def statistics(models: int, patients: int) -> float:
    """Seconds of a whole board: scores, intervals by 10,000 draws, ranks in 19 groups of pairs."""
    table, everyone = scores(models, patients)
    names = pair_names()
    groups = {"all": names, **{f"group {place}": names[place::18] for place in range(18)}}
    started = time.perf_counter()
    board(table, "dice", patients=everyone, groups=groups, seed=0)
    return time.perf_counter() - started


def draws_one_by_one(table: pa.Table, everyone: pa.Table, draws: int) -> None:
    """The bootstrap in the protocol's words: per draw the patients' rows are gathered and averaged."""
    sums = patient_sums(image_means(table, "dice")).to_pandas()
    numbers = {source: own["patient"].to_numpy() for source, own in everyone.to_pandas().groupby("source")}
    rng = np.random.default_rng(0)
    rows = sums.set_index(["source", "patient"]).sort_index()
    for _ in range(draws):
        drawn = [
            (source, patient) for source, own in numbers.items() for patient in rng.choice(own, len(own))
        ]
        chosen = rows.loc[drawn].groupby(["model", "pair"], observed=True)[["sum", "images"]].sum()
        chosen["mean"] = chosen["sum"] / chosen["images"]
        chosen.groupby("model", observed=True)["mean"].mean()


def draws_at_once(table: pa.Table, everyone: pa.Table, draws: int) -> None:
    sums = patient_sums(image_means(table, "dice"))
    models = aggregate(table, "dice")["model"].unique().to_pylist()
    resample(sums, everyone, models=models, pairs=pair_names(), seed=0, draws=draws)
