"""What pictures and TIFF pages share: the turn to (i, j, k) and the meaning of a palette."""

import numpy as np
from numpy.typing import NDArray

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import AGAIN, Volume


def as_volume(pages: NDArray[np.generic]) -> Volume:
    """Pictures of one size as a volume whose slice k is page k.

    Args:
        pages: k×H×W gray, or k×H×W×3 RGB; made C-contiguous if it is not, else only viewed.
    """
    pages = np.ascontiguousarray(pages)
    if pages.ndim == 3:
        return Volume(pages.transpose(2, 1, 0))
    return Volume(pages.transpose(2, 1, 0, 3), colour=True)


def looked_up(indices: NDArray[np.generic], palette: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """The colours that indices stand for; one channel if the whole palette is gray, else RGB as last axis.

    Args:
        indices: uint8 or uint16, of any shape.
        palette: n×3, RGB.

    Raises:
        BadFile: an index has no entry.
    """
    if (highest := int(indices.max())) >= len(palette):
        raise BadFile(name, f"colour {highest} of a palette of {len(palette)}", AGAIN)
    if (palette == palette[:, :1]).all():
        palette = palette[:, 0]
    return palette[indices]
