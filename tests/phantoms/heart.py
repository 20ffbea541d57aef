"""The heart in short-axis slices, as displayed: the right ventricle on the left of the left one."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tests.phantoms import anatomy
from tests.phantoms.anatomy import Mask

#: Slices above the base, which show none of the ventricles.
ABOVE = 3
#: Part → brightness in a cine image, and in one long after gadolinium, where healthy muscle is dark.
CINE = {"wall": 0.45, "lung": 0.05, "liver": 0.3, "fat": 0.6, "left": 0.9, "right": 0.8, "muscle": 0.25}
LATE = {"wall": 0.5, "lung": 0.04, "liver": 0.35, "fat": 0.7, "left": 0.6, "right": 0.58, "muscle": 0.1}


def short_axis(shape: Sequence[int], seed: int, contraction: float = 0.0) -> dict[str, Mask]:
    """Slices from the base to the apex × rows × columns: `left` and `right` cavity and `muscle` of the left.

    Args:
        contraction: 0 at the end of diastole, 1 at the end of systole.
    """
    found = {name: np.zeros(shape, bool) for name in ("left", "muscle", "right")}
    row, column = np.array([0.54, 0.57]) + np.random.default_rng(seed).uniform(-0.03, 0.03, 2)
    ratio = shape[1] / shape[2]

    def oval(where: tuple[float, float], radius: float, number: int) -> Mask:
        return anatomy.blob(shape[1:], where, (radius, radius * ratio), (seed + number) % 9973, 0.06)

    for level in range(ABOVE, shape[0]):
        apex = (level - ABOVE) / (shape[0] - ABOVE)
        cavity, wall = (0.13 - 0.04 * contraction) * (1 - 0.6 * apex), 0.05 + 0.025 * contraction
        where = (row + 0.04 * apex, column + 0.03 * apex)
        outer = oval(where, cavity + wall, level)
        found["left"][level] = oval(where, cavity, level)
        found["muscle"][level] = outer & ~found["left"][level]
        beside = (where[0] - 0.03, where[1] - 0.2)
        found["right"][level] = oval(beside, (0.2 - 0.05 * contraction) * (1 - 0.75 * apex), -level) & ~outer
    return found


def image(
    parts: Mapping[str, Mask], levels: Mapping[str, float], seed: int, more: Sequence[tuple[Mask, float]] = ()
) -> NDArray[np.float32]:
    """Brightness 0…1 of a chest with these parts, the coil in front, and over them of what else is there."""
    shape = next(iter(parts.values())).shape
    wall = anatomy.blob(shape, (0.5, 0.5, 0.5), (9, 0.47, 0.46), seed, 0.05)
    lung = anatomy.blob(shape, (0.5, 0.48, 0.51), (9, 0.38, 0.38), seed + 1, 0.07)
    liver = anatomy.blob(shape, (0.6, 0.85, 0.3), (9, 0.2, 0.26), seed + 2, 0.1) & lung
    fat = anatomy.blob(shape, (0.6, 0.52, 0.49), (9, 0.27, 0.31), seed + 3, 0.1) & lung
    masks = {"wall": wall, "lung": lung, "liver": liver, "fat": fat, **parts}
    painted = [(masks[name], level) for name, level in levels.items()]
    values = anatomy.painted(shape, [*painted, *more], seed + 4, background=0.02, grain=0.03)
    return (values * np.linspace(1.2, 0.8, shape[1])[:, None]).astype(np.float32)
