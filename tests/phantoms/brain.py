"""The head in MRI, as displayed transversally: which tissue is how bright in which sequence, and tumors."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tests.phantoms import anatomy
from tests.phantoms.anatomy import Mask

#: Sequence → tissue → brightness, in the order of painting.
LEVELS = {
    "T1W MRI": {
        "scalp": 0.85, "skull": 0.06, "fluid": 0.15, "gray": 0.45, "white": 0.65, "ventricles": 0.15,
        "edema": 0.38, "enhancing": 0.4, "core": 0.22,
    },
    "T1-GD MRI": {
        "scalp": 0.85, "skull": 0.06, "fluid": 0.15, "gray": 0.45, "white": 0.62, "ventricles": 0.15,
        "edema": 0.38, "enhancing": 0.98, "core": 0.2,
    },
    "T2W MRI": {
        "scalp": 0.6, "skull": 0.05, "fluid": 0.95, "gray": 0.6, "white": 0.4, "ventricles": 0.97,
        "edema": 0.8, "enhancing": 0.65, "core": 0.75,
    },
    "T2-FLAIR MRI": {
        "scalp": 0.55, "skull": 0.05, "fluid": 0.1, "gray": 0.5, "white": 0.4, "ventricles": 0.08,
        "edema": 0.92, "enhancing": 0.7, "core": 0.5,
    },
}  # fmt: skip
INSIDE = ("fluid", "gray", "white", "ventricles")


def inside(tissue: Mapping[str, Mask]) -> Mask:
    """All within the skull."""
    return np.any([tissue[name] for name in INSIDE], axis=0)


def image(
    sequence: str, parts: Mapping[str, Mask], seed: int, more: Sequence[tuple[Mask, float]] = ()
) -> NDArray[np.float32]:
    """Brightness 0…1 of these tissues and, over them, of what else there is."""
    painted = [(parts[name], level) for name, level in LEVELS[sequence].items() if name in parts]
    shape = next(iter(parts.values())).shape
    return anatomy.painted(shape, [*painted, *more], seed, background=0.01, grain=0.03)


def glioma(brain: Mask, seed: int) -> dict[str, Mask]:
    """Edema around a ring that enhances around a core, disjoint, in the right hemisphere.

    Args:
        brain: slices × rows × columns; nothing lies outside it.
    """
    where = np.array([0.55, 0.4, 0.34]) + np.random.default_rng(seed).uniform(-0.04, 0.04, 3)
    size = {"edema": 0.22, "enhancing": 0.13, "core": 0.09}
    found = {
        name: anatomy.blob(brain.shape, where, (1.4 * radius, radius, 1.2 * radius), seed + place, 0.2)
        & brain
        for place, (name, radius) in enumerate(size.items())
    }
    found["edema"] &= ~(found["enhancing"] | found["core"])
    found["enhancing"] &= ~found["core"]
    return found
