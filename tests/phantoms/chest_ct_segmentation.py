"""Chest CT Segmentation: windowed slices and masks in RGB, a JPEG each, numbered per patient; in a mask's
channels trachea, heart and lungs. Of some patients nobody drew the heart. Folders lie in their like.
"""

from pathlib import Path

import numpy as np

from tests.phantoms import anatomy, containers, torso
from tests.phantoms.truth import Thing, TrueRow

SLICES = 12
#: The number of a patient's first slice: in text order 10 comes before 3.
FIRST = 3
TRACHEA, HEART, LUNGS = range(3)


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth, table = [], ["ImageId,MaskId"]
    for number in range(patients):
        name = f"ID{7637202177411956430 + 10**15 * number + seed:023d}"
        found, listed = _patient(folder, name, number, 100 * seed + number)
        truth += found
        table += listed
    (folder / "train.csv").write_text("".join(f"{line}\n" for line in table))
    for kind in ("images", "masks"):  # pickled arrays of the same
        path = folder / f"numpy_{kind}_files" / "ID00007637202177411956430.npy"
        path.parent.mkdir()
        path.write_bytes(b"\x80\x04N.")
    return truth


def _patient(folder: Path, name: str, number: int, seed: int) -> tuple[list[TrueRow], list[str]]:
    side = 96 + 8 * (number % 2)
    values, channels = _chest((SLICES, side, side), seed, heart=number % 3 != 1)
    files, stored = [], []
    for place in range(SLICES):
        image = folder / "images" / "images" / f"{name}_{FIRST + place}.jpg"
        mask = folder / "masks" / "masks" / f"{name}_mask_{FIRST + place}.jpg"
        shown = containers.picture(image, np.repeat(values[place][..., None], 3, axis=2), quality=90)
        drawn = np.where(channels[place], 255, 0).astype(np.uint8)
        stored.append((shown, containers.picture(mask, drawn, quality=92)))
        files.append((image, mask))
    # JPEG moves the borders a little; nobody has drawn a lung across the middle.
    seen = np.stack([mask for _, mask in stored]) > 127
    halves = [
        seen[..., LUNGS] & (np.arange(side) < side // 2),
        seen[..., LUNGS] & (np.arange(side) >= side // 2),
    ]
    lungs = sorted(halves, key=np.count_nonzero, reverse=True)
    truth = []
    for place, (shown, _) in enumerate(stored):
        drawn = [
            ("Trachea", None, seen[place, ..., TRACHEA]),
            ("Heart", None, seen[place, ..., HEART]),
            ("Lung", "1", lungs[0][place]),
            ("Lung", "2", lungs[1][place]),
        ]
        things = [Thing(*one) for one in drawn if one[2].any()]
        names = tuple(str(path.relative_to(folder)) for path in files[place])
        if things:
            truth.append(TrueRow(name, "CT", "transverse", place, shown, things, files=names))
    return truth, [f"{image.name},{mask.name}" for image, mask in files]


def _chest(shape: tuple[int, int, int], seed: int, heart: bool) -> tuple[np.ndarray, np.ndarray]:
    """Gray slices from the neck downwards, and of each voxel the three channels."""
    organs = torso.chest(shape, seed)
    bronchi = anatomy.blob(shape, (0.55, 0.5, 0.5), (0.1, 0.035, 0.11), seed + 50, 0.1)
    organs["trachea"] |= bronchi
    for side in ("right", "left"):
        organs[f"lung {side}"] &= ~bronchi
    values = torso.ct(organs, seed)
    channels = np.zeros((*shape, 3), bool)
    channels[..., TRACHEA] = organs["trachea"]
    channels[..., LUNGS] = organs["lung right"] | organs["lung left"]
    if heart:  # over the lungs' border
        channels[..., HEART] = organs["heart"] | anatomy.blob(
            shape, (0.25, 0.44, 0.6), (0.2, 0.15, 0.17), seed + 51, 0.05
        )
    channels[:2] = channels[-1] = False
    channels[-1, ..., TRACHEA] = anatomy.spot(shape[1:], (0.5, 0.5), 45)
    window = np.clip((values + 1000.0) / 1800, 0, 1) * 235
    return window[::-1].round().astype(np.uint8), channels[::-1]
