"""Prompts of training are those of scoring, or near them; clicks mend what is wrong."""

import numpy as np
import pytest
from scipy import ndimage

from cosmos1050k.prompts import prompts_of
from leaderboard import strategies
from leaderboard.strategies import PADDING, STRATEGIES
from leaderboard.training import clicks
from leaderboard.training.clicks import KINDS, Kind
from tests.leaderboard.dataset import disc, rectangle

SIZE = (90, 110)
FULL = np.ones(SIZE, bool)
MASKS = [
    disc(40, 40, 20, SIZE),
    disc(80, 30, 25, SIZE) & ~disc(80, 30, 14, SIZE),  # a ring: its centre is not in it
    rectangle(0, 60, 3, 63, SIZE),
    FULL,
]
#: The kinds of the protocol, and its strategies.
STRICT = {(kind.positive, kind.negative, kind.box): kind for kind in KINDS if not kind.loose}
NAMES = {name: STRICT.get((one.positive, one.negative, one.box)) for name, one in STRATEGIES.items()}


def drawn(kind: Kind, seed: int = 0) -> clicks.Given:
    return clicks.prompts([mask.view(np.uint8) for mask in MASKS], kind, np.random.default_rng(seed))


@pytest.mark.parametrize("name", ["S2", "S3", "S4", "S5", "S6"])
def test_strict_kinds_are_what_the_models_are_asked_when_they_are_scored(name: str) -> None:
    kind = NAMES[name]
    assert kind is not None
    objects = [
        {"points_pos": own.positive, "points_neg": own.negative, "box": own.box}
        for own in map(prompts_of, MASKS)
    ]
    found, expected = drawn(kind), strategies.prompts(STRATEGIES[name], objects)
    for part in ("points", "labels", "boxes"):
        one, other = getattr(found, part), getattr(expected, part)
        assert (one is None) == (other is None)
        assert one is None or np.array_equal(one, other)


def test_a_mask_of_the_whole_picture_has_padding_in_place_of_negative_points() -> None:
    kind = NAMES["S4"]
    assert kind is not None
    found = drawn(kind)
    assert found.points is not None
    assert found.labels is not None
    assert found.labels[-1].tolist() == [1] * 5 + [PADDING] * 5
    assert (found.points[-1, 5:] == -1).all()
    assert (found.labels[:-1] != PADDING).all()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.loose])
def test_loose_prompts_are_near(kind: Kind) -> None:
    given = [drawn(kind, seed) for seed in range(30)]
    for one in given:
        for number, mask in enumerate(MASKS):
            own = prompts_of(mask)
            if one.points is not None:
                x, y = one.points[number].astype(int).T
                assert mask[y, x].all()
            if one.boxes is not None:
                sides = np.subtract(own.box[2:], own.box[:2])
                limits = 0.1 * np.maximum(np.concatenate([sides, sides]), 10)
                off = np.abs(one.boxes[number] - own.box)
                assert (off <= limits + 1e-4).all()
                assert (one.boxes[number, 2:] > one.boxes[number, :2]).all()
    for part in ("points", "boxes"):
        if getattr(given[0], part) is not None:
            assert len({getattr(one, part).tobytes() for one in given}) == len(given)


def test_what_names_one_mask_is_clear() -> None:
    assert [kind.clear for kind in KINDS] == [
        kind.box or kind.positive > 1 or kind.negative > 0 for kind in KINDS
    ]
    assert not all(kind.clear for kind in KINDS)


@pytest.mark.parametrize(
    "answer",
    [disc(48, 40, 20, SIZE), disc(40, 40, 9, SIZE), np.zeros(SIZE, bool), FULL, disc(90, 80, 9, SIZE)],
)
def test_a_deep_click_is_the_deepest_place_of_what_is_wrong(answer: np.ndarray) -> None:
    mask = MASKS[0]
    wrong = mask ^ answer
    depth = ndimage.distance_transform_edt(np.pad(wrong, 1))[1:-1, 1:-1]  # beyond the picture nothing is
    kinds = set()
    for seed in range(12):
        points, labels = clicks.mending([mask.view(np.uint8)], [answer], np.random.default_rng(seed))
        assert (points.shape, labels.shape) == ((1, 2), (1,))
        x, y = points[0].astype(int)
        assert wrong[y, x]
        assert labels[0] == mask[y, x] != answer[y, x]
        deep = np.random.default_rng(seed).random() < 0.5
        kinds.add(deep)
        # OpenCV's distances of 3×3 steps are off by up to 4 %; equal ones are ties.
        assert not deep or depth[y, x] >= 0.95 * depth.max()
    assert kinds == {True, False}


def test_each_mask_has_its_own_click() -> None:
    answers = [disc(48, 40, 20, SIZE), np.zeros(SIZE, bool), MASKS[2], np.zeros(SIZE, bool)]
    masks = [mask.view(np.uint8) for mask in MASKS]
    points, labels = clicks.mending(masks, answers, np.random.default_rng(0))
    for (x, y), label, mask, answer in zip(points.astype(int), labels, MASKS, answers, strict=True):
        wrong = mask ^ answer
        assert wrong[y, x] if wrong.any() else mask[y, x]
        assert label == mask[y, x]
