"""Windows of CT: the part of the Hounsfield scale that is spread over the grays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Window:
    """Centre and width in Hounsfield units."""

    name: str
    centre: float
    width: float


WINDOWS = (
    Window("Soft tissue", 40, 400),
    Window("Lung", -600, 1500),
    Window("Bone", 400, 1800),
    Window("Brain", 40, 80),
    Window("Liver", 60, 160),
    Window("Mediastinum", 50, 350),
)


def windowed(values: NDArray[np.generic], window: Window) -> NDArray[np.uint8]:
    """255·(I − low)/width, clipped to 0…255 and truncated, low = centre − width/2.

    Args:
        values: of any shape. NaN and infinities count as the lower end, as they are the darkest of a slice
            without a window.
    """
    work = values.astype(np.float64)
    low = window.centre - window.width / 2
    work[~np.isfinite(work)] = low
    np.clip(work, low, low + window.width, out=work)
    work -= low
    work *= 255.0
    work /= window.width
    return work.astype(np.uint8)
