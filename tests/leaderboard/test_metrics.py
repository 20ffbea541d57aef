from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from medpy.metric import binary
from numpy.typing import NDArray

from leaderboard.metrics import Truth, dices, score_masks
from tests.leaderboard.dataset import disc, rectangle
from tests.many import many

Mask = NDArray[np.bool_]
Pair = tuple[Mask, Mask]

USES_IPP = cv2.ipp.useIPP()


def medpy(prediction: Mask, truth: Mask) -> dict[str, float]:
    return {
        "dice": binary.dc(prediction, truth),
        "jaccard": binary.jc(prediction, truth),
        "hausdorff": binary.hd(prediction, truth),
        "assd": binary.assd(prediction, truth),
    }


def check(prediction: Mask, truth: Mask) -> None:
    expected = medpy(prediction, truth)
    assert score_masks(prediction, truth) == pytest.approx(expected, abs=1e-9, rel=0)


def random_mask(rng: np.random.Generator, shape: tuple[int, int]) -> Mask:
    """Noise, a blob, a blob's outline, a rectangle up to the border, one pixel, or all."""
    height, width = shape
    kind = rng.integers(7)
    if kind == 0:
        mask = rng.random(shape) < rng.choice([0.02, 0.2, 0.6, 0.98])
    elif kind in (1, 2):
        centre = int(rng.integers(width)), int(rng.integers(height))
        radius = rng.uniform(0.5, max(shape) / 2)
        mask = disc(*centre, radius, shape)
        if kind == 2:
            mask &= ~disc(*centre, radius * rng.uniform(0.2, 0.95), shape)
    elif kind in (3, 4):
        mask = rectangle(0, 0, int(rng.integers(width)), int(rng.integers(height)), shape)
        mask = mask[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])].copy()
    else:
        mask = np.full(shape, kind == 5)
    if not mask.any():
        mask[rng.integers(height), rng.integers(width)] = True
    return mask


def random_pair(rng: np.random.Generator, shape: tuple[int, int]) -> Pair:
    truth = random_mask(rng, shape)
    how = rng.integers(4)
    if how == 0:
        return truth.copy(), truth
    if how == 1 and not truth.all():
        return ~truth, truth
    if how == 2:
        return np.roll(truth, rng.integers(-3, 4, 2), (0, 1)), truth
    return random_mask(rng, shape), truth


def test_equal_to_medpy_on_random_pairs() -> None:
    rng = np.random.default_rng(0)
    for _ in range(many(10_000)):
        height, width = (int(side) for side in rng.integers(1, 65, 2))
        check(*random_pair(rng, (height, width)))


def test_equal_to_medpy_on_large_pairs() -> None:
    rng = np.random.default_rng(1)
    for side in (*rng.integers(65, 1024, 18).tolist(), 1024, 1024):
        check(*random_pair(rng, (side, int(rng.integers(65, 1025)))))


@pytest.mark.slow
def test_equal_to_medpy_on_the_largest_pairs() -> None:
    rng = np.random.default_rng(2)
    for _ in range(10):
        check(*random_pair(rng, (3000, 3000)))


@given(
    arrays.array_shapes(min_dims=2, max_dims=2, max_side=12).flatmap(
        lambda shape: st.tuples(*(arrays.arrays(bool, shape).filter(np.any) for _ in range(2)))
    )
)
def test_equal_to_medpy_on_any_small_pair(masks: Pair) -> None:
    check(*masks)


def _frame(size: int) -> Mask:
    return rectangle(0, 0, size - 1, size - 1, (size, size)) & ~rectangle(
        1, 1, size - 2, size - 2, (size, size)
    )


@pytest.mark.parametrize(
    ("prediction", "truth"),
    [
        pytest.param(rectangle(3, 4, 20, 30), rectangle(3, 4, 20, 30), id="identical"),
        pytest.param(rectangle(0, 0, 9, 9), rectangle(40, 30, 63, 47), id="disjoint, at the border"),
        pytest.param(rectangle(0, 0, 63, 47), rectangle(0, 0, 63, 47), id="both full"),
        pytest.param(rectangle(0, 0, 63, 47), rectangle(30, 20, 30, 20), id="full for one pixel"),
        pytest.param(rectangle(0, 0, 0, 0), rectangle(63, 47, 63, 47), id="opposite corners"),
        pytest.param(_frame(40), _frame(40)[::-1] | disc(20, 20, 4, (40, 40)), id="hollow"),
        pytest.param(disc(20, 20, 12), disc(20, 20, 12) & ~disc(20, 20, 11), id="filled for a ring"),
    ],
)
def test_equal_to_medpy_on_the_odd_ones(prediction: Mask, truth: Mask) -> None:
    check(prediction, truth)
    check(truth, prediction)


def test_a_worked_case() -> None:
    # Two squares of 4×4, one shifted by 2 to the right: 8 of 16 pixels shared. Each border has 12 pixels. Of
    # columns 0…3, the 4 in column 0 are 2 away from the other border, the 2 in column 1 are 1 away, those in
    # columns 2 and 3 at top and bottom 0, and the 2 between in column 3 are 1 away from column 2:
    # 4·2 + 2·1 + 2·1 = 12, and the other way alike.
    found = score_masks(rectangle(2, 0, 5, 3, (8, 8)), rectangle(0, 0, 3, 3, (8, 8)))
    assert found == pytest.approx({"dice": 0.5, "jaccard": 8 / 24, "hausdorff": 2.0, "assd": 24 / 24})
    # A column of 3 for a pixel at its end: distances 0, 1, 2 one way and 0 the other. The mean is over all
    # four, not of the two directions' means, which would be (1 + 0) / 2.
    found = score_masks(rectangle(0, 0, 0, 2, (4, 4)), rectangle(0, 0, 0, 0, (4, 4)))
    assert found == pytest.approx({"dice": 0.5, "jaccard": 1 / 3, "hausdorff": 2.0, "assd": 3 / 4})


def test_exact_beyond_the_reach_of_float32() -> None:
    prediction, truth = np.zeros((2, 2500, 2500), bool)
    prediction[3, 1], truth[2497, 2499] = True, True
    found = score_masks(prediction, truth)
    assert found["hausdorff"] == found["assd"] == np.hypot(2494, 2498)
    # A border so long that it would take the transform, were the picture smaller.
    prediction[::2, ::2] = True
    prediction[1000:] = False
    check(prediction, truth)


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """OpenCV takes other code where it has one thread."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(request.param)
    yield
    cv2.setNumThreads(before)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("size", [(900, 1100), (1400, 1400), (200, 2000)])
def test_exact_where_the_transform_reaches_far(size: tuple[int, int]) -> None:
    # Dense in most of the picture, and all of it far from a single pixel: every distance is met.
    prediction, truth = np.zeros((2, *size), bool)
    prediction[::2, ::2] = prediction[1::2, 1::2] = True
    truth[0, 0] = True
    assert np.hypot(*size) < 2048
    check(prediction, truth)
    assert cv2.ipp.useIPP() == USES_IPP, "other code of OpenCV goes on as it was"


def test_an_empty_prediction() -> None:
    empty, truth = np.zeros((48, 64), bool), disc(20, 20, 5)
    assert score_masks(empty, truth) == {"dice": 0.0, "jaccard": 0.0, "hausdorff": None, "assd": None}


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        (np.ones((3, 4), bool), np.ones((4, 3), bool), "shape"),
        (np.ones((1, 4), bool), np.ones((4, 4), bool), "shape"),
        (np.ones((3, 4), bool), np.zeros((3, 4), bool), "empty truth"),
    ],
)
def test_what_cannot_be_scored(prediction: Mask, truth: Mask, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score_masks(prediction, truth)


def test_the_layout_in_memory_does_not_matter() -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        prediction, truth = random_pair(rng, (31, 17))
        expected = score_masks(prediction, truth)
        wide = np.zeros((2, 62, 51), bool)
        wide[:, ::2, ::3] = prediction, truth
        backwards = prediction[::-1, ::-1].copy()[::-1, ::-1]
        assert score_masks(wide[0, ::2, ::3], wide[1, ::2, ::3]) == expected
        assert score_masks(np.asfortranarray(prediction), truth) == expected
        assert score_masks(backwards, np.asfortranarray(truth)) == expected
        (found,) = dices(np.asfortranarray(prediction), [Truth.of(wide[1, ::2, ::3])])
        assert found == expected["dice"]


def plain(prediction: Mask, truth: Mask) -> float:
    both = int(prediction.sum()) + int(truth.sum())
    return 2 * int((prediction & truth).sum()) / both if both else 0.0


def some_masks(shape: tuple[int, ...]) -> st.SearchStrategy[list[Mask]]:
    """Masks of one shape, empty ones too."""
    return st.lists(arrays.arrays(bool, shape), max_size=5)


@given(
    arrays.array_shapes(min_dims=2, max_dims=2, max_side=12).flatmap(
        lambda s: st.tuples(*[some_masks(s)] * 2)
    )
)
def test_dice_of_each_prediction_with_each_truth(masks: tuple[list[Mask], list[Mask]]) -> None:
    predictions, truths = masks
    expected = [[plain(prediction, truth) for truth in truths] for prediction in predictions]
    found = [dices(prediction, [Truth.of(truth) for truth in truths]).tolist() for prediction in predictions]
    assert found == expected


def test_a_truth_may_change_after_it_was_taken() -> None:
    rng = np.random.default_rng(4)
    prediction, mask = random_pair(rng, (20, 30))
    truth, expected = Truth.of(mask), score_masks(prediction, mask)
    mask[:] = ~mask
    assert truth.score(prediction) == expected
