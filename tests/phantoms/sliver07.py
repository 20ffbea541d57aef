"""SLIVER07: .mhd and .raw, headers with spacing alone, some scans mirrored; test scans of equal names."""

from pathlib import Path

import numpy as np

from tests.phantoms import anatomy, containers, torso, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (12, 80, 92)  # slices, rows, columns
SPACING = (0.7, 0.7, 2.5)
LIVER = 1
#: How a scan lies in its file: from the feet up as displayed, from the head down, mirrored.
STORED = ("LPS", "LPI", "RPS")
#: What the owner's headers don't have.
PLACED = ("TransformMatrix", "Offset", "CenterOfRotation", "AnatomicalOrientation", "CompressedData")


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for number in range(patients):
        name = f"{1 + 3 * number:03d}"
        image = folder / "training-scans" / f"liver-orig{name}.mhd"
        mask = folder / "training-labels" / f"liver-seg{name}.mhd"
        codes = STORED[number % len(STORED)]
        # No header tells how a scan lies, so that it is shown as it is stored.
        values, labels = (volumes.stored(array, codes).T for array in _scan(100 * seed + number))
        _metaimage(image, values)
        _metaimage(mask, labels)
        files = [path.with_suffix(ending) for path in (image, mask) for ending in (".mhd", ".raw")]
        truth += volumes.rows(
            values,
            [Drawn("Liver", None, labels == LIVER)],
            volumes.summed(labels, (LIVER,)),
            range(SHAPE[0]),
            patient=name,
            modality="CT",
            view="transverse",
            files=tuple(str(path.relative_to(folder)) for path in files),
        )
    test, _ = _scan(100 * seed + 99)
    _metaimage(folder / "test-scans" / "liver-orig001.mhd", test)
    (folder / "license.txt").write_text("For non-commercial research on liver segmentation only.\n")
    return truth


def _metaimage(path: Path, array: np.ndarray) -> None:
    """`array`: slices × rows × columns, as a file has them."""
    containers.metaimage(path, array.T, SPACING, (0, 0, 0))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith(PLACED)))


def _scan(seed: int) -> tuple[np.ndarray, np.ndarray]:
    organs = torso.abdomen(SHAPE, seed)
    random = np.random.default_rng(seed)
    labels = np.where(organs["liver"], LIVER, 0).astype(np.uint8)
    volumes.edges(labels, LIVER, (0.42, 0.3), (0, 1, 2))
    labels[-1] = 0
    labels[-1][anatomy.spot(SHAPE[1:], (0.4, 0.3), 52)] = LIVER  # the dome, in two pieces: one instance
    labels[-1][anatomy.spot(SHAPE[1:], (0.48, 0.42), 9)] = LIVER
    where = np.array([0.7, 0.42, 0.27]) + random.uniform(-0.04, 0.04, 3)
    lesion = anatomy.blob(SHAPE, where, (0.1, 0.06, 0.05), seed + 50, 0.2)  # part of the liver
    vessels = (anatomy.smooth(SHAPE, seed + 51, (1.5, 1.2, 1.2)) > 1.7) & (labels == LIVER)
    return torso.ct(organs, seed, [(vessels, 150), (lesion & organs["liver"], 55)]), labels
