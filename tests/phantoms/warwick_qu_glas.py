"""Warwick-QU: BMP of images and of glands by value in one folder, and a table of patients, of whom some are
in the training and in the test images.
"""

from pathlib import Path

import numpy as np

from tests.phantoms import containers, histology
from tests.phantoms.truth import TrueRow

SHAPE, SMALLER = (104, 156), (88, 116)
HEADER = "name,patient ID, grade (GlaS), grade (Sirinukunwattana et al. 2015)"
GRADES = ("benign, healthy", "malignant, moderately differentiated")


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    """The owner's archive, unpacked: of each patient an image in a part or two."""
    return _written(folder / "Warwick QU Dataset (Released 2016_07_08)", folder, patients, seed, listed=True)


def write_without_a_table(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    return _written(folder / "Warwick_QU_Dataset", folder, patients, seed, listed=False)


def _written(release: Path, folder: Path, patients: int, seed: int, listed: bool) -> list[TrueRow]:
    truth, table = [], [HEADER]
    count = {"train": 0, "testA": 0, "testB": 0}
    for number in range(patients + 3):
        random = np.random.default_rng([seed, number])
        # The first patient is in training alone, as are the borderline images; the others are in two parts.
        parts = ("train",) if number == 0 or number >= patients else ("train", ("testA", "testB")[number % 2])
        for part in parts:
            count[part] += 1
            stem = f"{part}_{count[part]}"
            if number < patients:
                labels = histology.glands(SMALLER if part == "testB" else SHAPE, random)
            else:
                labels = histology.borderline(SMALLER, number - patients)
            values = histology.stained(labels, random)
            image, mask = release / f"{stem}.bmp", release / f"{stem}_anno.bmp"
            containers.picture(image, values)
            containers.picture(mask, labels)
            table.append(f"{stem},{number + 1}, {GRADES[number % 2]}")
            if labels.sum(dtype=int) > 50:
                files = tuple(str(path.relative_to(folder)) for path in (image, mask))
                truth.append(
                    TrueRow(
                        str(number + 1) if listed else stem, "Histopathology", "picture", -1, values,
                        histology.things(labels), as_is=True, official_test=part != "train", files=files,
                    )
                )  # fmt: skip
    if listed:
        (release / "Grade.csv").write_text("\r\n".join(table) + "\r\n", newline="")
    return truth
