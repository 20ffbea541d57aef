"""I2CVB: `Patient N` below a scanner's folder, DICOM series of image and ground truth, names with blanks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import MRImageStorage

from tests.phantoms import anatomy, containers, pelvis, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

#: Scanner → its patients; slices, rows, columns; millimetres along columns, rows, slices.
SCANNERS = {
    "Siemens": ((383, 384, 387), (12, 80, 76), (0.68, 0.68, 1.25)),
    "GE": ((33540, 70168, 72679), (9, 72, 88), (0.78, 0.78, 3.0)),
}
ORIGIN = (-26.5, -24.0, -12.5)
#: Classes of the ground truth; the last only where there is a cancer.
CLASSES = ("prostate", "cg", "pz", "cap")


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for number in range(patients):
        scanner = "GE" if number % 3 == 2 else "Siemens"
        known, shape, _ = SCANNERS[scanner]
        name = known[number % 3] + 1000 * (number // 3)
        place = folder / scanner / f"Patient {name}"
        labels, values = _prostate(shape, 100 * seed + number)
        images = _series(place / "T2W", values, scanner, 0)
        masks = _ground_truth(place, labels, scanner, number % 3)
        found = volumes.rows(
            values,
            [Drawn("Prostate", None, labels > 0)],
            (labels > 0).sum(axis=(1, 2)),
            range(shape[0]),
            patient=str(name),
            modality="T2W MRI",
            view="transverse",
            files=(),
        )
        names = [str(path.relative_to(folder)) for path in (*images, masks[0])]
        truth += [replace(row, files=(names[row.slice_index], names[-1])) for row in found]
        _series(place / "DCE", values[:2, ::2, ::2], scanner, 0)
    _series(folder / "Siemens" / "Patient 737" / "T2W", values, scanner, 0)  # nobody drew its prostate
    return truth


def _ground_truth(place: Path, labels: NDArray[np.uint8], scanner: str, kind: int) -> list[Path]:
    """Of kind 1 it is upside down and a turned copy lies beside it; of kind 2 it has some slices alone."""
    classes = (labels > 0, labels == pelvis.CENTRAL, labels == pelvis.PERIPHERAL, labels == 0)
    first = int(np.flatnonzero(labels.any(axis=(1, 2)))[0]) if kind == 2 else 0
    for name, mask in zip(CLASSES[: (3, 4, 2)[kind]], classes, strict=False):
        drawn = mask[first:].astype(np.uint8) * (255 if kind else 1)
        paths = _series(place / "GT" / name, drawn[::-1] if kind == 1 else drawn, scanner, first)
        if name == "prostate":
            found = _series(place / "GT_inv" / name, drawn, scanner, first) if kind == 1 else paths
    return found


def _series(place: Path, values: NDArray[np.generic], scanner: str, first: int) -> list[Path]:
    """Slices named from the lowest up, but those of a ground truth from the highest down."""
    spacing = SCANNERS[scanner][2]
    numbers = range(len(values)) if place.name in ("T2W", "DCE") else range(len(values), 0, -1)
    origin = (*ORIGIN[:2], ORIGIN[2] + first * spacing[2])
    tags = {"Modality": "MR", "SeriesInstanceUID": containers.uid(place.parent.name, place.name)}
    names = [f"IM-{number}" for number in numbers]  # 10 comes before 9 in text order
    return containers.series(place, values, names, spacing, origin, MRImageStorage, **tags)


def _prostate(shape: tuple[int, int, int], seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    labels = pelvis.zones(shape, seed)
    volumes.edges(labels, 1, (0.54, 0.5), (0, 1, 2))
    labels[-1] = 0
    labels[-2] = 0
    labels[-2][anatomy.spot(shape[1:], (0.5, 0.42), 47)] = 1
    labels[-2][anatomy.spot(shape[1:], (0.5, 0.62), 11)] = 1  # in two pieces one instance
    return labels, np.round(600 * np.clip(pelvis.t2w(labels, seed), 0, None)).astype(np.uint16)
