"""What an endoscope sees: the colon's wall with polyps, and tools that come into the picture."""

import numpy as np

from tests.phantoms import anatomy


def polyps(shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """A large polyp, and a small one beside it: one object for the owner."""
    row, column = random.uniform(0.4, 0.6), random.uniform(0.52, 0.68)
    large = anatomy.blob(shape, (row, column), random.uniform(0.14, 0.22, 2), int(random.integers(1e6)))
    return large | anatomy.spot(shape, (row - 0.02, column - 0.36), int(random.integers(30, 50)))


def of_picture(
    number: int, patients: int, shape: tuple[int, int], random: np.random.Generator, pixels: int = 1
) -> np.ndarray:
    """The polyps of a release's picture: after the patients' one has a polyp of few pixels, and one none."""
    if number < patients:
        return polyps(shape, random)
    return anatomy.spot(shape, (0.45, random.uniform(0.3, 0.4)), pixels if number == patients else 0)


def rod(
    shape: tuple[int, int], start: tuple[float, float], end: tuple[float, float], width: float
) -> tuple[np.ndarray, np.ndarray]:
    """A straight tool: its mask, and how far across it a pixel lies, -1 to 1.

    Args:
        start, end: of its middle line, in fractions of the shape; `width` of the rows.
    """
    size = np.array(shape, float)
    first, last = np.asarray(start) * size, np.asarray(end) * size
    length = float(np.hypot(*(last - first)))
    along = (last - first) / length
    rows, columns = np.indices(shape) + 0.5
    rows, columns = rows - first[0], columns - first[1]
    place = rows * along[0] + columns * along[1]
    across = (columns * along[0] - rows * along[1]) / (0.5 * width * shape[0])
    return (place >= 0) & (place <= length) & (np.abs(across) < 1), across


def lit(
    picture: np.ndarray, mask: np.ndarray, across: np.ndarray, dark: tuple[int, ...], bright: tuple[int, ...]
) -> None:
    """Paints a tool into a picture as a cylinder that light falls on from its left."""
    level = np.clip(0.85 - 0.7 * np.square(across + 0.25), 0, 1) + 0.4 * (np.abs(across + 0.3) < 0.12)
    picture[mask] = anatomy.tinted(np.clip(level, 0, 1), dark, bright)[mask]


def photograph(shape: tuple[int, int], polyps: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A bowel's wall in folds round a dark lumen, in the endoscope's frame with cut corners."""
    seed = int(random.integers(1e6))
    rows, columns = np.indices(shape) / np.array(shape)[:, None, None]
    across = np.hypot(rows - 0.32, columns - 0.34)
    folds = np.cos(28 * across + 1.2 * anatomy.smooth(shape, seed, 12))
    values = 0.35 + 0.55 * np.sqrt(across) + 0.07 * folds + 0.04 * anatomy.smooth(shape, seed + 1, 4)
    values -= 0.5 * np.exp(-np.square(across / 0.13))  # the lumen
    vessels = np.abs(anatomy.smooth(shape, seed + 2, 7)) < 0.05
    values -= 0.06 * vessels * ~polyps
    depth = anatomy.dome(polyps)
    values = np.where(
        polyps, 0.55 + 0.4 * np.sqrt(depth) + 0.03 * anatomy.smooth(shape, seed + 3, 1.5), values
    )
    picture = anatomy.tinted(np.clip(values, 0, 1), (52, 8, 10), (250, 168, 140)).astype(float)
    picture[polyps] = 0.8 * picture[polyps] + 0.2 * np.array([235, 120, 120])
    wet = anatomy.smooth(shape, seed + 4, 1.5) - 0.8 * (across < 0.2)
    picture[wet > 2.7 - 0.5 * depth] = (255, 250, 245)
    cut = np.abs(rows - 0.5) + np.abs(columns - 0.5) > 0.86
    cut |= (np.abs(rows - 0.5) > 0.47) | (np.abs(columns - 0.5) > 0.47)
    picture[cut] = (3, 3, 4)
    if random.random() < 0.7:  # hides the position of the endoscope
        picture[int(0.74 * shape[0]) :, : int(0.24 * shape[1])] = (2, 2, 2)
    return np.clip(picture + 2 * anatomy.smooth(shape, seed + 5, 0.6)[..., None], 0, 255).astype(np.uint8)
