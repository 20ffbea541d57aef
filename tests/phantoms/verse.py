"""VerSe by subject: rawdata and derivatives of two years, scans that both have, any orientation."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.phantoms import anatomy, containers, torso, volumes
from tests.phantoms.anatomy import Mask
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (15, 84, 80)  # slices from the lowest up, rows, columns
#: Slices from one vertebra to the next; the lowest three show the keep rule's edge.
STEP, BELOW = 4, 3
LEVEL = {
    17: "T10", 18: "T11", 19: "T12", 20: "L1", 21: "L2", 22: "L3", 23: "L4", 24: "L5", 25: "L6", 28: "T13",
}  # fmt: skip


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for number in range(patients):
        own, kind = 100 * seed + 10 * number, number % 3
        if kind == 0:  # two series of one patient
            name = f"sub-verse{401 + number}"
            top = folder / "dataset-verse19validation"
            for place, (levels, codes) in enumerate((((23, 22, 21), "PIR"), ((19, 18, 17), "LPS"))):
                series = f"_split-verse{253 + 2 * number + place}"
                truth += _scan(folder, top, name, series, levels, codes, own + place)
        elif kind == 1:  # a test case of 2019, and again in 2020, where a missing vertebra was added
            name = f"sub-verse{4 + number:03d}"
            older = folder / "dataset-verse19test"
            _scan(folder, older, name, "", (25, 24), "LAS", own)
            truth += _scan(folder, folder / "dataset-01training", name, "", (25, 24, 23), "LAS", own, True)
        else:
            # Named as in the zip archives, and as at OSF.
            name, top = f"sub-gl{number:03d}", folder / ("03_test" if number % 2 == 0 else "dataset-03test")
            truth += _scan(folder, top, name, "_dir-sag", (20, 28, 19), "RSP", own, True, np.float32)
    return truth


def _scan(
    folder: Path,
    top: Path,
    subject: str,
    series: str,
    levels: tuple[int, ...],
    codes: str,
    seed: int,
    testing: bool = False,
    dtype: type = np.uint8,
) -> list[TrueRow]:
    """One scan and its labels, of the lowest level first."""
    labels, values = _spine(seed, levels, chest=levels[0] == 19)
    spacing = [{"S": 3.0, "I": 3.0}.get(code, 0.8) for code in codes]
    image = top / "rawdata" / subject / f"{subject}{series}_ct.nii.gz"
    stem = top / "derivatives" / subject / f"{subject}{series}_seg"
    mask = stem.with_name(f"{stem.name}-vert_msk.nii.gz")
    for path, array in ((image, values), (mask, labels.astype(dtype))):
        containers.nifti(path, volumes.stored(array, codes), volumes.affine(codes, spacing))
    middles = [{"direction": list(codes)}, *({"label": level, "X": 40, "Y": 40, "Z": 7} for level in levels)]
    stem.with_name(f"{stem.name}-subreg_ctd.json").write_text(json.dumps(middles))
    snapshot = np.clip((values[len(values) // 2] + 200) / 4, 0, 255).astype(np.uint8)
    containers.picture(stem.with_name(f"{stem.name}-vert_snp.png"), snapshot)
    return volumes.rows(
        values,
        [Drawn("Vertebra", LEVEL[level], labels == level) for level in sorted(levels)],
        volumes.summed(labels, list(LEVEL)),
        volumes.numbers(SHAPE[0], codes),
        patient=subject.removeprefix("sub-"),
        modality="CT",
        view="transverse",
        files=tuple(str(path.relative_to(folder)) for path in (image, mask)),
        official_test=testing,
    )


def _spine(seed: int, levels: tuple[int, ...], chest: bool) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Vertebrae, the lowest first; the one above them is cut by the border of the scan and not labelled."""
    organs = (torso.chest if chest else torso.abdomen)(SHAPE, seed)
    labels = np.zeros(SHAPE, np.uint8)
    bones = np.zeros(SHAPE, bool)
    discs = np.zeros(SHAPE, bool)
    for place in range(4):
        bone, disc = _vertebra(BELOW + STEP * place, seed + 200 + place)
        bones |= bone
        discs |= disc
        if place < len(levels):
            labels[bone & (labels == 0)] = levels[place]
    volumes.edges(labels, levels[0], (0.72, 0.5), (0, 1, 2))
    labels[-1][labels[-1] > 0] = 0
    labels[-1][anatomy.spot(SHAPE[1:], (0.86, 0.5), 21)] = levels[-1]  # the tip of a process
    low = labels > 0
    for name in ("vertebra", "bone"):  # of the torso's own spine nothing shows
        organs[name] &= ~_back(organs["muscle"])
    more = [(_back(organs["muscle"]), 45), (discs, 85), (bones | low, 330), (_canal(), 20)]
    return labels, torso.ct(organs, seed, more)


def _vertebra(start: int, seed: int) -> tuple[Mask, Mask]:
    """Body, arch and processes of one, and the disc above it; the spinous one hangs down by two slices."""
    bone, disc = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    body = anatomy.blob(SHAPE[1:], (0.69, 0.5), (0.085, 0.1), seed, 0.06)
    arch = anatomy.blob(SHAPE[1:], (0.8, 0.5), (0.055, 0.075), seed + 1, 0.06)
    spinous = anatomy.blob(SHAPE[1:], (0.855, 0.51), (0.05, 0.018), seed + 2, 0.08)
    across = anatomy.blob(SHAPE[1:], (0.79, 0.5), (0.02, 0.2), seed + 3, 0.08)
    levels = np.arange(SHAPE[0])
    bone[(levels >= start) & (levels < start + STEP - 1)] = body
    bone[(levels >= start + 1) & (levels < start + STEP - 1)] |= arch | across
    bone[(levels >= start - 2) & (levels <= start)] |= spinous
    disc[levels == start + STEP - 1] = body
    return bone & ~_canal(), disc


def _canal() -> Mask:
    return np.broadcast_to(anatomy.blob(SHAPE[1:], (0.79, 0.5), (0.028, 0.038), 1, 0.0), SHAPE)


def _back(muscle: Mask) -> Mask:
    return anatomy.blob(SHAPE, (0.5, 0.79, 0.5), (9, 0.12, 0.24), 3, 0.05) & muscle
