"""TN-SCUI 2020: ultrasound of the thyroid in PNG, gray or RGB, masks of the same names but for zeros in front
and capitals, a table of what is malignant, and test images without masks.
"""

from pathlib import Path

import cv2
import numpy as np
from scipy import ndimage

from tests.phantoms import anatomy, containers
from tests.phantoms.anatomy import Mask
from tests.phantoms.truth import Thing, TrueRow


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    top = folder / "TNSCUI2020_train"
    truth, table = [], ["ID,CATE"]
    for number in range(1, patients + 3):
        kind = ("nodule", "speck", "none")[max(0, number - patients)]
        random = np.random.default_rng([seed, number])
        shape = (int(random.integers(96, 120)), int(random.integers(130, 160)))
        nodules = _nodules(shape, kind, random)
        values = _neck(shape, nodules, random)
        if number % 2 == 0:
            values = np.repeat(values[..., None], 3, axis=2)
        image = top / "image" / f"{number:05d}.PNG"
        mask = top / "mask" / (f"{number}.png" if number % 3 == 0 else f"{number:05d}.png")
        values = containers.picture(image, values, format="PNG")
        white = 255 * nodules.astype(np.uint8)
        containers.picture(mask, white if number % 3 else np.repeat(white[..., None], 3, axis=2))
        table.append(f"{number:05d}.PNG,{int(random.integers(2))}")
        if nodules.any():
            things = [Thing("Thyroid Nodules", None, nodules)]
            files = tuple(str(path.relative_to(folder)) for path in (image, mask))
            truth.append(TrueRow(str(number), "US", "picture", -1, values, things, as_is=True, files=files))
        if number == 1:
            containers.picture(folder / "tnscui2020_testset" / "test_1.PNG", values, format="PNG")
    (top / "train.csv").write_text("".join(f"{line}\n" for line in table))
    return truth


def _nodules(shape: tuple[int, int], kind: str, random: np.random.Generator) -> Mask:
    if kind != "nodule":
        return anatomy.spot(shape, (0.42, 0.6), 42 if kind == "speck" else 0)
    place = random.uniform(0.36, 0.46), random.uniform(0.3, 0.42)
    nodules = anatomy.blob(
        shape, place, random.uniform((0.12, 0.1), (0.19, 0.15)), int(random.integers(1e6)), 0.14
    )
    if random.random() < 0.6:  # and a small one in the other half of the lobe
        nodules |= anatomy.spot(shape, (place[0] + 0.04, place[1] + 0.3), 40)
    return nodules


def _neck(shape: tuple[int, int], nodules: Mask, random: np.random.Generator) -> np.ndarray:
    """Skin and muscles in layers, the gland beneath, the trachea's shadow and the carotid artery aside."""
    seed = int(random.integers(1e6))
    rows, columns = np.indices(shape) / np.array(shape)[:, None, None]
    depth = rows + 0.03 * np.sin(5 * columns + 1) + 0.008 * anatomy.smooth(shape, seed, (4, 14))
    level = np.full(shape, 0.33)
    level[depth < 0.24] = 0.2
    level[np.abs(depth - 0.05) < 0.03] = 0.75  # skin
    level[np.abs(depth - 0.15) < 0.012] = level[np.abs(depth - 0.24) < 0.014] = 0.6  # fasciae
    gland = anatomy.blob(shape, (0.46, 0.44), (0.22, 0.36), seed + 1, 0.08) & (depth > 0.25)
    level[gland] = 0.5
    level[anatomy.blob(shape, (0.5, 0.88), (0.13, 0.075), seed + 2, 0.05)] = 0.05  # the carotid
    trachea = (columns < 0.1) & (depth > 0.4)
    level[trachea] = 0.08
    inside = 0.32 + 0.07 * anatomy.smooth(shape, seed + 3, 2.2)
    level = np.where(nodules, inside, level)
    rim = nodules & ~ndimage.binary_erosion(nodules, iterations=1)
    level[rim] = 0.2
    level[nodules & (anatomy.smooth(shape, seed + 4, 0.8) > 2.6)] = 0.95  # calcifications
    level = cv2.GaussianBlur(level + 0.04 * anatomy.smooth(shape, seed + 5, 5), (0, 0), 0.8)
    level *= 1.15 - 0.5 * rows
    grain = ndimage.gaussian_filter(random.rayleigh(0.8, shape), (0.5, 0.9))  # wider than it is deep
    values = np.clip(255 * level * grain, 0, 255)
    values[:, :3] = values[:, -3:] = 0  # what the device leaves black
    values[4:10:2, 6:22] = 210  # burnt-in text
    return values.astype(np.uint8)
