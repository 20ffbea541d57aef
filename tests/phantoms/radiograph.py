"""A frontal chest radiograph, the patient's right on the left."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tests.phantoms import anatomy
from tests.phantoms.anatomy import Mask


class Chest(NamedTuple):
    """What is seen in a radiograph; `shift` is how far it lies from the middle, in fractions."""

    right: Mask
    left: Mask
    heart: Mask
    shift: tuple[float, float]


def chest(shape: tuple[int, int], seed: int) -> Chest:
    """Both lungs and the heart before them."""
    down, across = np.random.default_rng(seed).uniform(-0.02, 0.02, 2).tolist()
    return Chest(
        anatomy.blob(shape, (0.44 + down, 0.29 + across), (0.3, 0.155), seed, 0.08),
        anatomy.blob(shape, (0.46 + down, 0.72 + across), (0.31, 0.14), seed + 1, 0.08),
        anatomy.blob(shape, (0.6 + down, 0.57 + across), (0.17, 0.17), seed + 2, 0.06),
        (down, across),
    )


def shadow(seen: Chest, seed: int, air: Sequence[Mask] = ()) -> NDArray[np.uint8]:
    """The picture, H×W; `air` lies round the lungs."""
    shape, (shift, aside) = seen.heart.shape, seen.shift
    lungs = seen.right | seen.left
    rows, columns = np.indices(shape) / np.array(shape)[:, None, None]
    across = np.abs(columns - 0.5 - aside)
    shoulders = 0.1 + 0.2 * np.square(np.clip(across - 0.15, 0, 1)) / (0.5 - across).clip(0.05)
    body = (rows > shoulders) & (across < 0.47 - 0.05 * rows) | (across < 0.1)
    domes = rows > 0.73 + 1.6 * np.square(across - 0.22) - 0.03 * (columns < 0.5)
    level = 0.08 + 0.5 * ndimage.gaussian_filter(body.astype(float), 2)
    level -= 0.36 * ndimage.gaussian_filter(lungs.astype(float), 1.5)
    level += 0.3 * ndimage.gaussian_filter((seen.heart | domes & body).astype(float), 1.5)
    level += 0.22 * np.exp(-np.square((columns - 0.5 - aside) / 0.035))  # the spine
    ribs = np.cos(2 * np.pi * (rows * 11 - 5.5 * across + 9 * np.square(across))) > 0.62
    level += 0.07 * ndimage.gaussian_filter((ribs & body & (rows < 0.8)).astype(float), 0.7)
    collars = np.abs(rows - 0.13 - shift + 0.22 * (across - 0.2)) < 0.018
    level += 0.14 * ndimage.gaussian_filter((collars & (across < 0.4)).astype(float), 0.8)
    vessels = np.clip(anatomy.smooth(shape, seed + 6, 1.6), 0, 3) * lungs
    for piece in air:
        vessels = vessels * ~piece
        level -= 0.08 * piece
    level += 0.045 * vessels + 0.012 * anatomy.smooth(shape, seed + 7, 0.6)
    level[4:12, 6:9] = level[4:7, 6:12] = 0.97  # the marker of the side, an L turned over
    return (255 * np.clip(level, 0, 1)).astype(np.uint8)
