"""What a model is to the platform: a declaration and a `Segmenter`, encoding once, prompted often."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from leaderboard.contamination import TrainedOn
from leaderboard.machine import Device, Machine
from leaderboard.strategies import STRATEGIES, Prompts

if TYPE_CHECKING:
    from leaderboard.sam.everything import Filters

StrategyName = Literal["S1", "S2", "S3", "S4", "S5", "S6"]

ALL: tuple[StrategyName, ...] = ("S1", "S2", "S3", "S4", "S5", "S6")
#: Of a model that answers prompts alone: what applies, and why the rest does not.
PROMPTED: tuple[StrategyName, ...] = ("S2", "S3", "S4", "S5", "S6")
PROMPTED_LIMITS = "has no way to find masks without a prompt"
_DECIDES = {"name", "version", "preprocessing", "candidates", "weights_sha256", "device", "dtype"}


class Declaration(BaseModel):
    """What a model says of itself. The closed record goes into a score's key and onto the board."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(pattern="^[a-z0-9][a-z0-9_-]{0,63}$")
    #: A demonstration is there to try things with; its numbers measure nothing.
    kind: Literal["official", "baseline", "demonstration", "finetuned", "submitted"]
    description: str
    #: Raised when the same input would give another mask; part of the key of every score.
    version: int = Field(ge=0, lt=2**31)
    preprocessing: Literal["none", "sam", "medsam"]
    candidates: Literal[1, 3]
    #: The strategies it can answer, and those among them it was made for; the rest of its cells are greyed.
    applies: tuple[StrategyName, ...]
    made_for: tuple[StrategyName, ...]
    #: Why the strategies that are not in `applies` don't apply, in a few words.
    limits: str = ""
    parameters: int = Field(default=0, ge=0, lt=2**53)
    weights_sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    #: The model whose other parts a finetuned mask decoder stands on.
    base: str | None = None
    #: What it was trained on; unknown where it is not said. No part of a score's key.
    trained_on: TrainedOn = TrainedOn()
    device: Device = "cpu"
    dtype: str = Field(pattern="^[a-z0-9][a-z0-9 ,]{0,63}$")

    @property
    def decides(self) -> dict[str, Any]:
        """What of it decides the masks, as JSON values; part of the key of all that is kept of them."""
        return self.model_dump(mode="json", include=_DECIDES)

    @property
    def not_applicable(self) -> dict[str, str]:
        """Strategy → why the model can't answer it."""
        return {name: self.limits for name in STRATEGIES if name not in self.applies}


class Answer(Protocol):
    """A model's answer for one object: `masks` c×H×W bool, of the image's size; ratings `predicted_iou` c."""

    @property
    def masks(self) -> NDArray[np.bool_]: ...
    @property
    def predicted_iou(self) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class Candidates:
    """An answer whose masks are at hand."""

    masks: NDArray[np.bool_]
    predicted_iou: NDArray[np.float32]


class Segmenter(ABC):
    """A promptable model. It keeps nothing between images: all that it knows of one is in the embedding."""

    declaration: Declaration
    #: Device classes it can run on.
    devices: ClassVar[tuple[Device, ...]] = ("cpu",)
    #: Images that it is best given together.
    image_batch: int = 1

    @classmethod
    def on(cls, machine: Machine) -> Self:
        """The model as it runs there; one that knows a CPU alone is the same everywhere.

        Raises:
            InputError: its weights are missing or unfit.
        """
        return cls()

    @classmethod
    def declared(cls, machine: Machine) -> Declaration:
        """Its declaration as it runs there; of its weights nothing is read."""
        return cls.declaration

    @classmethod
    def check(cls) -> None:
        """Whether it can be made here, as far as that is told quickly; most models have nothing to miss.

        Raises:
            InputError: its weights are missing; the text says what to do.
        """
        return None

    @abstractmethod
    def embed(self, images: Sequence[NDArray[np.uint8]]) -> list[Any]:
        """Encodes images, once for all their prompts.

        Args:
            images: H×W×3 RGB, uint8; sizes may differ.

        Returns:
            One embedding per image, in whatever form `prompt` takes.
        """

    @abstractmethod
    def prompt(self, embedding: Any, prompts: Prompts) -> Iterator[Answer]:
        """The masks of every prompted object of one image, in the order of the prompts."""

    def everything(self, embedding: Any) -> Iterator[NDArray[np.bool_]]:
        """All masks H×W that the model finds without a prompt (S1); only for models that declare S1."""
        raise TypeError(f"{self.declaration.name} does not declare S1, everything")


@runtime_checkable
class Interactive(Protocol):
    """What a model can do besides what a `Segmenter` must: go on from a mask of its own, and find everything
    as one wants it; SAM's models can, click models do the first.

    An answer of one has `low`, c×h×w at the network's own resolution: `refine` takes n×h×w of them.
    """

    def refine(self, embedding: Any, prompts: Prompts, previous: NDArray[np.float32]) -> Iterator[Answer]: ...

    def everything(self, embedding: Any, filters: "Filters | None" = None) -> Iterator[NDArray[np.bool_]]: ...
