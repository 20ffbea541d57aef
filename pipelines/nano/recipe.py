"""What the recipe's stages share: its parameters and where its files lie."""

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from cosmos1050k import shards
from cosmos1050k.errors import InputError
from leaderboard.evaluate import BoardRows
from leaderboard.training.scratch import ScratchOptions

PARAMS = Path(__file__).with_name("params.yaml")
CURVE = Path(__file__).with_name("curve.csv")
METRICS = Path(__file__).with_name("metrics.json")
#: What was measured elsewhere, on sources that only some have.
OTHERS = Path(__file__).with_name("others.json")
NANO = Path("data/nano")
BUILT = NANO / "built"
TRAINED = NANO / "trained/weights.safetensors"
SAMPLE = "sample"


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Phantoms(_Closed):
    """A set of synthetic releases: seed, patients of each source, and the sources, or all."""

    seed: int
    patients: int
    sources: str

    @property
    def slugs(self) -> tuple[str, ...]:
        return tuple(self.sources.split())


class Recipe(_Closed):
    """params.yaml beside this file."""

    phantoms: dict[str, Phantoms]
    train: ScratchOptions
    measure: BoardRows


def load() -> Recipe:
    """The recipe's parameters.

    Raises:
        InputError: an unknown name, or a wrong value.
    """
    try:
        return Recipe.model_validate(yaml.safe_load(PARAMS.read_text()))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(f"{PARAMS.name} of the recipe: {place}: {first['msg']}; mend it") from None


def trained(given: Recipe) -> tuple[str, ...]:
    """The built sources that are trained on."""
    left_out = given.phantoms["left_out"].slugs
    return tuple(slug for slug in shards.built(BUILT / "seen") if slug not in left_out)
