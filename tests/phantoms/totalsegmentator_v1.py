"""TotalSegmentator v1: a folder per subject with ct.nii.gz and one binary file for each of 104 classes.

Every class has a file in every subject, all zero where the scan doesn't reach; classes overlap slightly.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.phantoms import anatomy, containers, volumes
from tests.phantoms.anatomy import Mask
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (24, 72, 84)  # slices from the thighs to the crown, rows, columns
#: Slices that a subject's scan has: the whole body, its lower and its upper half.
RANGES = ((0, 24), (0, 15), (11, 24))
#: As of a file whose axes are not at right angles, which ITK refuses.
SHEAR = np.array([[1, 0.006, 0, 0], [0, 1, 0.004, 0], [0.003, 0, 1, 0], [0, 0, 0, 1]])
LEFT_OUT = {"small_bowel", "duodenum", "colon"}

#: Height of the body → where its outline is: middle row, radii of rows and columns, in fractions.
OUTLINE = (
    (0.0, 0.52, 0.27, 0.38), (0.16, 0.52, 0.36, 0.44), (0.3, 0.52, 0.35, 0.41), (0.5, 0.52, 0.37, 0.43),
    (0.7, 0.52, 0.37, 0.47), (0.83, 0.54, 0.3, 0.47), (0.865, 0.55, 0.19, 0.19), (0.9, 0.48, 0.27, 0.2),
    (0.96, 0.48, 0.28, 0.21), (1.0, 0.48, 0.22, 0.16),
)  # fmt: skip
#: Class → lowest and highest point, row, column, radii of rows and columns, Hounsfield units. A name that
#: ends in _ is paired: the column is that of the right side, on the left of the picture.
ORGANS = {
    "autochthon_": (0.22, 0.84, 0.76, 0.42, 0.055, 0.055, 58),
    "iliopsoas_": (0.12, 0.46, 0.52, 0.37, 0.05, 0.04, 60),
    "gluteus_maximus_": (0.08, 0.32, 0.74, 0.3, 0.08, 0.12, 52),
    "gluteus_medius_": (0.2, 0.37, 0.6, 0.18, 0.09, 0.05, 56),
    "gluteus_minimus_": (0.19, 0.31, 0.52, 0.21, 0.05, 0.03, 54),
    "hip_": (0.13, 0.36, 0.52, 0.27, 0.1, 0.05, 330),
    "femur_": (0.0, 0.2, 0.5, 0.28, 0.055, 0.045, 420),
    "sacrum": (0.18, 0.31, 0.7, 0.5, 0.05, 0.09, 250),
    "urinary_bladder": (0.11, 0.22, 0.38, 0.5, 0.1, 0.11, 6),
    "colon": (0.2, 0.5, 0.38, 0.2, 0.08, 0.06, -20),
    "small_bowel": (0.22, 0.42, 0.36, 0.52, 0.12, 0.17, 35),
    "duodenum": (0.4, 0.49, 0.5, 0.39, 0.05, 0.05, 40),
    "iliac_artery_": (0.16, 0.35, 0.5, 0.43, 0.025, 0.02, 210),
    "iliac_vena_": (0.16, 0.35, 0.56, 0.42, 0.025, 0.022, 150),
    "lung_lower_lobe_left": (0.57, 0.74, 0.6, 0.74, 0.16, 0.13, -830),
    "lung_upper_lobe_left": (0.64, 0.86, 0.42, 0.75, 0.16, 0.12, -850),
    "lung_lower_lobe_right": (0.57, 0.74, 0.6, 0.27, 0.16, 0.13, -830),
    "lung_middle_lobe_right": (0.59, 0.7, 0.38, 0.28, 0.12, 0.12, -845),
    "lung_upper_lobe_right": (0.69, 0.86, 0.43, 0.27, 0.17, 0.12, -850),
    "liver": (0.43, 0.64, 0.43, 0.3, 0.21, 0.19, 105),
    "gallbladder": (0.43, 0.5, 0.34, 0.38, 0.06, 0.05, 8),
    "stomach": (0.46, 0.62, 0.37, 0.63, 0.13, 0.12, 30),
    "spleen": (0.47, 0.61, 0.57, 0.79, 0.13, 0.08, 120),
    "pancreas": (0.43, 0.53, 0.47, 0.55, 0.05, 0.15, 88),
    "kidney_": (0.37, 0.53, 0.64, 0.32, 0.09, 0.07, 185),
    "adrenal_gland_": (0.49, 0.55, 0.58, 0.38, 0.022, 0.03, 70),
    "portal_vein_and_splenic_vein": (0.46, 0.53, 0.51, 0.5, 0.02, 0.13, 165),
    "inferior_vena_cava": (0.33, 0.64, 0.58, 0.44, 0.035, 0.035, 150),
    "heart_atrium_left": (0.66, 0.75, 0.52, 0.55, 0.06, 0.07, 190),
    "heart_atrium_right": (0.64, 0.74, 0.43, 0.42, 0.07, 0.06, 170),
    "heart_ventricle_right": (0.6, 0.71, 0.37, 0.5, 0.08, 0.08, 175),
    "heart_myocardium": (0.59, 0.71, 0.45, 0.61, 0.12, 0.11, 95),
    "heart_ventricle_left": (0.6, 0.7, 0.45, 0.61, 0.075, 0.065, 200),
    "pulmonary_artery": (0.72, 0.78, 0.42, 0.52, 0.035, 0.08, 220),
    "aorta": (0.33, 0.76, 0.6, 0.54, 0.037, 0.033, 230),
    "esophagus": (0.58, 0.87, 0.57, 0.49, 0.024, 0.02, 35),
    "trachea": (0.71, 0.89, 0.5, 0.5, 0.032, 0.028, -980),
    "clavicula_": (0.8, 0.85, 0.34, 0.33, 0.03, 0.12, 350),
    "scapula_": (0.68, 0.84, 0.7, 0.2, 0.1, 0.035, 320),
    "humerus_": (0.68, 0.86, 0.52, 0.08, 0.06, 0.04, 400),
    "face": (0.87, 0.96, 0.3, 0.5, 0.11, 0.13, 60),
    "brain": (0.9, 1.0, 0.48, 0.5, 0.21, 0.155, 38),
}
VERTEBRAE = [f"{part}{n}" for part, count in (("L", 5), ("T", 12), ("C", 7)) for n in range(count, 0, -1)]


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    root = folder / "Totalsegmentator_dataset"
    truth, listed = [], ["image_id;age;gender;institute;study_type;split"]
    for number in range(patients):
        name, split = f"s{11 * number:04d}", ("train", "train", "test")[number % 3]
        truth += _subject(root / name, folder, 1000 * seed + 7 * number, RANGES[number % 3], split == "test")
        listed.append(f"{name};{50 + number};m;C;ct abdomen;{split}")
    # The one subject whose scan fails its checksum.
    shutil.copytree(root / "s0000", root / "s0864")
    damaged = bytearray((root / "s0864/ct.nii.gz").read_bytes())
    damaged[-8] ^= 0xFF
    (root / "s0864/ct.nii.gz").write_bytes(damaged)
    (root / "meta.csv").write_text("\n".join([*listed, "s0864;61;f;C;ct thorax;train", ""]))
    return truth


def _subject(
    place: Path, folder: Path, seed: int, reach: tuple[int, int], official_test: bool
) -> list[TrueRow]:
    masks, values = _body(seed)
    masks = {name: mask[slice(*reach)] for name, mask in masks.items()}
    values = values[slice(*reach)]
    if not reach[0]:
        _edges(masks)
    affine = volumes.affine("RAS", (1.5, 1.5, 1.5)) @ SHEAR
    containers.nifti(place / "ct.nii.gz", volumes.stored(values, "RAS"), affine)
    for name, mask in masks.items():
        stored = volumes.stored(mask.astype(np.uint8), "RAS")
        containers.nifti(place / f"segmentations/{name}.nii.gz", stored, affine)
    kept = {name: mask for name, mask in masks.items() if name not in LEFT_OUT}
    files = ["ct.nii.gz", *(f"segmentations/{name}.nii.gz" for name in kept)]
    return volumes.rows(
        values,
        [Drawn(*_named(name), mask) for name, mask in kept.items()],
        np.sum([mask.sum(axis=(1, 2)) for mask in kept.values()], axis=0),
        range(len(values)),
        patient=place.name,
        modality="CT",
        view="transverse",
        files=tuple(str((place / file).relative_to(folder)) for file in files),
        official_test=official_test,
    )


def _edges(masks: dict[str, Mask]) -> None:
    """The lowest slices to the keep rule's edge: a bowel, which is left out; 50 pixels in two files; 51."""
    for mask in masks.values():
        mask[:3] = False
    size = masks["colon"].shape[1:]
    masks["colon"][0] = anatomy.spot(size, (0.5, 0.5), 80)
    for level, pixels in ((1, 20), (2, 21)):
        masks["femur_left"][level] = anatomy.spot(size, (0.5, 0.72), 30)
        masks["femur_right"][level] = anatomy.spot(size, (0.5, 0.28), pixels)


def _body(seed: int) -> tuple[dict[str, Mask], np.ndarray]:
    """All classes' masks, and Hounsfield units."""
    heights = (np.arange(SHAPE[0])[:, None, None] + 0.5) / SHAPE[0]
    uneven = 0.05 * np.clip(anatomy.smooth(SHAPE, seed, (2.0, 5.0, 5.0)), -2, 2)
    y = (np.arange(SHAPE[1])[:, None] + 0.5) / SHAPE[1]
    x = (np.arange(SHAPE[2])[None] + 0.5) / SHAPE[2]
    knots = np.asarray(OUTLINE)
    row, tall, wide = (np.interp(heights, knots[:, 0], knots[:, n]) for n in (1, 2, 3))
    depth = np.hypot((y - row) / tall, (x - 0.5) / wide) + 0.3 * uneven
    masks, units = {}, {}
    for name, (low, high, y0, x0, ry, rx, level) in _shapes():
        middle, half = (low + high) / 2, (high - low) / 2
        bulge = np.clip(1 - np.abs((heights - middle) / half) ** 4, 0, None) ** 0.25
        with np.errstate(divide="ignore", invalid="ignore"):
            inside = np.hypot((y - y0) / (ry * bulge), (x - x0) / (rx * bulge)) + uneven < 1
        masks[name], units[name] = inside & (depth < 0.97), level
    masks["heart_myocardium"] &= ~masks["heart_ventricle_left"]
    for side, sign in (("left", 1), ("right", -1)):
        for number in range(1, 13):
            name = f"rib_{side}_{number}"
            masks[name], units[name] = _rib(number, sign) & (depth < 1), 380.0
    taken = np.zeros(SHAPE, bool)
    for mask in reversed(masks.values()):  # later ones lie over earlier; a pixel of overlap stays
        mask &= ~taken
        taken |= _core(mask)
    below_neck = heights < 0.85
    layers = [(depth < 1, -95.0), (depth < 0.9, 50.0), ((depth < 0.78) & below_neck, -75.0)]
    skull = (np.abs(depth - 0.86) < 0.05) & (heights > 0.93)
    parts = [*layers, (skull, 700.0), *((mask, units[name]) for name, mask in masks.items())]
    scaled = [(mask, (level + 1024) / 2048) for mask, level in parts]
    values = anatomy.painted(SHAPE, scaled, seed, background=24 / 2048, grain=0.008)
    return masks, np.round(values * 2048 - 1024).astype(np.int16)


def _core(mask: Mask) -> Mask:
    """A mask without the pixels on its border, slice by slice."""
    core = mask.copy()
    core[:, 1:] &= mask[:, :-1]
    core[:, :-1] &= mask[:, 1:]
    core[:, :, 1:] &= mask[:, :, :-1]
    core[:, :, :-1] &= mask[:, :, 1:]
    return core


def _shapes() -> Iterator[tuple[str, tuple[float, ...]]]:
    for name, (low, high, y, x, ry, rx, units) in ORGANS.items():
        for side, column in (("right", x), ("left", 1 - x)) if name.endswith("_") else (("", x),):
            yield name + side, (low, high, y, column, ry, rx, units)
    step = 0.6 / len(VERTEBRAE)
    for place, level in enumerate(VERTEBRAE):
        low, size = 0.3 + place * step, 0.04 if level[0] == "C" else 0.06
        # The body of a vertebra reaches into the slices next to it.
        yield f"vertebrae_{level}", (low - 0.012, low + step + 0.012, 0.68, 0.5, size, size, 280)


def _rib(number: int, sign: int) -> Mask:
    """A rib: from the spine up to the side and down to the front; sign 1 on the patient's left."""
    top = 0.86 - 0.026 * number
    angles = np.radians(np.linspace(30, 155 - 4 * number, 9))  # 0 is the front
    points = [
        (top - 0.09 + 0.011 * place, 0.52 - 0.3 * np.cos(angle), 0.5 + sign * 0.37 * np.sin(angle))
        for place, angle in enumerate(angles)
    ]
    return anatomy.tube(SHAPE, points, 0.032, wobble=0)


def _named(name: str) -> tuple[str, str | None]:
    """File → object and instance, by the owner's names."""
    words = name.split("_")
    if words[0] == "vertebrae":
        return "Vertebra", words[1]
    if words[0] == "rib":
        return "Rib", f"{words[1]} {words[2]}"
    if words[0] == "lung":
        return "Lung", f"{words[3]} {words[1]} lobe"
    if words[0] != "heart" and words[-1] in ("left", "right"):
        return OBJECTS.get("_".join(words[:-1]), " ".join(words[:-1]).title()), words[-1]
    return OBJECTS.get(name, " ".join(words).title()), None


#: Where the object's name is not the file's.
OBJECTS = {
    "gallbladder": "Gall Bladder",
    "urinary_bladder": "Bladder",
    "clavicula": "Clavicle",
    "iliac_vena": "Iliac Vein",
    "portal_vein_and_splenic_vein": "Portal and Splenic Vein",
    "heart_myocardium": "Left Ventricular Myocardium",
    "heart_atrium_left": "Left Atrium",
    "heart_atrium_right": "Right Atrium",
    "heart_ventricle_left": "Left Ventricle",
    "heart_ventricle_right": "Right Ventricle",
}
