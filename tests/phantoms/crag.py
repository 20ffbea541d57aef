"""CRAG: PNG of images, of glands by value, and of outlines drawn over the images, in two parts."""

from pathlib import Path

import numpy as np
from scipy import ndimage

from tests.phantoms import containers, histology
from tests.phantoms.truth import TrueRow

SHAPE = (126, 132)
#: Of the labels, as the archive has them, and as its README says.
ANNOTATION, README_SAYS = "Annotation", "Annotations"


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    """Version 2, unpacked."""
    return _written(folder, {"train": "train", "valid": "test"}, ANNOTATION, patients, seed)


def write_as_its_readme_says(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    return _written(folder, {"train": "train", "test": "test"}, README_SAYS, patients, seed)


def _written(folder: Path, parts: dict[str, str], annotation: str, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for part, (place, name) in enumerate(parts.items()):
        release = folder / "CRAG_v2" / "CRAG" / place
        for number in range(patients + 3 * (name == "train")):
            random = np.random.default_rng([seed, part, number])
            whole = number < patients
            labels = (
                histology.glands(SHAPE, random) if whole else histology.borderline(SHAPE, number - patients)
            )
            values = histology.stained(labels, random)
            stem = f"{name}_{number + 1}"
            image, mask = (release / kind / f"{stem}.png" for kind in ("Images", annotation))
            containers.picture(image, values)
            containers.picture(mask, labels)
            outlines = labels != ndimage.grey_erosion(labels, 3)
            overlay = np.where(outlines[..., None], np.array([0, 255, 0], np.uint8), values)
            containers.picture(release / "Overlay" / f"{stem}.png", overlay)
            if labels.sum(dtype=int) > 50:
                files = tuple(str(path.relative_to(folder)) for path in (image, mask))
                truth.append(
                    TrueRow(
                        stem, "Histopathology", "picture", -1, values, histology.things(labels), as_is=True,
                        official_test=name == "test", files=files,
                    )
                )  # fmt: skip
    return truth
