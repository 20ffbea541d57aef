"""EndoTect 2020: labelled test images, masks JPEG or PNG; the development images, masks JPEG, which bear the
names of Kvasir-SEG, those of the test UUIDs; and images of the classification task, which have no masks.
"""

import json
import uuid
from pathlib import Path

import numpy as np

from tests.phantoms import containers, endoscopy
from tests.phantoms.truth import Thing, TrueRow

DEVELOPMENT = "segmented-images"
TEST = "EndoTect_2020_Segmentation_Test_Dataset"


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for part, top in enumerate((DEVELOPMENT, TEST)):
        boxes = {}
        for number in range(patients + 2):
            random = np.random.default_rng([seed, part, number])
            shape = (int(random.integers(104, 124)), int(random.integers(126, 148)))
            stem = _stem(top, random)
            polyps = endoscopy.of_picture(number, patients, shape, random, 34)
            ending = "png" if top == TEST and number % 2 == 0 else "jpg"
            image, mask = folder / top / "images" / f"{stem}.jpg", folder / top / "masks" / f"{stem}.{ending}"
            values = containers.picture(image, endoscopy.photograph(shape, polyps, random), quality=92)
            white = np.repeat(255 * polyps[..., None].astype(np.uint8), 3, axis=2)
            seen = containers.picture(mask, white).astype(int).sum(axis=2) > 3 * 127
            boxes[stem] = _box(seen)
            if seen.any():
                files = tuple(str(path.relative_to(folder)) for path in (image, mask))
                things = [Thing("Polyp", None, seen)]
                truth.append(
                    TrueRow(
                        stem, "Colonoscopy", "picture", -1, values, things, as_is=True,
                        official_test=top == TEST, files=files,
                    )
                )  # fmt: skip
        _list_boxes(folder / top, boxes)
    random = np.random.default_rng([seed, 2])
    unlabelled = endoscopy.photograph((104, 126), np.zeros((104, 126), bool), random)
    containers.picture(folder / "EndoTect_2020_Test_Dataset" / f"{uuid.UUID(int=seed)}.jpg", unlabelled)
    return truth


def _stem(top: str, random: np.random.Generator) -> str:
    if top == TEST:
        return str(uuid.UUID(bytes=random.bytes(16), version=4))
    return "cju" + "".join(random.choice(list("0123456789abcdefghijklmnopqrstuvwxyz"), 22))


def _box(seen: np.ndarray) -> list[int]:
    rows, columns = np.nonzero(seen)
    return [int(end) for end in (columns.min(), rows.min(), columns.max(), rows.max())] if rows.size else []


def _list_boxes(release: Path, boxes: dict[str, list[int]]) -> None:
    """Of the test images in a table each, of the others in one file."""
    if release.name == DEVELOPMENT:
        (release / "bounding-boxes.json").write_text(json.dumps(boxes))
        return
    (release / "bbox").mkdir()
    for stem, box in boxes.items():
        line = ",".join(["polyp", *map(str, box)]) + "\n" if box else ""
        (release / "bbox" / f"{stem}.csv").write_text("class_name,xmin,ymin,xmax,ymax\n" + line)
