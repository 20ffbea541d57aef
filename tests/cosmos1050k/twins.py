"""Built sources with planted twins: pictures of several kinds, and the same stored in other ways."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cosmos1050k import duplicates, units
from cosmos1050k.pictures import normalised
from tests.leaderboard import dataset
from tests.leaderboard.dataset import SmallCase, Thing
from tests.phantoms import (
    anatomy,
    brain,
    camus,
    endoscopy,
    fundus,
    heart,
    histology,
    isic_2018,
    pelvis,
    radiograph,
    torso,
)

Picture = NDArray[np.uint8]
Volume = NDArray[np.generic]  # slices × rows × columns, or × 3 of a picture in colour
#: Where the originals are; each way of storing them has a source of its own.
ORIGINALS = "originals"
STACK = 12, 96, 96


@cache
def ct(seed: int) -> Volume:
    """An abdomen in Hounsfield units; each slice is made of its own values, as a build does."""
    return torso.ct(torso.abdomen(STACK, 1000 * seed + 7), 1000 * seed + 8)[2:10]


def mri(seed: int) -> Volume:
    parts = anatomy.head(STACK, 50 * seed + 3)
    levels = {"scalp": 0.8, "skull": 0.15, "fluid": 0.1, "gray": 0.5, "white": 0.75, "ventricles": 0.12}
    painted = [(parts[name], level) for name, level in levels.items()]
    return (1500 * anatomy.painted(STACK, painted, 50 * seed + 9)[2:10]).astype(np.int16)


def colonoscopy(seed: int) -> Volume:
    random, shape = np.random.default_rng(seed), (192, 240)
    return endoscopy.photograph(shape, endoscopy.polyps(shape, random), random)[None]


def histopathology(seed: int) -> Volume:
    random, shape = np.random.default_rng(seed), (200, 260)
    return histology.stained(histology.glands(shape, random), random)[None]


def retina(seed: int) -> Volume:
    random = np.random.default_rng(seed)
    eye = fundus.Fundus((200, 200), (100, 100), 90, right=bool(seed % 2))
    return eye.photograph(eye.field, eye.vessels(random), random)[None]


def microscopy(seed: int) -> Volume:
    cells = anatomy.smooth((200, 200), 77 * seed + 5, 4) > 0.7
    grain = anatomy.smooth((200, 200), 77 * seed + 6, 1)
    return (1000 * (0.4 + 0.6 * cells + 0.05 * grain)).astype(np.uint16)[None]


KINDS: dict[str, Callable[[int], Volume]] = {
    "CT": ct, "MRI": mri, "colonoscopy": colonoscopy, "histopathology": histopathology, "retina": retina,
    "microscopy": microscopy,
}  # fmt: skip


def chest(seed: int) -> Volume:
    return torso.ct(torso.chest(STACK, 900 * seed + 31), 900 * seed + 32)[2:10]


def flair(seed: int) -> Volume:
    parts = anatomy.head(STACK, 70 * seed + 41)
    tumor = brain.glioma(brain.inside(parts), 70 * seed + 43)
    return (900 * brain.image("T2-FLAIR MRI", parts | tumor, 70 * seed + 42)[2:10]).astype(np.int16)


def cine(seed: int) -> Volume:
    shape = 11, 100, 90
    return (
        700 * heart.image(heart.short_axis(shape, 60 * seed + 51), heart.CINE, 60 * seed + 52)[3:]
    ).astype(np.int16)


def prostate(seed: int) -> Volume:
    return (800 * pelvis.t2w(pelvis.zones(STACK, 80 * seed + 61), 80 * seed + 62)[2:10]).astype(np.int16)


def x_ray(seed: int) -> Volume:
    return radiograph.shadow(radiograph.chest((220, 200), 40 * seed + 71), 40 * seed + 71)[None]


def ultrasound(seed: int) -> Volume:
    return camus._heart("4CH", 0.0, 30 * seed + 81, "")[1][None]


def dermoscopy(seed: int) -> Volume:
    random, shape = np.random.default_rng(seed + 91), (190, 240)
    place, size = random.uniform(0.4, 0.6, 2), random.uniform(0.2, 0.35, 2)
    return isic_2018._skin(shape, anatomy.blob(shape, place, size, seed + 91, 0.15), 50 * seed, random)[None]


#: What no threshold was chosen by but that of pictures alone: other organs and devices than KINDS.
OTHER_KINDS: dict[str, Callable[[int], Volume]] = {
    "chest CT": chest, "FLAIR": flair, "cine MRI": cine, "prostate MRI": prostate, "X-ray": x_ray,
    "ultrasound": ultrasound, "dermoscopy": dermoscopy,
}  # fmt: skip


def stored(volume: Volume) -> list[Picture]:
    """As a build stores it."""
    return [np.asarray(one) if one.dtype == np.uint8 else normalised(one) for one in volume]


def jpeg(quality: int) -> Callable[[Picture], Picture]:
    def made(picture: Picture) -> Picture:
        code = cv2.imencode(".jpg", np.ascontiguousarray(picture), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.asarray(cv2.imdecode(code, cv2.IMREAD_UNCHANGED), np.uint8)

    return made


def gamma(power: float) -> Callable[[Picture], Picture]:
    return lambda picture: (255 * (picture / 255) ** power).astype(np.uint8)


def linear(picture: Picture) -> Picture:
    return (0.6 * picture + 40).astype(np.uint8)


def clipped(picture: Picture) -> Picture:
    """Its darkest tenth black, its brightest twentieth white."""
    low, high = np.quantile(picture, (0.1, 0.95))
    return np.clip(255 * (picture - low) / max(high - low, 1), 0, 255).astype(np.uint8)


def resampled(scale: float) -> Callable[[Picture], Picture]:
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return lambda picture: np.asarray(
        cv2.resize(np.ascontiguousarray(picture), None, fx=scale, fy=scale, interpolation=how), np.uint8
    )


def cropped(share: float) -> Callable[[Picture], Picture]:
    """So much less of each axis, of it two thirds above and on the right."""

    def made(picture: Picture) -> Picture:
        rows, columns = (round(share * size / 3) for size in picture.shape[:2])
        return picture[2 * rows : picture.shape[0] - rows, columns : picture.shape[1] - 2 * columns]

    return made


def all_at_once(picture: Picture) -> Picture:
    return jpeg(75)(resampled(0.7)(clipped(picture))[:, ::-1])


def soft_tissue(volume: Volume) -> Volume:
    """The usual window of an abdomen, of Hounsfield units; other pictures' middle grays."""
    if volume.dtype == np.uint8:
        return np.stack([clipped(picture) for picture in stored(volume)])
    low, high = (-160, 240) if volume.min() < 0 else np.quantile(volume, (0.1, 0.95))
    return np.clip(volume, low, high)


@dataclass(frozen=True)
class Way:
    """A way to store pictures again."""

    of_picture: Callable[[Picture], Picture] = lambda picture: picture
    of_volume: Callable[[Volume], Volume] = lambda volume: volume

    def made(self, volume: Volume) -> list[Picture]:
        return [np.ascontiguousarray(self.of_picture(one)) for one in stored(self.of_volume(volume))]


WAYS = {
    "exact": Way(),
    "jpeg-95": Way(jpeg(95)),
    "jpeg-75": Way(jpeg(75)),
    "jpeg-60": Way(jpeg(60)),
    "linear": Way(linear),
    "gamma-0.7": Way(gamma(0.7)),
    "gamma-1.5": Way(gamma(1.5)),
    "clipped": Way(clipped),
    "window": Way(of_volume=soft_tissue),
    "left-right": Way(lambda picture: picture[:, ::-1]),
    "up-down": Way(lambda picture: picture[::-1]),
    "both": Way(lambda picture: picture[::-1, ::-1]),
    "transposed": Way(lambda picture: np.swapaxes(picture, 0, 1)),
    "slices-reversed": Way(of_volume=lambda volume: volume[::-1]),
    "part": Way(of_volume=lambda volume: volume[len(volume) // 4 :][:4]),
    "half-size": Way(resampled(0.5)),
    "size-0.7": Way(resampled(0.7)),
    "double-size": Way(resampled(2.0)),
    "all-at-once": Way(all_at_once),
    "cropped-0.01": Way(cropped(0.01)),
    "cropped-0.02": Way(cropped(0.02)),
    "cropped-0.05": Way(cropped(0.05)),
}


def noisy(picture: Picture) -> Picture:
    grain = np.random.default_rng(5).normal(0, 3, picture.shape)
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def framed(picture: Picture) -> Picture:
    """A black border, a hundredth of each side."""
    rows, columns = (-(-size // 100) for size in picture.shape[:2])
    return np.pad(picture, [(rows, rows), (columns, columns), (0, 0)][: picture.ndim])


def lung(volume: Volume) -> Volume:
    """The usual window of lungs, of Hounsfield units; the brighter half of other pictures' grays."""
    low, high = (-1350, 150) if volume.min() < 0 else np.quantile(volume, (0.3, 1.0))
    return np.clip(volume, low, high)


#: Other ways than WAYS, for OTHER_KINDS.
OTHER_WAYS = {
    "jpeg-85": Way(jpeg(85)),
    "jpeg-50": Way(jpeg(50)),
    "gamma-0.6": Way(gamma(0.6)),
    "gamma-1.8": Way(gamma(1.8)),
    "noisy": Way(noisy),
    "quarter-turn": Way(lambda picture: np.rot90(picture)),
    "size-0.4": Way(resampled(0.4)),
    "size-1.6": Way(resampled(1.6)),
    "turned-small-jpeg": Way(
        lambda picture: jpeg(70)(resampled(0.6)(np.ascontiguousarray(np.rot90(picture))))
    ),
    "every-second": Way(of_volume=lambda volume: volume[::-2]),
    "lung-window": Way(of_volume=lung),
    "framed-0.01": Way(framed),
    "cropped-0.015": Way(cropped(0.015)),
    "cropped-0.03": Way(cropped(0.03)),
}


def case(kind: str, number: int, slices: Sequence[Picture], *, empty: bool = True) -> SmallCase:
    """A patient's only case. With what no one should be told apart by: a black slice, a nearly even one."""
    shown = list(slices)
    if empty and len(shown) > 1:
        faint = np.full_like(shown[0], 90)
        faint[::2] += 1
        shown += [np.zeros_like(shown[0]), faint]
    things = [(Thing("Liver", np.ones(picture.shape[:2], bool)),) for picture in shown]
    return SmallCase(f"{kind}-{number}", f"{kind}-{number}", tuple(zip(shown, things, strict=True)))


@dataclass
class Measured:
    """One way of storing: of each kind, the originals planted and those found, and who was found wrongly."""

    planted: dict[str, int] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=dict)
    wrong: list[duplicates.Twin] = field(default_factory=list)


def measure(
    folder: Path, kinds: Mapping[str, Callable[[int], Volume]], ways: Mapping[str, Way], number: int
) -> dict[str, Measured]:
    """Plants and looks. Of each kind, `number` originals have a twin in each way's source, and as many other
    patients are there without one, as the same number of originals is without.
    """
    volumes = {(kind, one): made(one) for kind, made in kinds.items() for one in range(3 * number)}
    data, store = folder / "data", units.Units("duplicates", folder / "units")

    def plant(slug: str, way: Way, numbers: range) -> None:
        made = [case(*key, way.made(volume)) for key, volume in volumes.items() if key[1] in numbers]
        dataset.build(data, slug, made)

    plant(ORIGINALS, Way(), range(2 * number))
    results = {}
    for name, way in ways.items():
        plant(name, way, range(number, 3 * number))
        found = duplicates.find(data, [ORIGINALS, name], workers=1, store=store)
        result = results[name] = Measured(dict.fromkeys(kinds, number), dict.fromkeys(kinds, 0))
        for twin in found.twins:
            (one, first), (other, second) = twin.first, twin.second
            if first == second and one != other:
                result.found[first.rpartition("-")[0]] += 1
            else:
                result.wrong.append(twin)
    return results
