"""SAM behind the platform's interface: one encoding per image, its prompts in batches (paper, section 3)."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam as Network
from segment_anything.utils.transforms import ResizeLongestSide

from cosmos1050k.errors import InputError
from leaderboard import weights
from leaderboard.machine import Device, Machine
from leaderboard.models.base import Answer, Declaration, Segmenter
from leaderboard.sam import decoder, everything, gpus, official
from leaderboard.sam.batches import halving
from leaderboard.sam.embeddings import Kept
from leaderboard.sam.encoder import fuse
from leaderboard.sam.everything import Filters
from leaderboard.strategies import Prompts

#: Prompts decoded together. On a CPU each copy of the image's embedding costs more than a batch saves.
PROMPT_BATCH: Mapping[Device, int] = {"cpu": 1, "cuda": 64}
#: Images encoded together.
IMAGE_BATCH: Mapping[Device, int] = {"cpu": 1, "cuda": 4}


@dataclass(frozen=True)
class Embedding:
    """An encoded image: what all its prompts share; height and width the network saw, and the image's own."""

    shared: decoder.Shared
    input_size: tuple[int, int]
    original_size: tuple[int, int]


@dataclass(frozen=True)
class Decoded:
    """An answer as the network gives it, logits c×h×w and ratings c; its masks are made when asked for."""

    sam: "Sam"
    embedding: Embedding
    low: NDArray[np.float32]
    predicted_iou: NDArray[np.float32]

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        return self.sam.masks(self.low, self.embedding)


class Sam(Segmenter):
    """SAM as its owner runs it: the longest side resized, three candidates.

    Args:
        network: in evaluation mode, with its weights; by default those of the declared checkpoint. Its
            encoder's blocks are exchanged for equal ones that are faster.
        machine: where and how it runs; on CUDA, on a device that no other process of ours has taken.
    """

    devices: ClassVar[tuple[Device, ...]] = ("cpu", "cuda")
    multimask: ClassVar[bool] = True

    def __init__(self, network: Network | None = None, machine: Machine | None = None) -> None:
        machine = machine or Machine()
        self.declaration = self.declared(machine)
        self.device = gpus.device(machine.device)
        self.dtype: torch.dtype = getattr(torch, machine.dtype)
        self.prompt_batch = machine.prompt_batch or PROMPT_BATCH[machine.device]
        self.image_batch = machine.image_batch or IMAGE_BATCH[machine.device]
        self.network = fuse(network or self.load()).to(self.device)
        self.side: int = self.network.image_encoder.img_size
        self._resize = ResizeLongestSide(self.side)
        encoder = self.network.image_encoder
        self._encoder = torch.compile(encoder) if machine.compiled else encoder
        self._rounds = machine.rounds
        self._kept = Kept(self._encoder_sum(), machine.embeddings_gb) if machine.embeddings_gb else None
        with torch.inference_mode():
            self._positions = self.network.prompt_encoder.get_dense_pe()
        if machine.compiled:
            self._try()

    def _try(self) -> None:
        """Encodes a black picture: what a compiler lacks is no fault of an image.

        Raises:
            InputError: it can't be compiled.
        """
        try:
            self.embed([np.zeros((self.side, self.side, 3), np.uint8)])
        except Exception as error:
            problem = " ".join(str(error).split())[:200]
            raise InputError(f"evaluate.compiled: torch.compile failed ({problem}); say false") from error

    @classmethod
    def on(cls, machine: Machine) -> Self:
        return cls(machine=machine)

    @classmethod
    def declared(cls, machine: Machine) -> Declaration:
        return cls.declaration.model_copy(update={"device": machine.device, "dtype": machine.numerics})

    @classmethod
    def check(cls) -> None:
        weights.path(cls.declaration.name)

    @classmethod
    def load(cls) -> Network:
        """The declared network with its weights.

        Raises:
            InputError: they are missing or unfit.
        """
        return official.loaded(cls.declaration.name)

    @classmethod
    def encoder_sha256(cls) -> str | None:
        """The sum of the weights that the encoder's are of."""
        return cls.declaration.weights_sha256

    @torch.inference_mode()
    def embed(self, images: Sequence[NDArray[np.uint8]]) -> list[Embedding]:
        def shrunk(batch: int) -> None:
            self.image_batch = batch

        def work(part: slice) -> list[Embedding]:
            return self._embed(images[part])

        return list(halving(work, len(images), self.image_batch, "images", shrunk))

    def _embed(self, images: Sequence[NDArray[np.uint8]]) -> list[Embedding]:
        made = []
        for image, (features, (height, width)) in zip(images, self.features(images), strict=True):
            with self._autocast():
                shared = decoder.share(self.network, features, self._positions)
            made.append(Embedding(shared, (height, width), (image.shape[0], image.shape[1])))
        return made

    @torch.inference_mode()
    def features(self, images: Sequence[NDArray[np.uint8]]) -> list[tuple[torch.Tensor, tuple[int, int]]]:
        """Per image H×W×3 what the encoder makes of it, 1×C×h×w, and the height and width that it saw."""
        prepared = [self.prepared(image) for image in images]
        features = self._loaded(images)
        missing = [place for place in range(len(images)) if place not in features]
        if missing:
            batch = torch.cat([self.padded(prepared[place]) for place in missing])
            with self._autocast():
                encoded = self._encoder(batch).float().split(1)
            for place, one in zip(missing, encoded, strict=True):
                features[place] = self._rounded(images[place], one)
        return [(features[place], (one.shape[2], one.shape[3])) for place, one in enumerate(prepared)]

    def keeps(self, image: NDArray[np.uint8]) -> bool:
        """Whether an image's features are on disk."""
        return self._kept is not None and self._kept.has(image)

    def _loaded(self, images: Sequence[NDArray[np.uint8]]) -> dict[int, torch.Tensor]:
        """Of the images whose features are kept, their place → the features."""
        if self._kept is None:
            return {}
        found = {place: self._kept.load(image) for place, image in enumerate(images)}
        return {
            place: features.to(self.device).float()
            for place, features in found.items()
            if features is not None
        }

    def _rounded(self, image: NDArray[np.uint8], features: torch.Tensor) -> torch.Tensor:
        """New features as a later run would find them, and kept for it, if that is asked for."""
        if not self._rounds:
            return features
        half = features.half()
        if self._kept is not None:
            self._kept.save(image, half)
        return half.float()

    def _encoder_sum(self) -> str:
        declared = self.declaration
        parts = (self.encoder_sha256(), declared.preprocessing, declared.device, declared.dtype)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def prepared(self, image: NDArray[np.uint8]) -> torch.Tensor:
        """The image 1×3×h×w as the network takes it, before it is padded to a square."""
        resized = torch.as_tensor(self._resize.apply_image(image), device=self.device)
        pixels = resized.permute(2, 0, 1).contiguous()[None]
        return (pixels - self.network.pixel_mean) / self.network.pixel_std

    def padded(self, image: torch.Tensor) -> torch.Tensor:
        """What `prepared` gives as a square, 1×3×side×side."""
        height, width = image.shape[-2:]
        return torch.nn.functional.pad(image, (0, self.side - width, 0, self.side - height))

    def prompt(self, embedding: Embedding, prompts: Prompts) -> Iterator[Answer]:
        for low, ratings in self.low_resolution(embedding, prompts):
            yield Decoded(self, embedding, low, ratings)

    def refine(
        self, embedding: Embedding, prompts: Prompts, previous: NDArray[np.float32]
    ) -> Iterator[Decoded]:
        """One candidate per object, of its prompts so far and its mask before (protocol, section 6).

        Args:
            previous: logits of that mask, n×(side/4)×(side/4), as `low_resolution` gives them.

        Raises:
            InputError: they have another shape, or are no numbers.
        """
        wanted = (len(prompts), *self.network.prompt_encoder.mask_input_size)
        if previous.shape != wanted or not np.isfinite(previous).all():
            shape = "×".join(map(str, wanted))
            raise InputError(f"the mask of the round before must be finite logits {shape} of this model")
        for low, ratings in self.low_resolution(embedding, prompts, previous):
            yield Decoded(self, embedding, low, ratings)

    def low_resolution(
        self, embedding: Embedding, prompts: Prompts, previous: NDArray[np.float32] | None = None
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Per object the logits of its candidates, c×(side/4)×(side/4), and their ratings; one
        candidate where there are masks before, n×(side/4)×(side/4).
        """

        def work(part: slice) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
            points, boxes = self.tensors(prompts, part, embedding.original_size)
            masks = None if previous is None else self._tensor(previous[part, None])
            return list(zip(*self.decode(embedding, points, boxes, masks), strict=True))

        return halving(work, len(prompts), self.prompt_batch, "prompts", self.shrunk)

    def shrunk(self, prompt_batch: int) -> None:
        """From here on so many prompts are decoded together."""
        self.prompt_batch = prompt_batch

    def tensors(
        self, prompts: Prompts, part: slice, size: tuple[int, int]
    ) -> tuple[tuple[torch.Tensor, torch.Tensor] | None, torch.Tensor | None]:
        """Some of the prompts of an image of this height and width as the prompt encoder takes them: points
        n×p×2 with labels n×p, and boxes n×4.
        """
        points = boxes = None
        if prompts.points is not None and prompts.labels is not None:
            coordinates = self.placed(prompts.points[part], size)
            points = self._tensor(coordinates), self._tensor(prompts.labels[part], torch.int)
        if prompts.boxes is not None:
            corners = self.placed(prompts.boxes[part].reshape(-1, 2, 2), size)
            boxes = self._tensor(corners.reshape(-1, 4))
        return points, boxes

    @torch.inference_mode()
    def decode(
        self,
        embedding: Embedding,
        points: tuple[torch.Tensor, torch.Tensor] | None,
        boxes: torch.Tensor | None,
        masks: torch.Tensor | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits n×c×(side/4)×(side/4) and ratings n×c of prompts in the network's own pixels; one candidate
        where there are masks before, n×1×(side/4)×(side/4).
        """
        with self._autocast():
            sparse, dense = self.network.prompt_encoder(points=points, boxes=boxes, masks=masks)
            shared, which = embedding.shared, decoder.THREE if self.multimask else decoder.ONE
            if masks is not None:
                shared, which = decoder.with_masks(self.network, shared, dense), decoder.ONE
            low, ratings = decoder.decode(self.network, shared, sparse, which)
        return low.float().cpu().numpy(), ratings.float().cpu().numpy()

    def placed(self, coordinates: NDArray[np.int32], size: tuple[int, int]) -> NDArray[np.float64]:
        """Points (x, y) of an image of this height and width in the network's own pixels."""
        found: NDArray[np.float64] = self._resize.apply_coords(coordinates, size)
        return found

    def upscaled(self, low: NDArray[np.float32], embedding: Embedding) -> NDArray[np.float32]:
        """One candidate's logits H×W at the image's own resolution."""
        height, width = embedding.input_size
        whole = cv2.resize(low, (self.side, self.side), interpolation=cv2.INTER_LINEAR)
        size = embedding.original_size[::-1]
        scaled = cv2.resize(whole[:height, :width], size, interpolation=cv2.INTER_LINEAR)
        return scaled.astype(np.float32, copy=False)

    def masks(self, low: NDArray[np.float32], embedding: Embedding) -> NDArray[np.bool_]:
        """The candidates c×H×W of one object."""
        threshold = self.network.mask_threshold
        return np.stack([self.upscaled(one, embedding) > threshold for one in low])

    def everything(self, embedding: Embedding, filters: Filters | None = None) -> Iterator[NDArray[np.bool_]]:
        if "S1" not in self.declaration.applies:
            return super().everything(embedding)
        return everything.masks(self, embedding, filters)

    def _tensor(self, values: NDArray[np.generic], dtype: torch.dtype = torch.float) -> torch.Tensor:
        return torch.as_tensor(values, dtype=dtype, device=self.device)
