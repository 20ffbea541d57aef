"""Shapes and textures that look like anatomy, in two or three dimensions; equal seeds give equal ones."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]


def smooth(shape: Sequence[int], seed: int, sigma: float) -> NDArray[np.float32]:
    """Noise of structures about `sigma` pixels wide, mean 0, standard deviation 1."""
    noise = np.random.default_rng(seed).standard_normal(tuple(shape)).astype(np.float32)
    field = ndimage.gaussian_filter(noise, sigma, mode="wrap")
    return (field - field.mean()) / (field.std() + 1e-9)


def blob(
    shape: Sequence[int], centre: Sequence[float], radii: Sequence[float], seed: int = 0, wobble: float = 0.12
) -> Mask:
    """An ellipsoid with an uneven border.

    Args:
        centre, radii: in fractions of the shape, one per axis.
        wobble: how far the border strays, in fractions of the radius.
    """
    axes = [
        ((np.arange(size) + 0.5) / size - middle) / radius
        for size, middle, radius in zip(shape, centre, radii, strict=True)
    ]
    distance = np.sqrt(sum(np.square(axis) for axis in np.meshgrid(*axes, indexing="ij", sparse=True)))
    sigma = max(2.0, 0.25 * min(size * radius for size, radius in zip(shape, radii, strict=True)))
    return distance + wobble * np.clip(smooth(shape, seed, sigma), -2, 2) < 1.0


def painted(
    shape: Sequence[int],
    parts: Sequence[tuple[Mask, float]],
    seed: int,
    background: float = 0.0,
    grain: float = 0.05,
) -> NDArray[np.float32]:
    """Intensities 0…1: every part its own level, later ones over earlier, blurred borders, texture, grain."""
    picture = np.full(tuple(shape), background, np.float32)
    for mask, level in parts:
        picture[mask] = level
    picture = ndimage.gaussian_filter(picture, 0.6)
    picture += 0.5 * grain * smooth(shape, seed + 1, 3.0) + grain * smooth(shape, seed + 2, 0.5)
    return np.clip(picture, 0.0, 1.0)
