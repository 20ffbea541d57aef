"""Small orders: hand-made sources, small networks' weights, and what is to be scored."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from cosmos1050k import shards
from leaderboard import finetuned
from leaderboard.evaluate import BoardRows, EvaluateOptions
from leaderboard.finetuned import Finetuned
from leaderboard.submissions.order import Order
from leaderboard.submissions.terms import Limits
from leaderboard.submissions.workspace import Job
from leaderboard.weights import sha256
from tests.leaderboard import dataset

NAME = "mine"


def built(folder: Path, **sources: int) -> Path:
    """Sources of so many patients each, below a folder."""
    for seed, (source, patients) in enumerate(sources.items()):
        dataset.build(
            folder, source, dataset.cases(patients, seed=seed, slices=1), shard_bytes=dataset.ONE_CASE
        )
    return folder


def saved(tensors: Mapping[str, torch.Tensor], file: Path) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file)
    return file


def job(data: Path, file: Path, architecture: str, base: str | None = None, **changes: Any) -> Job:
    """Of the file's model, on all sources below a folder, under S2 and S5; `changes` are the order's."""
    record: Finetuned = finetuned.described(file, NAME, architecture, base)
    versions = {slug: shards.load_manifest(data / slug).version for slug in shards.built(data)}
    given: dict[str, Any] = {
        "submission": "k3f7q2m9xw",
        "record": record,
        "weights_bytes": file.stat().st_size,
        "weights_sha256": sha256(file),
        "sources": versions,
        "only": (),
        "protocol_version": 1,
        "evaluate": EvaluateOptions(strategies=("S2", "S5"), device="cpu"),
        "board_rows": BoardRows(),
        "limits": Limits(check_images=3),
    }
    return Job(order=Order(**given | changes), data=data, workers=1)
