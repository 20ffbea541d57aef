"""A SAM trained from nothing (after Kirillov et al., appendix A): prompts of all kinds, masks fed back.

Every step draws what it needs from its own number and the seed, so a run that was killed goes on as if it
had not been.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from segment_anything.modeling import Sam as Network
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from leaderboard.sam import decoder, network
from leaderboard.training import clicks, state
from leaderboard.training.clicks import Given, Kind
from leaderboard.training.examples import Example
from leaderboard.training.views import View, plain, random_view

#: Masks are compared at this share of the network's own size: its logits come at a quarter of it.
_COMPARED = 2
#: Rounds of clicks after the first, and how often there are so many.
_ROUNDS = (0.45, 0.3, 0.25)

log = logging.getLogger(__name__)


class ScratchOptions(BaseModel):
    """How a network is trained from nothing.

    Args:
        images: per step.
        objects: of an image in a step, half of them under one kind of prompt, half under another.
        rate: the highest, reached after `warmup` steps, from where it falls as a cosine.
        averaged: of the weights, the share that their running mean keeps at a step; the mean is the result.
        dtype: in which the network computes where that is safe.
        measured: images of the split validation on which the curve is measured, every `every` steps.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    architecture: Literal["nano", "tiny"] = "nano"
    steps: int = Field(ge=1)
    images: int = Field(default=8, ge=1)
    objects: int = Field(default=4, ge=2)
    rate: float = Field(default=6e-4, gt=0)
    warmup: int = Field(default=300, ge=1)
    decay: float = Field(default=0.05, ge=0)
    averaged: float = Field(default=0.999, ge=0, lt=1)
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    threads: int = Field(default=2, ge=1)
    seed: int = 0
    measured: int = Field(default=100, ge=1)
    every: int = Field(default=500, ge=1)


@dataclass
class Run:
    """What a killed run needs to go on: the step to do next, the networks, the optimiser, the curve."""

    step: int
    network: Network
    mean: Network
    optimiser: torch.optim.Optimizer
    curve: list[dict[str, float]]

    def state(self) -> dict[str, Any]:
        parts = {name: getattr(self, name).state_dict() for name in ("network", "mean", "optimiser")}
        return {"step": self.step, "curve": self.curve, **parts}

    def restore(self, kept: dict[str, Any]) -> None:
        for name in ("network", "mean", "optimiser"):
            getattr(self, name).load_state_dict(kept[name])
        self.step, self.curve = kept["step"], kept["curve"]


def train(
    train: Sequence[Example], validation: Sequence[Example], options: ScratchOptions, kept: Path
) -> tuple[Network, list[dict[str, float]]]:
    """Trains a network.

    Args:
        kept: a file for the state of a run, from which it goes on.

    Returns:
        The network, in evaluation mode, and its curve: per measurement the step, the mean loss since the
        last, and on the split validation DICE under S2 and S5, of the best candidate and of the best rated.
    """
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(options.seed)
    made, mean = network.build(options.architecture).train(), network.build(options.architecture)
    mean.load_state_dict(made.state_dict())
    run = Run(0, made, mean, _optimiser(made, options), [])
    if (found := state.load(kept)) is not None:
        run.restore(found)
        log.warning("goes on at step %d", run.step)
    losses: list[float] = []
    with tqdm(total=options.steps, initial=run.step, unit="step", desc="train") as bar:
        while run.step < options.steps:
            losses.append(_step(run, train, options))
            run.step += 1
            bar.update()
            if run.step % options.every == 0 or run.step == options.steps:
                line = {"step": run.step, "loss": float(np.mean(losses)), **_measure(run.mean, validation)}
                losses.clear()
                run.curve.append({name: round(value, 5) for name, value in line.items()})
                bar.set_postfix({name: f"{value:.3f}" for name, value in line.items() if name != "step"})
                state.save(run.state(), kept)
    return run.mean, run.curve


def _optimiser(made: Network, options: ScratchOptions) -> torch.optim.Optimizer:
    """AdamW; what is no matrix of weights, biases and norms and positions, does not decay."""
    parameters = dict(made.named_parameters())
    matrices = [value for name, value in parameters.items() if value.ndim > 1 and "embed" not in name]
    known = set(map(id, matrices))
    others = [value for value in parameters.values() if id(value) not in known]
    groups = [{"params": matrices, "weight_decay": options.decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=options.rate)


def _rate(step: int, options: ScratchOptions) -> float:
    done = max(step - options.warmup, 0) / max(options.steps - options.warmup, 1)
    return options.rate * min((step + 1) / options.warmup, 1) * (1 + math.cos(math.pi * done)) / 2


def _step(run: Run, examples: Sequence[Example], options: ScratchOptions) -> float:
    random = np.random.default_rng([options.seed, run.step])
    for group in run.optimiser.param_groups:
        group["lr"] = _rate(run.step, options)
    side = run.network.image_encoder.img_size
    places = random.choice(len(examples), options.images)
    views = [random_view(examples[place], random, side, options.objects) for place in places.tolist()]
    loss = _loss(run.network, views, random, getattr(torch, options.dtype))
    run.optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(run.network.parameters(), 1.0)
    run.optimiser.step()
    kept = min(options.averaged, (run.step + 1) / (run.step + 10))
    with torch.no_grad():
        for mean, own in zip(run.mean.parameters(), run.network.parameters(), strict=True):
            mean.lerp_(own, 1 - kept)
    return loss.item()


def _loss(made: Network, views: Sequence[View], random: np.random.Generator, dtype: torch.dtype) -> Tensor:
    """The mean loss of the views' objects, half of each view's under one kind of prompt, half under other."""
    side = made.image_encoder.img_size
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        features = made.image_encoder(torch.cat([_input(made, view.image) for view in views])).float()
    losses = []
    for half in (0, 1):
        chosen = [(place, mask) for place, view in enumerate(views) for mask in view.masks[half::2]]
        if not chosen:
            continue
        masks = [mask for _, mask in chosen]
        index = torch.tensor([place for place, _ in chosen])
        truth = torch.stack([_target(mask, side) for mask in masks])
        asked = clicks.kind(random)
        given = clicks.prompts(masks, asked, random)
        losses += _rounds(made, features[index], given, asked, masks, truth, random, dtype)
    return torch.stack(losses).mean()


def _rounds(
    made: Network,
    features: Tensor,
    given: Given,
    asked: Kind,
    masks: list[NDArray[np.uint8]],
    truth: Tensor,
    random: np.random.Generator,
    dtype: torch.dtype,
) -> list[Tensor]:
    """Losses of the first answers and of those after each click that mends the last, its mask fed back."""
    losses, fed = [], None
    clear = asked.clear
    for further in range(int(random.choice(len(_ROUNDS), p=_ROUNDS)), -1, -1):
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            low, ratings = _answers(made, features, given, fed)
        low, ratings = low.float(), ratings.float()
        losses.append(compared(low, ratings, truth, clear))
        if further:
            best = ratings[:, 1:].argmax(1) + 1 if fed is None else torch.zeros(len(low), dtype=torch.long)
            fed = low.detach()[torch.arange(len(low)), best][:, None]
            whole = functional.interpolate(fed, scale_factor=4.0, mode="bilinear")[:, 0]
            answers = [
                one[: mask.shape[0], : mask.shape[1]] > 0
                for one, mask in zip(whole.numpy(), masks, strict=True)
            ]
            given, clear = given.also(*clicks.mending(masks, answers, random)), True
    return losses


def _answers(made: Network, features: Tensor, given: Given, fed: Tensor | None) -> tuple[Tensor, Tensor]:
    """All four masks of each prompt, n×4×(side/4)×(side/4), and their ratings n×4."""
    points = boxes = None
    if given.points is not None and given.labels is not None:
        points = torch.from_numpy(given.points), torch.from_numpy(given.labels)
    if given.boxes is not None:
        boxes = torch.from_numpy(given.boxes)
    sparse, dense = made.prompt_encoder(points, boxes, fed)
    shared = decoder.share(made, features, made.prompt_encoder.get_dense_pe(), None if fed is None else dense)
    return decoder.decode(made, shared, sparse, decoder.ALL)


def compared(low: Tensor, ratings: Tensor, truth: Tensor, clear: bool) -> Tensor:
    """The loss of a prompt's answers, mean over n.

    Of the three candidates the best counts, with cross entropy and DICE; the single mask counts where one is
    meant; the ratings of all are held against the masks' true IoU.

    Args:
        low: logits n×4×h×w, the single mask first.
        truth: n×H×W, 0…1.
    """
    logits = functional.interpolate(low, truth.shape[-2:], mode="bilinear", align_corners=False)
    wanted = truth[:, None].expand_as(logits)
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean((-2, -1))
    likely = logits.sigmoid()
    common = (likely * wanted).sum((-2, -1))
    dice = 1 - (2 * common + 1) / (likely.sum((-2, -1)) + wanted.sum((-2, -1)) + 1)
    off = 5 * entropy + dice
    with torch.no_grad():
        found, true = logits > 0, wanted > 0.5
        iou = (found & true).sum((-2, -1)) / (found | true).sum((-2, -1)).clamp(min=1)
    rated = (ratings - iou).square()
    best = off[:, 1:].min(1).values.mean() + rated[:, 1:].mean()
    return best + off[:, 0].mean() + rated[:, 0].mean() if clear else best


def _input(made: Network, image: NDArray[np.uint8]) -> Tensor:
    """1×3×side×side, as the model sees an image when it is scored."""
    side = made.image_encoder.img_size
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None]
    found = (pixels - made.pixel_mean) / made.pixel_std
    return functional.pad(found, (0, side - found.shape[-1], 0, side - found.shape[-2]))


def _target(mask: NDArray[np.uint8], side: int) -> Tensor:
    """A mask as it is compared, 0…1."""
    whole = np.zeros((side, side), np.float32)
    whole[: mask.shape[0], : mask.shape[1]] = mask
    size = side // _COMPARED, side // _COMPARED
    return torch.from_numpy(cv2.resize(whole, size, interpolation=cv2.INTER_AREA))


@torch.inference_mode()
def _measure(made: Network, examples: Sequence[Example]) -> dict[str, float]:
    """DICE on examples, at the size at which masks are compared."""
    side = made.image_encoder.img_size
    random = np.random.default_rng(0)
    found: dict[str, list[float]] = {
        f"{name}_{way}": [] for name in ("s2", "s5") for way in ("oracle", "rated")
    }
    for example in examples:
        view = plain(example, side)
        if not view.masks:
            continue
        features = made.image_encoder(_input(made, view.image))
        truth = torch.stack([_target(mask, side) for mask in view.masks]) > 0.5
        for name, asked in (("s2", Kind(0, positive=1)), ("s5", Kind(0, box=True))):
            low, ratings = _answers(made, features, clicks.prompts(view.masks, asked, random), None)
            logits = functional.interpolate(low[:, 1:], truth.shape[-2:], mode="bilinear")
            masks, true = logits > 0, truth[:, None]
            common = (masks & true).sum((-2, -1))
            dice = 2 * common / (masks.sum((-2, -1)) + true.sum((-2, -1))).clamp(min=1)
            found[f"{name}_oracle"] += dice.max(1).values.tolist()
            found[f"{name}_rated"] += dice.gather(1, ratings[:, 1:].argmax(1, keepdim=True))[:, 0].tolist()
    return {name: float(np.mean(values)) for name, values in found.items()}
