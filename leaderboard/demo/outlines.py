"""The contours of a mask, for drawing: each goes through the middles of the mask's own border pixels."""

import cv2
import numpy as np
from numpy.typing import NDArray


def outlines(mask: NDArray[np.bool_]) -> list[list[list[int]]]:
    """The closed polygons [x, y] of a mask H×W, those around its holes too, exact; a single pixel is a point.

    Straight runs, diagonal ones too, have their ends alone. A hole's polygon goes through the mask's pixels
    around it.
    """
    contours, _ = cv2.findContours(
        np.ascontiguousarray(mask).view(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE
    )
    return [[[int(x), int(y)] for x, y in contour.reshape(-1, 2).tolist()] for contour in contours]


def svg_path(mask: NDArray[np.bool_]) -> str:
    """The same as an SVG path in units of pixels, whose middles lie at halves; to be filled by `evenodd`."""
    return "".join(f"M{'L'.join(f'{x}.5 {y}.5' for x, y in polygon)}Z" for polygon in outlines(mask))
