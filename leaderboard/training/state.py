"""The state of a training on disk, so that a killed one goes on."""

import logging
import pickle
from pathlib import Path
from typing import Any

import torch

log = logging.getLogger(__name__)


def save(content: dict[str, Any], file: Path) -> None:
    """Writes tensors, numbers and texts; the file is always a whole one, the last or the one before."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.new")
    torch.save(content, new)
    new.replace(file)


def load(file: Path) -> dict[str, Any] | None:
    """What was saved last, or None; a damaged file is as good as none, and is told of."""
    if not file.exists():
        return None
    try:
        found: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        log.warning("%s: damaged (%s); training starts anew", file, type(error).__name__)
        return None
    return found
