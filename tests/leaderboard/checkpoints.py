"""Checkpoints of the small network as owners give them, and a project whose registry names one of them."""

import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from cosmos1050k.errors import InputError
from cosmos1050k.fetch.download import Patience
from leaderboard import weights
from leaderboard.finetuned import MODELS, adopt
from tests.leaderboard.sam.images import seeded

NAME = "sam_vit_b"
HASTY = Patience(connect_s=10, stall_s=0.5, tries=2, backoff_s=0.01, longest_s=2)


def state(seed: int = 0) -> dict[str, torch.Tensor]:
    """The tensors of the small network, other ones for each seed."""
    return dict(seeded("tiny", seed).state_dict())


def decoder(seed: int = 0) -> dict[str, torch.Tensor]:
    """Those of them that are its mask decoder's."""
    return {name: tensor for name, tensor in state(seed).items() if name.startswith("mask_decoder.")}


def pickled(content: object, **how: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, **how)
    return stream.getvalue()


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def declare(monkeypatch: pytest.MonkeyPatch, content: bytes, url: str, **more: str) -> weights.Checkpoint:
    """Makes the registry say that this is the owner's file."""
    update = {"url": url, "sha256": hashlib.sha256(content).hexdigest(), "architecture": "tiny", **more}
    checkpoint = weights.OFFICIAL[NAME].model_copy(update=update)
    monkeypatch.setitem(weights.OFFICIAL, NAME, checkpoint)  # type: ignore[arg-type]
    return checkpoint


def same(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> bool:
    return found.keys() == expected.keys() and all(
        found[name].dtype == tensor.dtype and torch.equal(found[name], tensor)
        for name, tensor in expected.items()
    )


@contextmanager
def refused(*words: str) -> Iterator[None]:
    """The block ends in one line that holds these words."""
    with pytest.raises(InputError) as error:
        yield
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def listed(folder: Path) -> list[str]:
    """The files that a call left in the folder of weights, but for its lock."""
    found = (path for path in (folder / weights.WEIGHTS).rglob("*") if path.is_file())
    return sorted(path.name for path in found if path.suffix != ".lock")


#: What `make` made of a whole model: a process that reads a stranger's file takes seconds to start.
MADE: dict[tuple[bytes, str, str], dict[str, bytes]] = {}


def make(folder: Path, content: bytes, name: str = "mine", **given: Any) -> Path:
    """The folder of the model made of a user's file of this content; the same one is made once."""
    file = folder / "given.bin"
    file.write_bytes(content)
    key = content, name, repr(sorted(given.items()))
    if key in MADE and not (MODELS / name).exists():
        (MODELS / name).mkdir(parents=True)
        for part, held in MADE[key].items():
            (MODELS / name / part).write_bytes(held)
        return MODELS / name
    assert adopt(file, name, **given if "base" in given else {"architecture": "tiny", **given}) == "made"
    assert file.read_bytes() == content
    if "base" not in given:  # whose content would have to be part of the key
        MADE[key] = {path.name: path.read_bytes() for path in (MODELS / name).iterdir()}
    return MODELS / name
