"""What a submitter says of a model, a closed record, and what the platform makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cosmos1050k import sources
from leaderboard import weights
from leaderboard.contamination import TrainedOn
from leaderboard.finetuned import Finetuned, sum_on, tensors_sha256
from leaderboard.models.base import ALL, PROMPTED, StrategyName
from leaderboard.submissions.refusals import Refused

Architecture = Literal["vit_b", "vit_l", "vit_h", "medsam", "nano"]
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)
Part = Literal["whole", "mask_decoder"]

#: Neither control characters nor what turns the direction of the text around.
_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$"


@dataclass(frozen=True)
class _Base:
    """A network, and the platform's model that a mask decoder of this architecture stands on."""

    network: str
    model: str


_BASES: Mapping[Architecture, _Base] = {
    "vit_b": _Base("vit_b", "sam_vit_b"),
    "vit_l": _Base("vit_l", "sam_vit_l"),
    "vit_h": _Base("vit_h", "sam_vit_h"),
    "medsam": _Base("vit_b", "medsam"),
    "nano": _Base("nano", "sam_nano"),
}


class HubWeights(BaseModel):
    """A safetensors file of a repository on the Hugging Face Hub.

    Args:
        revision: a branch, tag or commit; once taken in, the commit.
        file: may be left empty where the repository has one such file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    repo: str = Field(pattern=r"^[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}$")
    revision: str = Field(default="main", pattern=r"^[\w./-]{1,200}$")
    file: str = Field(default="", pattern=r"^$|^[\w./ -]{1,200}\.safetensors$")


class Declared(BaseModel):
    """A submission's declaration.

    Args:
        preprocessing, candidates: by default those of the architecture's own model.
        made_for: the prompts that it was trained for; its other cells are greyed.
        trained_on: what it saw of the sources; unknown where that is not said.
        contact: shown to its owner and the maintainers alone.
        weights: where they are, or None: they are sent along.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(pattern=f"^{weights.NAME}$")
    architecture: Architecture
    preprocessing: Literal["sam", "medsam"]
    candidates: Literal[1, 3]
    made_for: tuple[StrategyName, ...] = Field(min_length=1)
    description: str = Field(default="", pattern=_LINE, max_length=300)
    trained_on: TrainedOn = TrainedOn()
    licence: str = Field(pattern=_LINE, min_length=1, max_length=100)
    link: str = Field(default="", pattern=r"^$|^https?://[^\s\x00-\x1f<>\"'`]+$", max_length=300)
    contact: str = Field(pattern=_LINE, min_length=1, max_length=200)
    weights: HubWeights | None = None

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        medsam = given.get("preprocessing", given.get("architecture")) == "medsam"
        own = {
            "preprocessing": "medsam" if medsam else "sam",
            "candidates": 1 if medsam else 3,
            "made_for": PROMPTED if medsam else ALL,
        }
        return own | given

    @model_validator(mode="after")
    def _fits(self) -> "Declared":
        if self.preprocessing == "medsam" and self.candidates == 3:
            raise ValueError("candidates: with MedSAM's preprocessing a model has one")
        if self.preprocessing == "medsam" and "S1" in self.made_for:
            raise ValueError("made_for: S1, everything, does not apply with MedSAM's preprocessing")
        if len(set(self.made_for)) < len(self.made_for):
            raise ValueError("made_for: a strategy is named twice")
        if self.trained_on.others == "train":
            raise ValueError("trained_on: of sources that are not named say none, all or unknown")
        return self

    @property
    def network(self) -> str:
        """The architecture as `leaderboard.weights.PARAMETERS` names it."""
        return _BASES[self.architecture].network

    @property
    def base(self) -> str:
        """The platform's model that a mask decoder of this architecture stands on."""
        return _BASES[self.architecture].model

    def record(self, part: Part, file_sha256: str, own_sha256: str) -> Finetuned:
        """The model as a worker scores it.

        Args:
            file_sha256: of the file.
            own_sha256: of its tensors (`leaderboard.finetuned.tensors_sha256`).
        """
        partial = part == "mask_decoder"
        return Finetuned(
            name=self.name,
            architecture=self.network,
            base=self.base if partial else None,
            preprocessing=self.preprocessing,
            candidates=self.candidates,
            made_for=self.made_for,
            description=self.description,
            trained_on=self.trained_on,
            checkpoint_sha256=file_sha256,
            weights_sha256=sum_on_base(self.base, own_sha256) if partial else own_sha256,
        )


def sum_on_base(base: str, tensors: str) -> str:
    """The sum of a mask decoder on its base, as `leaderboard.finetuned` has it; its file need not be here."""
    official = weights.OFFICIAL.get(base)
    own = official.sha256 if official else tensors_sha256(weights.shipped(base))
    return sum_on(own, tensors)


#: What a field takes, by its place in the record.
_TAKEN = {
    "name": "1 to 64 lower-case letters, digits, - and _, the first a letter or digit",
    "architecture": f"one of {', '.join(ARCHITECTURES)}",
    "preprocessing": "sam or medsam",
    "candidates": "3 or 1 masks per prompt",
    "made_for": "one or more of S1 … S6",
    "description": "a line of at most 300 characters",
    "trained_on": "per source none, train, all or unknown",
    "licence": "a line of 1 to 100 characters",
    "link": "an address that begins with http:// or https://, of at most 300 characters",
    "contact": "a line of 1 to 200 characters",
    "weights.repo": "a repository of the Hub, org/name",
    "weights.revision": "a branch, a tag or a commit",
    "weights.file": "a .safetensors file of the repository",
}


def _sentence(error: ValidationError) -> str:
    """The first fault, in words."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    if first["type"] == "extra_forbidden":
        return f"{where}: there is no such field"
    field = next((name for name in _TAKEN if f"{where}.".startswith(f"{name}.")), "")
    if field:
        return f"{where}: {'missing' if first['type'] == 'missing' else 'unfit'}; it takes {_TAKEN[field]}"
    return f"{where}: {first['msg']}" if where else "the declaration: send a table of its fields, as JSON"


def parsed(text: str | bytes) -> Declared:
    """A declaration from JSON.

    Raises:
        Refused: a field is missing, unknown or unfit.
    """
    try:
        found = Declared.model_validate_json(text)
    except ValidationError as error:
        raise Refused("declaration", _sentence(error)) from None
    # Not with the record itself: it is read back when a source may have another name.
    if unknown := [slug for slug in found.trained_on.sources if slug not in sources.slugs()]:
        raise Refused("declaration", f"trained_on: unknown source {unknown[0]!r}; see `cosmos sources`")
    return found
