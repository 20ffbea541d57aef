"""Shapes by formula are those of the networks that torch builds."""

import pytest
import torch

from leaderboard.sam import network
from leaderboard.sam.tensors import shapes
from leaderboard.weights import PARAMETERS
from tests.leaderboard.checkpoints import refused


@pytest.mark.parametrize("architecture", PARAMETERS)
def test_shapes_are_those_of_the_network(architecture: str) -> None:
    with torch.device("meta"):
        built = network.build(architecture)
    expected = [(name, tuple(tensor.shape)) for name, tensor in built.state_dict().items()]
    assert list(shapes(architecture).items()) == expected


def test_another_architecture_is_refused() -> None:
    with refused("vit_x", "known are", "tiny"):
        shapes("vit_x")
