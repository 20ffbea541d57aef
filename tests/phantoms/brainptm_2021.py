"""BrainPTM 2021: images and tracts in two folders, 4D diffusion, dummies of the test cases' tracts."""

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tests.phantoms import anatomy, brain, containers, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (12, 72, 64)  # slices, rows, columns
CODES, SPACING = "LAS", (1.25, 1.25, 1.25)
DIRECTIONS = 5
OBJECTS = {"OR": "Optic Radiation", "CST": "Corticospinal Tract"}
IMAGES = Path("sheba75_data_train/sheba75_data_train")
TRACTS = Path("sheba75_tracts_train/sheba75_tracts_train")


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for number in range(patients):
        truth += _patient(folder, f"case_{number + 1}", 100 * seed + number, number)
    dummies = folder / "sheba75_tracts_test_dummy/case_61"
    shutil.copytree(folder / IMAGES / "case_1", folder / "sheba75_data_test/case_61")
    shutil.copytree(folder / TRACTS / "case_1", dummies)
    streamlines = folder / "sheba75_streamlines_train/case_1/OR_left.trk"
    streamlines.parent.mkdir(parents=True)
    streamlines.write_bytes(b"TRACK\0")
    return truth


def _patient(folder: Path, name: str, seed: int, number: int) -> list[TrueRow]:
    tissue = anatomy.head(SHAPE, seed)
    mask = brain.inside(tissue)
    tracts = _tracts(mask, seed)
    if number % 3 == 2:  # four of the sixty have none
        tracts = {part: tract for part, tract in tracts.items() if part.startswith("OR")}
    shown = {part: tissue[part] for part in brain.INSIDE}
    for level, pixels in ((0, 0), (1, 30), (2, 30)):
        mask[level] = anatomy.spot(SHAPE[1:], (0.5, 0.5), pixels)
    for part, tract in tracts.items():
        tract[:3] = False
        if part == "OR_left":  # with the brain's the keep rule's edge: 50 are dropped, 51 are kept
            for level, pixels in ((1, 20), (2, 21)):
                tract[level] = anatomy.spot(SHAPE[1:], (0.6, 0.65), pixels)
    values = brain.image("T1W MRI", shown, seed + 20)
    t1 = np.where(brain.inside(tissue), np.round(900 * values), 0).astype(np.int16)
    diffusion, unweighted = _diffusion(tissue, seed, at=3 * (number % 2))
    affine = volumes.affine(CODES, SPACING)
    place = folder / IMAGES / name
    for file, array in (("T1", t1), ("Diffusion", diffusion), ("brain_mask", mask.astype(np.uint8))):
        containers.nifti(place / f"{file}.nii.gz", volumes.stored(array, CODES), affine)
    for part, tract in tracts.items():
        path = folder / TRACTS / name / f"{part}.nii.gz"
        containers.nifti(path, volumes.stored(tract.astype(np.uint8), CODES), affine)
    weights = ["0" if place == unweighted else "1" for place in range(DIRECTIONS + 1)]
    more = "\n\n" if number % 2 else "\n"  # some files have further lines
    (place / "Diffusion.bvals").write_text("  ".join(weights) + more)
    (place / "Diffusion.bvecs").write_text("\n".join("  ".join("0" * len(weights)) for _ in range(3)))
    things = [Drawn("Brain", None, mask)]
    for part, tract in tracts.items():
        kind, side = part.split("_")
        things.append(Drawn(OBJECTS[kind], side, tract))
    masks = [IMAGES / name / "brain_mask.nii.gz", *(TRACTS / name / f"{part}.nii.gz" for part in tracts)]
    truth = []
    for modality, file, picture in (
        ("T1W MRI", "T1", t1), ("DW MRI", "Diffusion", diffusion[..., unweighted])
    ):  # fmt: skip
        truth += volumes.rows(
            picture,
            things,
            np.sum([thing.mask.sum(axis=(1, 2)) for thing in things], axis=0),
            volumes.numbers(SHAPE[0], CODES),
            patient=name,
            modality=modality,
            view="transverse",
            files=tuple(str(path) for path in (IMAGES / name / f"{file}.nii.gz", *masks)),
        )
    return truth


def _tracts(mask: NDArray[np.bool_], seed: int) -> dict[str, NDArray[np.bool_]]:
    """The optic radiation runs beside the ventricle to the back, the corticospinal tract down to the stem."""
    found = {}
    moved = np.random.default_rng(seed).uniform(-0.015, 0.015, 4)
    for place, (side, sign) in enumerate((("left", 1), ("right", -1))):  # the patient's left is on the right
        outer = anatomy.blob(SHAPE, (0.45, 0.6 + moved[0], 0.5 + 0.11 * sign), (0.2, 0.2, 0.1), seed + place)
        inner = anatomy.blob(SHAPE, (0.45, 0.58, 0.5 + 0.06 * sign), (0.3, 0.2, 0.09), seed + 2 + place)
        found[f"OR_{side}"] = outer & ~inner & mask
        path = [(0.26, 0.55, 0.5 + 0.04 * sign), (0.5, 0.5 + moved[1], 0.5 + 0.12 * sign),
                (0.85, 0.45 + moved[2], 0.5 + (0.13 + moved[3]) * sign)]  # fmt: skip
        found[f"CST_{side}"] = anatomy.tube(SHAPE, path, 0.042, seed + 4 + place) & mask
    return found


def _diffusion(tissue: dict[str, NDArray[np.bool_]], seed: int, at: int) -> tuple[NDArray[np.int16], int]:
    """One volume without weighting, the others darker where water moves along their direction."""
    shown = {part: tissue[part] for part in brain.INSIDE}
    base = ndimage.gaussian_filter(brain.image("T2W MRI", shown, seed + 21), (0, 0.8, 0.8))
    base = np.where(brain.inside(tissue), base, 0)
    fast = tissue["fluid"] | tissue["ventricles"]
    several = []
    for direction in range(DIRECTIONS):
        along = anatomy.smooth(SHAPE, seed + 30 + direction, (1.0, 3.0, 3.0))
        several.append(base * np.where(fast, 0.1, 0.5 + 0.1 * along * tissue["white"]))
    several.insert(at, base)
    return np.round(1100 * np.clip(np.stack(several, axis=3), 0, 1)).astype(np.int16), at
