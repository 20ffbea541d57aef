"""Affines of every orientation, and where nibabel's own reorientation puts a volume's slices."""

import nibabel as nib
import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

PLANES = ("transverse", "coronal", "sagittal")
#: Axis of RAS+ that the slices of a plane follow, and those that its rows and columns run against: a
#: radiological picture begins at the patient's front or head, and at the right or the front.
_ACROSS = {"transverse": (2, 1, 0), "coronal": (1, 2, 0), "sagittal": (0, 2, 1)}


@st.composite
def affines(draw: st.DrawFn) -> NDArray[np.float64]:
    """Axes in any order, either direction and size, turned by up to 30° about any line, and moved."""
    order = draw(st.permutations(range(3)))
    signs = draw(st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))
    sizes = draw(st.tuples(*[st.sampled_from([0.5, 0.9, 1.0, 2.5])] * 3))
    line = np.array(draw(st.tuples(*[st.floats(-1, 1)] * 3)))
    turn = Rotation.from_rotvec(np.deg2rad(30) * line / max(float(np.linalg.norm(line)), 1.0))
    steps = np.zeros((3, 3))
    for axis in range(3):
        steps[order[axis], axis] = signs[axis] * sizes[axis]
    affine = np.eye(4)
    affine[:3, :3] = turn.as_matrix() @ steps
    affine[:3, 3] = draw(st.tuples(*[st.integers(-200, 200)] * 3))
    return affine


def shown_by_nibabel(
    voxels: NDArray[np.generic], affine: NDArray[np.float64], plane: str
) -> tuple[NDArray[np.generic], tuple[float, float]]:
    """Slices × rows × columns of a plane, in the stored order of the slices, and millimetres between rows and
    between columns.
    """
    canonical = nib.as_closest_canonical(nib.Nifti1Image(voxels, affine))
    across, down, right = _ACROSS[plane]
    turned = np.asarray(canonical.dataobj).transpose(across, down, right)[:, ::-1, ::-1]
    stored = nib.io_orientation(affine)
    if stored[stored[:, 0] == across, 1] < 0:
        turned = turned[::-1]
    sizes = canonical.header.get_zooms()
    return turned, (float(sizes[down]), float(sizes[right]))
