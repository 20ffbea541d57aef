"""Instances → mean per image and object → mean over images (protocol, section 5)."""

import pyarrow as pa
import pyarrow.compute as pc

# In pixels: null for an empty prediction, and the lower the better. Other metrics are the reverse of both.
DISTANCES = frozenset({"hausdorff", "assd"})

# Values are rounded to multiples of 1/_GRID: sums below 2^25 are then exact in float64, so that a model's
# numbers hang neither on the order of the rows nor on the models that share a table or a matrix product.
_GRID = 2.0**28

_PATIENT = ["model", "pair", "source", "patient"]
_IMAGE = [*_PATIENT, "image_id", "object"]


def aggregate(scores: pa.Table, metric: str) -> pa.Table:
    """Every model's score in every pair (protocol, section 5).

    Args:
        scores: one row per scored instance of one strategy and one selection, columns `model`, `source`,
            `patient`, `image_id`, `object`, `pair` (strings) and `metric` (float64).
        metric: the column to average, in its stored unit (0…1, or pixels for `DISTANCES`); values are
            taken to 2e-9, so that equal rows give equal bytes in any order.

    Returns:
        One row per (model, pair), sorted: `model`, `pair`; `mean`, null when every value is; `images` and
        `patients` behind the mean; `instances`, all of them; `empties`, those whose value is null.

    Raises:
        ValueError: a value is NaN, or is null though the metric is no distance.
    """
    return pair_scores(patient_sums(scores, metric))


def patient_sums(scores: pa.Table, metric: str) -> pa.Table:
    """One row per (model, pair, source, patient): the `sum` of its image means and their number `images`,
    its `instances` and `empties`. The sum is null where no image has a value. Arguments, errors: `aggregate`.
    """
    values = scores[metric]
    if metric not in DISTANCES and values.null_count:
        raise ValueError(f"{metric} is null in {values.null_count} rows; a failed instance scores 0")
    if pc.any(pc.is_nan(values)).as_py():
        raise ValueError(f"{metric} is NaN in some rows")
    images = (
        scores.select(_IMAGE)
        .append_column("value", _rounded(values))
        .group_by(_IMAGE)
        .aggregate(
            [("value", "mean"), ([], "count_all"), ("value", "count", pc.CountOptions(mode="only_null"))]
        )
        .rename_columns([*_IMAGE, "value", "instances", "empties"])
    )
    return (
        images.set_column(len(_IMAGE), "value", _rounded(images["value"]))
        .group_by(_PATIENT)
        .aggregate([("value", "sum"), ("value", "count"), ("instances", "sum"), ("empties", "sum")])
        .rename_columns([*_PATIENT, "sum", "images", "instances", "empties"])
    )


def pair_scores(sums: pa.Table) -> pa.Table:
    """The table that `aggregate` describes, from the rows of `patient_sums`."""
    scored = pc.cast(pc.greater(sums["images"], 0), pa.int64())
    counts = ["images", "instances", "empties", "patients"]
    pairs = (
        sums.append_column("patients", scored)
        .group_by(["model", "pair"])
        .aggregate([(name, "sum") for name in ["sum", *counts]])
        .rename_columns(["model", "pair", "sum", *counts])
        .sort_by([("model", "ascending"), ("pair", "ascending")])
    )
    mean = pc.divide(pairs["sum"], pc.cast(pairs["images"], pa.float64()))
    return pairs.set_column(2, "mean", mean)


def _rounded(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.divide(pc.round(pc.multiply(values, _GRID)), _GRID)
