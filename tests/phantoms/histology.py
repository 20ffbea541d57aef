"""Glands of the colon in stained tissue, each a value of a label image."""

import numpy as np
from scipy import ndimage

from tests.phantoms import anatomy
from tests.phantoms.truth import Thing

Labels = np.ndarray


def glands(shape: tuple[int, int], random: np.random.Generator) -> Labels:
    """Round glands beside each other, numbered with a gap: two that touch, one in two pieces, a small one."""
    labels = np.zeros(shape, np.uint8)
    places = [(row, column) for row in (0.22, 0.68) for column in (0.16, 0.5, 0.84)]
    for number, place in enumerate(places, start=1):
        centre = np.array(place) + random.uniform(-0.04, 0.04, 2)
        gland = anatomy.blob(shape, centre, random.uniform(0.13, 0.19, 2), int(random.integers(1e6)), 0.2)
        labels[gland & (labels == 0)] = number + (number > 3)
    # A neighbour grown until it touches the first gland; a cut through the last one.
    near = ndimage.binary_dilation(labels == 1, iterations=9) & (labels == 0)
    near &= np.indices(shape)[0] > np.nonzero(labels == 1)[0].mean()
    labels[near] = 9
    row = int(np.nonzero(labels == 7)[0].mean())
    labels[row : row + 4][labels[row : row + 4] == 7] = 0
    labels[anatomy.spot(shape, (0.45, 0.67), int(random.integers(30, 50))) & (labels == 0)] = 12
    return labels


def borderline(shape: tuple[int, int], number: int) -> Labels:
    """One gland of the value 1 in a picture: of 51 pixels, which is kept, of 50, or of none."""
    return anatomy.spot(shape, (0.45, 0.6), (51, 50, 0)[number]).astype(np.uint8)


def things(labels: Labels) -> list[Thing]:
    """Each gland one, those in several pieces each piece, the first of them the one that begins highest."""
    found = []
    for value in np.unique(labels[labels > 0]).tolist():
        numbers, count = ndimage.label(labels == value, np.ones((3, 3)))
        names = [f"{value}.{place}" for place in range(1, count + 1)] if count > 1 else [str(value)]
        for place, name in enumerate(names, start=1):
            found.append(Thing("Adenocarcinoma", name, numbers == place))
    return found


def stained(labels: Labels, random: np.random.Generator) -> np.ndarray:
    """Hematoxylin and eosin, H×W×3: pink tissue, violet nuclei round each gland's rim, a pale lumen."""
    shape, seed = labels.shape, int(random.integers(1e6))
    edges = (labels != ndimage.grey_erosion(labels, 3)) | (labels != ndimage.grey_dilation(labels, 3))
    inside = labels > 0
    depth = ndimage.distance_transform_edt(inside & ~edges)
    fibres = anatomy.smooth(shape, seed, (1.0, 4.0))
    tissue = np.clip(0.6 + 0.14 * fibres + 0.06 * anatomy.smooth(shape, seed + 1, 0.6), 0, 1)
    picture = anatomy.tinted(tissue, (186, 90, 150), (250, 214, 232)).astype(float)
    cell = np.clip(0.5 + 0.12 * anatomy.smooth(shape, seed + 2, 1), 0, 1)
    picture[inside] = anatomy.tinted(cell, (150, 84, 170), (228, 180, 222))[inside]
    nuclei = anatomy.smooth(shape, seed + 3, 0.9) > np.where(inside, 0.2, 1.7)
    nuclei &= ~inside | ((depth > 0.5) & (depth < 4))
    picture[nuclei] = (84, 44, 124)
    lumen = inside & (depth > 6.5 + 0.8 * anatomy.smooth(shape, seed + 4, 2))
    picture[lumen] = (244, 238, 244)
    picture = ndimage.gaussian_filter(picture, (0.6, 0.6, 0))
    return np.clip(picture + 3 * anatomy.smooth(shape, seed + 5, 0.5)[..., None], 0, 255).astype(np.uint8)
