"""iSeg 2019: Analyze pairs in one folder, 10, 150, 250 in the labels or, in copies, 1, 2, 3."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.phantoms import anatomy, brain, containers, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (12, 84, 64)  # slices, rows, columns
SEQUENCES = {"T1": "T1W MRI", "T2": "T2W MRI"}
OBJECTS = ("Cerebrospinal Fluid", "Gray Matter", "White Matter")
CODINGS = ((10, 150, 250), (1, 2, 3))
#: At six months gray and white are as bright as each other: fluid, gray, white.
LEVELS = {"T1": (0.18, 0.52, 0.6), "T2": (0.95, 0.5, 0.44)}


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    training = folder / "iSeg-2019-Training/iSeg-2019-Training"
    truth = []
    for number in range(patients):
        place = training / f"subject-{number + 1}"
        truth += _infant(folder, place, CODINGS[number % 2], 100 * seed + number)
    for name in ("iSeg-2019-Validation/subject-11", "iSeg-2019-Testing/subject-24"):
        for sequence in SEQUENCES:  # without labels
            values = np.zeros((*SHAPE[::-1], 1), np.int16)
            containers.analyze(folder / f"{name}-{sequence}.hdr", values, (1.0, 1.0, 1.0))
    return truth


def _infant(folder: Path, place: Path, coding: tuple[int, int, int], seed: int) -> list[TrueRow]:
    tissue = anatomy.head(SHAPE, seed)
    parts = (tissue["fluid"] | tissue["ventricles"], tissue["gray"], tissue["white"])
    labels = np.zeros(SHAPE, np.uint8)
    for mask, value in zip(parts, coding, strict=True):
        labels[mask] = value
    shown = {value: labels == value for value in coding}
    volumes.edges(labels, coding[0], (0.4, 0.45), (0, 1, 2))
    labels[-1] = 0
    labels[-1][anatomy.spot(SHAPE[1:], (0.4, 0.45), 60)] = coding[1]
    labels[-1][anatomy.spot(SHAPE[1:], (0.4, 0.45), 20)] = coding[2]
    # Stored from posterior to anterior, so that a viewer of the stored axes shows them upside down.
    files = {name: place.with_name(f"{place.name}-{name}.hdr") for name in (*SEQUENCES, "label")}
    upside_down = labels[:, ::-1]
    _put(files["label"], upside_down)
    truth = []
    for number, (sequence, modality) in enumerate(SEQUENCES.items()):
        painted = list(zip(shown.values(), LEVELS[sequence], strict=True))
        values = anatomy.painted(SHAPE, painted, seed + 10 + number, grain=0.04)
        values = np.where(brain.inside(tissue), np.round(1000 * values), 0)[:, ::-1].astype(np.int16)
        _put(files[sequence], values)
        headers = (files[sequence], files["label"])
        truth += volumes.rows(
            values,
            [Drawn(name, None, upside_down == value) for name, value in zip(OBJECTS, coding, strict=True)],
            volumes.summed(labels, coding),
            range(SHAPE[0]),
            patient=place.name,
            modality=modality,
            view="transverse",
            files=tuple(
                str(path.relative_to(folder))
                for header in headers
                for path in (header, header.with_suffix(".img"))
            ),
        )
    return truth


def _put(path: Path, values: NDArray[np.generic]) -> None:
    """With a fourth axis of length 1."""
    containers.analyze(path, values.transpose(2, 1, 0)[..., None], (1.0, 1.0, 1.0))
