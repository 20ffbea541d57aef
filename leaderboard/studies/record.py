"""What every study's record says: of which model, on which images, computed how."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cosmos1050k import shards
from cosmos1050k.errors import InputError
from leaderboard.machine import Device, DeviceLost, Machine
from leaderboard.measurements import Measured
from leaderboard.models.base import Segmenter


class Studied(Measured):
    """The head of a study's record.

    Args:
        sources: slug → version of what it was measured on.
        images, objects: so many; 0 where the study does not apply, or the model failed.
        limits: why the study does not apply to the model; empty where it does.
        failed: on which image the model failed, and how; empty where it did not.
    """

    version: int
    weights_sha256: str | None
    sources: dict[str, str]
    device: Device
    numerics: str
    images: int = 0
    objects: int = 0
    limits: str = ""
    failed: str = ""


def head(kind: type[Segmenter], data: Path, sources: Sequence[str], machine: Machine) -> dict[str, Any]:
    """The fields of `Studied` that are known before anything is measured.

    Raises:
        InputError: a source is not built.
    """
    declared = kind.declared(machine)
    return {
        "model": declared.name,
        "version": declared.version,
        "weights_sha256": declared.weights_sha256,
        "sources": {slug: shards.load_manifest(data / slug).version for slug in sources},
        "device": declared.device,
        "numerics": declared.dtype,
    }


class Failed(InputError):
    """A model failed on an image: no fault of what else is measured."""


@contextmanager
def on_image(model: str, image_id: str) -> Iterator[None]:
    """A model's failure on an image in one line.

    Raises:
        Failed: that line; MemoryError and DeviceLost are the machine's, and stay what they are.
    """
    try:
        yield
    except (MemoryError, DeviceLost):
        raise
    except Exception as error:
        problem = " ".join(repr(error).split())[:200]
        raise Failed(f"{model} failed on {image_id}: {problem}; mend the model") from error
