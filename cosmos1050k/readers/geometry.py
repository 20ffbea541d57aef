"""Affines: from the frame of ITK and DICOM (LPS) to that of NIfTI (RAS+), and of slices that are stacked."""

import numpy as np
from numpy.typing import NDArray

#: How far a direction may differ between slices of one volume, as a component of a unit vector.
_SAME_DIRECTION = 1e-3
#: Slices nearer than this, in mm, lie in one place.
SAME_PLACE_MM = 1e-3


def from_lps(steps: NDArray[np.float64], origin: NDArray[np.float64]) -> NDArray[np.float64]:
    """The affine index → RAS+ mm.

    Args:
        steps: 3×3, in column n the step in mm along index axis n, in a frame whose axes run to the patient's
            left, to posterior and up.
        origin: where the first voxel's centre lies in that frame.
    """
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = steps, origin
    affine[:2] *= -1
    return affine


def spans(affine: NDArray[np.float64]) -> bool:
    """Whether the index axes span the space, whatever their lengths."""
    if not np.isfinite(affine).all():
        return False
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.isfinite(axes).all() and np.linalg.matrix_rank(axes) == 3)


def normal(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """The unit vector at right angles to a slice, right-handed with its index axes as in DICOM: between LPS
    and RAS+ lies half a turn, which keeps hands.
    """
    across = np.cross(affine[:3, 0], affine[:3, 1])
    return across / np.linalg.norm(across)


def parallel(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether two slices have the same directions and pixel sizes."""
    sizes = np.linalg.norm(one[:3, :2], axis=0)
    return bool(np.allclose(one[:3, :2] / sizes, other[:3, :2] / sizes, rtol=0, atol=_SAME_DIRECTION))


def stacked(first: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The affine of parallel slices from the first to the last, their mean distance as the step.

    Slices may be spaced unevenly, as where some are missing: the affine then is right at both ends only. None
    where they go back and forth, or lie in one place, as the frames of a film do.

    Args:
        first: the first slice's affine.
        places: n×3, where each slice's first voxel lies, in RAS+ mm.
    """
    if len(places) == 1:
        return first
    steps = np.diff(places @ normal(first))
    if not ((steps > SAME_PLACE_MM).all() or (steps < -SAME_PLACE_MM).all()):
        return None
    affine = first.copy()
    affine[:3, 2] = (places[-1] - places[0]) / (len(places) - 1)
    return affine if spans(affine) else None
