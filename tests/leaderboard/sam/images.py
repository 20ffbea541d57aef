"""Pictures and prompts for tests of SAM, and the small network that they run on."""

from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np
import torch
from segment_anything.modeling import Sam as Network

from leaderboard.models.base import ALL, Declaration
from leaderboard.sam import network
from leaderboard.sam.medsam import MedSam
from leaderboard.sam.segmenter import Sam
from leaderboard.strategies import STRATEGIES, Prompts, prompts


def seeded(architecture: str, seed: int = 0) -> Network:
    """A network with random weights, always the same for a seed; the state of torch's generator is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network.build(architecture)


@cache
def tiny(seed: int = 0) -> Network:
    """The small network with random weights, its logits as large as those of a trained one. Only read it."""
    made = seeded("tiny", seed)
    random = torch.Generator().manual_seed(seed)
    for name, values in made.image_encoder.named_parameters():
        if "rel_pos" in name:  # zero until they are trained
            values.data = 0.3 * torch.randn(values.shape, generator=random)
    for head in made.mask_decoder.output_hypernetworks_mlps:
        head.layers[-1].weight.data *= 30
    return made


def declared(**more: Any) -> Declaration:
    given = {
        "name": "tiny", "kind": "finetuned", "description": "", "version": 1, "preprocessing": "sam",
        "candidates": 3, "applies": ALL, "made_for": ALL, "dtype": "float32",
    }  # fmt: skip
    return Declaration(**given | more)


class SmallSam(Sam):
    """With whatever network a test gives it; by default the small one."""

    declaration = declared()

    @classmethod
    def check(cls) -> None:
        pass

    @classmethod
    def load(cls) -> Network:
        return deepcopy(tiny())


class SmallMedSam(MedSam):
    declaration = declared(
        preprocessing="medsam", candidates=1, applies=ALL[1:], made_for=("S5",), limits="is small"
    )


def picture(height: int, width: int, seed: int = 0, gray: bool = False) -> np.ndarray:
    """Noise over a few bright discs, H×W×3; gray has three equal channels."""
    random = np.random.default_rng([seed, height, width])
    rows, columns = np.mgrid[:height, :width]
    image = random.integers(0, 80, (height, width, 1 if gray else 3))
    for _ in range(4):
        y, x, radius = random.integers(height), random.integers(width), min(height, width) // 5
        image[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] += random.integers(20, 60)
    return np.ascontiguousarray(np.broadcast_to(np.clip(image, 0, 255).astype(np.uint8), (height, width, 3)))


def objects(count: int, height: int, width: int, seed: int = 0) -> list[dict[str, object]]:
    """Prompts anywhere in the picture, as a row of the dataset stores them; some lack negative points."""
    random = np.random.default_rng([seed, count])

    def points() -> list[list[int]]:
        return random.integers(0, (width, height), (5, 2)).tolist()

    found = []
    for number in range(count):
        (x0, x1), (y0, y1) = np.sort(random.integers(0, width, 2)), np.sort(random.integers(0, height, 2))
        negative = [[-1, -1]] * 5 if number % 5 == 3 else points()
        found.append(
            {"points_pos": points(), "points_neg": negative, "box": [int(x0), int(y0), int(x1), int(y1)]}
        )
    return found


def prompted(strategy: str, count: int, height: int, width: int) -> Prompts:
    return prompts(STRATEGIES[strategy], objects(count, height, width))
