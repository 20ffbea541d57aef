"""Kvasir-SEG: images and masks, both JPEG, of any size, beside the boxes file that nobody needs."""

import json
from pathlib import Path

import numpy as np

from tests.phantoms import anatomy, containers
from tests.phantoms.truth import Thing, TrueRow


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    release = folder / "Kvasir-SEG"
    truth, boxes = [], {}
    for number in range(patients + 2):
        random = np.random.default_rng([seed, number])
        shape = (int(random.integers(110, 140)), int(random.integers(120, 160)))
        stem = "cju" + "".join(random.choice(list("0123456789abcdefghijklmnopqrstuvwxyz"), 22))
        # After the patients: a polyp of few pixels alone, and an image without one.
        polyps = [_polyps, _speck, _none][max(0, number - patients + 1)](shape, random)
        image, mask = (release / kind / f"{stem}.jpg" for kind in ("images", "masks"))
        values = containers.picture(image, _photograph(shape, polyps, random), quality=92)
        white = np.repeat(255 * polyps[..., None].astype(np.uint8), 3, axis=2)
        stored = containers.picture(mask, white, quality=85)  # values near 0 and 255, and between at the edge
        seen = stored.astype(int).sum(axis=2) > 3 * 127
        boxes[stem] = {"height": shape[0], "width": shape[1]}
        if seen.any():
            files = tuple(str(path.relative_to(folder)) for path in (image, mask))
            things = [Thing("Polyp", None, seen)]
            truth.append(TrueRow(stem, "Colonoscopy", "picture", -1, values, things, as_is=True, files=files))
    (release / "kavsir_bboxes.json").write_text(json.dumps(boxes))
    return truth


def _polyps(shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """A large polyp, and a small one beside it: one object for the owner."""
    row, column = random.uniform(0.4, 0.6), random.uniform(0.52, 0.68)
    large = anatomy.blob(shape, (row, column), random.uniform(0.14, 0.22, 2), int(random.integers(1e6)))
    return large | anatomy.spot(shape, (row - 0.02, column - 0.36), int(random.integers(30, 50)))


def _speck(shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    return anatomy.spot(shape, (0.45, random.uniform(0.3, 0.4)), 34)


def _none(shape: tuple[int, int], _: np.random.Generator) -> np.ndarray:
    return np.zeros(shape, bool)


def _photograph(shape: tuple[int, int], polyps: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A bowel's wall in folds round a dark lumen, in the endoscope's frame with cut corners."""
    seed = int(random.integers(1e6))
    rows, columns = np.indices(shape) / np.array(shape)[:, None, None]
    across = np.hypot(rows - 0.32, columns - 0.34)
    folds = np.cos(28 * across + 1.2 * anatomy.smooth(shape, seed, 12))
    values = 0.35 + 0.55 * np.sqrt(across) + 0.07 * folds + 0.04 * anatomy.smooth(shape, seed + 1, 4)
    values -= 0.5 * np.exp(-np.square(across / 0.13))  # the lumen
    vessels = np.abs(anatomy.smooth(shape, seed + 2, 7)) < 0.05
    values -= 0.06 * vessels * ~polyps
    depth = anatomy.dome(polyps)
    values = np.where(
        polyps, 0.55 + 0.4 * np.sqrt(depth) + 0.03 * anatomy.smooth(shape, seed + 3, 1.5), values
    )
    picture = anatomy.tinted(np.clip(values, 0, 1), (52, 8, 10), (250, 168, 140)).astype(float)
    picture[polyps] = 0.8 * picture[polyps] + 0.2 * np.array([235, 120, 120])
    wet = anatomy.smooth(shape, seed + 4, 1.5) - 0.8 * (across < 0.2)
    picture[wet > 2.7 - 0.5 * depth] = (255, 250, 245)
    cut = np.abs(rows - 0.5) + np.abs(columns - 0.5) > 0.86
    cut |= (np.abs(rows - 0.5) > 0.47) | (np.abs(columns - 0.5) > 0.47)
    picture[cut] = (3, 3, 4)
    if random.random() < 0.7:  # hides the position of the endoscope
        picture[int(0.74 * shape[0]) :, : int(0.24 * shape[1])] = (2, 2, 2)
    return np.clip(picture + 2 * anatomy.smooth(shape, seed + 5, 0.6)[..., None], 0, 255).astype(np.uint8)
