"""A board whose scores are planted: DICE goes along with one attribute of the objects, and with no other."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cosmos1050k import shards
from cosmos1050k.units import MANIFEST
from leaderboard import latency, paper, robustness
from leaderboard.analyses.given import Given
from leaderboard.contamination import TrainedOn
from leaderboard.evaluate import RunManifest, SourceRun
from leaderboard.latency import Latency
from leaderboard.robustness import Drop, Robustness
from leaderboard.score import SCORES_SCHEMA
from leaderboard.store.publish import publish
from leaderboard.store.read import BoardReader
from tests.leaderboard import dataset
from tests.leaderboard.boards import Scored
from tests.leaderboard.segmenters import declaration

SOURCE, CASES, SLICES = "toy", 30, 4
STRATEGIES = {"planted": ("S2", "S5"), "tuned": ("S5",)}
#: Every so many objects the mask is empty.
EMPTY = 17


def build(folder: Path, *, number_of_cases: int = CASES, phantom: bool = False) -> Scored:
    """A source of a liver and a lesion each on two modalities, and the scores of two models on all rows."""
    made = Scored(folder)
    rng = np.random.default_rng(0)
    cases = []
    for number in range(number_of_cases):
        modality = "CT" if number % 2 else "MRI"
        slices = []
        for _ in range(SLICES):
            things = (
                dataset.Thing("Liver", dataset.disc(20, 24, rng.uniform(8, 14))),
                dataset.Thing("Lesion", dataset.rectangle(40, 10, 40 + int(rng.integers(9, 20)), 20)),
            )
            slices.append((dataset.picture(rng, things), things))
        split = "train" if number % 5 == 4 else "test"
        cases.append(dataset.SmallCase(f"case{number}", f"patient{number}", tuple(slices), modality, split))
    made.build(SOURCE, cases, phantom=phantom)
    version = shards.load_manifest(made.data / SOURCE).version
    objects = _objects(made)
    for model, strategies in STRATEGIES.items():
        table = scores(model, version, objects)
        made.write(model, SOURCE, table)
        made.models.append(model)
        declared = declaration(
            model,
            kind="finetuned" if model == "tuned" else "baseline",
            applies=strategies,
            made_for=("S5",),
            base="planted" if model == "tuned" else None,
            trained_on=TrainedOn(others="none"),
        )
        run = SourceRun(
            version=version, cases=number_of_cases, scores=table.num_rows, failures={}, failed_images=[]
        )
        manifest = RunManifest(
            protocol_version=1,
            declaration=declared,
            strategies=strategies,
            not_applicable=declared.not_applicable,
            rows="all",
            sources={SOURCE: run},
            seconds=1,
            date="2026-01-01T00:00:00+00:00",
        )
        (made.scores / model / MANIFEST).write_text(manifest.model_dump_json())
    return made


def measure(made: Scored, **changes: Any) -> None:
    """What was measured of the model `planted`; with changes to what is said of its shifted prompts."""
    own: dict[str, Any] = {"model": "planted", "version": 1, "weights_sha256": None, "device": "cpu"}
    timed = Latency(
        **own, device_name="a clock", threads=1, numerics="float32", rounds=20, encoder_ms=250.0,
        prompt_ms={"S2": 8.0, "S5": 4.0},
    )  # fmt: skip
    latency.measurements.write(timed, made.measured / latency.LATENCIES.name)
    drops = {
        reach: {"S2": Drop(mean=0.01 * place, spread=0.001), "S5": Drop(mean=0.02 * place, spread=0.002)}
        for place, reach in enumerate(("0-10", "10-20", "20-30"), start=1)
    }
    sources = {SOURCE: shards.load_manifest(made.data / SOURCE).version}
    values = {**own, "sources": sources, "images": 9, "objects": 18, "numerics": "float32", "drops": drops}
    robustness.write(Robustness(**values | changes), made.measured / robustness.ROBUSTNESS.name)


def given(made: Scored, state: Path) -> Given:
    """The board, published, and planted attributes."""
    made.board()
    publish(made.path, state)
    reader = BoardReader(state)
    rows = reader.rows(
        "select object_id, image_id, object_index from objects where on_board order by object_id"
    )
    found = [attributes(row["image_id"], row["object_index"]) for row in rows]
    columns = {name: [row[name] for row in found] for name in found[0]}
    ids = pa.array([row["object_id"] for row in rows], pa.int32())
    return Given(reader, pa.table({"object_id": ids, **columns}), paper.table(), made.data, made.measured)


def attributes(image_id: str, index: int) -> dict[str, float]:
    """An object's attributes, none of which has to do with another."""
    _, case, _, number = image_id.split("/")
    rng = np.random.default_rng([1, int(case.removeprefix("case")), int(number), index])
    return {
        "size": float(rng.integers(60, 5000)),
        "intensity_difference": rng.uniform(0, 100),
        "fourier_order": rng.uniform(1, 50),
        "modality_number": float(rng.integers(1, 19)),
        "aspect_ratio": rng.uniform(0.1, 1),
    }


def dice(model: str, strategy: str, image_id: str, index: int) -> float:
    """Of `planted`, it rises with the intensity difference; of `tuned`, livers gain and lesions lose."""
    _, case, _, number = image_id.split("/")
    if (int(case.removeprefix("case")) * SLICES + int(number)) % EMPTY == 0:
        return 0.0
    noise = np.random.default_rng([7, int(case.removeprefix("case")), int(number), index]).uniform(
        -0.02, 0.02
    )
    found = 0.5 + 0.4 * math.tanh((attributes(image_id, index)["intensity_difference"] - 50) / 40) + noise
    if strategy == "S2":
        found *= 0.8
    if model == "tuned":
        found += 0.05 if index == 0 else -0.03
    return float(found)


def scores(model: str, version: str, objects: list[dict[str, Any]]) -> pa.Table:
    rows = []
    for entry in objects:
        for strategy in STRATEGIES[model]:
            value = dice(model, strategy, entry["image_id"], entry["object_index"])
            distance = None if value == 0 else 20 * (1 - value)
            row = {
                **entry, "model": model, "strategy": strategy, "source_version": version,
                "status": "empty" if value == 0 else "scored", "instance": None,
            }  # fmt: skip
            for selection in ("oracle", "predicted_iou"):
                row |= {
                    f"dice_{selection}": value,
                    f"jaccard_{selection}": value / (2 - value),
                    f"hausdorff_{selection}": distance,
                    f"assd_{selection}": distance,
                    f"candidate_{selection}": 0,
                    f"predicted_iou_{selection}": 0.5,
                }
            rows.append(row)
    return pa.Table.from_pylist(rows, SCORES_SCHEMA)


def _objects(made: Scored) -> list[dict[str, Any]]:
    found = []
    folder = made.data / SOURCE
    for case in shards.load_cases(folder):
        for row in shards.read_case(folder, case).to_pylist():
            for index, entry in enumerate(row["objects"]):
                found.append(
                    {
                        **{name: row[name] for name in ("source", "patient", "image_id")},
                        "object_index": index,
                        "object": entry["object"],
                        "pair": entry["pair"],
                    }
                )
    return found
