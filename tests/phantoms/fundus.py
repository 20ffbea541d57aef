"""The back of an eye as a camera sees it: a round field, the optic disc, vessels from it round the macula."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.phantoms import anatomy
from tests.phantoms.anatomy import Mask

#: Where vessels leave the optic disc, as angles from the direction of the macula, and how they bend.
ARCADES = ((-1.15, 0.028), (1.15, -0.028), (-1.9, 0.01), (1.9, -0.01), (-0.75, 0.02), (0.8, -0.022))
#: The radius of a field, in pixels, for which lengths are given here; those of a larger one are longer.
_RADIUS = 60


class Lesion(NamedTuple):
    """What is seen besides: where, its colour, and how much of it covers the retina, 0 to 1."""

    mask: Mask
    colour: tuple[int, int, int]
    cover: float


@dataclass(frozen=True)
class Fundus:
    """One photograph's geometry.

    Args:
        shape: rows and columns.
        centre: of the disc that the camera sees, row and column in pixels.
        radius: of it, in pixels.
        right: a right eye, whose optic disc is on the right of its picture.
        nasal: how far the optic disc lies from the centre, in radii.
        cut: how far from the centre the camera's chip ends above and below, in radii.
    """

    shape: tuple[int, int]
    centre: tuple[float, float]
    radius: float
    right: bool
    nasal: float = 0.5
    cut: float = 0.95

    @property
    def scale(self) -> float:
        return self.radius / _RADIUS

    @cached_property
    def field(self) -> Mask:
        """What the camera sees: a disc, cut above and below."""
        rows, columns = np.indices(self.shape)
        disc = np.hypot(rows - self.centre[0], columns - self.centre[1]) < self.radius
        return disc & (np.abs(rows - self.centre[0]) < self.cut * self.radius)

    @property
    def disc_centre(self) -> tuple[float, float]:
        """Row and column of the optic disc: on the nasal side."""
        side = 1.0 if self.right else -1.0
        return self.centre[0] - 4 * self.scale, self.centre[1] + side * self.nasal * self.radius

    def at(self, down: float, temporal: float) -> tuple[float, float]:
        """A place so many radii below the optic disc and towards the macula, in fractions of the shape."""
        row, column = self.disc_centre
        side = -1.0 if self.right else 1.0
        row, column = row + down * self.radius, column + side * temporal * self.radius
        return row / self.shape[0], column / self.shape[1]

    def blob(
        self, place: tuple[float, float], radii: tuple[float, float], seed: int, wobble: float = 0.15
    ) -> Mask:
        """An uneven oval; its place as `at` gives it, `radii` in those of the field."""
        sizes = [radius * self.radius / size for radius, size in zip(radii, self.shape, strict=True)]
        return anatomy.blob(self.shape, place, sizes, seed, wobble)

    def disc(self, seed: int) -> Mask:
        """The optic disc, a little higher than wide."""
        return self.blob(self.at(0, 0), (0.16, 0.14), seed, 0.05)

    def vessels(self, random: np.random.Generator) -> Mask:
        """Arcades from the optic disc round the macula, branching and thinning, within the field of view."""
        canvas = np.zeros(self.shape, np.uint8)
        row, column = self.disc_centre
        outward = np.pi if self.right else 0.0  # towards the macula
        turn = -1.0 if self.right else 1.0
        for start, bend in ARCADES:
            angle = outward + turn * (start + random.normal(0, 0.08))
            self._branch(canvas, row, column, angle, turn * bend, 2, 70, random)
        return (canvas > 0) & self.field

    def _branch(
        self,
        canvas: NDArray[np.uint8],
        row: float,
        column: float,
        angle: float,
        bend: float,
        width: int,
        steps: int,
        random: np.random.Generator,
    ) -> None:
        stride = 2 * self.scale
        for step in range(steps):
            angle += bend + random.normal(0, 0.09)
            there = row + stride * np.sin(angle), column + stride * np.cos(angle)
            ends = [(round(x), round(y)) for y, x in ((row, column), there)]
            cv2.line(canvas, ends[0], ends[1], 255, width)
            row, column = there
            if width > 1 and step and step % 11 == 0:
                side = float(random.choice([-1, 1]))
                turned = angle + side * 0.7
                self._branch(canvas, row, column, turned, -side * 0.015, width - 1, steps // 2, random)
            if step == steps // 2:
                width = max(width - 1, 1)

    def photograph(
        self, field: Mask, vessels: Mask, random: np.random.Generator, lesions: Sequence[Lesion] = ()
    ) -> NDArray[np.uint8]:
        """H×W×3; `field` and `vessels` as they show, which need not be all there are."""
        seed = int(random.integers(1e6))
        rows, columns = np.indices(self.shape)
        row, column = self.disc_centre
        side = 1.0 if self.right else -1.0
        from_disc = np.hypot(rows - row, (columns - column) * 1.15) / self.scale
        macula = column - side * 42 * self.scale
        from_macula = np.hypot(rows - row - 6 * self.scale, columns - macula) / self.scale
        values = 0.62 - 0.22 * np.hypot(rows - self.centre[0], columns - self.centre[1]) / self.radius
        values += 0.035 * anatomy.smooth(self.shape, seed, 9) + 0.02 * anatomy.smooth(self.shape, seed + 1, 2)
        values -= 0.2 * np.exp(-np.square(from_macula / 11))
        values -= 0.17 * cv2.GaussianBlur(vessels.astype(np.float32), (0, 0), 0.6)
        values += 0.35 / (1 + np.exp((from_disc - 9) / 1.2)) * (1 - 0.5 * vessels)
        picture = anatomy.tinted(np.clip(values, 0, 1), (70, 12, 6), (255, 170, 95)).astype(float)
        for mask, colour, cover in lesions:
            part = cover * cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.7) * (1 - 0.5 * vessels)
            picture += part[..., None] * (np.asarray(colour, float) - picture)
        picture += 2.5 * anatomy.smooth((*self.shape, 3), seed + 2, 0.7)
        picture[~field] = random.uniform(0, 3, (int((~field).sum()), 3))
        return np.clip(picture, 0, 255).astype(np.uint8)
