"""M&Ms: 4D images and masks of equal shape, all frames but two without labels; a table names these two."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.phantoms import anatomy, containers, heart, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (9, 84, 76)  # slices from base to apex, rows, columns
SPACING = (1.25, 1.25, 10.0)
FRAMES = 8
VALUES = {"left": 1, "muscle": 2, "right": 3}
OBJECTS = {1: "Left Ventricle", 2: "Left Ventricular Myocardium", 3: "Right Ventricle"}
#: Where patients lie, in turn; most are in the first.
PARTS = ("Training/Labeled", "Validation", "Testing")
VENDORS = ("A,Siemens,1", "B,Philips,2", "C,GE,4")


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    root = folder / "OpenDataset"
    truth, listed = [], ",External code,ED,ES,Vendor,VendorName,Centre,Pathology\n"
    for number in range(patients):
        code = f"A{number % 10}S{9 - number // 10 % 10}V{number // 100 % 10}{number % 7}"
        part, ends = PARTS[number % 3], (number % 3 * 2, number % 3 + 3)
        truth += _patient(folder, root / part / code, code, ends, 100 * seed + number, part == "Testing")
        listed += f"{number},{code},{ends[0]},{ends[1]},{VENDORS[number % 3]},NOR\n"
    unlabelled = root / "Training/Unlabeled/Z9Z9Z9"
    values = np.zeros((*SHAPE[::-1], FRAMES), np.int16)
    for kind in ("", "_gt"):
        containers.nifti(unlabelled / f"Z9Z9Z9_sa{kind}.nii.gz", values, volumes.affine("LPS", SPACING))
    listed += f"{patients},Z9Z9Z9,0,3,{VENDORS[2]},DCM\n"
    (root / "211230_M&Ms_Dataset_information_diagnosis_opendataset.csv").write_text(listed)
    return truth


def _patient(
    folder: Path, place: Path, code: str, ends: tuple[int, int], seed: int, testing: bool
) -> list[TrueRow]:
    drawn = [_heart(seed, contraction) for contraction in (0.0, 1.0)]
    turn = np.cos(2 * np.pi * (np.arange(FRAMES) - ends[0]) / FRAMES)
    cycle = [(1 + share) / 2 * drawn[0][1] + (1 - share) / 2 * drawn[1][1] for share in turn]
    values = np.round(np.stack(cycle)).astype(np.int16)
    labels = np.zeros((FRAMES, *SHAPE), np.uint8)
    for frame, (mask, picture) in zip(ends, drawn, strict=True):
        values[frame], labels[frame] = picture, mask
    files = place / f"{code}_sa.nii.gz", place / f"{code}_sa_gt.nii.gz"
    affine = volumes.affine("LPS", SPACING)
    affine[0, 1] = 0.004 * (seed % 3)  # of some files the directions are not quite at right angles
    for path, array in zip(files, (values, labels), strict=True):
        containers.nifti(path, array.transpose(3, 2, 1, 0), affine)
    truth = []
    for frame in ends:
        truth += volumes.rows(
            values[frame],
            [Drawn(name, None, labels[frame] == value) for value, name in OBJECTS.items()],
            volumes.summed(labels[frame], list(OBJECTS)),
            range(SHAPE[0]),
            patient=code,
            modality="CMR",
            view="short-axis",
            files=tuple(str(path.relative_to(folder)) for path in files),
            official_test=testing,
        )
    return truth


def _heart(seed: int, contraction: float) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    parts = heart.short_axis(SHAPE, seed, contraction)
    labels = np.zeros(SHAPE, np.uint8)
    for name, value in VALUES.items():
        labels[parts[name]] = value
    volumes.edges(labels, 1, (0.5, 0.55), (0, 1, 2))
    right = VALUES["right"]
    labels[-1][labels[-1] == right] = 0
    labels[-1][anatomy.spot(SHAPE[1:], (0.5, 0.27), 19) & (labels[-1] == 0)] = right
    seen = {name: labels == value for name, value in VALUES.items()}
    values = heart.image(seen, heart.CINE, seed)
    return labels, np.round(600 * values).astype(np.int16)
