"""ISIC 2018, task 1: dermoscopy in JPEG of any size, and PNG masks of one lesion each, in three parts;
attributes of task 2 and superpixels beside them.
"""

from pathlib import Path

import cv2
import numpy as np

from tests.phantoms import anatomy, containers
from tests.phantoms.truth import Thing, TrueRow

#: Part → the first of its numbers.
PARTS = {"Training": 0, "Validation": 12255, "Test": 12169}


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for part, first in PARTS.items():
        kinds = ["spread"] * patients if part == "Training" else ["spread"]
        for number, kind in enumerate([*kinds, "speck", "none"] if part == "Training" else kinds):
            random = np.random.default_rng([seed, number, first])
            truth += _lesion(folder, part, f"ISIC_{first + 3 * number:07d}", kind, random)
        (folder / f"ISIC2018_Task1-2_{part}_Input" / "LICENSE.txt").write_text("CC BY-NC 4.0\n")
    return truth


def _lesion(folder: Path, part: str, stem: str, kind: str, random: np.random.Generator) -> list[TrueRow]:
    own = int(random.integers(1e6))
    shape = (int(random.integers(100, 130)), int(random.integers(130, 170)))
    middle = random.uniform(0.42, 0.55, 2)
    mask = anatomy.blob(shape, middle, random.uniform((0.2, 0.16), (0.34, 0.3)), own, 0.2)
    if kind != "spread":
        mask = anatomy.spot(shape, middle, 44 if kind == "speck" else 0)
    inputs = folder / f"ISIC2018_Task1-2_{part}_Input"
    truths = folder / f"ISIC2018_Task1_{part}_GroundTruth"
    image, drawn = inputs / f"{stem}.jpg", truths / f"{stem}_segmentation.png"
    values = containers.picture(image, _skin(shape, mask, own, random), quality=92)
    containers.picture(inputs / f"{stem}_superpixels.png", np.zeros((*shape, 3), np.uint8))
    containers.picture(drawn, 255 * mask.astype(np.uint8))
    attributes = folder / f"ISIC2018_Task2_{part}_GroundTruth_v3"
    containers.picture(
        attributes / f"{stem}_attribute_pigment_network.png", 255 * mask[::-1].astype(np.uint8)
    )
    if not mask.any():
        return []
    files = tuple(str(path.relative_to(folder)) for path in (image, drawn))
    things = [Thing("Melanoma", None, mask)]
    return [
        TrueRow(
            stem, "Dermoscopy", "picture", -1, values, things,
            as_is=True, official_test=part == "Test", files=files,
        )
    ]  # fmt: skip


def _skin(shape: tuple[int, int], mask: np.ndarray, seed: int, random: np.random.Generator) -> np.ndarray:
    """A pigmented lesion with a network, skin with lines and hairs, darker towards the lens's edge."""
    rows, columns = np.indices(shape) / np.array(shape)[:, None, None]
    lines = np.abs(anatomy.smooth(shape, seed, (3.5, 2.0)))
    values = 0.82 + 0.035 * anatomy.smooth(shape, seed + 1, 12) - 0.05 * (lines < 0.12)
    values -= 0.3 * np.square(np.hypot(rows - 0.5, columns - 0.5))
    skin = anatomy.tinted(np.clip(values, 0, 1), (120, 62, 60), (246, 196, 180)).astype(float)
    depth = cv2.GaussianBlur(np.sqrt(anatomy.dome(mask)), (0, 0), 1.0)
    network = np.abs(anatomy.smooth(shape, seed + 2, 1.8)) < 0.3
    shade = 0.55 - 0.35 * depth + 0.12 * anatomy.smooth(shape, seed + 3, 6) - 0.1 * network
    pigment = anatomy.tinted(np.clip(shade, 0, 1), (38, 18, 20), (190, 122, 92)).astype(float)
    cover = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.4)[..., None]
    picture = skin * (1 - cover) + pigment * cover
    hairs = np.zeros(shape, np.uint8)
    for _ in range(int(random.integers(2, 8))):
        start, bend = random.uniform(0, 1, 2), random.uniform(-0.5, 0.5)
        along = np.linspace(0, 1, 20)
        x, y = start[0] + 0.6 * along - 0.2, start[1] - 0.5 * along + bend * np.square(along)
        points = np.stack([x * shape[1], y * shape[0]], axis=1).round().astype(np.int32)
        cv2.polylines(hairs, [points], False, 255, 1)
    picture[hairs > 0] *= 0.4
    return np.clip(picture + 2 * anatomy.smooth((*shape, 3), seed + 4, 0.6), 0, 255).astype(np.uint8)
