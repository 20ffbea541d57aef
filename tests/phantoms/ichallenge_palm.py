"""iChallenge-PALM: JPEG photographs and black on white BMP masks of the disc, of atrophy and of detachment,
each where there is any. In the release of 2024 in folders named with blanks, by part; in that of 2019 the
test images have no masks, and pictures for humans lie beside the masks.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.phantoms import anatomy, containers
from tests.phantoms.fundus import Fundus, Lesion
from tests.phantoms.truth import Thing, TrueRow

SHAPE = (122, 126)
OBJECTS = {"Disc": "Optic Disc", "Atrophy": "Retinal Atrophy", "Detachment": "Retinal Detachment"}
#: Of a part's eyes: diagnosis, and what is seen.
EYES = (
    ("P", ("Disc", "Atrophy")),
    ("N", ("Disc",)),
    ("P", ("Disc", "Atrophy", "Detachment")),
    ("H", ()),
    ("P", ("Atrophy", "specks")),
    ("P", ("specks",)),
    ("P", ("blank",)),
)
#: From part, kind of file and stem to where it lies.
Place = Callable[[str, str, str], Path]


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    """The release of 2024."""

    def place(part: str, kind: str, stem: str) -> Path:
        within = {"Image": "Images", "Disc": "Disc Masks"}.get(kind, f"Lesion Masks/{kind}")
        return folder / "PALM" / part / within / f"{stem}.{'jpg' if kind == 'Image' else 'bmp'}"

    truth = []
    for part in ("Training", "Validation", "Testing"):
        eyes = len(EYES) if part == "Training" else min(patients, 2)
        truth += _part(folder, part, eyes, seed, place)
    for path in list(folder.rglob("*.jpg")):
        (fork := folder / "__MACOSX" / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
        containers.resource_fork(fork)
    return truth


def write_2019(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    def place(part: str, kind: str, stem: str) -> Path:
        if kind == "Image":
            suffix = "-Images" if part == "Testing" else ""
            within = f"PALM-{part}400{suffix}"
            return folder / (f"{within}/{within}" if part == "Training" else within) / f"{stem}.jpg"
        masks = "Disc_Masks" if kind == "Disc" else f"Lesion_Masks/{kind}"
        if part != "Training":
            return folder / f"PALM-{part}-GT" / masks / f"{stem}.bmp"
        archive = "D&F" if kind == "Disc" else "Lession"
        return folder / "PALM-Training400" / f"PALM-Training400-Annotation-{archive}" / masks / f"{stem}.bmp"

    truth = _part(folder, "Training", len(EYES), seed, place)
    truth += _part(folder, "Validation", min(patients, 2), seed, place)
    _part(folder, "Testing", 1, seed, place)
    shutil.rmtree(folder / "PALM-Testing-GT")  # which the owner keeps
    for path in list((folder / "PALM-Training400").rglob("Disc_Masks/*.bmp")):
        shown = path.parents[1] / "Disc_Fovea_Illustration" / f"{path.stem}.jpg"
        containers.picture(shown, np.zeros(SHAPE, np.uint8))
    return truth


def _part(folder: Path, part: str, eyes: int, seed: int, place: Place) -> list[TrueRow]:
    truth = []
    for number, (diagnosis, seen) in enumerate(EYES[:eyes]):
        stem = f"{diagnosis if part == 'Training' else part[0]}{number + 1:04d}"
        random = np.random.default_rng([seed, number, ord(part[1])])
        masks, values = _eye(seen, random)
        image = place(part, "Image", stem)
        values = containers.picture(image, values, quality=93)
        files = [image]
        for kind, mask in masks.items():
            files.append(place(part, kind, stem))
            white = np.where(mask, 0, 255).astype(np.uint8)
            in_colour = number % 2 == 1
            containers.picture(files[-1], np.repeat(white[..., None], 3, axis=2) if in_colour else white)
        things = [Thing(OBJECTS[kind], None, mask) for kind, mask in masks.items() if mask.any()]
        if things:
            truth.append(
                TrueRow(
                    stem, "Fundus", "picture", -1, values, things, as_is=True,
                    official_test=part == "Testing", files=tuple(str(f.relative_to(folder)) for f in files),
                )
            )  # fmt: skip
    return truth


def _eye(seen: tuple[str, ...], random: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    own = int(random.integers(1e6))
    eye = Fundus(SHAPE, (61, 63), 59, right=bool(random.integers(2)), nasal=0.48)
    masks = {}
    if "Disc" in seen:
        masks["Disc"] = eye.disc(own)
    if "blank" in seen:  # drawn, and nothing in it
        masks["Disc"] = np.zeros(SHAPE, bool)
    if "Atrophy" in seen:  # a crescent round the disc, and more of it round the macula
        masks["Atrophy"] = eye.blob(eye.at(0.04, 0.16), (0.3, 0.3), own + 1, 0.2)
        masks["Atrophy"] |= eye.blob(eye.at(0.24, 0.85), (0.16, 0.2), own + 2, 0.3)
        masks["Atrophy"] &= eye.field
    if "Detachment" in seen:  # of all that lies above, out to the picture's edges
        rows, _ = np.indices(SHAPE)
        masks["Detachment"] = rows + 7 * anatomy.smooth(SHAPE, own + 3, 14) < 0.42 * SHAPE[0]
    if "specks" in seen:  # too small to be scored
        masks["Detachment"] = anatomy.spot(SHAPE, eye.at(-0.4, 0.5), 44)
    pale = np.random.default_rng(own)
    lesions = [
        Lesion(masks[kind] & eye.field, colour, cover)
        for kind, colour, cover in (
            ("Atrophy", (235, 200, 140), 0.55 + 0.2 * pale.random()),
            ("Detachment", (190, 175, 160), 0.5),
        )
        if kind in masks
    ]
    return masks, eye.photograph(eye.field, eye.vessels(random), random, lesions)
