"""CVC-ClinicDB: stills and masks, both TIFF of equal names, in two folders; a mask's edge has a few grays."""

from pathlib import Path

import numpy as np
from scipy import ndimage

from tests.phantoms import containers, endoscopy
from tests.phantoms.truth import Thing, TrueRow

SHAPE = (108, 144)
#: The first frames of the 29 sequences; the last sequence ends at frame 612.
FIRST = (
    1, 26, 51, 68, 79, 104, 127, 152, 178, 200, 206, 228, 253, 278, 298, 318, 343, 364, 384, 409, 429, 448,
    467, 479, 504, 529, 547, 572, 592,
)  # fmt: skip
STILLS = 2


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    """The owner's archive, unpacked."""
    release = folder / "CVC-ClinicDB"
    truth = _written(folder, release / "Original", release / "Ground Truth", "tif", patients, seed)
    containers.resource_fork(release / "Original" / "1.tif")
    (release / "Ground Truth" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    return truth


def write_mirror(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    """The mirror, with every picture in both forms; this one has PNG alone, its masks in colour."""
    truth = _written(
        folder, folder / "PNG" / "Original", folder / "PNG" / "Ground Truth", "png", patients, seed
    )
    (folder / "metadata.csv").write_text("frame_id,sequence_id\n1,1\n")
    return truth


def _written(folder: Path, images: Path, masks: Path, ending: str, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for number in range(patients + 2):
        random = np.random.default_rng([seed, number])
        sequence = number % len(FIRST)
        for still in range(STILLS if number < patients else 1):
            # The last stills of a sequence, so that two sequences come next to each other.
            frame = [*FIRST[1:], 613][sequence] - STILLS + still
            polyps = endoscopy.of_picture(number, patients, SHAPE, random)
            values = endoscopy.photograph(SHAPE, polyps, random)
            image, mask = images / f"{frame}.{ending}", masks / f"{frame}.{ending}"
            grays = _grays(polyps, random)
            if ending == "tif":
                containers.tiff(image, values, photometric="rgb")
                containers.tiff(mask, grays)
            else:
                containers.picture(image, values)
                containers.picture(mask, np.repeat(grays[..., None], 3, axis=2))
            if polyps.any():
                files = tuple(str(path.relative_to(folder)) for path in (image, mask))
                things = [Thing("Polyp", None, polyps)]
                truth.append(
                    TrueRow(
                        f"sequence_{sequence + 1}", "Colonoscopy", "picture", -1, values, things, as_is=True,
                        files=files,
                    )
                )  # fmt: skip
    return truth


def _grays(polyps: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """White on black; a few pixels at the edge are gray, inside from 128 up."""
    grays = np.where(polyps, 255, 0).astype(np.uint8)
    few = random.random(polyps.shape) < 0.2
    grays[ndimage.binary_dilation(polyps) & ~polyps & few] = 127
    grays[polyps & ~ndimage.binary_erosion(polyps) & few] = 128
    return grays
