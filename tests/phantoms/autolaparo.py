"""AutoLaparo, its segmentation part: frames of clips, JPEG, and masks of gray levels, PNG in colour."""

from pathlib import Path

import numpy as np

from tests.phantoms import anatomy, containers, endoscopy
from tests.phantoms.truth import Thing, TrueRow

SHAPE = (108, 192)
#: Gray level of an instrument's manipulator; that of its shaft is 20 more.
MANIPULATORS = {
    20: "grasping forceps",
    60: "LigaSure",
    100: "dissecting and grasping forceps",
    140: "electric hook",
}
UTERUS = 180
CLIPS, FRAMES, FIRST_TEST_CLIP = 300, 2, 228


def write(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    """Two frames of each clip, of which each patient is one; the last clip holds the borderline frames."""
    release = folder / "AutoLaparo_Task3"
    truth = []
    for number in range(patients):
        clip = 1 + number * 114 % (CLIPS - 1)
        random = np.random.default_rng([seed, number])
        for frame in range(1, FRAMES + 1):
            instruments = [(number + place) % 4 for place in range(frame)]
            picture, levels = _scene(instruments, bool((number + frame) % 3), random)
            truth += _stored(folder, release, clip, frame, picture, levels)
    for frame, pixels in enumerate((0, 2, 3), start=1):  # of 20 each: kept is what sums to more than 50
        picture, levels = _scene([], False, np.random.default_rng([seed, patients, frame]))
        levels[anatomy.spot(SHAPE, (0.4, 0.6), pixels)] = 20
        truth += _stored(folder, release, CLIPS, frame, picture, levels)
    return truth


def _stored(
    folder: Path, release: Path, clip: int, frame: int, picture: np.ndarray, levels: np.ndarray
) -> list[TrueRow]:
    image, mask = (
        release / kind / f"{clip:03d}{frame:03d}.{ending}"
        for kind, ending in (("imgs", "jpg"), ("masks", "png"))
    )
    values = containers.picture(image, picture, quality=92)
    containers.picture(mask, np.repeat(levels[..., None], 3, axis=2))
    if levels.sum(dtype=int) <= 50:
        return []
    return [
        TrueRow(
            f"{clip:03d}", "Colonoscopy", "picture", -1, values,
            [_thing(level, levels == level) for level in np.unique(levels).tolist() if level],
            as_is=True, official_test=clip >= FIRST_TEST_CLIP,
            files=(str(image.relative_to(folder)), str(mask.relative_to(folder))),
        )
    ]  # fmt: skip


def _thing(level: int, mask: np.ndarray) -> Thing:
    if level == UTERUS:
        return Thing("Uterus", None, mask)
    shaft = level not in MANIPULATORS
    return Thing("Tool", f"{MANIPULATORS[level - 20 * shaft]}, {'shaft' if shaft else 'manipulator'}", mask)


def _scene(
    instruments: list[int], uterus: bool, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A frame and its gray levels: the pelvis, the uterus in it, and instruments."""
    seed = int(random.integers(1e6))
    levels = np.zeros(SHAPE, np.uint8)
    picture = _pelvis(seed)
    if uterus:
        organ = anatomy.blob(
            SHAPE, (random.uniform(0.5, 0.6), random.uniform(0.4, 0.5)), (0.27, 0.16), seed, 0.1
        )
        level = 0.35 + 0.5 * np.sqrt(anatomy.dome(organ)) + 0.05 * anatomy.smooth(SHAPE, seed + 1, 2)
        picture[organ] = anatomy.tinted(np.clip(level, 0, 1), (120, 30, 36), (255, 190, 180))[organ]
        levels[organ] = UTERUS
    for place, kind in enumerate(instruments):
        _hold(picture, levels, kind, place, random)
    rows, columns = (np.indices(SHAPE) + 0.5) - np.array(SHAPE)[:, None, None] / 2
    seen = np.hypot(rows, columns) < 0.535 * SHAPE[1]  # a round picture
    picture[~seen], levels[~seen] = 2, 0
    return picture, levels


def _pelvis(seed: int) -> np.ndarray:
    """Folds of peritoneum and yellow fat, wet, lit from the middle."""
    rows, columns = np.indices(SHAPE) / np.array(SHAPE)[:, None, None]
    folds = np.abs(anatomy.smooth(SHAPE, seed + 2, 9))
    light = 1.0 - 1.3 * np.hypot(rows - 0.5, (columns - 0.5) * 1.2)
    values = np.clip(0.2 + 0.55 * light + 0.14 * folds + 0.04 * anatomy.smooth(SHAPE, seed + 3, 2), 0, 1)
    picture = anatomy.tinted(values, (50, 6, 8), (240, 150, 130))
    fat = anatomy.smooth(SHAPE, seed + 4, 14) > 0.8
    picture[fat] = anatomy.tinted(values, (80, 40, 4), (255, 220, 140))[fat]
    picture[anatomy.smooth(SHAPE, seed + 5, 1.2) > 2.9] = (255, 248, 244)
    return picture


def _hold(
    picture: np.ndarray, levels: np.ndarray, kind: int, place: int, random: np.random.Generator
) -> None:
    """Paints the instrument of a kind, from the right or, the second, from the left below."""
    start, way = (((0.12, 1.0), (0.3, -0.34)), ((1.0, 0.03), (-0.3, 0.2)))[place]
    joint = tuple(one + step * random.uniform(0.9, 1.1) for one, step in zip(start, way, strict=True))
    tip = tuple(one + 0.35 * step for one, step in zip(joint, way, strict=True))
    shaft, across = endoscopy.rod(SHAPE, start, joint, 0.1)
    endoscopy.lit(picture, shaft, across, (8, 8, 10), (110, 112, 120))
    head, across = endoscopy.rod(SHAPE, joint, tip, (0.07, 0.08, 0.06, 0.035)[kind])
    endoscopy.lit(picture, head, across, (70, 70, 76), (250, 250, 255))
    levels[shaft] = 40 * (kind + 1)
    levels[head & ~shaft] = 40 * kind + 20
