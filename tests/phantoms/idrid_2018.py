"""IDRiD 2018: JPEG photographs, and TIFF masks of the disc and of four kinds of lesions, in gray, red or a
palette; the localization part, whose images have other numbers, beside it.
"""

from pathlib import Path

import numpy as np

from tests.phantoms import anatomy, containers
from tests.phantoms.fundus import Fundus, Lesion
from tests.phantoms.truth import Thing, TrueRow

SHAPE = (114, 172)
PARTS = {"a. Training Set": 1, "b. Testing Set": 55}
#: Folder and end of the names → object, colour and cover as it is seen.
KINDS = {
    ("1. Microaneurysms", "MA"): ("Microaneurysm", (95, 10, 8), 0.8),
    ("2. Haemorrhages", "HE"): ("Hemorrhage", (85, 6, 6), 0.85),
    ("3. Hard Exudates", "EX"): ("Hard Exudate", (255, 235, 130), 0.85),
    ("4. Soft Exudates", "SE"): ("Soft Exudate", (235, 215, 170), 0.55),
    ("5. Optic Disc", "OD"): ("Optic Disc", (0, 0, 0), 0.0),
}
MODES = ("gray", "red", "palette", "alpha")


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    top = folder / "A. Segmentation" / "A. Segmentation"
    for part, first in PARTS.items():
        for number in range(patients if part.startswith("a") else max(1, patients - 1)):
            random = np.random.default_rng([seed, number, first])
            truth += _eye(folder, top, part, f"IDRiD_{first + number:02d}", number, random)
        other = folder / "C. Localization" / "1. Original Images" / part / f"IDRiD_{first:03d}.jpg"
        containers.picture(other, np.full((*SHAPE, 3), 40, np.uint8))
    random = np.random.default_rng([seed, 99])
    truth += _eye(folder, top, "a. Training Set", "IDRiD_54", 99, random)
    places = folder / "C. Localization" / "2. Groundtruths" / "1. Optic Disc Center Location"
    places.mkdir(parents=True)
    table = "Image No,X- Coordinate,Y - Coordinate,,\nIDRiD_001,128,56,,\n"
    (places / "a. IDRiD_OD_Center_Training Set_Markups.csv").write_text(table)
    return truth


def _eye(
    folder: Path, top: Path, part: str, stem: str, number: int, random: np.random.Generator
) -> list[TrueRow]:
    """`number` 99: a healthy eye, and masks without anything in them."""
    eye = Fundus(SHAPE, (57, 84), 74, right=bool(random.integers(2)), nasal=0.45, cut=0.76)
    masks = _masks(eye, number, random)
    lesions = [Lesion(mask, *KINDS[key][1:]) for key, mask in masks.items()]
    image = top / "1. Original Images" / part / f"{stem}.jpg"
    drawn = eye.photograph(eye.field, eye.vessels(random), random, lesions)
    values = containers.picture(image, drawn, quality=94)
    files, things = [image], []
    for place, ((kind, end), mask) in enumerate(masks.items()):
        files.append(top / "2. All Segmentation Groundtruths" / part / kind / f"{stem}_{end}.tif")
        _store(files[-1], mask, MODES[(place + number) % len(MODES)])
        if mask.any():
            things.append(Thing(KINDS[kind, end][0], None, mask))
    names = tuple(str(path.relative_to(folder)) for path in files)
    test = part.startswith("b")
    row = TrueRow(stem, "Fundus", "picture", -1, values, things, as_is=True, official_test=test, files=names)
    return [row] if things else []


def _masks(eye: Fundus, number: int, random: np.random.Generator) -> dict[tuple[str, str], np.ndarray]:
    own = int(random.integers(1e6))
    masks = {kind: np.zeros(SHAPE, bool) for kind in KINDS}
    if number == 99:
        return masks
    small, blood, hard, soft, disc = masks
    for kind, count, low, high in ((small, 6, 2, 6), (blood, 7, 8, 45), (hard, 22, 2, 14)):
        for _ in range(count):
            place = eye.at(random.normal(0.1, 0.3), random.normal(0.85, 0.35))
            masks[kind] |= anatomy.spot(SHAPE, place, int(random.integers(low, high)), random.uniform(0.6, 1))
    masks[hard] |= anatomy.spot(SHAPE, eye.at(0.1, 0.12), 30)  # at the edge of the disc
    masks[disc] = eye.disc(own)
    if number % 2:  # most images have none
        del masks[soft]
    else:
        masks[soft] |= eye.blob(eye.at(-0.3, 0.4), (0.08, 0.11), own + 1, 0.3)
    return {kind: mask & eye.field for kind, mask in masks.items()}


def _store(path: Path, mask: np.ndarray, mode: str) -> None:
    bits = mask.astype(np.uint8)
    if mode == "palette":
        colours = np.zeros((3, 256), np.uint16)
        colours[0, 1] = 0xFFFF
        containers.tiff(path, bits, photometric="palette", colormap=colours, compression="lzw")
    elif mode == "gray":
        containers.tiff(path, 255 * bits, compression="lzw")
    elif mode == "red":
        red = np.stack([255 * bits, 0 * bits, 0 * bits], axis=2)
        containers.tiff(path, red, photometric="rgb", compression="lzw")
    else:
        opaque = np.stack([255 * bits, 0 * bits, 0 * bits, np.full(SHAPE, 255, np.uint8)], axis=2)
        containers.tiff(path, opaque, photometric="rgb", extrasamples=["unassalpha"], compression="lzw")
