"""Shapes and textures that look like anatomy, in two or three dimensions; equal seeds give equal ones."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

Mask = NDArray[np.bool_]


def smooth(shape: Sequence[int], seed: int, sigma: float | Sequence[float]) -> NDArray[np.float32]:
    """Noise of structures about `sigma` pixels wide, mean 0, standard deviation 1; it goes on at the edges.

    Args:
        sigma: one for all axes, or one per axis.
    """
    spectrum = fft.rfftn(np.random.default_rng(seed).standard_normal(tuple(shape)).astype(np.float32))
    widths = [sigma] * len(shape) if isinstance(sigma, int | float) else sigma
    for axis, (size, width) in enumerate(zip(shape, widths, strict=True)):
        frequency = fft.rfftfreq(size) if axis == len(shape) - 1 else fft.fftfreq(size)
        falloff = np.exp(-2 * np.square(np.pi * width * frequency)).astype(np.float32)
        spectrum *= falloff.reshape([-1 if other == axis else 1 for other in range(len(shape))])
    field = fft.irfftn(spectrum, tuple(shape))
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
    sigma = [max(1.5, 0.3 * size * min(radius, 0.5)) for size, radius in zip(shape, radii, strict=True)]
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


def spot(shape: Sequence[int], centre: Sequence[float], pixels: int, squeeze: float = 0.7) -> Mask:
    """A small oval of exactly so many pixels, H×W; `centre` in fractions, `squeeze` height over width."""
    rows, columns = (
        (np.arange(size) + 0.5 - middle * size) / stretch
        for size, middle, stretch in zip(shape, centre, (squeeze, 1.0), strict=True)
    )
    distance = np.square(rows)[:, None] + np.square(columns)[None]
    found = np.zeros(distance.size, bool)
    found[np.argsort(distance, axis=None, kind="stable")[:pixels]] = True
    return found.reshape(distance.shape)


def tube(
    shape: Sequence[int], path: Sequence[Sequence[float]], radius: float, seed: int = 0, wobble: float = 0.1
) -> Mask:
    """A vessel through a stack: in every slice a disc, its centre moving along a polyline.

    Args:
        shape: slices × rows × columns.
        path: (slice, row, column) in fractions of the shape, by ascending slice; outside it there is nothing.
        radius: in fractions of the rows.
    """
    places = (np.arange(shape[0]) + 0.5) / shape[0]
    knots = np.asarray(path, float)
    rows, columns = (np.interp(places, knots[:, 0], knots[:, axis]) for axis in (1, 2))
    rows, columns = rows[:, None, None] * shape[1], columns[:, None, None] * shape[2]
    y, x = np.arange(shape[1])[None, :, None] + 0.5, np.arange(shape[2])[None, None, :] + 0.5
    distance = np.hypot(y - rows, x - columns) / (radius * shape[1])
    inside = (places >= knots[0, 0]) & (places <= knots[-1, 0])
    uneven = wobble * np.clip(smooth(shape, seed, 2.5), -2, 2) if wobble else 0.0
    return (distance + uneven < 1.0) & inside[:, None, None]


def dome(mask: Mask) -> NDArray[np.float32]:
    """How far a pixel lies inside a shape: 0 outside and at its border, 1 at its deepest place."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[tuple(slice(1, -1) for _ in mask.shape)]
    return (depth / max(depth.max(), 1.0)).astype(np.float32)


def tinted(values: NDArray[np.floating], dark: Sequence[int], bright: Sequence[int]) -> NDArray[np.uint8]:
    """Intensities 0…1 as RGB between two colours, H×W×3."""
    low, high = np.asarray(dark, np.float32), np.asarray(bright, np.float32)
    return np.clip(low + (high - low) * values[..., None], 0, 255).round().astype(np.uint8)


def head(shape: Sequence[int], seed: int) -> dict[str, Mask]:
    """A stack of transverse slices through a head, slices × rows × columns, anterior up; disjoint parts from
    the scalp inwards: scalp, skull, fluid, gray, white, ventricles.
    """
    whole = blob(shape, (0.45, 0.5, 0.5), (0.75, 0.46, 0.4), seed, 0.03)
    inside = blob(shape, (0.45, 0.5, 0.5), (0.68, 0.42, 0.36), seed, 0.03)
    dura = blob(shape, (0.45, 0.5, 0.5), (0.65, 0.39, 0.33), seed, 0.03)
    folds = np.abs(smooth(shape, seed + 1, (1.0, 1.6, 1.6)))
    depth = ndimage.distance_transform_edt(dura, sampling=(2, 1, 1)) / shape[1]
    middle = np.zeros(shape, bool)
    middle[:, :, shape[2] // 2] = True  # the fissure between the hemispheres
    brain = dura & (depth > 0.015 + 0.02 * (folds < 0.35)) & ~(middle & (depth < 0.12))
    white = brain & (depth > 0.06 + 0.03 * np.clip(folds, 0, 1.5))
    ventricles = np.zeros(shape, bool)
    for side in (-1, 1):
        ventricles |= blob(shape, (0.5, 0.47, 0.5 + 0.055 * side), (0.22, 0.15, 0.035), seed + 2, 0.15)
    ventricles &= white
    return {
        "scalp": whole & ~inside,
        "skull": inside & ~dura,
        "fluid": dura & ~brain,
        "gray": brain & ~white,
        "white": white & ~ventricles,
        "ventricles": ventricles,
    }
