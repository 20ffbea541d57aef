"""Our path gives what the owner's `SamPredictor` gives prompt by prompt."""

import shutil
from copy import deepcopy

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor
from segment_anything.modeling import Sam as Network

from leaderboard.machine import Dtype, Machine
from leaderboard.strategies import STRATEGIES, Prompts
from tests.leaderboard.sam.images import SmallSam, picture, prompted, seeded, tiny

PROMPTED = [name for name, strategy in STRATEGIES.items() if not strategy.everything]
#: Logits of so much may have either sign.
TOLERANCE = 1e-4


def by_owner(
    predictor: SamPredictor, given: Prompts, number: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits c×H×W, ratings c and low-resolution logits of one prompt."""
    found: tuple[np.ndarray, np.ndarray, np.ndarray] = predictor.predict(
        None if given.points is None else given.points[number],
        None if given.labels is None else given.labels[number],
        None if given.boxes is None else given.boxes[number],
        return_logits=True,
    )
    return found


def agree(made: Network, image: np.ndarray, given: Prompts, prompt_batch: int) -> None:
    """Every candidate of every prompt: logits, ratings, masks."""
    ours, predictor = SmallSam(deepcopy(made), Machine(prompt_batch=prompt_batch)), SamPredictor(made)
    (embedding,) = ours.embed([image])
    predictor.set_image(image)
    answers = zip(ours.low_resolution(embedding, given), ours.prompt(embedding, given), strict=True)
    count = 0
    for number, ((low, ratings), answer) in enumerate(answers):
        logits, expected_ratings, expected_low = by_owner(predictor, given, number)
        np.testing.assert_allclose(low, expected_low, rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(ratings, expected_ratings, rtol=0, atol=TOLERANCE)
        upscaled = np.stack([ours.upscaled(one, embedding) for one in low])
        np.testing.assert_allclose(upscaled, logits, rtol=0, atol=TOLERANCE)
        clear = np.abs(logits) >= TOLERANCE
        assert answer.masks.shape == logits.shape
        assert answer.masks.dtype == bool
        assert (answer.masks == (logits > 0))[clear].all()
        assert np.array_equal(answer.predicted_iou, ratings)
        count += 1
    assert count == len(given)


@pytest.mark.parametrize("strategy", PROMPTED)
@pytest.mark.parametrize(("count", "prompt_batch"), [(1, 1), (7, 1), (7, 3), (200, 64)])
def test_every_strategy(strategy: str, count: int, prompt_batch: int) -> None:
    agree(tiny(), picture(97, 64), prompted(strategy, count, 97, 64), prompt_batch)


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize(
    ("height", "width"),
    [(97, 64), (256, 256), (300, 1000), (1, 40), pytest.param(3000, 2500, marks=pytest.mark.slow)],
)
def test_every_size(height: int, width: int, gray: bool) -> None:
    agree(tiny(1), picture(height, width, gray=gray), prompted("S6", 2, height, width), 1)


def test_logits_have_both_signs() -> None:
    """Else the masks above would say nothing."""
    (embedding,) = (ours := SmallSam()).embed([picture(97, 64)])
    shares = [found.masks.mean() for found in ours.prompt(embedding, prompted("S4", 20, 97, 64))]
    assert 0.05 < np.mean(shares) < 0.95
    assert np.ptp(shares) > 0.01


def test_images_are_encoded_together_as_alone_and_leave_nothing_behind() -> None:
    images = [picture(97, 64), picture(64, 97, 1), picture(120, 120, 2)]
    ours, given = SmallSam(), prompted("S5", 3, 97, 64)
    first, second, third = ours.embed(images)
    list(ours.prompt(second, given))
    for embedding, image in ((first, images[0]), (third, images[2])):
        (alone,) = SmallSam().embed([image])
        torch.testing.assert_close(embedding.shared.image, alone.shared.image, rtol=0, atol=1e-5)
        for found, expected in zip(ours.prompt(embedding, given), ours.prompt(alone, given), strict=True):
            assert (found.masks != expected.masks).mean() < 1e-3


def test_the_small_network_is_the_same_for_a_seed() -> None:
    state = torch.random.get_rng_state()
    one, two, other = (seeded("tiny", seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_near(dtype: Dtype) -> None:
    given = prompted("S6", 5, 97, 64)
    exact, rounded = SmallSam(), SmallSam(machine=Machine(dtype=dtype))
    assert rounded.declaration.dtype == dtype
    answers = [model.low_resolution(model.embed([picture(97, 64)])[0], given) for model in (exact, rounded)]
    for (low, ratings), (half, half_ratings) in zip(*answers, strict=True):
        assert half.dtype == half_ratings.dtype == np.float32
        assert 0 < np.abs(half - low).max() < 0.05 * np.abs(low).max()
        np.testing.assert_allclose(half_ratings, ratings, rtol=0, atol=0.05)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a compiler")
def test_a_compiled_encoder_gives_the_same() -> None:
    compiled = SmallSam(machine=Machine(compiled=True))
    assert compiled.declaration.dtype == "float32, compiled"
    images = [picture(97, 64), picture(40, 200)]
    for found, expected in zip(compiled.embed(images), SmallSam().embed(images), strict=True):
        torch.testing.assert_close(found.shared.image, expected.shared.image, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_the_real_architecture() -> None:
    agree(seeded("vit_b"), picture(300, 200), prompted("S6", 3, 300, 200), 1)
