"""The male pelvis in T2-weighted MRI, displayed transversally: a prostate and what lies around it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tests.phantoms import anatomy

#: What `zones` numbers so.
PERIPHERAL, CENTRAL = 1, 2


def zones(shape: Sequence[int], seed: int) -> NDArray[np.uint8]:
    """A prostate, slices from the apex up × rows × columns, without it in the lowest and highest."""
    random = np.random.default_rng(seed)
    where = np.array([0.58, 0.53, 0.5]) + random.uniform(-0.02, 0.02, 3)
    gland = anatomy.blob(shape, where, (0.36, 0.15, 0.16), seed + 5, 0.08) & ~_rectum(shape, seed)
    inner = where + (0.05, -0.035, 0.015)  # the central gland lies in front, and grows unevenly
    central = anatomy.blob(shape, inner, (0.32, 0.11, 0.12), seed + 6, 0.1)
    return np.where(gland, np.where(central, CENTRAL, PERIPHERAL), 0).astype(np.uint8)


def t2w(labels: NDArray[np.uint8], seed: int, coil: bool = False) -> NDArray[np.float32]:
    """Signal 0…1 around a prostate that is drawn already.

    Args:
        labels: as `zones` gives them.
        coil: an endorectal coil widens the rectum and makes bright what lies near.
    """
    shape = labels.shape
    body = anatomy.blob(shape, (0.5, 0.5, 0.5), (9, 0.45, 0.48), seed, 0.03)
    muscle = anatomy.blob(shape, (0.5, 0.52, 0.5), (9, 0.38, 0.41), seed + 1, 0.05)
    fat = anatomy.blob(shape, (0.5, 0.52, 0.5), (9, 0.27, 0.24), seed + 3, 0.08)
    bladder = anatomy.blob(shape, (1.0, 0.4, 0.5), (0.22, 0.13, 0.17), seed + 11, 0.06)
    bones = [anatomy.blob(shape, (0.6, 0.5, x), (0.7, 0.14, 0.1), seed + 2, 0.05) for x in (0.16, 0.84)]
    pubis = [anatomy.blob(shape, (0.3, 0.24, x), (0.35, 0.06, 0.11), seed + 12, 0.08) for x in (0.39, 0.62)]
    nodules = (labels == CENTRAL) & (anatomy.smooth(shape, seed + 7, (1.0, 1.8, 1.8)) > 0.5)
    parts = [(body, 0.9), (muscle, 0.2), *((bone, 0.5) for bone in (*bones, *pubis)), (fat, 0.6)]
    parts += [(bladder, 0.97), (_rectum(shape, seed, coil), 0.04)]
    parts += [(labels == PERIPHERAL, 0.82), (labels == CENTRAL, 0.42), (nodules, 0.6)]
    values = anatomy.painted(shape, parts, seed + 8, background=0.02, grain=0.03)
    if coil:
        rows, columns = ((np.arange(size) + 0.5) / size for size in shape[1:])
        distance = np.hypot(rows[:, None] - 0.72, columns[None] - 0.5)
        values = values * (0.45 + 1.6 * np.exp(-np.square(distance / 0.22)))
    return values.astype(np.float32)


def _rectum(shape: Sequence[int], seed: int, coil: bool = False) -> anatomy.Mask:
    return anatomy.tube(shape, [(0, 0.77, 0.5), (1, 0.75, 0.52)], 0.1 if coil else 0.07, seed + 4)
