"""Two models, pair by pair, on the same patients (protocol, section 5)."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leaderboard.statistics.aggregation import DISTANCES, image_means, pair_scores, patient_sums
from leaderboard.statistics.bootstrap import FEWEST_PATIENTS, Floats, headlines, interval, resample

#: What a paired interval says: of the first model against the second.
VERDICTS = ("better", "worse", "no difference shown", "few cases")
#: The row of all common pairs together.
ALL = "all"


def compare(
    scores: pa.Table,
    metric: str,
    models: tuple[str, str],
    *,
    patients: pa.Table,
    seed: int,
    draws: int = 10_000,
) -> pa.Table:
    """The first model minus the second in every pair that both have, and in the mean over those pairs.

    Args:
        scores, metric, patients, seed, draws: as of `board`, with the rows of both models.

    Returns:
        One row per common pair, sorted, then one whose `pair` is `ALL`, if there is a pair: `first`, `second`
        (their scores), `difference`, its paired 95 % interval `low`, `high` (null if fewer than
        `FEWEST_PATIENTS`), `patients`, and the `verdict`, one of `VERDICTS`.
    """
    sums = patient_sums(image_means(scores, metric))
    rows = pair_scores(sums)
    found = {(row["model"], row["pair"]): row for row in rows.to_pylist() if row["mean"] is not None}
    common = sorted({pair for _, pair in found if all((model, pair) in found for model in models)})
    if not common:
        return _SCHEMA.empty_table()
    own = sums.filter(pc.is_in(sums["pair"].cast(pa.string()), pa.array(common, pa.string())))
    drawn = resample(own, patients, models=models, pairs=common, seed=seed, draws=draws)
    lines = [
        _line(
            pair,
            [found[model, pair]["mean"] for model in models],
            drawn[place],
            min(found[model, pair]["patients"] for model in models),
            metric,
        )
        for place, pair in enumerate(common)
    ]
    means = [float(np.mean([line[name] for line in lines])) for name in ("first", "second")]
    keys = ["source", "patient"]
    people = own.filter(pc.greater(own["images"], 0)).group_by(keys).aggregate([]).num_rows
    lines.append(_line(ALL, means, headlines(drawn), people, metric))
    return pa.Table.from_pylist(lines, schema=_SCHEMA)


_SCHEMA = pa.schema(
    [
        ("pair", pa.string()),
        *((name, pa.float64()) for name in ("first", "second", "difference", "low", "high")),
        ("patients", pa.int64()),
        ("verdict", pa.string()),
    ]
)


def _line(pair: str, means: Sequence[float], draws: Floats, patients: int, metric: str) -> dict[str, object]:
    low, high = interval(draws[0] - draws[1]) if patients >= FEWEST_PATIENTS else (None, None)
    return {
        "pair": pair,
        "first": means[0],
        "second": means[1],
        "difference": means[0] - means[1],
        "low": low,
        "high": high,
        "patients": patients,
        "verdict": _verdict(low, high, lower_is_better=metric in DISTANCES),
    }


def _verdict(low: float | None, high: float | None, *, lower_is_better: bool) -> str:
    better, worse, unclear, few = VERDICTS
    if low is None or high is None:
        return few
    if low > 0:
        return worse if lower_is_better else better
    if high < 0:
        return better if lower_is_better else worse
    return unclear
