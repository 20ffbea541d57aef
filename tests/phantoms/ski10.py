"""SKI10: .mhd and .raw in two folders, regions of interest in one of them; headers tell no directions."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tests.phantoms import anatomy, containers, volumes
from tests.phantoms.truth import TrueRow
from tests.phantoms.volumes import Drawn

SHAPE = (14, 96, 80)  # sagittal slices as stored, rows, columns
SPACING = (0.39, 0.39, 1.0)
OBJECTS = {1: "Femur", 2: "Femoral Cartilage", 3: "Tibia", 4: "Tibial Cartilage"}
FEMUR, FEMORAL, TIBIA, TIBIAL = OBJECTS


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    truth = []
    for number in range(patients):
        name = f"{1 + 37 * number % 100:03d}"  # from 061 on there are regions of interest
        place = folder / "SKI10Data" / ("validation" if int(name) > 60 else "training")
        labels, values = _knee(100 * seed + number, left=number % 2 == 1)
        image, mask = place / f"image-{name}.mhd", place / f"labels-{name}.mhd"
        for path, array in ((image, values), (mask, labels)):
            containers.metaimage(path, array.T, SPACING, (0, 0, 0))
        if place.name == "validation":
            region = np.where(ndimage.binary_dilation(labels > 0, iterations=3), 1, 0).astype(np.uint8)
            containers.metaimage(place / f"roi-{name}.mhd", region.T, SPACING, (0, 0, 0))
        files = [path.with_suffix(ending) for path in (image, mask) for ending in (".mhd", ".raw")]
        truth += volumes.rows(
            values,
            [Drawn(name, None, labels == value) for value, name in OBJECTS.items()],
            volumes.summed(labels, list(OBJECTS)),
            range(SHAPE[0]),
            patient=name,
            modality="MRI",
            view="sagittal",
            files=tuple(str(path.relative_to(folder)) for path in files),
        )
    for path in ("test/image-001.mhd", "validation/image-101.mhd"):
        containers.metaimage(folder / "SKI10Data" / path, values.T, SPACING, (0, 0, 0))
    return truth


def _knee(seed: int, left: bool) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """The patella on the left of the picture; in a left knee the slices run the other way."""

    def part(centre: tuple[float, float, float], radii: tuple[float, float, float], number: int) -> NDArray:
        return anatomy.blob(SHAPE, centre, radii, seed + number, 0.05)

    leg = part((0.5, 0.5, 0.5), (0.75, 9, 0.42), 0)
    shaft = part((0.5, 0.0, 0.5), (0.3, 0.35, 0.12), 1)
    condyles = [part((0.28, 0.34, 0.54), (0.2, 0.13, 0.2), 2), part((0.7, 0.33, 0.53), (0.2, 0.12, 0.18), 3)]
    femur = shaft | condyles[0] | condyles[1]
    below = part((0.5, 0.58, 0.52), (0.5, 0.09, 0.21), 4) | part((0.5, 0.9, 0.53), (0.3, 0.35, 0.12), 5)
    patella = part((0.5, 0.27, 0.2), (0.25, 0.1, 0.05), 6)
    rows = np.arange(SHAPE[1])[None, :, None] / SHAPE[1]
    layer = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)[None]
    femoral = ndimage.binary_dilation(femur, layer, 2) & ~femur & (rows > 0.33) & ~below
    tibial = ndimage.binary_dilation(below, layer, 2) & ~below & (rows < 0.53) & ~femur & ~femoral
    tibial &= np.abs(np.linspace(-1, 1, SHAPE[0]))[:, None, None] > 0.15  # apart under each condyle
    labels = np.zeros(SHAPE, np.uint8)
    for value, mask in zip(OBJECTS, (femur, femoral, below, tibial), strict=True):
        labels[mask] = value
    volumes.edges(labels, FEMUR, (0.35, 0.55), (0, 1, 2))
    labels[-1] = 0
    labels[-1][anatomy.spot(SHAPE[1:], (0.4, 0.5), 13, 0.3)] = TIBIAL  # 52 in sum, thirteen pixels
    parts = [(leg, 0.75), (part((0.5, 0.5, 0.5), (0.6, 9, 0.34), 7), 0.32), (patella, 0.72)]
    parts += [
        (part((0.5, 0.3, 0.14), (0.15, 0.3, 0.02), 8), 0.06),
        (part((0.5, 0.45, 0.3), (0.4, 0.08, 0.1), 9), 0.8),
    ]
    fluid = ndimage.binary_dilation(labels > 0, layer, 2) & (rows > 0.3) & (rows < 0.6)
    parts += [
        (fluid, 0.45),
        (np.isin(labels, (FEMUR, TIBIA)), 0.62),
        (np.isin(labels, (FEMORAL, TIBIAL)), 0.95),
    ]
    values = np.round(560 * anatomy.painted(SHAPE, parts, seed + 10, background=0.02, grain=0.03))
    if left:
        labels, values = labels[::-1], values[::-1]
    return np.ascontiguousarray(labels), np.ascontiguousarray(values.astype(np.int16))
