"""A step of finetuning against the owner's modules and the formula of the loss."""

from copy import deepcopy
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from segment_anything.modeling import Sam as Network

from leaderboard.machine import Machine
from leaderboard.sam import decoder
from leaderboard.strategies import STRATEGIES, prompts
from leaderboard.training import losses, tuner
from leaderboard.training.examples import Example
from leaderboard.training.options import FinetuneOptions
from leaderboard.training.tuner import Tuner
from tests.leaderboard.sam.images import SmallMedSam, SmallSam, picture, tiny
from tests.leaderboard.sam.test_decoder import features, lively, sparse
from tests.leaderboard.test_models import disc, rectangle, stored
from tests.leaderboard.training import literal


def example(height: int, width: int, seed: int = 0, count: int = 4) -> Example:
    size = (height, width)
    masks = [disc(width // 3 + 5 * place, height // 2, 8 + place, size) for place in range(count - 1)]
    masks.append(rectangle(2, 3, width // 2, height // 3, size))
    objects = [{**entry, "pair": "Liver-CT"} for entry in stored(*masks)]
    return Example(f"{seed}", "drive", "0", picture(height, width, seed), objects, masks)


BATCH = [example(64, 48), example(40, 90, 1, 3)]


def tuned(network: Network, **options: Any) -> Tuner:
    return Tuner(SmallSam(deepcopy(network), Machine()), FinetuneOptions(base="small", **options))


def gradients(network: Network) -> dict[str, torch.Tensor]:
    return {
        name: value.grad for name, value in network.mask_decoder.named_parameters() if value.grad is not None
    }


def close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Equal gradients, up to a thousandth of the largest of a tensor; what only one has is nothing."""
    largest = max(float(value.abs().max()) for value in other.values())
    for name in one.keys() | other.keys():
        zero = torch.zeros(())
        mine, theirs = one.get(name, zero), other.get(name, zero)
        assert float((mine - theirs).abs().max()) <= 1e-3 * float(theirs.abs().max()) + 1e-5 * largest, name


@pytest.mark.parametrize("together", [2**25, 3000])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_step_is_the_owner_s_step(monkeypatch: pytest.MonkeyPatch, device: str, together: int) -> None:
    """However it is divided: by image as on a CPU, all at once as on a GPU, a few objects at a time."""
    monkeypatch.setattr(tuner, "_TOGETHER", together)
    network = lively(tiny())
    mine, owner = tuned(network), deepcopy(network)
    if device == "cuda":  # the division alone: it runs here
        monkeypatch.setattr(mine, "_apart", False)
    optimiser = torch.optim.AdamW(owner.mask_decoder.parameters(), lr=1e-4, weight_decay=0.01)
    with torch.no_grad():
        given = [literal.pixels(owner, one) for one in BATCH]
        encoded = [(owner.image_encoder(image), size) for image, size in given]
    for number in range(2):
        expected = literal.step(owner, optimiser, BATCH, encoded)
        found = mine.step(BATCH, np.random.default_rng(number))
        assert found == pytest.approx(expected, rel=1e-4)
        close(gradients(mine.model.network), gradients(owner))
    assert not any(value.requires_grad for value in mine.model.network.image_encoder.parameters())
    assert not any(value.requires_grad for value in mine.model.network.prompt_encoder.parameters())


def test_the_loss_by_hand() -> None:
    """Two pixels, one of the mask: at logits 0 each is likely by a half."""
    logits, masks = torch.zeros(1, 1, 2), torch.tensor([[[1.0, 0.0]]])
    dice = 2 * 0.5 / (0.25 + 0.25 + 1)
    assert losses.instances(logits, masks).item() == pytest.approx(1 - dice + np.log(2), abs=1e-4)
    sure = torch.tensor([[[40.0, -40.0]]])
    assert losses.instances(sure, masks).item() == pytest.approx(0, abs=1e-5)
    assert losses.instances(-sure, masks).item() == pytest.approx(1 + 40, abs=1e-3)


def test_instances_count_alike_whatever_their_size() -> None:
    logits = torch.randn(3, 9, 7, generator=torch.Generator().manual_seed(0))
    masks = torch.stack([torch.tensor(disc(3, 4, radius, (9, 7))) for radius in (1, 2, 3)])
    alone = [literal.dice(one, mask.float()) for one, mask in zip(logits, masks, strict=True)]
    entropy = [
        torch.nn.functional.binary_cross_entropy_with_logits(one, mask.float())
        for one, mask in zip(logits, masks, strict=True)
    ]
    torch.testing.assert_close(losses.instances(logits, masks), torch.stack(alone) + torch.stack(entropy))


@pytest.mark.parametrize("size", [(64, 48), (300, 500), (256, 256)])
def test_logits_at_the_image_s_size_are_the_owner_s(size: tuple[int, int]) -> None:
    low = torch.randn(2, 64, 64, generator=torch.Generator().manual_seed(0))
    model = SmallSam()
    height, width = model.prepared(picture(*size)).shape[-2:]
    expected = tiny().postprocess_masks(low[:, None], (height, width), size)[:, 0]
    torch.testing.assert_close(losses.enlarged(low, 256, (height, width), size), expected)


def test_medsam_s_logits_fill_its_square() -> None:
    """Without padding, as its owner resizes them; the same by OpenCV."""
    low = torch.randn(1, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = cv2.resize(low[0].numpy(), (90, 40), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(losses.enlarged(low, 256, None, (40, 90))[0].numpy(), expected, atol=1e-4)
    model = SmallMedSam(deepcopy(lively(tiny())))
    mine = Tuner(model, FinetuneOptions(base="small"))
    assert mine.step(BATCH, np.random.default_rng(0)) > 0
    assert gradients(model.network)


def test_gathered_prompts_of_several_images_are_those_of_each() -> None:
    network = lively(tiny())
    images = torch.cat([features(network, seed) for seed in (1, 2)])
    positions = network.prompt_encoder.get_dense_pe()
    places, given = torch.tensor([0, 1, 1, 0]), sparse(network, 4, 8)
    shared = decoder.share(network, images, positions).of(places)
    logits, ratings = decoder.decode(network, shared, given)
    for number, place in enumerate(places.tolist()):
        alone = decoder.share(network, images[place : place + 1], positions)
        expected, rated = decoder.decode(network, alone, given[number : number + 1])
        torch.testing.assert_close(logits[number : number + 1], expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(ratings[number : number + 1], rated, rtol=0, atol=1e-5)


def test_jitter_moves_each_side_within_its_bound_and_the_image() -> None:
    one = BATCH[0]
    model = tuned(tiny(), box_jitter=4)
    (encoded,) = model.encode([one])
    exact = prompts(STRATEGIES["S5"], one.objects).boxes
    assert exact is not None
    moves = []
    for seed in range(60):
        given = model.prompts(encoded, "S5", np.random.default_rng(seed)).boxes
        assert given is not None
        assert given.min() >= 0
        assert (given[:, 2] < 48).all()
        assert (given[:, 3] < 64).all()
        assert (given[:, :2] <= given[:, 2:]).all()
        moves.append(given - exact)
    assert np.abs(moves).max() == 4
    assert {int(move) for move in np.array(moves)[:, 0, 0]} == set(range(-4, 5))
    still = tuned(tiny()).prompts(encoded, "S5", np.random.default_rng(0)).boxes
    assert np.array_equal(still, exact)  # type: ignore[arg-type]


def test_points_are_mixed_in_as_often_as_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    model = tuned(tiny(), points=0.5)
    given = Tuner.prompts

    def watched(self: Tuner, encoded: Any, strategy: str, random: Any) -> Any:
        asked.append(strategy)
        return given(self, encoded, strategy, random)

    monkeypatch.setattr(Tuner, "prompts", watched)
    monkeypatch.setattr(Tuner, "_losses", lambda self, group: torch.zeros(1, requires_grad=True))
    for seed in range(200):
        model.step(BATCH[:1], np.random.default_rng(seed))
    assert set(asked) == {"S2", "S3", "S4", "S5", "S6"}
    assert 70 < asked.count("S5") < 130


def test_validation_is_the_score_of_the_evaluation() -> None:
    """DICE of the best candidate, mean over objects of an image, then images."""
    model = tuned(lively(tiny()))
    expected = []
    for one in BATCH:
        (embedding,) = model.model.embed([one.image])
        answers = model.model.prompt(embedding, prompts(STRATEGIES["S5"], one.objects))
        best = [
            max(2 * (mask & truth).sum() / (mask.sum() + truth.sum()) for mask in answer.masks)
            for answer, truth in zip(answers, one.masks, strict=True)
        ]
        expected.append(np.mean(best))
    found = model.validated(BATCH)
    assert found.keys() == {"Liver-CT"}
    assert found["Liver-CT"] == pytest.approx(np.mean(expected), abs=1e-9)
