"""A chest or an abdomen as displayed transversally: anterior up, the patient's right on the left."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tests.phantoms import anatomy
from tests.phantoms.anatomy import Mask

#: Name → Hounsfield units of a portal venous CT, in the order of painting.
HOUNSFIELD = {
    "fat": -95, "muscle": 50, "cavity": -75, "bowel": 40, "lung right": -840, "lung left": -840, "bone": 330,
    "vertebra": 260, "canal": 25, "heart": 130, "trachea": -990, "liver": 105, "stomach": 25, "spleen": 120,
    "colon right": 5, "colon left": -10, "pancreas": 85, "gallbladder": 8, "kidney right": 185,
    "kidney left": 185, "vena cava": 150, "aorta": 230,
}  # fmt: skip
_BODY = {"fat": ((0.5, 0.5, 0.5), (9, 0.41, 0.47)), "muscle": ((0.5, 0.5, 0.5), (9, 0.37, 0.43))}
#: Name → centre and radii (slice, row, column) in fractions; slice 0 is the lowest. The first listed keep
#: their voxels where two meet.
_ABDOMEN = {
    "vertebra": ((0.5, 0.69, 0.5), (9, 0.075, 0.07)),
    "aorta": ((0.5, 0.575, 0.53), (9, 0.036, 0.033)),
    "vena cava": ((0.5, 0.56, 0.44), (9, 0.036, 0.038)),
    "gallbladder": ((0.46, 0.35, 0.37), (0.14, 0.055, 0.05)),
    "pancreas": ((0.55, 0.47, 0.56), (0.13, 0.055, 0.16)),
    "kidney right": ((0.4, 0.65, 0.31), (0.3, 0.09, 0.075)),
    "kidney left": ((0.48, 0.64, 0.69), (0.3, 0.09, 0.075)),
    "spleen": ((0.75, 0.56, 0.79), (0.22, 0.15, 0.085)),
    "stomach": ((0.78, 0.37, 0.64), (0.24, 0.13, 0.13)),
    "liver": ((0.7, 0.42, 0.31), (0.36, 0.25, 0.21)),
    "colon right": ((0.22, 0.45, 0.2), (0.28, 0.08, 0.065)),
    "colon left": ((0.3, 0.5, 0.81), (0.3, 0.065, 0.05)),
    "cavity": ((0.5, 0.48, 0.5), (9, 0.31, 0.38)),
}
_CHEST = {
    "vertebra": ((0.5, 0.72, 0.5), (9, 0.075, 0.07)),
    "aorta": ((0.5, 0.62, 0.57), (9, 0.038, 0.036)),
    "trachea": ((0.85, 0.5, 0.5), (0.36, 0.036, 0.034)),
    "heart": ((0.25, 0.44, 0.56), (0.36, 0.18, 0.17)),
    "lung right": ((0.48, 0.5, 0.27), (0.5, 0.27, 0.17)),
    "lung left": ((0.46, 0.5, 0.74), (0.48, 0.27, 0.16)),
}


def abdomen(shape: Sequence[int], seed: int) -> dict[str, Mask]:
    """Organs from the domes of the liver down to the iliac crests, disjoint but for fat, muscle, cavity."""
    return _organs(_ABDOMEN, shape, seed)


def chest(shape: Sequence[int], seed: int) -> dict[str, Mask]:
    """Organs from the neck down to the diaphragm, disjoint but for fat and muscle."""
    return _organs(_CHEST, shape, seed)


def ct(masks: Mapping[str, Mask], seed: int, more: Sequence[tuple[Mask, float]] = ()) -> NDArray[np.int16]:
    """Hounsfield units of these organs and, over them, of what else there is."""
    parts = [(masks[name], value) for name, value in HOUNSFIELD.items() if name in masks]
    shape = next(iter(masks.values())).shape
    scaled = [(mask, (value + 1024) / 2048) for mask, value in [*parts, *more]]
    values = anatomy.painted(shape, scaled, seed, background=24 / 2048, grain=0.008)
    return np.round(values * 2048 - 1024).astype(np.int16)


def _organs(table: Mapping[str, tuple], shape: Sequence[int], seed: int) -> dict[str, Mask]:
    random = np.random.default_rng(seed)
    found = {
        name: anatomy.blob(shape, centre, radii, seed + place, 0.03)
        for place, (name, (centre, radii)) in enumerate(_BODY.items())
    }
    taken = ~found["muscle"]
    for place, (name, (centre, radii)) in enumerate(table.items()):
        moved = np.asarray(centre) + random.uniform(-0.015, 0.015, 3)
        mask = anatomy.blob(shape, moved, radii, seed + 10 + place, 0.1)
        found[name] = mask & ~taken
        if name != "cavity":
            taken = taken | mask
    if "cavity" in found:
        loops = anatomy.smooth(shape, seed + 40, (1.5, 2.5, 2.5)) > 0.1
        loops[shape[0] * 6 // 10 :] = False
        found["bowel"] = loops & found["cavity"]
    found["canal"] = anatomy.tube(shape, [(0, 0.79, 0.5), (1, 0.79, 0.5)], 0.03) & found["muscle"]
    found["bone"] = _ribs(shape, found["muscle"] & ~taken) | _arch(shape) & ~found["canal"]
    return found


def _arch(shape: Sequence[int]) -> Mask:
    """The vertebrae's arches behind the canal."""
    return anatomy.tube(shape, [(0, 0.82, 0.5), (1, 0.82, 0.5)], 0.055)


def _ribs(shape: Sequence[int], allowed: Mask) -> Mask:
    """Pieces of ribs in the wall: they run down and forwards, so that a slice cuts many."""
    angles = np.arctan2(
        ((np.arange(shape[1]) + 0.5) / shape[1] - 0.5)[:, None],
        ((np.arange(shape[2]) + 0.5) / shape[2] - 0.5)[None],
    )
    radius = np.hypot(
        ((np.arange(shape[1]) + 0.5) / shape[1] - 0.5)[:, None] / 0.34,
        ((np.arange(shape[2]) + 0.5) / shape[2] - 0.5)[None] / 0.4,
    )
    wall = (np.abs(radius - 1) < 0.06)[None]
    phase = np.linspace(0, 4, shape[0])[:, None, None]
    side = np.abs(np.abs(angles) - np.pi / 2) > 0.25  # neither at the breastbone nor at the spine
    return wall & (np.cos(9 * np.abs(angles)[None] + phase) > 0.35) & side[None] & allowed


#: Of a trunk, the share of its slices that shows the pelvis.
_PELVIS = 0.3
#: What a trunk has below the abdomen, and what is small in an abdomen: this goes first but for the vessels.
_PELVIC = {
    "bladder": ((0.13, 0.36, 0.51), (0.11, 0.12, 0.14)),
    "prostate": ((0.03, 0.47, 0.5), (0.08, 0.07, 0.075)),
    "rectum": ((0.12, 0.57, 0.49), (0.17, 0.055, 0.06)),
    "femur right": ((0.06, 0.55, 0.21), (0.11, 0.095, 0.075)),
    "femur left": ((0.06, 0.54, 0.79), (0.11, 0.095, 0.075)),
    "hip right": ((0.1, 0.6, 0.2), (0.24, 0.19, 0.06)),
    "hip left": ((0.1, 0.6, 0.8), (0.24, 0.19, 0.06)),
}
_SMALL = {
    "esophagus": ((0.95, 0.5, 0.53), (0.22, 0.04, 0.035)),
    "adrenal right": ((0.79, 0.58, 0.37), (0.1, 0.055, 0.02)),
    "adrenal left": ((0.81, 0.59, 0.62), (0.1, 0.05, 0.022)),
    "duodenum": ((0.56, 0.48, 0.41), (0.12, 0.075, 0.045)),
    "portal vein": ((0.71, 0.53, 0.5), (0.1, 0.028, 0.13)),
}
_TRUNK_HOUNSFIELD = {
    "hip right": 290, "hip left": 290, "femur right": 330, "femur left": 330, "bladder": 10, "prostate": 75,
    "rectum": 35, "esophagus": 60, "adrenal right": 90, "adrenal left": 90, "duodenum": 55,
    "portal vein": 170,
}  # fmt: skip


def trunk(shape: Sequence[int], seed: int) -> dict[str, Mask]:
    """The organs of an abdomen and of a pelvis below it, disjoint but for fat, muscle and cavity."""
    above = {
        name: ((_PELVIS + (1 - _PELVIS) * middle, row, column), (high if high > 1 else 0.75 * high, *wide))
        for name, ((middle, row, column), (high, *wide)) in _ABDOMEN.items()
    }
    aorta, cava, *others = (name for name in above if name != "vertebra")
    order = ("vertebra", *_PELVIC, aorta, cava, *_SMALL, *others)
    tables = _PELVIC | _SMALL | above
    found = _organs({name: tables[name] for name in order}, shape, seed)
    low = round(_PELVIS * shape[0])
    for name in (aorta, cava):
        found[name][:low] = False  # they part above the pelvis
    wall = np.abs(np.arange(shape[2]) / shape[2] - 0.5) > 0.1
    found["bone"][:low] &= ~wall  # no ribs there
    return found


def trunk_ct(
    masks: Mapping[str, Mask], seed: int, more: Sequence[tuple[Mask, float]] = ()
) -> NDArray[np.int16]:
    """Like `ct`, of a trunk."""
    own = [(masks[name], value) for name, value in _TRUNK_HOUNSFIELD.items()]
    return ct(masks, seed, [*own, *more])


def numbered(masks: Mapping[str, Mask], values: Mapping[str, int]) -> NDArray[np.uint8]:
    """A label map of some of the organs."""
    labels = np.zeros(next(iter(masks.values())).shape, np.uint8)
    for name, value in values.items():
        labels[masks[name]] = value
    return labels
