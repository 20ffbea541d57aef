"""What a model runs on and how exactly: the numerics of a score's key (protocol, section 5)."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

#: What was measured of models on some machine: a folder per measurement, a file per model.
MEASURED = Path("leaderboard/measured")

Device = Literal["cpu", "cuda"]
Dtype = Literal["float32", "bfloat16", "float16"]


class DeviceLost(RuntimeError):
    """The device answers no more to this process; no fault of a model or an image."""


class Machine(BaseModel):
    """Where a model runs.

    Args:
        dtype: in which the network computes where that is safe; all else stays float32.
        compiled: the encoder by `torch.compile`.
        embeddings_gb: encoded images kept on disk, in half precision, up to so many gigabytes; 0 keeps none.
            What is kept is used again, so all embeddings are rounded then, from disk or not.
        round_embeddings: rounds them without keeping any.
        image_batch, prompt_batch: images encoded and prompts decoded together; by default what suits the
            device. Nothing but rounding depends on them (`cosmos tolerance` measures it).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    device: Device = "cpu"
    dtype: Dtype = "float32"
    compiled: bool = False
    embeddings_gb: float = Field(default=0, ge=0)
    round_embeddings: bool = False
    image_batch: int | None = Field(default=None, ge=1)
    prompt_batch: int | None = Field(default=None, ge=1)

    @property
    def numerics(self) -> str:
        """How exactly, in words: runs that differ in it, or in the device, have other keys."""
        compiled = ", compiled" if self.compiled else ""
        return f"{self.dtype}{compiled}{', embeddings float16' if self.rounds else ''}"

    @property
    def rounds(self) -> bool:
        """Whether embeddings are rounded to half precision."""
        return self.round_embeddings or self.embeddings_gb > 0
