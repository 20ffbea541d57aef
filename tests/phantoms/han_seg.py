"""HaN-Seg: CT and MR of a head and neck in NRRD, a file per structure and side, some cropped by 3D Slicer."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.phantoms import anatomy, containers, torso, volumes
from tests.phantoms.anatomy import Mask
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (18, 96, 88)  # slices from the collarbones to the brow, rows, columns
CODES, SPACING, ORIGIN = "LPS", (0.64, 0.64, 2.0), (-28.5, -40.25, -310.0)
#: File → object, middle and radii (slice, row, column) in fractions, Hounsfield units.
SINGLE = {
    "Arytenoid": ("Arytenoid", (0.25, 0.5, 0.5), (0.05, 0.025, 0.05), 110),
    "Brainstem": ("Brainstem", (0.82, 0.62, 0.5), (0.2, 0.09, 0.08), 38),
    "BuccalMucosa": ("Buccal Mucosa", (0.5, 0.3, 0.5), (0.09, 0.14, 0.2), 70),
    "Cavity_Oral": ("Oral Cavity", (0.48, 0.34, 0.5), (0.13, 0.15, 0.15), 55),
    "Cricopharyngeus": ("Cricopharyngeal Inlet", (0.24, 0.55, 0.5), (0.05, 0.025, 0.07), 60),
    "Esophagus_S": ("Cervical Esophagus", (0.2, 0.6, 0.53), (0.1, 0.035, 0.05), 35),
    "Glottis": ("Glottic Larynx", (0.25, 0.44, 0.5), (0.05, 0.06, 0.07), 75),
    "Larynx_SG": ("Supraglottic Larynx", (0.35, 0.44, 0.5), (0.07, 0.07, 0.08), 68),
    "Lips": ("Lips", (0.48, 0.16, 0.5), (0.08, 0.035, 0.11), 60),
    "OpticChiasm": ("Optic Chiasm", (0.95, 0.44, 0.5), (0.05, 0.02, 0.06), 45),
    "Pituitary": ("Pituitary Gland", (0.88, 0.46, 0.5), (0.05, 0.035, 0.045), 80),
    "SpinalCord": ("Spinal Cord", (0.3, 0.71, 0.5), (0.5, 0.035, 0.045), 40),
}
#: The same of the patient's left; the right is its mirror image, not quite.
PAIRED = {
    "A_Carotid_": ("Carotid Artery", (0.35, 0.55, 0.68), (0.4, 0.03, 0.035), 230),
    "Eye_A": ("Anterior Eyeball Segment", (0.86, 0.15, 0.67), (0.08, 0.035, 0.06), 60),
    "Eye_P": ("Posterior Eyeball Segment", (0.86, 0.21, 0.67), (0.1, 0.07, 0.075), 15),
    "Glnd_Lacrimal_": ("Lacrimal Gland", (0.93, 0.19, 0.77), (0.06, 0.04, 0.02), 45),
    "Glnd_Submand_": ("Submandibular Gland", (0.4, 0.42, 0.72), (0.08, 0.07, 0.05), 65),
    "OpticNrv_": ("Optic Nerve", (0.88, 0.33, 0.6), (0.06, 0.09, 0.025), 40),
    "Parotid_": ("Parotid Gland", (0.57, 0.5, 0.79), (0.15, 0.11, 0.055), 5),
}
#: Left out by the protocol, and in the release nevertheless.
EXCLUDED = {
    "Bone_Mandible": ((0.46, 0.36, 0.5), (0.1, 0.2, 0.24), 700),
    "Cochlea_L": ((0.74, 0.54, 0.72), (0.05, 0.03, 0.03), 300),
    "Cochlea_R": ((0.74, 0.54, 0.28), (0.05, 0.03, 0.03), 300),
    "Glnd_Thyroid": ((0.12, 0.46, 0.5), (0.09, 0.06, 0.16), 160),
}
#: The slices of the keep rule's edge, where these two are drawn anew.
EDGES, AT_THE_EDGE = (0, 1, 2), ("SpinalCord", "A_Carotid_L")


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    root = folder / "HaN-Seg/set_1"
    truth, listed = [], ""
    for number in range(patients):
        name = f"case_{number + 1:02d}"
        values, masks, excluded = _case(100 * seed + number, first=number == 0)
        place = root / name
        image = place / f"{name}_IMG_CT.nrrd"
        containers.metaimage(image, volumes.stored(values, CODES), SPACING, ORIGIN, compressed=True)
        containers.metaimage(
            place / f"{name}_IMG_MR_T1.nrrd", volumes.stored(values[:, ::2, ::2], CODES), SPACING, (0, 0, 0)
        )
        files = []
        for structure, mask in (masks | excluded).items():
            path = place / f"{name}_OAR_{structure}.seg.nrrd"
            _segmentation(path, mask, number)
            if structure in masks:
                files.append(path)
        drawn = [Drawn(*_named(structure), mask) for structure, mask in masks.items()]
        truth += volumes.rows(
            values,
            drawn,
            np.sum([mask.sum(axis=(1, 2)) for mask in masks.values()], axis=0),
            volumes.numbers(SHAPE[0], CODES),
            patient=name,
            modality="CT",
            view="transverse",
            files=tuple(str(path.relative_to(folder)) for path in (image, *files)),
        )
        listed += "".join(f"{name},{structure}\n" for structure in masks)
    (root / "OAR_data.csv").write_text(f"case,structure\n{listed}")
    (root / "patient_data.csv").write_text("case,sex,age\n")
    return truth


def _named(structure: str) -> tuple[str, str | None]:
    if structure in SINGLE:
        return SINGLE[structure][0], None
    return PAIRED[structure[:-1]][0], {"L": "left", "R": "right"}[structure[-1]]


def _segmentation(path: Path, mask: Mask, number: int) -> None:
    """As most are, with no more than the box round what is marked, or with a further axis of length 1."""
    array = volumes.stored(mask.astype(np.uint8), CODES)
    origin = np.array(ORIGIN)
    if number % 3 == 2:
        containers.slicer(path, array, SPACING, ORIGIN)
        return
    if number % 3 == 1 and mask.any():
        marked = np.argwhere(array)
        start, stop = marked.min(axis=0), marked.max(axis=0) + 1
        array = array[tuple(slice(*ends) for ends in zip(start, stop, strict=True))]
        origin = origin + start * SPACING
    containers.metaimage(path, array, SPACING, tuple(map(float, origin)), compressed=True)


def _case(seed: int, first: bool) -> tuple[NDArray[np.int16], dict[str, Mask], dict[str, Mask]]:
    """Hounsfield units and structures, kept ones and others. Not every case has every structure."""
    random = np.random.default_rng(seed)

    def part(middle: tuple[float, ...], radii: tuple[float, ...], place: int) -> Mask:
        moved = np.asarray(middle) + random.uniform(-0.008, 0.008, 3)
        return anatomy.blob(SHAPE, moved, radii, seed + place, 0.08)

    masks: dict[str, Mask] = {}
    painted: list[tuple[Mask, float]] = []
    head, inside, more = _head(seed)
    for place, (name, (middle, radii, level)) in enumerate(EXCLUDED.items(), start=20):
        masks[name] = part(middle, radii, place)
        painted.append((masks[name], level))
    arch = anatomy.blob(SHAPE, (0.46, 0.42, 0.5), (0.2, 0.2, 0.19), seed + 30, 0.05)
    masks["Bone_Mandible"] &= ~arch
    excluded, masks = masks, {}
    for place, (name, (_, middle, radii, level)) in enumerate(SINGLE.items(), start=40):
        masks[name] = part(middle, radii, place) & inside
        painted.append((masks[name], level))
    for place, (name, (_, middle, radii, level)) in enumerate(PAIRED.items(), start=60):
        for side, sign in (("L", 1), ("R", -1)):  # the patient's left is on the right
            mirrored = (*middle[:2], 0.5 + sign * (middle[2] - 0.5))
            masks[name + side] = part(mirrored, radii, place + 10 * sign) & inside
            painted.append((masks[name + side], level))
    for front, back in (("Eye_AL", "Eye_PL"), ("Eye_AR", "Eye_PR")):
        masks[front] &= ~masks[back]
    if not first:
        for name in ("Arytenoid", "Glnd_Lacrimal_L", "Larynx_SG")[: 1 + seed % 3]:
            masks.pop(name)
    for mask in masks.values():
        mask[list(EDGES)] = False
    for level, pixels in ((1, 50), (2, 51)):  # together the sum; 10 of them beside the others
        masks["SpinalCord"][level] = anatomy.spot(SHAPE[1:], (0.71, 0.5), pixels - 10, 0.8)
        masks["A_Carotid_L"][level] = anatomy.spot(SHAPE[1:], (0.55, 0.68), 10, 1.0)
    values = torso.ct({"fat": head, "muscle": inside}, seed, [*more, *painted])
    return values, masks, excluded


def _head(seed: int) -> tuple[Mask, Mask, list[tuple[Mask, float]]]:
    """Skin, what lies under it, and bones, brain and airway with their Hounsfield units."""
    shapes = []
    for thinner in (0.0, 0.02):
        skull = anatomy.blob(SHAPE, (0.85, 0.48, 0.5), (0.6, 0.42 - thinner, 0.38 - thinner), seed, 0.03)
        neck = anatomy.tube(SHAPE, [(0, 0.6, 0.5), (0.7, 0.56, 0.5)], 0.25 - thinner, seed + 1, 0.05)
        chin = anatomy.blob(SHAPE, (0.5, 0.32, 0.5), (0.22, 0.22 - thinner, 0.26 - thinner), seed + 2, 0.04)
        shapes.append(skull | neck | chin)
    head, inside = shapes
    vault = anatomy.blob(SHAPE, (0.95, 0.58, 0.5), (0.32, 0.32, 0.34), seed + 3, 0.03)
    brain = anatomy.blob(SHAPE, (0.97, 0.58, 0.5), (0.3, 0.29, 0.31), seed + 3, 0.03)
    vertebra = anatomy.tube(SHAPE, [(0, 0.63, 0.5), (0.62, 0.62, 0.5)], 0.055, seed + 4)
    arch = anatomy.tube(SHAPE, [(0, 0.76, 0.5), (0.62, 0.74, 0.5)], 0.07, seed + 5)
    canal = anatomy.tube(SHAPE, [(0, 0.71, 0.5), (0.68, 0.69, 0.5)], 0.05)
    airway = anatomy.tube(SHAPE, [(0, 0.47, 0.5), (0.4, 0.48, 0.5), (0.7, 0.46, 0.5)], 0.04, seed + 6)
    sinus = anatomy.blob(SHAPE, (0.75, 0.28, 0.5), (0.14, 0.1, 0.13), seed + 7, 0.15)
    bones = [(vault & inside, 800), (vertebra, 380), (arch & ~canal, 420), (canal, 10), (brain & inside, 35)]
    return head, inside, [*bones, (airway, -980), (sinus, -900)]
