"""Views of an example: what happens to its picture happens to its masks."""

from copy import deepcopy

import numpy as np
import pytest

from leaderboard.training import views
from leaderboard.training.examples import Example
from tests.leaderboard.dataset import disc, rectangle
from tests.leaderboard.sam.images import SmallSam, picture, tiny

SIDE = 256
#: Smaller than the network, larger, and as large, upright and lying.
SIZES = ((80, 120), (200, 90), (300, 520), (256, 256))


def example(size: tuple[int, int], *masks: np.ndarray) -> Example:
    """A picture whose pixels are its masks: each as a channel of its own."""
    image = np.zeros((*size, 3), np.uint8)
    for channel, mask in enumerate(masks):
        image[mask, channel] = 255
    return Example("id", "drive", "patient", image, [], list(masks))


def things(size: tuple[int, int], seed: int) -> Example:
    height, width = size
    y, x = np.random.default_rng(seed).integers((height // 3, width // 3), (2 * height // 3, 2 * width // 3))
    third = rectangle(3, height // 2, width // 4, height - 4, size)
    return example(
        size, disc(x, y, min(size) / 4, size), rectangle(2, 2, width // 3, height // 4, size), third
    )


def agreement(view: views.View) -> list[float]:
    """Of each mask the highest IoU with what a channel shows."""
    shown = [view.image[..., channel] > 127 for channel in range(3)]
    return [max((one & (mask > 0)).sum() / (one | (mask > 0)).sum() for one in shown) for mask in view.masks]


@pytest.mark.parametrize("size", SIZES)
def test_masks_are_exactly_where_the_picture_shows_them(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "shaded", lambda image, random: image)
    least = []
    seen = set()
    for seed in range(80):
        given = things(size, seed)
        view = views.random_view(given, np.random.default_rng(seed), SIDE, 3)
        assert 1 <= len(view.masks) <= 3
        for mask in view.masks:
            assert mask.dtype == np.uint8
            assert set(np.unique(mask)) == {0, 1}
        least += agreement(view)
        seen.add(view.image.tobytes())
    assert min(least) > 0.95
    assert len(seen) == 80


def test_no_more_objects_than_asked_for_and_none_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "shaded", lambda image, random: image)
    firsts = set()
    for seed in range(60):
        view = views.random_view(things((200, 200), 0), np.random.default_rng(seed), SIDE, 2)
        assert len(view.masks) <= 2
        channels = [
            int(np.argmax([(view.image[..., one] > 127)[mask > 0].sum() for one in range(3)]))
            for mask in view.masks
        ]
        assert len(set(channels)) == len(channels)
        firsts.add(channels[0])
    assert firsts == {0, 1, 2}  # chosen at random


def test_an_object_at_the_border_or_too_small_leaves_a_mask_all_the_same() -> None:
    corner = example((200, 200), rectangle(0, 0, 5, 5, (200, 200)))
    nothing = example((2000, 2000), rectangle(900, 900, 906, 906, (2000, 2000)))  # less than a pixel
    for given in (corner, nothing):
        for seed in range(60):
            view = views.random_view(given, np.random.default_rng(seed), SIDE, 4)
            (mask,) = view.masks
            assert mask.sum() >= 12
            assert mask.shape == view.image.shape[:2]
    assert views.plain(nothing, SIDE).masks == []


@pytest.mark.parametrize("size", SIZES)
def test_the_plain_view_has_the_size_and_the_places_that_the_model_gives(size: tuple[int, int]) -> None:
    """Held against the model's own preparation, on a picture whose values are its coordinates."""
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([255 * rows / height, 255 * columns / width, 0 * rows], axis=2).astype(np.uint8)
    given = Example("id", "drive", "patient", image, [], [disc(width // 2, height // 2, 20, size)])
    model = SmallSam(deepcopy(tiny()))
    prepared = model._resize.apply_image(image)
    view = views.plain(given, SIDE)
    assert view.image.shape == prepared.shape
    inner = np.s_[4:-4, 4:-4]
    off = np.abs(view.image.astype(int) - prepared.astype(int))[inner]
    assert off.max() <= 2  # of 255: a third of a pixel's step here is about one
    assert np.abs((view.image.astype(float) - prepared)[inner].mean(axis=(0, 1))).max() < 0.75
    scale = view.image.shape[0] / height
    assert view.masks[0].sum() == pytest.approx(scale**2 * given.masks[0].sum(), rel=0.03)


def test_shades_change_no_picture_in_place_and_stay_in_range() -> None:
    image = picture(60, 90)
    kept, spread, gray = image.copy(), [], 0
    for seed in range(120):
        found = views.shaded(image, np.random.default_rng(seed))
        assert (found.dtype, found.shape) == (np.uint8, image.shape)
        assert np.array_equal(found, views.shaded(image, np.random.default_rng(seed)))
        gray += bool((found[..., 0] == found[..., 1]).all())
        spread.append(np.corrcoef(found.mean(axis=2).ravel(), image.mean(axis=2).ravel())[0, 1])
    assert np.array_equal(image, kept)
    assert 0 < gray < 60
    inverted = sum(one < -0.5 for one in spread)
    assert 3 <= inverted <= 24  # a tenth
    assert sum(abs(one) > 0.5 for one in spread) >= 110  # what it shows is still to be seen
