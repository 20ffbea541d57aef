"""What the owners' own models have in common: declarations, and networks with the fetched weights."""

from typing import Literal

from segment_anything.modeling import Sam as Network

from leaderboard import weights
from leaderboard.contamination import TrainedOn
from leaderboard.models.base import ALL, Declaration, StrategyName
from leaderboard.sam import network
from leaderboard.sam import weights as states

#: SA-1B, which SAM's released weights were trained on: photographs that a provider licensed from
#: photographers (Kirillov et al., ICCV 2023, section 5); no medical source.
SA_1B = TrainedOn(others="none")


def declaration(
    name: str,
    description: str,
    *,
    trained_on: TrainedOn,
    preprocessing: Literal["sam", "medsam"] = "sam",
    candidates: Literal[1, 3] = 3,
    applies: tuple[StrategyName, ...] = ALL,
    made_for: tuple[StrategyName, ...] = ALL,
    limits: str = "",
) -> Declaration:
    """The declaration of an official checkpoint of `leaderboard.weights`."""
    checkpoint = weights.OFFICIAL[name]
    return Declaration(
        name=name,
        kind="official",
        description=description,
        version=1,
        preprocessing=preprocessing,
        candidates=candidates,
        applies=applies,
        made_for=made_for,
        limits=limits,
        parameters=weights.PARAMETERS[checkpoint.architecture],
        weights_sha256=checkpoint.sha256,
        trained_on=trained_on,
        dtype="float32",
    )


def loaded(name: str) -> Network:
    """The network of an official checkpoint with its weights.

    Raises:
        InputError: they are not fetched, or are not those of the declaration.
    """
    made = network.build(weights.OFFICIAL[name].architecture)
    states.load(weights.path(name), made)
    return made
