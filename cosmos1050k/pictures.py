"""Slices to 8 bits, and PNG in and out."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray


def normalised(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """255·(I − I_min)/(I_max − I_min) in float64, truncated (protocol, section 1, step 4).

    Args:
        values: H×W or H×W×C; all channels share one minimum and maximum. NaN and infinities count as the
            finite minimum. A constant picture gives zeros.
    """
    if values.dtype.kind in "iub" and values.dtype.itemsize <= 2:
        return _of_16_bits(values)
    work = values.astype(np.float64)
    if values.dtype.kind == "f":
        finite = np.isfinite(work)
        if not finite.all():
            work[~finite] = work[finite].min() if finite.any() else 0.0
    low, high = float(work.min()), float(work.max())
    if high == low:
        return np.zeros(values.shape, np.uint8)
    if math.isinf(255.0 * (high - low)):  # near the end of float64: the same by a power of two smaller
        work *= 2.0**-10
        low, high = low * 2.0**-10, high * 2.0**-10
    work -= low
    work *= 255.0
    work /= high - low
    return work.astype(np.uint8)


def _of_16_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The same in float32, where it is exact: of integers of 16 bits the products stay below 2²⁴, and a
    quotient that is no whole number misses the next by 1/65535 or more, twice what rounding can bridge.
    """
    work = values.astype(np.float32)
    low, high = work.min(), work.max()
    if high == low:
        return np.zeros(values.shape, np.uint8)
    work -= low
    work *= np.float32(255)
    work /= high - low
    return work.astype(np.uint8)


def encode(picture: NDArray[np.uint8]) -> bytes:
    """PNG, 8 bit, of H×W gray or H×W×3 RGB. OpenCV's own defaults: the fastest lossless setting measured."""
    stored = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if picture.ndim == 3 else np.ascontiguousarray(picture)
    done, data = cv2.imencode(".png", stored)
    if not done:
        raise ValueError(f"OpenCV could not encode a picture of shape {picture.shape}")
    return data.tobytes()


def decode(png: bytes) -> NDArray[np.uint8]:
    """H×W for a gray PNG, H×W×3 RGB for a colour one, uint8.

    Raises:
        ValueError: the bytes are no picture, or one of more than 8 bits.
    """
    try:
        picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # nothing at all, or a header that promises too much
        picture = None
    if picture is None or picture.dtype != np.uint8:
        raise ValueError("not a PNG picture of 8 bits")
    if picture.ndim == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    return picture.astype(np.uint8, copy=False)
