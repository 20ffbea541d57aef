"""Random views of an example for training from nothing: turned, scaled, cut, in other shades."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from segment_anything.utils.transforms import ResizeLongestSide

from leaderboard.training.examples import Example

#: Of the views, those that show the whole image upright, as the model sees it when it is scored.
_UPRIGHT = 0.35
#: Pixels of an object that must be left in the view.
_LEAST = 12

Random = np.random.Generator


@dataclass(frozen=True)
class View:
    """A view h×w×3, its longer side the network's; masks h×w uint8 of 0 and 1, one at least."""

    image: NDArray[np.uint8]
    masks: list[NDArray[np.uint8]]


def plain(example: Example, side: int) -> View:
    """The example as it is, its longer side scaled to `side`."""
    height, width = _size(example, side)
    return _warped(example, _scaling(example, height, width), height, width, range(len(example.masks)))


def random_view(example: Example, random: Random, side: int, objects: int) -> View:
    """A random view with up to so many of the example's objects, chosen at random."""
    chosen = random.permutation(len(example.masks))[:objects].tolist()
    height, width = _size(example, side)
    whole = _scaling(example, height, width)
    if random.random() > _UPRIGHT:
        found = _warped(example, _turned(whole, random, height, width), height, width, chosen)
        if found.masks:
            return View(shaded(found.image, random), found.masks)
    upright = _warped(example, whole, height, width, chosen)
    masks = upright.masks or [np.ones((height, width), np.uint8)]  # each too small to be seen at this size
    return _flipped(View(shaded(upright.image, random), masks), random)


def shaded(image: NDArray[np.uint8], random: Random) -> NDArray[np.uint8]:
    """The image in other shades: contrast, brightness, gamma, noise, blur, inverted, coloured or gray."""
    found: Any = image.astype(np.float32) / 255
    if random.random() < 0.1:
        found = 1 - found
    if random.random() < 0.5:
        found = np.clip(found, 0, 1) ** np.exp(random.normal(0, 0.35))
    if random.random() < 0.15:
        found = found @ random.dirichlet(np.ones(3), 3).astype(np.float32).T
    if random.random() < 0.1:
        found = found.mean(axis=2, keepdims=True).repeat(3, axis=2)
    if random.random() < 0.5:
        found = (found - 0.5) * random.uniform(0.6, 1.3) + 0.5 + random.uniform(-0.15, 0.15)
    if random.random() < 0.2:
        found = cv2.GaussianBlur(found, (0, 0), random.uniform(0.5, 1.5))
    if random.random() < 0.4:
        found = found + random.normal(0, random.uniform(0, 0.05), found.shape[:2])[..., None]
    return (255 * np.clip(found, 0, 1)).astype(np.uint8)


def _size(example: Example, side: int) -> tuple[int, int]:
    height, width = ResizeLongestSide.get_preprocess_shape(*example.image.shape[:2], side)
    return height, width


def _scaling(example: Example, height: int, width: int) -> NDArray[np.float64]:
    """The map, 2×3, of the whole example onto h×w; pixels' centres onto centres."""
    own = example.image.shape[:2]
    y, x = height / own[0], width / own[1]
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]])


def _turned(whole: NDArray[np.float64], random: Random, height: int, width: int) -> NDArray[np.float64]:
    """Further turned, scaled, mirrored and moved at random."""
    angle = random.uniform(-45, 45) if random.random() < 0.6 else 0.0
    scale = float(np.exp(random.uniform(-0.5, 0.7)))
    turn = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale), np.float64)
    turn[:, 2] += random.uniform(-0.2, 0.2, 2) * (width, height)
    if random.random() < 0.5:
        turn[0] = [-turn[0, 0], -turn[0, 1], width - 1 - turn[0, 2]]
    if random.random() < 0.3:
        turn[1] = [-turn[1, 0], -turn[1, 1], height - 1 - turn[1, 2]]
    return turn @ np.vstack([whole, [0, 0, 1]])


def _warped(
    example: Example, matrix: NDArray[np.float64], height: int, width: int, chosen: range | list[int]
) -> View:
    image = cv2.warpAffine(example.image, matrix, (width, height), flags=cv2.INTER_LINEAR)
    masks = []
    for number in chosen:
        soft = cv2.warpAffine(255 * example.masks[number].view(np.uint8), matrix, (width, height))
        mask = (soft > 127).view(np.uint8)
        if mask.sum() >= _LEAST:
            masks.append(mask)
    return View(np.asarray(image), masks)


def _flipped(view: View, random: Random) -> View:
    for axis, share in ((1, 0.5), (0, 0.2)):
        if random.random() < share:
            masks = [np.ascontiguousarray(np.flip(mask, axis)) for mask in view.masks]
            view = View(np.ascontiguousarray(np.flip(view.image, axis)), masks)
    return view
