"""A step of training from nothing, held against the owner's modules and a plain loss."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from segment_anything.modeling import Sam as Network

from leaderboard.training import scratch, views
from leaderboard.training.clicks import Given
from leaderboard.training.examples import Example
from tests.leaderboard.dataset import disc, rectangle
from tests.leaderboard.sam.images import picture, tiny
from tests.leaderboard.sam.test_decoder import lively

SIDE = 256
SIZE = (80, 120)


def example(seed: int) -> Example:
    masks = [disc(70 + seed, 40, 18, SIZE), rectangle(5, 5, 30 + seed, 50, SIZE)]
    return Example(str(seed), "drive", str(seed), picture(*SIZE, seed=seed), [], masks)


def by_owner(
    made: Network, features: torch.Tensor, given: Given, fed: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The owner's four masks of each prompt and their ratings."""
    points = boxes = None
    if given.points is not None and given.labels is not None:
        points = torch.from_numpy(given.points), torch.from_numpy(given.labels)
    if given.boxes is not None:
        boxes = torch.from_numpy(given.boxes)
    sparse, dense = made.prompt_encoder(points, boxes, fed)
    positions = made.prompt_encoder.get_dense_pe()
    found = [
        made.mask_decoder.predict_masks(features[[one]], positions, sparse[[one]], dense[[one]])
        for one in range(len(features))
    ]
    masks, ratings = (torch.cat(parts) for parts in zip(*found, strict=True))
    return masks, ratings


@pytest.mark.parametrize("seed", range(4))
def test_loss_and_all_gradients_of_a_step_are_the_owner_s(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With clicks of further rounds, their masks fed back, and the encoder behind it."""
    shown = [views.plain(example(number), SIDE) for number in range(2)]
    networks = [deepcopy(lively(tiny())).train() for _ in range(2)]
    losses, fed = [], []

    def owner(made: Network, features: torch.Tensor, given: Given, last: torch.Tensor | None) -> Any:
        fed.append(last is not None)
        return by_owner(made, features, given, last)

    for made, answers in zip(networks, (scratch._answers, owner), strict=True):
        monkeypatch.setattr(scratch, "_answers", answers)
        losses.append(scratch._loss(made, shown, np.random.default_rng(seed), torch.float32))
        losses[-1].backward()
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-5, atol=1e-5)
    own, theirs = (dict(made.named_parameters()) for made in networks)
    largest = max(float(value.grad.abs().max()) for value in theirs.values() if value.grad is not None)
    for name, value in theirs.items():
        mine = own[name].grad
        expected = torch.zeros_like(value) if value.grad is None else value.grad
        off = (torch.zeros_like(value) if mine is None else mine) - expected
        # Some, such as the keys' biases, are nothing but rounding.
        limit = 1e-3 * float(expected.abs().max()) + 1e-6 * largest
        assert float(off.abs().max()) <= limit, name
    for part in ("image_encoder.patch_embed", "prompt_encoder.not_a_point", "mask_decoder.iou_token"):
        assert any(name.startswith(part) for name in theirs)
    embedded = own["prompt_encoder.mask_downscaling.0.weight"].grad
    assert (embedded is not None) == any(fed)


def test_masks_are_fed_back_in_some_of_these_steps() -> None:
    shown, found = [views.plain(example(0), SIDE)], set()
    for seed in range(4):
        made = deepcopy(tiny()).train()
        scratch._loss(made, shown, np.random.default_rng(seed), torch.float32).backward()
        found.add(made.prompt_encoder.mask_downscaling[0].weight.grad is not None)
    assert True in found


@pytest.mark.parametrize("clear", [True, False])
def test_the_loss_is_the_plain_one(clear: bool) -> None:
    random = np.random.default_rng(0)
    low = random.normal(0, 3, (3, 4, 8, 8)).astype(np.float32)
    ratings = random.random((3, 4)).astype(np.float32)
    truth = (random.random((3, 16, 16)) > 0.6).astype(np.float32)
    losses = []
    for masks, rated, wanted in zip(low, ratings, truth, strict=True):
        off, wrong = [], []
        for logits, rating in zip(masks, rated, strict=True):
            large = cv2.resize(logits, (16, 16), interpolation=cv2.INTER_LINEAR).astype(np.float64)
            likely = 1 / (1 + np.exp(-large))
            entropy = -np.mean(wanted * np.log(likely) + (1 - wanted) * np.log(1 - likely))
            dice = 1 - (2 * np.sum(likely * wanted) + 1) / (np.sum(likely) + np.sum(wanted) + 1)
            off.append(5 * entropy + dice)
            mask, true = large > 0, wanted > 0.5
            wrong.append((rating - np.sum(mask & true) / np.sum(mask | true)) ** 2)
        single = off[0] + wrong[0] if clear else 0
        losses.append(min(off[1:]) + np.mean(wrong[1:]) + single)
    given = (torch.from_numpy(one) for one in (low, ratings, truth))
    assert scratch.compared(*given, clear).item() == pytest.approx(np.mean(losses), rel=1e-5)


def test_a_finished_run_is_given_again_and_a_killed_one_keeps_its_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = scratch.ScratchOptions(
        architecture="tiny", steps=5, images=1, objects=2, every=2, dtype="float32", threads=1, warmup=2
    )
    examples, step, done = [example(number) for number in range(3)], scratch._step, 0

    def run(name: str) -> tuple[Network, list[dict[str, float]]]:
        return scratch.train(examples, examples[:1], options, tmp_path / name)

    def counted(*given: Any) -> float:
        nonlocal done
        done += 1
        if done == 9:  # the fourth of the run that is to be killed
            raise KeyboardInterrupt
        return step(*given)

    monkeypatch.setattr(scratch, "_step", counted)
    made, curve = run("whole")
    assert [line["step"] for line in curve] == [2, 4, 5]
    again, same = run("whole")
    assert done == 5
    assert same == curve
    with pytest.raises(KeyboardInterrupt):
        run("killed")
    third, longer = run("killed")
    assert done == 9 + 3  # from the state after the second step
    assert longer == curve  # the losses too
    for other in (again, third):
        assert all(torch.equal(value, other.state_dict()[name]) for name, value in made.state_dict().items())
    assert not made.training
