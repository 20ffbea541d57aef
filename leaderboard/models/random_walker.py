"""Random walker (Grady, IEEE TPAMI 2006; scikit-image's): classical interactive segmentation by seeds."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from leaderboard.models.base import Candidates, Declaration, Segmenter
from leaderboard.strategies import NEGATIVE, POSITIVE, Prompts

#: scikit-image's default. Unlike the colour models of others it follows no data that a board is made of.
BETA = 130
#: A point is a brush stroke, a disc of certain pixels: a single one, with a background all around, hardly
#: wins more than itself.
RADIUS = 3
#: Of a box without a positive point, the ellipse of this share of its sides in its middle is foreground.
MIDDLE = 0.5
#: This share of a box's sides around it is looked at too; it is background, as is all that lies farther.
MARGIN = 0.1
#: What is looked at is scaled down to so many pixels: they take a third of a second and 60 MB (measured), and
#: both grow faster than they do.
PIXELS = 256 * 256
#: Seeds, as scikit-image numbers them.
UNKNOWN, BACKGROUND, FOREGROUND = 0, 1, 2

Size = tuple[int, int]


class RandomWalker(Segmenter):
    """Foreground is from where a walker who shuns edges likelier meets a foreground seed first."""

    declaration = Declaration(
        name="random_walker",
        kind="baseline",
        description="Random walker, scikit-image's: no learning.",
        version=1,
        preprocessing="none",
        candidates=1,
        applies=("S2", "S3", "S4", "S5", "S6"),
        made_for=("S4", "S6"),
        limits="needs a prompt",
        dtype="float64",
    )

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        """H×W×C; a gray picture has one channel, since three alike would make its edges stronger."""
        return [image[..., :1] if (image == image[..., :1]).all() else image for image in images]

    def prompt(self, embedding: NDArray[np.uint8], prompts: Prompts) -> Iterator[Candidates]:
        for number in range(len(prompts)):
            yield Candidates(_mask(embedding, prompts, number)[None], np.ones(1, np.float32))


def _mask(image: NDArray[np.uint8], prompts: Prompts, number: int) -> NDArray[np.bool_]:
    """The foreground H×W, found on the box's surroundings, or on the whole picture, at a bounded size."""
    height, width = image.shape[:2]
    box = None
    x0, y0, x1, y1 = 0, 0, width, height
    if prompts.boxes is not None:
        box = left, top, right, bottom = [int(side) for side in prompts.boxes[number]]
        across, down = (max(1, round(MARGIN * length)) for length in (right - left + 1, bottom - top + 1))
        x0, y0, x1, y1 = max(x0, left - across), max(y0, top - down), right + 1 + across, bottom + 1 + down
    looked_at = image[y0:y1, x0:x1]
    size = looked_at.shape[0], looked_at.shape[1]
    view = _shrunk(looked_at)
    seeds = _seeds((view.shape[0], view.shape[1]), size, _moved(prompts, number, (x0, y0)))
    found = _walked(view, seeds).astype(np.uint8)
    mask = np.zeros((height, width), bool)
    mask[y0:y1, x0:x1] = cv2.resize(found, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return mask
