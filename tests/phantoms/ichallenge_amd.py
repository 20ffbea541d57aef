"""iChallenge-AMD: JPEG photographs of two cameras in folders of their diagnosis; masks of the optic disc,
where it is whole in the picture, black on white in BMP; pictures for humans; lesions in a folder of folders.
"""

from pathlib import Path

import numpy as np

from tests.phantoms import anatomy, containers
from tests.phantoms.fundus import Fundus, Lesion
from tests.phantoms.truth import Thing, TrueRow

#: Of the Zeiss and the Canon camera.
SHAPES = ((123, 127), (104, 104))
#: What shows of the disc: all, none of it in the picture, a speck; or nothing was drawn in its mask.
KINDS = ("whole", "whole", "whole", "outside", "speck", "blank")


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for number in range(patients + 3):
        kind = KINDS[max(number - patients + 3, 0)]
        for diagnosis in ("A", "N")[number % 2 :]:  # of every second eye the one with AMD alone
            random = np.random.default_rng([seed, number, ord(diagnosis)])
            truth += _eye(folder, f"{diagnosis}{number + 1:04d}", kind, SHAPES[number % 2], random)
    # A workbook of nothing; its points are not read.
    (folder / "DF-Annotation-Training400" / "Fovea_location.xlsx").write_bytes(b"PK\x05\x06" + bytes(18))
    return truth


def _eye(
    folder: Path, stem: str, kind: str, shape: tuple[int, int], random: np.random.Generator
) -> list[TrueRow]:
    right, own = bool(random.integers(2)), int(random.integers(1e6))
    nasal = 1.3 if kind == "outside" else 0.52
    eye = Fundus(shape, (shape[0] / 2, shape[1] / 2), 0.47 * shape[0], right, nasal, cut=0.97)
    disc = eye.disc(own)
    if kind == "speck":
        disc = anatomy.spot(shape, eye.at(0, 0), 47)
    drusen = np.zeros(shape, bool)
    if stem.startswith("A"):
        for _ in range(9):
            place = eye.at(random.normal(0.1, 0.14), random.normal(0.72, 0.14))
            drusen |= anatomy.spot(shape, place, int(random.integers(3, 16)))
        drusen &= eye.field
    diagnosis = "AMD" if stem.startswith("A") else "Non-AMD"
    image = folder / "AMD-Training400" / "Training400" / diagnosis / f"{stem}.jpg"
    lesions = [Lesion(drusen, (255, 205, 110), 0.6)]
    drawn = eye.photograph(eye.field, eye.vessels(random), random, lesions)
    values = containers.picture(image, drawn, quality=93)
    annotations = folder / "DF-Annotation-Training400"
    containers.picture(annotations / "Disc_Fovea_Illustration" / f"{stem}.jpg", drawn[::-1])
    archive = folder / "Training400-Lesion" / "Training400-Lesion"
    if drusen.any():
        containers.picture(archive / "Lesion_Masks" / "drusen" / f"{stem}.bmp", _inverted(drusen))
    if kind == "outside":
        return []
    mask = annotations / "Disc_Masks" / f"{stem}.bmp"
    if kind == "blank":
        containers.picture(mask, np.full(shape, 255, np.uint8))
        return []
    stored = _inverted(disc)
    containers.picture(mask, stored if random.random() < 0.6 else np.repeat(stored[..., None], 3, axis=2))
    things = [Thing("Optic Disc", None, disc)]
    files = tuple(str(path.relative_to(folder)) for path in (image, mask))
    return [TrueRow(stem, "Fundus", "picture", -1, values, things, as_is=True, files=files)]


def _inverted(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, 0, 255).astype(np.uint8)
