"""What a model runs on and how exactly: the numerics of a score's key (protocol, section 5)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

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
        image_batch, prompt_batch: images encoded and prompts decoded together; by default what suits the
            device. Nothing but rounding depends on them (`cosmos tolerance` measures it).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    device: Device = "cpu"
    dtype: Dtype = "float32"
    compiled: bool = False
    embeddings_gb: float = Field(default=0, ge=0)
    image_batch: int | None = Field(default=None, ge=1)
    prompt_batch: int | None = Field(default=None, ge=1)

    @property
    def numerics(self) -> str:
        """How exactly, in words: runs that differ in it, or in the device, have other keys."""
        compiled = ", compiled" if self.compiled else ""
        # What is kept is used again, so all embeddings are rounded, whether they come from disk or not.
        return f"{self.dtype}{compiled}{', embeddings float16' if self.embeddings_gb else ''}"
