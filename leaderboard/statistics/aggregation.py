"""Instances → mean per image and object → mean over images (protocol, section 5)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

# In pixels: null for an empty prediction, and the lower the better. Other metrics are the reverse of both.
DISTANCES = frozenset({"hausdorff", "assd"})
#: Of a pair's image means: what is told of their spread, beside the standard deviation.
QUANTILES = {"minimum": 0.0, "q25": 0.25, "median": 0.5, "q75": 0.75, "maximum": 1.0}

# Values are rounded to multiples of 1/_GRID: sums below 2^25 are then exact in float64, so that a model's
# numbers hang neither on the order of the rows nor on the models that share a table or a matrix product.
_GRID = 2.0**28

_PAIR = ["model", "pair"]
_PATIENT = [*_PAIR, "source", "patient"]
_IMAGE = [*_PATIENT, "image_id", "object"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


def aggregate(scores: pa.Table, metric: str) -> pa.Table:
    """Every model's score in every pair (protocol, section 5).

    Args:
        scores: one row per scored instance of one strategy and one selection, columns `model`, `source`,
            `patient`, `image_id`, `object`, `pair` (of any types that can be sorted) and `metric` (float64).
        metric: the column to average, in its stored unit (0…1, or pixels for `DISTANCES`); values are
            taken to 2e-9, so that equal rows give equal bytes in any order.

    Returns:
        One row per (model, pair), sorted: `model`, `pair`; `mean`, null when every value is; `images` and
        `patients` behind the mean; `instances`, all of them; `empties`, those whose value is null.

    Raises:
        ValueError: a value is NaN, or is null though the metric is no distance.
    """
    return pair_scores(patient_sums(image_means(scores, metric)))


def image_means(scores: pa.Table, metric: str) -> pa.Table:
    """One row per (model, pair, source, patient, image, object): the mean `value` of its instances, null if
    none has one, `instances` and `empties`. Arguments, errors: `aggregate`.
    """
    values = scores[metric]
    if metric not in DISTANCES and values.null_count:
        raise ValueError(f"{metric} is null in {values.null_count} rows; a failed instance scores 0")
    if pc.any(pc.is_nan(values)).as_py():
        raise ValueError(f"{metric} is NaN in some rows")
    known = pc.is_valid(values).to_numpy().astype(np.int64)
    numbers = _rounded(pc.fill_null(values, 0.0).to_numpy())
    keys, (total, found, instances) = _summed(scores, _IMAGE, [numbers, known, np.ones(len(known), np.int64)])
    mean = _rounded(np.divide(total, found, out=np.zeros(len(total)), where=found > 0))
    return (
        keys.append_column("value", pa.array(mean, mask=found == 0))
        .append_column("instances", pa.array(instances))
        .append_column("empties", pa.array(instances - found))
    )


def patient_sums(images: pa.Table) -> pa.Table:
    """One row per (model, pair, source, patient): the `sum` of its image means and their number `images`,
    its `instances` and `empties`.

    Args:
        images: the rows of `image_means`.
    """
    value = images["value"]
    columns = [
        pc.fill_null(value, 0.0).to_numpy(),
        pc.is_valid(value).to_numpy().astype(np.int64),
        images["instances"].to_numpy(),
        images["empties"].to_numpy(),
    ]
    keys, sums = _summed(images, _PATIENT, columns)
    for name, column in zip(("sum", "images", "instances", "empties"), sums, strict=True):
        keys = keys.append_column(name, pa.array(column))
    return keys


def pair_scores(sums: pa.Table) -> pa.Table:
    """The table that `aggregate` describes, from the rows of `patient_sums`."""
    images = sums["images"].to_numpy()
    counts = ["images", "instances", "empties"]
    columns = [sums["sum"].to_numpy(), *(sums[name].to_numpy() for name in counts)]
    pairs, (total, *found) = _summed(sums, _PAIR, [*columns, (images > 0).astype(np.int64)])
    mean = np.divide(total, found[0], out=np.zeros(len(total)), where=found[0] > 0)
    pairs = pairs.append_column("mean", pa.array(mean, mask=found[0] == 0))
    for name, column in zip([*counts, "patients"], found, strict=True):
        pairs = pairs.append_column(name, pa.array(column))
    return _sorted(pairs)


def spread(images: pa.Table) -> pa.Table:
    """How a pair's image means scatter: per (model, pair), sorted, `deviation` (the standard deviation of a
    sample, null of fewer than two) and the `QUANTILES`, linear between values as numpy's.

    Args:
        images: the rows of `image_means`; those without a value are left out.
    """
    valued = images.filter(pc.is_valid(images["value"]))
    value = valued["value"].to_numpy()
    keys, (total, count) = _summed(valued, _PAIR, [value, np.ones(len(value), np.int64)])
    group = codes(valued, _PAIR)
    ordered = value[np.argsort(group, kind="stable")]
    starts = np.cumsum(count) - count
    for start, size in zip(starts.tolist(), count.tolist(), strict=True):
        ordered[start : start + size].sort()
    away = (ordered - np.repeat(total / count, count)) ** 2
    squares = np.add.reduceat(away, starts) if len(starts) else away
    deviation = np.sqrt(np.divide(squares, count - 1, out=np.zeros(len(count)), where=count > 1))
    keys = keys.append_column("deviation", pa.array(deviation, mask=count < 2))
    for name, share in QUANTILES.items():
        at = share * (count - 1)
        lower = np.floor(at).astype(np.intp)
        low, high = ordered[starts + lower], ordered[starts + np.minimum(lower + 1, count - 1)]
        keys = keys.append_column(name, pa.array(low + (at - lower) * (high - low)))
    return _sorted(keys)


def _sorted(pairs: pa.Table) -> pa.Table:
    return plain(pairs, pairs.column_names).sort_by([(name, "ascending") for name in _PAIR])


def _summed(
    table: pa.Table, names: Sequence[str], columns: Sequence[npt.NDArray]
) -> tuple[pa.Table, list[npt.NDArray]]:
    """The distinct rows of the named columns, in the order of `_codes`, and the sums of others over each."""
    group = codes(table, names)
    # Rows of one group mostly stand together: a pass adds them up, and what is left is much less to sort.
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    _, first, inverse = np.unique(group[starts], return_index=True, return_inverse=True)
    sums = []
    for column in columns:
        runs = np.add.reduceat(column, starts) if len(starts) else column
        added = np.zeros(len(first), column.dtype)
        np.add.at(added, inverse, runs)
        sums.append(added)
    return table.select(names).take(pa.array(starts[first])), sums


def codes(table: pa.Table, names: Sequence[str]) -> npt.NDArray[np.int64]:
    """A number ≥ 0 for every row, the same where the named columns are."""
    numbers, size = np.zeros(table.num_rows, np.int64), 1
    for name in names:
        encoded = encode(table[name])
        if size * len(encoded.dictionary) > 2**62:  # close the gaps between the numbers that are in use
            used, numbers = np.unique(numbers, return_inverse=True)
            size = len(used)
        numbers = numbers * len(encoded.dictionary) + encoded.indices.to_numpy()
        size *= max(len(encoded.dictionary), 1)
    return numbers


def encode(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """A column as numbers into the list of its values; one that is so already is not looked through."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def plain(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """The named columns, those that are coded by their values."""
    columns = [table[name] for name in names]
    coded = [pa.types.is_dictionary(column.type) for column in columns]
    values = [
        column.cast(column.type.value_type) if is_coded else column
        for column, is_coded in zip(columns, coded, strict=True)
    ]
    return pa.table(dict(zip(names, values, strict=True)))


def _rounded(values: Floats) -> Floats:
    return np.round(values * _GRID) / _GRID
