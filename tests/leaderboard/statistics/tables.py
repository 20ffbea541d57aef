"""Score tables for the tests, and the protocol's statistics written out slowly in plain Python."""

from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa

SCHEMA = pa.schema(
    [(name, pa.string()) for name in ["model", "source", "patient", "image_id", "object", "pair"]]
    + [("dice", pa.float64()), ("hausdorff", pa.float64())]
)

Row = dict[str, Any]


def scores(rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def row(
    model: str, patient: str, pair: str, dice: float, *, source: str = "s", image: str = "0",
    hausdorff: float | None = None,
) -> Row:  # fmt: skip
    image_id = f"{source}/{patient}/{pair}/{image}"
    return {
        "model": model, "source": source, "patient": patient, "image_id": image_id,
        "object": pair.split("-")[0], "pair": pair, "dice": dice, "hausdorff": hausdorff,
    }  # fmt: skip


def patients(keys: list[tuple[str, str]]) -> pa.Table:
    return pa.table({"source": [source for source, _ in keys], "patient": [patient for _, patient in keys]})


def patients_of(table: pa.Table) -> pa.Table:
    return table.select(["source", "patient"])


def slow_images(rows: list[Row], metric: str) -> dict[tuple[str, str], dict[tuple[str, str], list[float]]]:
    """(model, pair) → (source, patient) → the means of its images."""
    values: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for r in rows:
        if r[metric] is not None:
            key = (r["model"], r["pair"], r["source"], r["patient"], r["image_id"], r["object"])
            values[key].append(r[metric])
    images: dict[tuple[str, str], dict[tuple[str, str], list[float]]] = defaultdict(lambda: defaultdict(list))
    for (model, pair, source, patient, *_), found in values.items():
        images[model, pair][source, patient].append(sum(found) / len(found))
    return images


def slow_draws(keys: list[tuple[str, str]], seed: int, draws: int) -> list[list[tuple[str, str]]]:
    """The patients of every draw, one entry for each time a patient is drawn."""
    by_source: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for key in sorted(set(keys)):
        by_source[key[0]].append(key)
    drawn: list[list[tuple[str, str]]] = [[] for _ in range(draws)]
    streams = np.random.default_rng(seed).spawn(len(by_source))
    for stream, own in zip(streams, by_source.values(), strict=True):
        for draw, picks in zip(drawn, stream.integers(len(own), size=(draws, len(own))), strict=True):
            draw += [own[pick] for pick in picks]
    return drawn


def slow_score(images: dict[tuple[str, str], list[float]], drawn: list[tuple[str, str]]) -> float | None:
    values = [value for key in drawn for value in images.get(key, [])]
    return sum(values) / len(values) if values else None


def slow_headline(scores_of_pairs: list[float | None]) -> float:
    present = [score for score in scores_of_pairs if score is not None]
    return sum(present) / len(present) if present else float("nan")
