"""Kvasir-Instrument: images JPEG, masks PNG in three equal channels, a few with a fourth; the test images
stand in a list.
"""

import json
import tarfile
from pathlib import Path

import numpy as np

from tests.phantoms import anatomy, containers, endoscopy
from tests.phantoms.truth import Thing, TrueRow


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    """The archive and those in it, unpacked."""
    release = folder / "kvasir-instrument"
    truth, lists = [], {"train": [], "test": []}
    for number in range(patients + 3):
        random = np.random.default_rng([seed, number])
        shape = (int(random.integers(108, 128)), int(random.integers(134, 156)))
        stem = "ckcu" + "".join(random.choice(list("0123456789abcdefghijklmnopqrstuvwxyz"), 21))
        picture, tools = _scene(number - patients, shape, random)
        image, mask = release / "images" / f"{stem}.jpg", release / "masks" / f"{stem}.png"
        values = containers.picture(image, picture, quality=92)
        white = np.repeat(255 * tools[..., None].astype(np.uint8), 3, axis=2)
        if number % 3 == 1:  # opaque all over
            white = np.dstack([white, np.full(shape, 255, np.uint8)])
        containers.picture(mask, white)
        part = "test" if number == patients - 1 else "train"
        lists[part].append(stem)
        if tools.any():
            files = tuple(str(path.relative_to(folder)) for path in (image, mask))
            truth.append(
                TrueRow(
                    stem, "Colonoscopy", "picture", -1, values, [Thing("Tool", None, tools)], as_is=True,
                    official_test=part == "test", files=files,
                )
            )  # fmt: skip
    for part, stems in lists.items():
        (release / f"{part}.txt").write_text("".join(f"{stem}\n" for stem in stems))
    (release / "bboxes.json").write_text(json.dumps({stem: {} for stem in lists["train"]}))
    return truth


def write_packed(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    """Images and masks still in the archives that the archive holds, the lists with endings."""
    truth = write(folder, patients, seed)
    release = folder / "kvasir-instrument"
    for kind in ("images", "masks"):
        with tarfile.open(release / f"{kind}.tar.gz", "w:gz") as archive:
            archive.add(release / kind, kind)
        for path in (release / kind).iterdir():
            path.unlink()
        (release / kind).rmdir()
    for part in ("train", "test"):
        stems = (release / f"{part}.txt").read_text().split()
        (release / f"{part}.txt").write_text("".join(f"{stem}.jpg\n" for stem in stems))
    return truth


def _scene(after: int, shape: tuple[int, int], random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A picture and its tools: after the patients' one with a speck, one with a single pixel, one without."""
    polyps = endoscopy.polyps(shape, random) if random.random() < 0.5 else np.zeros(shape, bool)
    picture = endoscopy.photograph(shape, polyps, random)
    if after >= 0:
        pixels = (30, 1, 0)[after]
        tools = anatomy.spot(shape, (0.5, random.uniform(0.55, 0.65)), pixels)
        picture[tools] = (60, 190, 90)
        return picture, tools
    tip = (random.uniform(0.35, 0.5), random.uniform(0.4, 0.5))
    catheter, across = endoscopy.rod(shape, (1.02, random.uniform(0.75, 0.9)), tip, 0.12)
    endoscopy.lit(picture, catheter, across, (20, 40, 60), (120, 200, 235))
    jaws = np.zeros(shape, bool)
    for turn in (-0.05, 0.07):
        end = (tip[0] - 0.12, tip[1] + turn - 0.09)
        jaw, across = endoscopy.rod(shape, tip, end, 0.05)
        endoscopy.lit(picture, jaw, across, (60, 60, 64), (245, 245, 250))
        jaws |= jaw
    # A second tool far off, of few pixels: still the same object.
    far = anatomy.spot(shape, (0.2, 0.8), int(random.integers(25, 45)))
    picture[far] = (230, 225, 120)
    return picture, catheter | jaws | far
