"""SAM behind the platform's interface: one encoding per image, its prompts in batches (paper, section 3)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam as Network
from segment_anything.utils.transforms import ResizeLongestSide

from leaderboard import weights
from leaderboard.models.base import Candidates, Segmenter
from leaderboard.sam import everything, official
from leaderboard.sam.attention import fuse
from leaderboard.strategies import Prompts

#: Prompts decoded together. On a CPU each copy of the image's embedding costs more than a batch saves.
PROMPT_BATCH = {"cpu": 1, "cuda": 64}


@dataclass(frozen=True)
class Embedding:
    """An encoded image: features 1×C×h×w, and height and width of what the network saw and of the image."""

    features: torch.Tensor
    input_size: tuple[int, int]
    original_size: tuple[int, int]


class Sam(Segmenter):
    """SAM as its owner runs it: the longest side resized, three candidates.

    Args:
        network: in evaluation mode, with its weights; by default those of the declared checkpoint. Its
            attention is exchanged for an equal one that is faster.
        device: where it runs.
        prompt_batch: prompts decoded together; by default what suits the device.
    """

    multimask: ClassVar[bool] = True

    def __init__(
        self,
        network: Network | None = None,
        device: str = "cpu",
        prompt_batch: int | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.network = fuse(network or official.loaded(self.declaration.name)).to(self.device)
        self.prompt_batch = prompt_batch or PROMPT_BATCH[self.device.type]
        self.side: int = self.network.image_encoder.img_size
        self._resize = ResizeLongestSide(self.side)
        with torch.inference_mode():
            self._positions = self.network.prompt_encoder.get_dense_pe()

    @classmethod
    def check(cls) -> None:
        weights.path(cls.declaration.name)

    @torch.inference_mode()
    def embed(self, images: Sequence[NDArray[np.uint8]]) -> list[Embedding]:
        prepared = [self.prepared(image) for image in images]
        sizes = [(one.shape[-2], one.shape[-1]) for one in prepared]
        batch = torch.cat([self._padded(one) for one in prepared])
        features = self.network.image_encoder(batch)
        return [
            Embedding(features[place : place + 1], size, (image.shape[0], image.shape[1]))
            for place, (size, image) in enumerate(zip(sizes, images, strict=True))
        ]

    def prepared(self, image: NDArray[np.uint8]) -> torch.Tensor:
        """The image 1×3×h×w as the network takes it, before it is padded to a square."""
        resized = torch.as_tensor(self._resize.apply_image(image), device=self.device)
        pixels = resized.permute(2, 0, 1).contiguous()[None]
        return (pixels - self.network.pixel_mean) / self.network.pixel_std

    def _padded(self, image: torch.Tensor) -> torch.Tensor:
        height, width = image.shape[-2:]
        return torch.nn.functional.pad(image, (0, self.side - width, 0, self.side - height))

    def prompt(self, embedding: Embedding, prompts: Prompts) -> Iterator[Candidates]:
        for low, ratings in self.low_resolution(embedding, prompts):
            yield Candidates(self.masks(low, embedding), ratings)

    def low_resolution(
        self, embedding: Embedding, prompts: Prompts
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Per object the logits of its candidates, c×(side/4)×(side/4), and their ratings."""
        for start in range(0, len(prompts), self.prompt_batch):
            part = slice(start, start + self.prompt_batch)
            points = boxes = None
            if prompts.points is not None and prompts.labels is not None:
                coordinates = self.placed(prompts.points[part], embedding)
                points = self._tensor(coordinates), self._tensor(prompts.labels[part], torch.int)
            if prompts.boxes is not None:
                corners = self.placed(prompts.boxes[part].reshape(-1, 2, 2), embedding)
                boxes = self._tensor(corners.reshape(-1, 4))
            low, ratings = self.decode(embedding, points, boxes)
            yield from zip(low, ratings, strict=True)

    @torch.inference_mode()
    def decode(
        self,
        embedding: Embedding,
        points: tuple[torch.Tensor, torch.Tensor] | None,
        boxes: torch.Tensor | None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits n×c×(side/4)×(side/4) and ratings n×c of prompts in the network's own pixels."""
        sparse, dense = self.network.prompt_encoder(points=points, boxes=boxes, masks=None)
        low, ratings = self.network.mask_decoder(
            image_embeddings=embedding.features,
            image_pe=self._positions,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=self.multimask,
        )
        return low.float().cpu().numpy(), ratings.float().cpu().numpy()

    def placed(self, coordinates: NDArray[np.int32], embedding: Embedding) -> NDArray[np.float64]:
        """Points (x, y) of the image in the network's own pixels."""
        found: NDArray[np.float64] = self._resize.apply_coords(coordinates, embedding.original_size)
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

    def everything(self, embedding: Embedding) -> Iterator[NDArray[np.bool_]]:
        if "S1" not in self.declaration.applies:
            return super().everything(embedding)
        return everything.masks(self, embedding)

    def _tensor(self, values: NDArray[np.generic], dtype: torch.dtype = torch.float) -> torch.Tensor:
        return torch.as_tensor(values, dtype=dtype, device=self.device)
