"""ETIS-Larib Polyp DB: TIFF stills, and masks whose names begin with p, the folder's name twice over."""

from pathlib import Path

import numpy as np

from tests.phantoms import containers, endoscopy
from tests.phantoms.truth import Thing, TrueRow

SHAPE = (110, 140)


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    """The owner's archive, unpacked."""
    release = folder / "ETIS-LaribPolypDB" / "ETIS-LaribPolypDB"
    truth = []
    for number, (polyps, values) in enumerate(_stills(patients, seed), start=1):
        image, mask = release / f"{number}.tif", release.parent / "Ground Truth" / f"p{number}.tif"
        containers.tiff(image, values, photometric="rgb")
        containers.tiff(mask, np.where(polyps, 255, 0).astype(np.uint8))
        truth += _row(folder, number, polyps, values, image, mask)
    (release / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    return truth


def write_repack(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    """Among the test sets of PraNet, all in PNG; the masks are in colour."""
    release = folder / "TestDataset" / "ETIS-LaribPolypDB"
    truth = []
    for number, (polyps, values) in enumerate(_stills(patients, seed), start=1):
        image, mask = release / "images" / f"{number}.png", release / "masks" / f"{number}.png"
        containers.picture(image, values)
        containers.picture(mask, np.repeat(255 * polyps[..., None].astype(np.uint8), 3, axis=2))
        containers.picture(folder / "TestDataset" / "CVC-300" / "images" / f"{number}.png", values[::-1])
        truth += _row(folder, number, polyps, values, image, mask)
    return truth


def _stills(patients: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    stills = []
    for number in range(patients + 2):
        random = np.random.default_rng([seed, number])
        polyps = endoscopy.of_picture(number, patients, SHAPE, random)
        stills.append((polyps, endoscopy.photograph(SHAPE, polyps, random)))
    return stills


def _row(folder: Path, number: int, polyps: np.ndarray, values: np.ndarray, *paths: Path) -> list[TrueRow]:
    if not polyps.any():
        return []
    files = tuple(str(path.relative_to(folder)) for path in paths)
    things = [Thing("Polyp", None, polyps)]
    return [TrueRow(str(number), "Colonoscopy", "picture", -1, values, things, as_is=True, files=files)]
