"""LUNA16: a .mhd and .raw per scan in ten subsets, masks with a .zraw in one folder, names with dots."""

from pathlib import Path

import numpy as np

from tests.phantoms import anatomy, containers, torso, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (12, 72, 88)  # slices, rows, columns
SPACING = (0.7, 0.7, 2.5)
ORIGIN = (-120.5, -150.0, -260.0)
LEFT, RIGHT, TRACHEA = 3, 4, 5
#: ITK's direction of a scan as most are, and of one whose x and y run backwards.
DIRECTIONS = {"LPS": (1, 0, 0, 0, 1, 0, 0, 0, 1), "RAS": (-1, 0, 0, 0, -1, 0, 0, 0, 1)}


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    root = folder / "LUNA16"
    truth, uids = [], []
    for number in range(patients):
        random = np.random.default_rng([seed, number])
        uid = "1.3.6.1.4.1.14519.5.2.1.6279.6001." + "".join(map(str, random.integers(1, 10, 30)))
        uids.append(uid)
        codes = list(DIRECTIONS)[number % 2]
        values, labels = _scan(100 * seed + number)
        image, mask = root / f"subset{number % 10}/{uid}.mhd", root / f"seg-lungs-LUNA16/{uid}.mhd"
        for path, array in ((image, values), (mask, labels)):
            stored = volumes.stored(array, codes)
            containers.metaimage(path, stored, SPACING, ORIGIN, DIRECTIONS[codes], compressed=path is mask)
        things = [
            Drawn("Lung", "left", labels == LEFT),
            Drawn("Lung", "right", labels == RIGHT),
            Drawn("Trachea", None, labels == TRACHEA),
        ]
        files = [image, image.with_suffix(".raw"), mask, mask.with_suffix(".zraw")]
        truth += volumes.rows(
            values,
            things,
            volumes.summed(labels, (LEFT, RIGHT, TRACHEA)),
            volumes.numbers(SHAPE[0], codes),
            patient=uid,
            modality="CT",
            view="transverse",
            files=tuple(str(path.relative_to(folder)) for path in files),
        )
    nodules = "".join(f"{uid},-56.08,-67.85,-311.92,6.44\n" for uid in uids)
    (root / "annotations.csv").write_text(f"seriesuid,coordX,coordY,coordZ,diameter_mm\n{nodules}")
    (root / "candidates.csv").write_text("seriesuid,coordX,coordY,coordZ,class\n")
    return truth


def _scan(seed: int) -> tuple[np.ndarray, np.ndarray]:
    organs = torso.chest(SHAPE, seed)
    labels = np.zeros(SHAPE, np.uint8)
    for value, name in ((LEFT, "lung left"), (RIGHT, "lung right"), (TRACHEA, "trachea")):
        labels[organs[name]] = value
    labels[:4] = 0
    # The keep rule's edge: ten pixels of value 5 make 50, 16 of value 3 make 48, 17 make 51.
    for level, value, where, pixels in (
        (1, TRACHEA, (0.5, 0.5), 10), (2, LEFT, (0.5, 0.73), 16), (3, LEFT, (0.5, 0.73), 17)
    ):  # fmt: skip
        labels[level][anatomy.spot(SHAPE[1:], where, pixels)] = value
    lungs = organs["lung left"] | organs["lung right"]
    vessels = lungs & (anatomy.smooth(SHAPE, seed + 70, (1.5, 1.0, 1.0)) > 2.1)
    return torso.ct(organs, seed, [(vessels, 20)]), labels
