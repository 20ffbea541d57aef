"""A model under finetuning: prompts of a batch of images, their loss, the step, DICE on validation."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from leaderboard.metrics import Truth, dices
from leaderboard.sam import decoder
from leaderboard.sam.medsam import MedSam
from leaderboard.sam.segmenter import Sam
from leaderboard.strategies import STRATEGIES, Prompts, prompts
from leaderboard.training import lora, losses
from leaderboard.training.examples import Example
from leaderboard.training.options import FinetuneOptions

#: The strategies of batches that are prompted by points.
_POINTS = ("S2", "S3", "S4", "S6")
#: Pixels of masks at their own size whose loss is computed together: what bounds the memory of a step.
_TOGETHER = 2**25


@dataclass(frozen=True)
class Encoded:
    """An example, its features 1×C×h×w, and the height and width that the network saw."""

    example: Example
    features: Tensor
    input_size: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        return self.example.image.shape[0], self.example.image.shape[1]


@dataclass(frozen=True)
class _Part:
    """Some of an encoded example's objects, and all of its prompts."""

    encoded: Encoded
    prompts: Prompts
    objects: slice

    @property
    def count(self) -> int:
        return self.objects.stop - self.objects.start


class Tuner:
    """A model whose mask decoder learns, and adapters on its encoder if that is asked for.

    Args:
        model: of which this changes the weights.
    """

    def __init__(self, model: Sam, options: FinetuneOptions) -> None:
        self.model, self.options = model, options
        self._apart = model.device.type == "cpu"
        net = model.network
        net.requires_grad_(False)
        self._learned = dict(net.mask_decoder.named_parameters(prefix="mask_decoder"))
        if options.lora_rank:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(options.seed)  # adapters begin at random
                self._learned |= lora.adapt(net, options.lora_rank)
        for value in self._learned.values():
            value.requires_grad_(True)
        self.optimiser = torch.optim.AdamW(
            self._learned.values(), lr=options.rate, weight_decay=options.decay
        )
        self._positions = net.prompt_encoder.get_dense_pe()

    def weights(self) -> dict[str, Tensor]:
        """What learned, by name; the tensors themselves."""
        return {name: value.detach() for name, value in self._learned.items()}

    def take(self, weights: dict[str, Tensor]) -> None:
        """Puts other weights in their place."""
        with torch.no_grad():
            for name, own in self._learned.items():
                own.copy_(weights[name])

    def encode(self, examples: Sequence[Example]) -> list[Encoded]:
        """Examples with their features; from disk, where they are kept. An image is encoded alone: what it
        is encoded with shows in the last bits.
        """
        found = []
        for example in examples:
            ((features, size),) = self.model.features([example.image])
            found.append(Encoded(example, features.clone(), size))
        return found

    def step(self, batch: Sequence[Example], random: np.random.Generator) -> float:
        """One step of the optimiser on a batch of images; returns the mean loss of their instances."""
        encoded = self._seen(batch)
        strategy = "S5"
        if self.options.points and random.random() < self.options.points:
            strategy = _POINTS[int(random.integers(len(_POINTS)))]
        asked = [self.prompts(one, strategy, random) for one in encoded]
        count, total = sum(map(len, asked)), 0.0
        self.optimiser.zero_grad()
        groups = self._groups(list(self._parts(encoded, asked)))
        for number, group in enumerate(groups):
            loss = self._losses(group).sum() / count
            # Of adapters the encoder's graph serves all groups.
            loss.backward(retain_graph=bool(self.options.lora_rank) and number < len(groups) - 1)
            total += loss.item()
        self.optimiser.step()
        return total

    def _seen(self, batch: Sequence[Example]) -> list[Encoded]:
        """The batch encoded; through adapters with a graph for their gradients."""
        if not self.options.lora_rank:
            return self.encode(batch)
        prepared = [self.model.prepared(example.image) for example in batch]
        features = self.model.network.image_encoder(torch.cat([self.model.padded(one) for one in prepared]))
        sizes = [(one.shape[2], one.shape[3]) for one in prepared]
        return [
            Encoded(example, one, size)
            for example, one, size in zip(batch, features.split(1), sizes, strict=True)
        ]

    def prompts(self, encoded: Encoded, strategy: str, random: np.random.Generator) -> Prompts:
        """Those of an image's objects under a strategy, the boxes moved if that is asked for."""
        given = prompts(STRATEGIES[strategy], encoded.example.objects)
        if given.boxes is None or not self.options.box_jitter:
            return given
        far = self.options.box_jitter
        moved = given.boxes + random.integers(-far, far + 1, given.boxes.shape)
        height, width = encoded.size
        moved = np.clip(moved, 0, [width - 1, height - 1] * 2)
        corners = moved.reshape(-1, 2, 2)
        moved = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        return Prompts(given.points, given.labels, moved.astype(np.int32))

    def _parts(self, encoded: Sequence[Encoded], asked: Sequence[Prompts]) -> Iterator[_Part]:
        """The objects of the images, no more of one together than its size allows."""
        for one, given in zip(encoded, asked, strict=True):
            some = max(_TOGETHER // (one.size[0] * one.size[1]), 1)
            for start in range(0, len(given), some):
                yield _Part(one, given, slice(start, min(start + some, len(given))))

    def _groups(self, parts: Sequence[_Part]) -> list[list[_Part]]:
        """What is decoded together: on a GPU all images', on a CPU an image's, whose share is not copied."""
        if self._apart:
            return [[part] for part in parts]
        groups: list[list[_Part]] = []
        pixels = 0
        for part in parts:
            own = part.count * part.encoded.size[0] * part.encoded.size[1]
            if not groups or pixels + own > _TOGETHER:
                groups.append([])
                pixels = 0
            groups[-1].append(part)
            pixels += own
        return groups

    def _losses(self, group: Sequence[_Part]) -> Tensor:
        """The loss of each instance of the group."""
        low = self._decoded(group).split([part.count for part in group])
        return torch.cat([self._compared(one, part) for one, part in zip(low, group, strict=True)])

    def _decoded(self, group: Sequence[_Part]) -> Tensor:
        """The single masks' logits n×h×w of a group's prompts."""
        device = self.model.device.type
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            features = torch.cat([part.encoded.features for part in group])
            shared = decoder.share(self.model.network, features, self._positions)
            if len(group) > 1:
                counts = torch.tensor([part.count for part in group], device=features.device)
                shared = shared.of(torch.arange(len(group), device=features.device).repeat_interleave(counts))
            sparse = torch.cat([self._sparse(part) for part in group])
            low, _ = decoder.decode(self.model.network, shared, sparse, decoder.ONE)
        return low[:, 0].float()

    def _sparse(self, part: _Part) -> Tensor:
        """The embedded prompts n×t×C of a part."""
        points, boxes = self.model.tensors(part.prompts, part.objects, part.encoded.size)
        sparse, _ = self.model.network.prompt_encoder(points, boxes, None)
        found: Tensor = sparse
        return found

    def _compared(self, low: Tensor, part: _Part) -> Tensor:
        squeezed = isinstance(self.model, MedSam)
        size = None if squeezed else part.encoded.input_size
        logits = losses.enlarged(low, self.model.side, size, part.encoded.size)
        masks = np.stack(part.encoded.example.masks[part.objects])
        return losses.instances(logits, torch.from_numpy(masks).to(logits.device))

    def validated(self, examples: Iterable[Example]) -> dict[str, float]:
        """Per pair the DICE under S5 of the model's best candidate, as it is scored: mean over objects of an
        image, then over images.
        """
        found: dict[str, list[float]] = defaultdict(list)
        for example in examples:
            (embedding,) = self.model.embed([example.image])
            own: dict[str, list[float]] = defaultdict(list)
            answers = self.model.prompt(embedding, prompts(STRATEGIES["S5"], example.objects))
            for answer, entry, mask in zip(answers, example.objects, example.masks, strict=True):
                own[entry["pair"]].append(_best(answer.masks, mask, entry["box"]))
            for pair, values in own.items():
                found[pair].append(float(np.mean(values)))
        return {pair: float(np.mean(values)) for pair, values in sorted(found.items())}


def _best(candidates: Any, mask: Any, box: Sequence[int]) -> float:
    """The highest DICE of the candidates c×H×W with a mask H×W in its box."""
    x0, y0, x1, y1 = box
    inside = slice(y0, y1 + 1), slice(x0, x1 + 1)
    truth = Truth(mask.shape, inside, mask[inside])
    return max(float(dices(candidate, [truth])[0]) for candidate in candidates)
