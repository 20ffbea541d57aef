"""Kvasir-SEG: images and masks, both JPEG, of any size, beside the boxes file that nobody needs."""

import json
from pathlib import Path

import numpy as np

from tests.phantoms import containers, endoscopy
from tests.phantoms.truth import Thing, TrueRow


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    release = folder / "Kvasir-SEG"
    truth, boxes = [], {}
    for number in range(patients + 2):
        random = np.random.default_rng([seed, number])
        shape = (int(random.integers(110, 140)), int(random.integers(120, 160)))
        stem = "cju" + "".join(random.choice(list("0123456789abcdefghijklmnopqrstuvwxyz"), 22))
        polyps = endoscopy.of_picture(number, patients, shape, random, 34)
        image, mask = (release / kind / f"{stem}.jpg" for kind in ("images", "masks"))
        values = containers.picture(image, endoscopy.photograph(shape, polyps, random), quality=92)
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
