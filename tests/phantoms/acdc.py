"""ACDC: `database/{training,testing}/patientNNN`, two labelled 3D frames and the unlabelled 4D cycle each."""

from pathlib import Path

import numpy as np

from tests.phantoms import anatomy, containers, volumes
from tests.phantoms.truth import TrueRow

SHAPE = (10, 96, 80)  # slices from base to apex, rows, columns
SPACING = (1.56, 1.56, 10.0)
#: What the affines say of the stored axes: not to be relied on, the stack lies on the last whatever they say.
SAID = ("LPS", "PSR", "SLA")
FRAMES = 12
RIGHT, MUSCLE, LEFT = 1, 2, 3
OBJECTS = {RIGHT: "Right Ventricle", MUSCLE: "Left Ventricular Myocardium", LEFT: "Left Ventricle"}


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    database = folder / "ACDC" / "database"
    truth = []
    for number in range(patients):
        testing = number % 3 == 2  # the owner's: patient001…100 in training, patient101…150 in testing
        name = f"patient{number + 1 + 100 * testing:03d}"
        place = database / ("testing" if testing else "training") / name
        truth += _patient(place, folder, name, testing, 100 * seed + number, SAID[number % len(SAID)])
    (database / "MANDATORY_CITATION.md").write_text("Cite Bernard et al., IEEE TMI 2018.\n")
    return truth


def _patient(place: Path, folder: Path, name: str, testing: bool, seed: int, codes: str) -> list[TrueRow]:
    first, last = 1 + seed % 2 * 3, 8 + seed % 3  # end of diastole is not always frame 01
    affine = volumes.affine(codes, SPACING)
    truth, pictures = [], []
    for frame, contraction in ((first, 0.0), (last, 1.0)):
        labels, values = _heart(seed, contraction)
        stem = place / f"{name}_frame{frame:02d}"
        image, mask = stem.with_name(f"{stem.name}.nii.gz"), stem.with_name(f"{stem.name}_gt.nii.gz")
        # The stack lies on the last axis; a viewer shows the first along the columns.
        containers.nifti(image, values.transpose(2, 1, 0), affine)
        containers.nifti(mask, labels.transpose(2, 1, 0), affine)
        truth += volumes.rows(
            values,
            [volumes.Drawn(OBJECTS[value], None, labels == value) for value in OBJECTS],
            volumes.summed(labels, list(OBJECTS)),
            range(SHAPE[0]),
            patient=name,
            modality="Cine-MRI",
            view="short-axis",
            files=tuple(str(path.relative_to(folder)) for path in (image, mask)),
            official_test=testing,
        )
        pictures.append(values.transpose(2, 1, 0))
    phases = np.sin(np.linspace(0, np.pi, FRAMES)) ** 2
    cycle = np.stack([pictures[0] + phase * (pictures[1] - pictures[0]) for phase in phases], axis=3)
    containers.nifti(place / f"{name}_4d.nii.gz", cycle.astype(np.int16), affine)
    (place / "Info.cfg").write_text(
        f"ED: {first}\nES: {last}\nGroup: NOR\nHeight: 172.0\nNbFrame: {FRAMES}\nWeight: 71.0\n"
    )
    return truth


def _heart(seed: int, contraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels and values as displayed: the right ventricle to the left of the left one."""
    labels = np.zeros(SHAPE, np.uint8)
    shift = np.random.default_rng(seed).uniform(-0.03, 0.03, 2)
    wide = 0.125 - 0.04 * contraction  # the cavity's radius in fractions of the rows, at the base
    for level in range(3, SHAPE[0]):
        apex = (level - 3) / (SHAPE[0] - 3)
        cavity, wall = wide * (1 - 0.55 * apex), 0.05 + 0.025 * contraction
        row, column = 0.52 + shift[0] + 0.04 * apex, 0.58 + shift[1] + 0.03 * apex
        outer = _oval(row, column, cavity + wall, seed + level)
        crescent = _oval(
            row - 0.03, column - 0.2, (0.19 - 0.05 * contraction) * (1 - 0.75 * apex), seed - level
        )
        labels[level][crescent & ~outer] = RIGHT
        labels[level][outer] = MUSCLE
        labels[level][_oval(row, column, cavity, seed + level)] = LEFT
    # The keep rule's edge: 50 pixels of value 1 are dropped, 51 are kept.
    for level, pixels in ((1, 50), (2, 51)):
        labels[level] = RIGHT * anatomy.spot(SHAPE[1:], (0.48 + shift[0], 0.4), pixels)
    # A remnant of the right ventricle beside the apex, too small to be scored.
    labels[-1][labels[-1] == RIGHT] = 0
    labels[-1][anatomy.spot(SHAPE[1:], (0.5 + shift[0], 0.3), 23) & (labels[-1] == 0)] = RIGHT
    chest = anatomy.blob(SHAPE, (0.5, 0.5, 0.5), (9, 0.47, 0.46), seed, 0.06)
    inner = anatomy.blob(SHAPE, (0.5, 0.48, 0.52), (9, 0.38, 0.38), seed + 1, 0.08)
    liver = anatomy.blob(SHAPE, (0.6, 0.86, 0.3), (9, 0.2, 0.26), seed + 2, 0.1) & inner
    fat = anatomy.blob(SHAPE, (0.6, 0.5, 0.5), (9, 0.27, 0.3), seed + 3, 0.1)
    parts = [(chest, 0.45), (inner, 0.07), (liver, 0.32), (fat & inner, 0.55)]
    parts += [(labels == RIGHT, 0.8), (labels == MUSCLE, 0.25), (labels == LEFT, 0.88)]
    shading = np.linspace(1.25, 0.75, SHAPE[1])[:, None]  # the coil lies on the chest
    values = anatomy.painted(SHAPE, parts, seed + 4, background=0.02, grain=0.03) * shading
    return labels, np.round(600 * values).astype(np.int16)


def _oval(row: float, column: float, radius: float, seed: int) -> np.ndarray:
    """Radius in fractions of the rows, so that it is as wide as it is high."""
    radii = (radius, radius * SHAPE[1] / SHAPE[2])
    return anatomy.blob(SHAPE[1:], (row, column), radii, seed % 1000, 0.06)
