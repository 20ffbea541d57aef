"""Random walker (Grady, IEEE TPAMI 2006; scikit-image's): classical interactive segmentation by seeds."""

import warnings
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from leaderboard.contamination import TrainedOn
from leaderboard.models.base import Candidates, Declaration, Segmenter
from leaderboard.strategies import NEGATIVE, POSITIVE, Prompts

#: How much edges count. At scikit-image's 130 walkers leak through edges that are a few pixels wide, as those
#: of most pictures are. Chosen among 130, 400, 1300 by looking at the sample and at phantoms.
BETA = 400
#: A point is a brush stroke, a disc of certain pixels: a single one, with background all around it, hardly
#: wins more than itself.
RADIUS = 3
#: Of a box without a positive point, the ellipse of this share of its sides in its middle is foreground.
MIDDLE = 0.5
#: This share of a box's sides is looked at around it, as background; what lies farther changes nothing.
MARGIN = 0.1
#: What is looked at is scaled down to so many pixels, which take a third of a second; time and memory grow
#: faster than the pixels (measured).
PIXELS = 256 * 256
#: Seeds as scikit-image numbers them.
UNKNOWN, BACKGROUND, FOREGROUND = 0, 1, 2

Points = NDArray[np.int_]


class RandomWalker(Segmenter):
    """Foreground is where a walker who shuns edges likelier meets a foreground seed first."""

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
        trained_on=TrainedOn(others="none"),
        dtype="float64",
    )

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        """H×W×C; a gray picture has one channel, since three alike would make its edges stronger."""
        return [image[..., :1] if (image == image[..., :1]).all() else image for image in images]

    def prompt(self, embedding: NDArray[np.uint8], prompts: Prompts) -> Iterator[Candidates]:
        for number in range(len(prompts)):
            yield Candidates(_mask(embedding, prompts, number)[None], np.ones(1, np.float32))


def _mask(image: NDArray[np.uint8], prompts: Prompts, number: int) -> NDArray[np.bool_]:
    """The foreground H×W, sought around the box or in the whole picture, at a bounded size."""
    height, width = image.shape[:2]
    box, window = None, (slice(0, height), slice(0, width))
    if prompts.boxes is not None:
        box = prompts.boxes[number].astype(int).reshape(2, 2)
        margin = np.maximum(1, (MARGIN * (box[1] - box[0] + 1)).astype(int))
        (x0, y0), (x1, y1) = np.maximum(0, box[0] - margin), box[1] + margin + 1
        window = slice(y0, y1), slice(x0, x1)
    whole = image[window]
    view = _shrunk(whole)
    corner = np.array([window[1].start, window[0].start])
    scale = np.array(view.shape[1::-1]) / whole.shape[1::-1]

    def placed(points: NDArray[np.integer]) -> Points:
        return np.floor((points - corner + 0.5) * scale).astype(int)

    def points(label: int) -> Points:
        if prompts.points is None or prompts.labels is None:
            return np.zeros((0, 2), int)
        return placed(prompts.points[number][prompts.labels[number] == label])

    seeds = _seeds(view.shape[:2], points(POSITIVE), points(NEGATIVE), None if box is None else placed(box))
    found = _walked(view, seeds).view(np.uint8)
    mask = np.zeros((height, width), bool)
    mask[window] = cv2.resize(found, whole.shape[1::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    if box is not None:  # a pixel of the smaller picture may reach over the box's edge
        (x0, y0), (x1, y1) = box
        mask[:y0], mask[y1 + 1 :], mask[:, :x0], mask[:, x1 + 1 :] = False, False, False, False
    return mask


def _shrunk(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture, of at most `PIXELS` pixels."""
    height, width, channels = image.shape
    scale = (PIXELS / (height * width)) ** 0.5
    if scale >= 1:
        return image
    size = max(1, int(scale * width)), max(1, int(scale * height))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8).reshape(size[1], size[0], channels)


def _seeds(
    size: tuple[int, ...], positive: Points, negative: Points, box: Points | None
) -> NDArray[np.int32]:
    """What the prompt says of each pixel of a picture of that size, H×W; the later overrules the earlier."""
    seeds = np.zeros(size, np.int32)
    if box is not None:
        (x0, y0), (x1, y1) = box
        outside = np.ones(size, bool)
        outside[y0 : y1 + 1, x0 : x1 + 1] = False
        within = ((positive >= box[0]) & (positive <= box[1])).all(axis=1)
        if not within.any():
            ys, xs = np.ogrid[: size[0], : size[1]]
            across, down = np.maximum(1, MIDDLE * (box[1] - box[0] + 1) / 2)
            middle = ((xs - (x0 + x1) / 2) / across) ** 2 + ((ys - (y0 + y1) / 2) / down) ** 2 <= 1
            seeds[middle] = FOREGROUND
    elif not len(negative):
        # Most objects end before the picture does, and without any background all would be foreground.
        seeds[[0, -1]] = BACKGROUND
        seeds[:, [0, -1]] = BACKGROUND
    for points, seed in ((negative, BACKGROUND), (positive, FOREGROUND)):
        for x, y in points.tolist():
            cv2.circle(seeds, (x, y), RADIUS, seed, thickness=-1)
    if box is not None:
        seeds[outside] = BACKGROUND
    return seeds


def _walked(image: NDArray[np.uint8], seeds: NDArray[np.int32]) -> NDArray[np.bool_]:
    """The foreground H×W; with seeds of one side alone it is all theirs, with none there is no foreground."""
    from skimage.segmentation import random_walker  # loads half a second of libraries

    background, foreground = (seeds == BACKGROUND).any(), (seeds == FOREGROUND).any()
    if not (background and foreground):
        return np.full(seeds.shape, foreground)
    if seeds.all():
        return seeds == FOREGROUND
    pixels = image / 255.0
    if not np.ptp(pixels):
        pixels[0, 0] -= 1e-9  # scikit-image divides by the deviation; so small a step is no edge
    # The direct solver: faster at this size than the iterative ones, whose time depends on the picture
    # (measured), and with no tolerance of its own.
    with warnings.catch_warnings():
        # In noise of one row a probability can be off by more than 0.001, which is no one's to mend.
        warnings.simplefilter("ignore", UserWarning)
        found = random_walker(pixels, seeds, beta=BETA, mode="bf", channel_axis=-1)
    return np.asarray(found == FOREGROUND)


MODEL = RandomWalker
