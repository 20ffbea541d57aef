"""Encoded images kept on disk in half precision, for repeated prompts and for finetuning."""

import hashlib
import logging
import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

EMBEDDINGS = Path("data/embeddings")
_GIGABYTE = 10**9
#: After so many new files the folder is measured again, since other processes fill it too.
_MEASURE = 32

log = logging.getLogger(__name__)


class Kept:
    """The embeddings of one encoder, by the images' pixels.

    Args:
        encoder: of what the features depend on besides the image, as a sum.
        limit_gb: what the folder, with all encoders', may hold; when it is full nothing is added. Processes
            that fill it at once may exceed it by 32 files each.
    """

    def __init__(self, encoder: str, limit_gb: float, folder: Path = EMBEDDINGS) -> None:
        self._all, self._own = folder, folder / encoder
        self._own.mkdir(parents=True, exist_ok=True)
        self._limit = limit_gb * _GIGABYTE
        self._new, self._held, self._full = 0, 0, False

    def has(self, image: NDArray[np.uint8]) -> bool:
        """Whether an image's features are kept."""
        return self._path(image).exists()

    def load(self, image: NDArray[np.uint8]) -> torch.Tensor | None:
        """The features 1×C×h×w of an image H×W×3, float16; None if they are not kept, or can't be read."""
        path = self._path(image)
        try:
            return load_file(path)["features"]
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, KeyError) as error:
            log.warning("%s: can't be read (%s); encoded anew", path, " ".join(str(error).split())[:100])
            return None

    def save(self, image: NDArray[np.uint8], features: torch.Tensor) -> None:
        """Keeps the features 1×C×h×w, float16, of an image if there is room."""
        if self._full:
            return
        if self._new % _MEASURE == 0:
            self._held = sum(path.stat().st_size for path in self._all.rglob("*.safetensors"))
        self._held += features.numel() * features.element_size()
        if self._held > self._limit:
            self._full = True
            log.warning("%s: full; remove it to keep the embeddings of other images", self._all)
            return
        path = self._path(image)
        new = path.with_name(f".{path.name}.{os.getpid()}.new")
        try:
            save_file({"features": features.cpu().contiguous()}, new)
            new.replace(path)
        except (OSError, SafetensorError) as error:
            self._full = True
            log.warning("%s: can't be written (%s); no more embeddings are kept", path.parent, error)
            new.unlink(missing_ok=True)
        self._new += 1

    def _path(self, image: NDArray[np.uint8]) -> Path:
        digest = hashlib.sha256(repr(image.shape).encode())
        digest.update(image.tobytes())
        return self._own / f"{digest.hexdigest()}.safetensors"
