"""Files as a person uploads them, and a try to open them."""

import io
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import tifffile
from PIL import Image

from leaderboard.demo.study import Study
from leaderboard.demo.uploads import open_upload

RANDOM = np.random.default_rng(8)
VOXELS = RANDOM.integers(-1000, 1000, (5, 6, 7)).astype(np.int16)
GRAY = RANDOM.integers(0, 255, (6, 5)).astype(np.uint8)
COLOUR = RANDOM.integers(0, 255, (6, 5, 3)).astype(np.uint8)


def opened_in(root: Path, files: dict[str, bytes], **limits: int) -> Study:
    """The study of files of these names and contents, when all that lay on the disk is gone.

    Args:
        root: where they lie meanwhile.
    """
    (root / "out").mkdir(parents=True)
    paths = []
    for number, (name, data) in enumerate(files.items()):
        path = root / "in" / str(number) / Path(name).name
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        paths.append(path)
    try:
        return open_upload(paths, root / "out", **limits)
    finally:
        shutil.rmtree(root)


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return held.getvalue()


def dicom(data: pydicom.Dataset) -> bytes:
    held = io.BytesIO()
    data.save_as(held, enforce_file_format=True)
    return held.getvalue()


def picture(pixels: np.ndarray, form: str, **options: Any) -> bytes:
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, form, **options)
    return held.getvalue()


def tiff(pixels: np.ndarray, **options: Any) -> bytes:
    held = io.BytesIO()
    tifffile.imwrite(held, pixels, **options)
    return held.getvalue()
