"""How a model is finetuned: `finetune` in params.yaml, name → options; the protocol's are the default."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class FinetuneOptions(BaseModel):
    """Of one model (protocol, section 6; paper, section 4.12).

    Args:
        base: the model to begin with: an owner's, the project's own, or a whole one of `data/models`.
        sources: built sources whose split `train` is trained on and `validation` chosen on; all if not given.
        images: in a batch.
        rate, decay: of AdamW.
        box_jitter: pixels that each side of a box is moved at most, at random.
        points: the share of batches prompted by points (S2, S3, S4 or S6) instead of the box.
        lora_rank: of adapters on the encoder's attention, merged into it in the end; 0: it is frozen.
        embeddings_gb: of the encoded images to keep on disk, with all encoders'; the rest are encoded anew
            in every epoch.
        device: auto: a GPU if there is one. On it the decoder computes in mixed precision.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    base: str
    sources: tuple[str, ...] = ()
    epochs: int = Field(default=20, ge=1)
    images: int = Field(default=2, ge=1)
    rate: float = Field(default=1e-4, gt=0)
    decay: float = Field(default=0.01, ge=0)
    box_jitter: int = Field(default=0, ge=0)
    points: float = Field(default=0.0, ge=0, le=1)
    lora_rank: int = Field(default=0, ge=0)
    embeddings_gb: float = Field(default=20, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = Field(default=0, ge=0)

    @field_validator("sources")
    @classmethod
    def _distinct(cls, sources: tuple[str, ...]) -> tuple[str, ...]:
        if twice := sorted({name for name in sources if sources.count(name) > 1}):
            raise ValueError(f"{twice[0]} is listed twice")
        return sources
