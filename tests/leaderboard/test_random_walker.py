import warnings
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.segmentation import random_walker

from leaderboard.models.random_walker import BETA, RADIUS, RandomWalker
from leaderboard.strategies import NEGATIVE, PADDING, POSITIVE, Prompts
from tests.leaderboard.dataset import disc, rectangle

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Point = tuple[int, int]


@pytest.fixture(autouse=True)
def _no_warning() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def flat(mask: Mask) -> Image:
    """Two flat colours."""
    return np.where(mask[..., None], np.array([200, 60, 90]), np.array([30, 120, 60])).astype(np.uint8)


def answer(
    image: Image,
    positive: list[Point] | None = None,
    negative: list[Point] | None = None,
    box: tuple[int, int, int, int] | None = None,
) -> Mask:
    points = [*(positive or []), *(negative or [])]
    labels = [POSITIVE] * len(positive or []) + [NEGATIVE] * len(negative or [])
    labels = [PADDING if point == (-1, -1) else label for point, label in zip(points, labels, strict=True)]
    prompts = Prompts(
        np.array([points], np.int32) if points else None,
        np.array([labels], np.int8) if points else None,
        None if box is None else np.array([box], np.int32),
    )
    model = RandomWalker()
    (embedding,) = model.embed([image])
    (found,) = model.prompt(embedding, prompts)
    assert found.masks.shape == (1, *image.shape[:2])
    assert found.masks.dtype == bool
    return found.masks[0]


@pytest.mark.parametrize("gray", [True, False])
@pytest.mark.parametrize(
    ("positive", "negative", "box"),
    [
        pytest.param([(30, 22)], [], None, id="one point"),
        pytest.param([(30, 22), (30, 15)], [(3, 3), (60, 44)], None, id="points of either side"),
        pytest.param([], [], (18, 10, 42, 34), id="box"),
        pytest.param([(30, 18)], [], (18, 10, 42, 34), id="box and point"),
    ],
)
def test_two_flat_colours_are_separated(
    positive: list[Point], negative: list[Point], box: tuple[int, int, int, int] | None, gray: bool
) -> None:
    mask = disc(30, 22, 12)
    image = flat(mask)
    if gray:
        image = np.repeat(image[..., :1], 3, axis=2)
    assert np.array_equal(answer(image, positive, negative, box), mask)


def noisy(mask: Mask) -> Image:
    rng = np.random.default_rng(0)
    return (flat(mask) // 4 + rng.integers(0, 90, (*mask.shape, 3))).astype(np.uint8)


def test_points_are_scikit_images_seeds() -> None:
    image = noisy(disc(30, 22, 12))
    positive, negative = [(30, 22), (36, 27)], [(5, 5), (58, 40)]
    seeds = np.zeros(image.shape[:2], np.int32)
    for points, seed in ((negative, 1), (positive, 2)):
        for x, y in points:
            cv2.circle(seeds, (x, y), RADIUS, seed, thickness=-1)
    expected = random_walker(image, seeds, beta=BETA, mode="bf", channel_axis=-1) == 2
    assert np.array_equal(answer(image, positive, negative), expected)
    assert 0 < expected.sum() < expected.size
    # The same of a gray picture is that of one channel.
    gray = np.repeat(image[..., :1], 3, axis=2)
    expected = random_walker(image[..., 0], seeds, beta=BETA, mode="bf") == 2
    assert np.array_equal(answer(gray, positive, negative), expected)


def test_what_lies_far_outside_of_the_box_changes_nothing() -> None:
    image = noisy(disc(30, 22, 8))
    box = (20, 12, 40, 32)
    before = answer(image, box=box)
    image[:8], image[38:], image[:, :16], image[:, 46:] = 255, 0, 255, 0
    assert np.array_equal(answer(image, box=box), before)
    assert before.any()
    assert not before[~rectangle(*box)].any()


def test_a_negative_point_takes_its_part_of_the_box() -> None:
    left, right = disc(16, 24, 9), disc(47, 24, 9)
    image = flat(left | right)
    found = answer(image, [(16, 24)], [(47, 24), (32, 24)], (7, 15, 56, 33))
    assert found[24, 16]
    assert not found[24, 47]
    assert not found[24, 32]


def test_without_any_background_the_pictures_border_is() -> None:
    image = flat(disc(30, 22, 12))
    found = answer(image, [(30, 22)])
    assert not found[[0, -1]].any()
    assert not found[:, [0, -1]].any()
    # Padding is no point: with a negative one at (−1, −1) there would be background in the corner.
    assert np.array_equal(answer(image, [(30, 22)], [(-1, -1)]), found)


def test_a_point_outside_of_the_box_leaves_the_boxs_middle() -> None:
    image = flat(disc(30, 22, 12))
    box = (18, 10, 42, 34)
    assert np.array_equal(answer(image, [(60, 40)], box=box), answer(image, box=box))


@pytest.mark.parametrize("box", [None, (90, 180, 1810, 1620)])
def test_a_large_picture_is_answered_at_a_bounded_size(
    box: tuple[int, int, int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def watched(image: Image, seeds: NDArray[np.int32], **options: object) -> NDArray[np.int32]:
        sizes.append(seeds.size)
        return np.asarray(random_walker(image, seeds, **options))

    monkeypatch.setattr("skimage.segmentation.random_walker", watched)
    mask = disc(950, 900, 600, (1800, 2000))
    image = flat(mask)
    found = answer(image, [(950, 900)], box=box)
    assert len(sizes) == 1
    assert 60_000 < sizes[0] <= 65_536
    assert 2 * (found & mask).sum() / (found.sum() + mask.sum()) > 0.99
    if box is not None:
        assert not found[~rectangle(*box, mask.shape)].any()


SIZES = [(1, 1), (1, 9), (9, 1), (2, 2), (3, 3), (8, 8), (37, 23)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["black", "white", "noise", "gray noise"])
def test_every_odd_prompt_is_answered(size: tuple[int, int], kind: str) -> None:
    height, width = size
    image = np.full((*size, 3), 255 if kind == "white" else 0, np.uint8)
    if "noise" in kind:
        image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    if kind == "gray noise":
        image = np.repeat(image[..., :1], 3, axis=2)
    last = width - 1, height - 1
    centre = width // 2, height // 2
    boxes = [None, (0, 0, *last), (0, 0, 0, 0), (*centre, *centre), (*last, *last), (0, 0, *centre)]
    for box in boxes:
        for positive in ([], [(0, 0)], [last], [centre], [(-1, -1)], [centre] * 5):
            for negative in ([], [(0, 0)], [centre], [(-1, -1)] * 5):
                if box is None and not positive and not negative:
                    continue
                found = answer(image, positive, negative, box)
                if box is not None:
                    assert not found[~rectangle(*box, size)].any()


def test_with_nothing_to_decide_the_prompt_is_the_answer() -> None:
    image = flat(disc(30, 22, 12))
    assert answer(image, box=(0, 0, 63, 47)).all()
    assert not answer(image, [(-1, -1)], [(5, 5)]).any()
    for box in ((7, 9, 7, 9), (7, 9, 8, 10)):
        assert np.array_equal(answer(image, box=box), rectangle(*box))


def test_a_constant_picture_is_divided_by_distance() -> None:
    image = np.full((41, 81, 3), 90, np.uint8)
    found = answer(image, [(20, 20)], [(60, 20)])
    # Halfway both are as near: the lower label, background, has it, up to rounding.
    assert found[:, :40].all()
    assert not found[:, 41:].any()


def test_noise_in_one_row_is_answered_without_a_warning() -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 100_000, 1), dtype=np.uint8).repeat(3, axis=2)
    found = answer(image, [(99_999, 0)], [(50_000, 0)])
    assert found[0, -1]
    assert not found[0, 50_000]
