"""Volumes like CT to measure with: int16, noisy, air around a body, organs in it; gzip leaves about 40 %."""

import gzip
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np

from cosmos1050k.source import Case, Label, Mask

#: Middle (x, y) and half widths of each organ in a picture of −1…1, and its Hounsfield units; values 1 up.
ORGANS = [
    ("Lung", (-0.35, 0.0), (0.25, 0.45), -850),
    ("Lung", (0.35, 0.0), (0.25, 0.45), -850),
    ("Heart", (0.05, -0.1), (0.18, 0.2), 40),
    ("Vertebra", (0.0, 0.5), (0.1, 0.1), 400),
    ("Kidney", (-0.2, 0.3), (0.1, 0.12), 160),
    ("Kidney", (0.2, 0.3), (0.1, 0.12), 160),
]
TUMOUR = (0.12, -0.05), (0.08, 0.06)
LABELS = tuple(
    Label(object=name, value=value, instance="left" if x < 0 else "right")
    for value, (name, (x, _), _, _) in enumerate(ORGANS, start=1)
)


def write(folder: Path, shape: tuple[int, int, int]) -> None:
    """`image`, `organs` and `tumour` of this shape (i, j, k) as .nii.gz, the tumour over an organ."""
    columns, rows, depth = shape
    random = np.random.default_rng(1050)
    x, y = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(-1, 1, rows))
    image = np.empty(shape, np.int16, order="F")
    organs, tumour = (np.zeros(shape, np.uint8, order="F") for _ in range(2))

    def inside(middle: tuple[float, float], half: tuple[float, float]) -> np.ndarray:
        return np.hypot((x - middle[0]) / half[0], (y - middle[1]) / half[1])

    for k in range(depth):
        scale = 0.3 + 0.7 * np.sin(np.pi * (k + 0.5) / depth)
        body = inside((0, 0), (0.9, 0.7)) < 1
        plane = np.where(body, 50.0, -1000.0)
        for value, (_, middle, half, units) in enumerate(ORGANS, start=1):
            mask = inside(middle, half) < scale
            plane[mask] = units
            organs[mask.T, k] = value
        tumour[(inside(*TUMOUR) < scale).T, k] = 1
        noise = cv2.GaussianBlur(random.standard_normal((rows, columns)), (0, 0), 0.8) * np.where(body, 30, 5)
        image[:, :, k] = np.clip(cv2.GaussianBlur(plane, (0, 0), 0.8) + noise, -1024, 3071).T
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in (("image", image), ("organs", organs), ("tumour", tumour)):
        data = nib.Nifti1Image(array, np.diag([-0.7, -0.7, 1.5, 1])).to_bytes()
        (folder / f"{name}.nii.gz").write_bytes(gzip.compress(data, 6))


def case(view: str = "transverse", slices: tuple[int, int] | None = None) -> Case:
    """What `write` wrote, as a case."""
    tumour = Label(object="Heart Tumour", value=1)
    masks = Mask(file="organs.nii.gz", labels=LABELS), Mask(file="tumour.nii.gz", labels=(tumour,))
    return Case(
        case="ct", patient="ct", modality="CT", image="image.nii.gz", masks=masks, view=view, slices=slices
    )
