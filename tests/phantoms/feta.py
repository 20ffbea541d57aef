"""FeTA: a BIDS-like tree, in its own folder twice; two reconstructions, headers of many orientations."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.phantoms import anatomy, containers, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (14, 72, 66)  # slices, rows, columns
SPACING = (0.5, 0.5, 0.5)
CODES = ("RAS", "LIP", "ASR")
OBJECTS = (
    "External Cerebrospinal Fluid", "Gray Matter", "White Matter", "Ventricles", "Cerebellum",
    "Deep Gray Matter", "Brainstem",
)  # fmt: skip
FLUID, GRAY, WHITE, VENTRICLES, CEREBELLUM, DEEP, STEM = range(1, 8)
#: Brightness in T2: the white matter has no myelin yet.
LEVELS = {
    FLUID: 0.92, GRAY: 0.42, WHITE: 0.68, VENTRICLES: 0.98, CEREBELLUM: 0.5, DEEP: 0.48, STEM: 0.55,
}  # fmt: skip


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    root = folder / "feta_2.1/feta_2.1"
    truth, listed = [], "participant_id\tPathology\tGestational age\n"
    for number in range(patients):
        mial = number % 2 == 0  # the owner's: sub-001…040 are by mial, sub-041…080 by irtk
        name = f"sub-{number // 2 + 1 + 40 * (not mial):03d}"
        stem = root / name / "anat" / f"{name}_rec-{'mial' if mial else 'irtk'}"
        truth += _fetus(folder, stem, CODES[number % 3], 100 * seed + number)
        listed += f"{name}\t{'Neurotypical' if mial else 'Pathological'}\t{24 + number % 10}.4\n"
    (root / "participants.tsv").write_text(listed)
    return truth


def _fetus(folder: Path, stem: Path, codes: str, seed: int) -> list[TrueRow]:
    labels, values = _brain(seed)
    affine = volumes.affine(codes, SPACING)
    files = [stem.with_name(f"{stem.name}_{ending}.nii.gz") for ending in ("T2w", "dseg")]
    stored = labels.astype(np.float32) if seed % 2 else labels  # some volumes of labels are fractions' type
    for path, array in zip(files, (values, stored), strict=True):
        containers.nifti(path, volumes.stored(array, codes), affine)
        about = {"Reconstruction": stem.name.rpartition("-")[2]}
        path.with_name(path.name.replace(".nii.gz", ".json")).write_text(json.dumps(about))
    return volumes.rows(
        values,
        [Drawn(name, None, labels == value) for value, name in enumerate(OBJECTS, start=1)],
        volumes.summed(labels, range(1, 8)),
        volumes.numbers(SHAPE[0], codes),
        patient=stem.name.split("_")[0],
        modality="T2W MRI",
        view="transverse",
        files=tuple(str(path.relative_to(folder)) for path in files),
    )


def _brain(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    tissue = anatomy.head(SHAPE, seed)
    labels = np.zeros(SHAPE, np.uint8)
    shell = tissue["skull"] | tissue["fluid"]  # much fluid around, and no bone yet
    parts = ((shell, FLUID), (tissue["gray"], GRAY), (tissue["white"], WHITE))
    for mask, value in (*parts, (tissue["ventricles"], VENTRICLES)):
        labels[mask] = value
    within = labels > FLUID
    for side in (-1, 1):
        nuclei = anatomy.blob(SHAPE, (0.42, 0.47, 0.5 + 0.1 * side), (0.18, 0.09, 0.06), seed + 20 + side)
        labels[nuclei & within] = DEEP
    cerebellum = anatomy.blob(SHAPE, (0.24, 0.74, 0.49), (0.16, 0.13, 0.22), seed + 22, 0.08)
    stem = anatomy.tube(SHAPE, [(0, 0.62, 0.5), (0.42, 0.5, 0.5)], 0.075, seed + 23)
    labels[cerebellum & (labels > 0)] = CEREBELLUM
    labels[stem & (labels > 0)] = STEM
    drawn = labels.copy()
    # The keep rule's edge, at the spinal cord: of value 7 seven pixels are dropped, eight are kept.
    volumes.edges(labels, STEM, (0.6, 0.5), (0, 1, 2))
    labels[-2:] = 0
    labels[-2][anatomy.spot(SHAPE[1:], (0.42, 0.47), 51)] = FLUID
    # Tissue of the mother is masked out but for a rim, uneven as the reconstructions are.
    rim = tissue["scalp"] & (anatomy.smooth(SHAPE, seed + 24, 5.0) > -0.4)
    painted = [(rim, 0.3), *((drawn == value, level) for value, level in LEVELS.items())]
    values = anatomy.painted(SHAPE, painted, seed + 25, grain=0.04)
    values *= 1 + 0.12 * anatomy.smooth(SHAPE, seed + 26, 18.0)
    return labels, np.round(np.clip(900 * values * (values > 0.03), 0, None), 2).astype(np.float32)
