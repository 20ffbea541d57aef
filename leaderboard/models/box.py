"""The floor: the box itself, filled. A model that scores below it adds nothing to its prompt."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from leaderboard.contamination import TrainedOn
from leaderboard.models.base import Candidates, Declaration, Segmenter
from leaderboard.strategies import Prompts


class Box(Segmenter):
    """Answers a box with all its pixels; its embedding is the image's size."""

    declaration = Declaration(
        name="box",
        kind="baseline",
        description="The prompt's box, filled: the floor.",
        version=1,
        preprocessing="none",
        candidates=1,
        applies=("S5", "S6"),
        made_for=("S5",),
        limits="needs a box",
        trained_on=TrainedOn(others="none"),
        dtype="bool",
    )

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> list[tuple[int, int]]:
        return [(image.shape[0], image.shape[1]) for image in images]

    def prompt(self, embedding: tuple[int, int], prompts: Prompts) -> Iterator[Candidates]:
        if prompts.boxes is None:
            raise ValueError("the model box needs a box")
        for x0, y0, x1, y1 in prompts.boxes:
            masks = np.zeros((1, *embedding), bool)
            masks[0, y0 : y1 + 1, x0 : x1 + 1] = True
            yield Candidates(masks, np.ones(1, np.float32))


MODEL = Box
