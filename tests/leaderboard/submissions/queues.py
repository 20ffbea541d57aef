"""Submissions for the queue's tests, without files: the sums are made up."""

import hashlib
from typing import Any

from leaderboard.submissions.declared import Declared, HubWeights

BOARD = "0123456789abcdef"


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def declared(name: str, commit: str | None = None, contact: str = "ann@lab.org") -> Declared:
    """A declaration; with a commit its weights are on the Hub."""
    weights = HubWeights(repo="lab/model", revision=commit, file="a.safetensors") if commit else None
    said: dict[str, Any] = {
        "name": name, "architecture": "nano", "licence": "CC0", "contact": contact, "weights": weights
    }  # fmt: skip
    return Declared(**said)


def sums(weights: str) -> dict[str, Any]:
    """What a check of such weights finds."""
    total = hashlib.sha256(weights.encode()).hexdigest()
    names = ("weights_sha256", "tensors_sha256", "file_sha256")
    return {"part": "whole", "bytes": 100, **dict.fromkeys(names, total)}
