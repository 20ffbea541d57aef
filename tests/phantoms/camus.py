"""CAMUS: NIfTI frames of two axes, (x, y); sequences beside them; lists of a split. The older release has
MetaImages of one slice in `training/`, and in `testing/` patients of the same names without labels.
"""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from tests.phantoms import anatomy, containers
from tests.phantoms.truth import Thing, TrueRow

CAVITY, WALL, ATRIUM = 1, 2, 3
OBJECTS = {CAVITY: "Left Ventricle", WALL: "Left Ventricular Myocardium", ATRIUM: "Left Atrium"}
SPACING = (0.31, 0.154, 1.0)  # pixels that are not square

Store = Callable[[Path, np.ndarray], Path]


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    names = [f"patient{number + 1:04d}" for number in range(patients)]
    tests = names[2::3]
    truth = []
    for number, name in enumerate(names):
        place = folder / "database_nifti" / name
        truth += _patient(folder, place, 100 * seed + number, number, _nifti, name in tests)
        for view in ("2CH", "4CH"):
            for part in ("", "_gt"):
                ends = [_read(place / f"{name}_{view}_{phase}{part}.nii.gz") for phase in ("ED", "ES")]
                frames = np.stack([*ends, ends[0]], axis=2)
                containers.nifti(place / f"{name}_{view}_half_sequence{part}.nii.gz", frames, _affine())
    split = folder / "database_split"
    split.mkdir()
    others = [name for name in names if name not in tests]
    for part, members in (("training", others[:-1]), ("validation", others[-1:]), ("testing", tests)):
        (split / f"subgroup_{part}.txt").write_text("".join(f"{member}\n" for member in members))
    return truth


def write_older(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for number in range(patients):
        name = f"patient{number + 1:04d}"
        truth += _patient(folder, folder / "training" / name, 100 * seed + number, number, _metaimage, False)
        for view in ("2CH", "4CH"):
            values = _heart(view, 0.0, 100 * seed + number, "")[1]
            _metaimage(folder / "training" / name / f"{name}_{view}_sequence", values)
            for phase in ("ED", "ES"):
                _metaimage(folder / "testing" / name / f"{name}_{view}_{phase}", values)
    return truth


def _patient(
    folder: Path, place: Path, seed: int, number: int, store: Store, official_test: bool
) -> list[TrueRow]:
    """Four frames, of which the last one or two show little."""
    little = {0: {"4CH_ES": "50"}, 1: {"4CH_ES": "51", "2CH_ES": "nothing"}}.get(number, {"2CH_ES": "speck"})
    truth = []
    for view in ("2CH", "4CH"):
        place.mkdir(parents=True, exist_ok=True)
        (place / f"Info_{view}.cfg").write_text("ED: 1\nES: 18\nNbFrame: 18\nSex: F\nAge: 56\nEF: 54\n")
        for phase, contraction in (("ED", 0.0), ("ES", 1.0)):
            stem = f"{place.name}_{view}_{phase}"
            kind = little.get(f"{view}_{phase}", "")
            labels, values = _heart(view, contraction, seed, kind)
            files = [store(place / stem, values), store(place / f"{stem}_gt", labels)]
            if labels.sum(dtype=int) <= 50:
                continue
            things = [
                Thing(name, None, labels == value)
                for value, name in OBJECTS.items()
                if (labels == value).any()
            ]
            truth.append(
                TrueRow(
                    place.name, "US", "picture", -1, values, things, as_is=True,
                    official_test=official_test, files=tuple(str(file.relative_to(folder)) for file in files),
                )
            )  # fmt: skip
    return truth


def _affine() -> np.ndarray:
    return np.diag([*SPACING, 1.0])


def _nifti(stem: Path, values: np.ndarray) -> Path:
    path = stem.with_name(f"{stem.name}.nii.gz")
    containers.nifti(path, values.T, _affine())
    return path


def _read(path: Path) -> np.ndarray:
    return np.asanyarray(nib.load(path).dataobj)


def _metaimage(stem: Path, values: np.ndarray) -> Path:
    path = stem.with_name(f"{stem.name}.mhd")
    containers.metaimage(path, values.T[..., None], SPACING, (0.0, 0.0, 0.0))
    return path


def _heart(view: str, contraction: float, seed: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels and speckle, H×W, of a heart whose apex is up, in the fan of the probe at the top."""
    random = np.random.default_rng([seed, len(view), int(view[0])])
    shape = (int(random.integers(120, 136)), int(random.integers(100, 116)))
    lean = random.uniform(0.015, 0.035) * (1 if view == "2CH" else -1)
    row, column = 0.46 + random.uniform(-0.02, 0.02), 0.51 + lean
    thick = 0.045 + 0.012 * contraction
    long, wide = 0.25 - 0.03 * contraction, 0.135 - 0.035 * contraction
    labels = np.zeros(shape, np.uint8)
    base = row + 0.72 * long  # of the ventricle, where the mitral valve is
    above = np.arange(shape[0])[:, None] < base * shape[0]
    outer = anatomy.blob(shape, (row, column), (long + thick, wide + 1.3 * thick), seed, 0.05)
    inner = anatomy.blob(shape, (row, column), (long, wide), seed, 0.05)
    atrium = anatomy.blob(
        shape, (base + 0.1, column - lean), (0.11, 0.12 + 0.02 * contraction), seed + 1, 0.08
    )
    labels[atrium & ~above] = ATRIUM
    labels[outer & above] = WALL
    labels[inner & above] = CAVITY
    drawn = labels.copy()
    if kind == "speck":  # of the atrium no more than this is in the fan
        labels[labels == ATRIUM] = 0
        labels[anatomy.spot(shape, (base + 0.05, column), 40) & (labels == 0)] = ATRIUM
    elif kind:
        pixels = {"50": 50, "51": 51, "nothing": 0}[kind]
        labels = CAVITY * anatomy.spot(shape, (row, column), pixels).astype(np.uint8)
    return labels, _speckle(drawn, view, seed, random)


def _speckle(labels: np.ndarray, view: str, seed: int, random: np.random.Generator) -> np.ndarray:
    shape = labels.shape
    level = np.full(shape, 0.3)
    level[labels == WALL] = 0.55
    level[labels == CAVITY] = 0.1
    level[labels == ATRIUM] = 0.12
    border = (labels > 0) & ~ndimage.binary_erosion(labels > 0, iterations=2)
    level[border] = 0.8  # the pericardium
    if view == "4CH":  # the right heart, to the left of the septum
        level[anatomy.blob(shape, (0.45, 0.26), (0.2, 0.1), seed + 5, 0.1) & (labels == 0)] = 0.13
    level = ndimage.gaussian_filter(level + 0.06 * anatomy.smooth(shape, seed + 3, 6), 1.0)
    rows, columns = np.indices(shape) / np.array(shape)[:, None, None]
    depth = np.hypot(rows - 0.02, columns - 0.5)
    level *= 1.25 - 0.6 * depth
    grain = random.rayleigh(0.8, shape)
    grain = ndimage.gaussian_filter(grain, (0.5, 0.9))  # speckle is wider than it is deep
    fan = (np.abs(np.arctan2(columns - 0.5, rows - 0.02)) < 0.62) & (depth < 0.94) & (depth > 0.03)
    return (np.clip(255 * level * grain, 1, 255) * fan).astype(np.uint8)
