"""Training from nothing: views, prompts, the loss, and a run that was killed."""

import math
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from cosmos1050k.prompts import prompts_of
from leaderboard.sam import decoder
from leaderboard.training import clicks, scratch, views
from leaderboard.training.clicks import KINDS, Given
from leaderboard.training.examples import Example
from leaderboard.training.scratch import ScratchOptions
from tests.leaderboard.sam.images import SmallSam, seeded, tiny
from tests.leaderboard.sam.test_decoder import features, lively
from tests.leaderboard.test_models import disc, rectangle

SIDE = 256
OPTIONS = ScratchOptions(
    architecture="tiny", steps=6, images=2, objects=2, every=2, dtype="float32", threads=1, warmup=2
)


def example(seed: int, height: int = 80, width: int = 120) -> Example:
    """A picture that is its objects: a bright disc and a less bright rectangle on black."""
    random, size = np.random.default_rng(seed), (height, width)
    masks = [
        disc(int(random.integers(30, 90)), int(random.integers(20, 60)), 14, size),
        rectangle(4, 4, 25, int(random.integers(20, 70)), size),
    ]
    masks[1] &= ~masks[0]
    image = np.zeros((*size, 3), np.uint8)
    image[masks[0]], image[masks[1]] = 240, 120
    return Example(str(seed), "drive", str(seed), image, [], masks)


def covered(image: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """Of an object's mask the share that has its brightness, and of what has it the share in the mask."""
    level = 240 if image[mask > 0].mean() > 180 else 120
    shown = np.abs(image[..., 0].astype(int) - level) < 60
    common = float((shown & (mask > 0)).sum())
    return common / float(mask.sum()), common / float(shown.sum())


def test_masks_follow_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "shaded", lambda image, random: image)
    seen = []
    for seed in range(150):
        random = np.random.default_rng(seed)
        view = views.random_view(example(seed), random, SIDE, 2)
        assert view.image.dtype == np.uint8
        assert max(view.image.shape[:2]) == SIDE
        assert view.masks
        for mask in view.masks:
            assert mask.shape == view.image.shape[:2]
            if mask.sum() > 400:  # of a sliver at the border the edge is all
                seen.append((*covered(view.image, mask), view.image[mask > 0].mean() > 180))
    assert min(inside for inside, _, _ in seen) > 0.85
    # The blurred edge of the bright one is as bright as the other.
    assert min(all_ for _, all_, bright in seen if bright) > 0.85
    assert np.mean([all_ for _, all_, _ in seen]) > 0.93


def test_the_same_seed_is_the_same_view_and_another_is_not() -> None:
    def view(seed: int) -> bytes:
        return views.random_view(example(0), np.random.default_rng(seed), SIDE, 2).image.tobytes()

    assert view(1) == view(1)
    assert len({view(seed) for seed in range(20)}) == 20


def test_the_plain_view_is_what_the_model_sees_when_it_is_scored() -> None:
    one, model = example(3), SmallSam(deepcopy(tiny()))
    view = views.plain(one, SIDE)
    found, expected = scratch._input(model.network, view.image), model.padded(model.prepared(one.image))
    assert found.shape == expected.shape
    assert (found - expected).abs().mean() < 0.02  # two libraries' interpolation
    assert len(view.masks) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_prompts_are_the_protocol_s_or_lie_in_the_mask(kind: clicks.Kind) -> None:
    masks = [mask.view(np.uint8) for mask in example(1).masks]
    given = clicks.prompts(masks, kind, np.random.default_rng(0))
    for number, mask in enumerate(masks):
        own = prompts_of(mask.view(bool))
        if kind.box:
            assert given.boxes is not None
            assert np.abs(given.boxes[number] - own.box).max() <= (0.1 * 60 if kind.loose else 0)
        if not kind.positive:
            assert given.points is None
            continue
        assert given.points is not None
        assert given.labels is not None
        x, y = given.points[number, : kind.positive].astype(int).T
        assert mask[y, x].all()
        assert given.labels[number].tolist() == [1] * kind.positive + [0] * kind.negative
        if not kind.loose:
            expected = own.positive[: kind.positive] + own.negative[: kind.negative]
            assert given.points[number].tolist() == expected


def test_every_kind_has_its_share() -> None:
    assert sum(kind.share for kind in KINDS) == pytest.approx(1)
    random = np.random.default_rng(0)
    drawn = [clicks.kind(random) for _ in range(4000)]
    for kind in KINDS:
        assert drawn.count(kind) / 4000 == pytest.approx(kind.share, abs=0.03)


def test_a_click_mends_what_is_wrong() -> None:
    mask = disc(40, 40, 20, (80, 90)).view(np.uint8)
    for answer in (disc(48, 40, 20, (80, 90)), disc(40, 40, 9, (80, 90)), np.zeros((80, 90), bool)):
        wrong = mask.view(bool) ^ answer
        deepest = ndimage.distance_transform_edt(np.pad(wrong, 1))[1:-1, 1:-1].max()
        deep = 0
        for seed in range(40):
            points, labels = clicks.mending([mask], [answer], np.random.default_rng(seed))
            x, y = points[0].astype(int)
            assert wrong[y, x]
            assert labels[0] == mask[y, x]
            depth = ndimage.distance_transform_edt(np.pad(wrong, 1))[1:-1, 1:-1][y, x]
            deep += depth > 0.85 * deepest  # OpenCV's 3×3 distances are not exact
        assert 12 <= deep <= 40
    points, labels = clicks.mending([mask], [mask.view(bool)], np.random.default_rng(0))
    assert labels.tolist() == [1]  # nothing is wrong: a point of the mask


def test_a_click_joins_the_prompts() -> None:
    box = Given(None, None, np.zeros((2, 4), np.float32))
    more = box.also(np.ones((2, 2), np.float32), np.array([1, 0]))
    assert more.points is not None
    assert more.points.shape == (2, 1, 2)
    again = more.also(np.full((2, 2), 5, np.float32), np.array([0, 0]))
    assert again.labels is not None
    assert again.labels.tolist() == [[1, 0], [0, 0]]
    assert again.boxes is box.boxes


def test_the_loss_by_hand() -> None:
    """One prompt, masks of two pixels; the second candidate is right, the others say nothing."""
    sure = 30.0
    low = torch.zeros(1, 4, 1, 2)
    low[0, 2] = torch.tensor([[sure, -sure]])
    truth = torch.tensor([[[1.0, 0.0]]])
    ratings = torch.tensor([[0.5, 0.0, 1.0, 0.25]])
    # At logits 0 no pixel is in the mask: IoU 0.
    rated = (0**2 + 0**2 + 0.25**2) / 3
    assert scratch.compared(low, ratings, truth, clear=False).item() == pytest.approx(rated, abs=1e-4)
    single = 5 * math.log(2) + (1 - (2 * 0.5 + 1) / (1 + 1 + 1)) + 0.5**2
    assert scratch.compared(low, ratings, truth, clear=True).item() == pytest.approx(rated + single, abs=1e-4)


def test_the_rate_rises_and_falls() -> None:
    options = OPTIONS.model_copy(update={"steps": 110, "warmup": 10, "rate": 1.0})
    found = [scratch._rate(step, options) for step in (0, 4, 9, 10, 60, 110)]
    assert found == pytest.approx([0.1, 0.5, 1, 1, 0.5, 0])


@pytest.mark.parametrize("fed", [False, True])
def test_gradients_are_the_owner_s_with_and_without_a_mask_fed_back(fed: bool) -> None:
    networks = [lively(tiny()), deepcopy(lively(tiny()))]
    given = [features(networks[0]).expand(3, -1, -1, -1).clone().requires_grad_(True) for _ in networks]
    masks = torch.randn(3, 1, 64, 64, generator=torch.Generator().manual_seed(5)) if fed else None
    boxes = torch.tensor([[10.0, 20, 90, 120], [5, 5, 250, 200], [40, 40, 60, 60]])
    ours, owner = networks
    found = scratch._answers(ours, given[0], Given(None, None, boxes.numpy()), masks)
    sparse, dense = owner.prompt_encoder(None, boxes, masks)
    positions = owner.prompt_encoder.get_dense_pe()
    expected = [
        owner.mask_decoder.predict_masks(one[None], positions, prompt[None], place[None])
        for one, prompt, place in zip(given[1], sparse, dense, strict=True)
    ]
    for number, part in enumerate(found):
        torch.testing.assert_close(part, torch.cat([one[number] for one in expected]), rtol=0, atol=1e-4)
    random = torch.Generator().manual_seed(1)
    weights = [torch.randn(part.shape, generator=random) for part in found]
    sum((part * weight).sum() for part, weight in zip(found, weights, strict=True)).backward()
    other = [torch.cat([one[number] for one in expected]) for number in range(2)]
    sum((part * weight).sum() for part, weight in zip(other, weights, strict=True)).backward()
    largest = float(given[1].grad.abs().max())  # type: ignore[union-attr]
    torch.testing.assert_close(given[0].grad, given[1].grad, rtol=0, atol=1e-4 * largest)
    for (name, mine), theirs in zip(ours.named_parameters(), owner.parameters(), strict=True):
        if theirs.grad is None or "image_encoder" in name:
            continue
        scale = float(theirs.grad.abs().max())
        zero = torch.zeros_like(theirs)
        assert float(((zero if mine.grad is None else mine.grad) - theirs.grad).abs().max()) <= 1e-3 * max(
            scale, 1
        )


def run(
    file: Path, options: ScratchOptions = OPTIONS
) -> tuple[dict[str, torch.Tensor], list[dict[str, float]]]:
    made, curve = scratch.train([example(n) for n in range(4)], [example(9)], options, file)
    return dict(made.state_dict()), curve


@pytest.mark.parametrize("stop", [4, *(pytest.param(stop, marks=pytest.mark.slow) for stop in (1, 5))])
def test_a_killed_run_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    expected, curve = run(tmp_path / "whole")
    step = scratch._step

    def killed(state: scratch.Run, *given: Any) -> float:
        if state.step == stop:
            raise KeyboardInterrupt
        return step(state, *given)

    monkeypatch.setattr(scratch, "_step", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed")
    monkeypatch.setattr(scratch, "_step", step)
    found, again = run(tmp_path / "killed")
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert [line["s5_oracle"] for line in again] == [line["s5_oracle"] for line in curve]
    assert [line["step"] for line in curve] == [2, 4, 6]


def test_it_learns() -> None:
    """The same batch again and again: the loss falls to less than two thirds."""
    made = seeded("tiny").train()
    optimiser = torch.optim.AdamW(made.parameters(), lr=2e-3)
    shown = [views.plain(example(seed), SIDE) for seed in range(2)]
    losses = []
    for _ in range(25):
        loss = scratch._loss(made, shown, np.random.default_rng(0), torch.float32)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-3:]) < 0.67 * np.mean(losses[:3])


def test_nano_is_the_network_that_is_declared() -> None:
    made = seeded("nano")
    assert (made.image_encoder.img_size, made.mask_decoder.transformer_dim) == (256, 128)
    assert len(made.image_encoder.blocks) == 6
    assert made.image_encoder.pos_embed.shape[-1] == 192
    assert made.mask_decoder.num_mask_tokens == len(decoder.ALL) == 4
