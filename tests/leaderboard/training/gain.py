"""What finetuning gains on patients that nobody trained on, with its paired interval (S5, oracle)."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from leaderboard.evaluate import BoardRows, EvaluateOptions, evaluate
from leaderboard.statistics.aggregation import patient_sums
from leaderboard.statistics.bootstrap import interval, resample


def gained(
    base: str, model: str, data: Path, sources: Sequence[str], out: Path
) -> tuple[float, tuple[float, float], int]:
    """The gain in DICE (0…1), its 95 % interval, and the patients of the split test behind it."""
    tables = []
    for name in (base, model):
        evaluate(
            name, data, out / name, sources=sources, protocol_version=1,
            options=EvaluateOptions(strategies=("S5",)), board_rows=BoardRows(images_per_pair=10**6),
        )  # fmt: skip
        tables += [pq.read_table(out / name / f"{source}.parquet") for source in sources]
    scores = pa.concat_tables(tables)
    sums = patient_sums(scores, "dice_oracle")
    patients = scores.group_by(["source", "patient"]).aggregate([])
    pairs = sorted(scores["pair"].unique().to_pylist())
    drawn = resample(sums, patients, models=[base, model], pairs=pairs, seed=0, draws=10_000)
    differences = drawn.headlines[1] - drawn.headlines[0]
    return float(differences.mean()), interval(differences), patients.num_rows
