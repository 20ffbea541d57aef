"""MedSAM (Ma et al., Nature Communications 2024): SAM's network with its owner's own steps around it."""

from typing import ClassVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage.transform import resize

from leaderboard.sam.segmenter import Embedding, Sam


class MedSam(Sam):
    """The image squeezed to a square and to 0…1, one candidate, a mask where it is more likely than not."""

    multimask: ClassVar[bool] = False

    def prepared(self, image: NDArray[np.uint8]) -> torch.Tensor:
        size = (self.side, self.side)
        square = resize(image, size, order=3, preserve_range=True, anti_aliasing=True).astype(np.uint8)
        spread = max(int(square.max()) - int(square.min()), 1e-8)
        scaled = (square - square.min()) / spread
        return torch.tensor(scaled, device=self.device).float().permute(2, 0, 1)[None]

    def placed(self, coordinates: NDArray[np.int32], size: tuple[int, int]) -> NDArray[np.float64]:
        return coordinates / np.array(size[::-1]) * self.side

    def masks(self, low: NDArray[np.float32], embedding: Embedding) -> NDArray[np.bool_]:
        probabilities = torch.sigmoid(torch.from_numpy(low)).numpy()
        size = embedding.original_size[::-1]
        return np.stack(
            [cv2.resize(one, size, interpolation=cv2.INTER_LINEAR) > 0.5 for one in probabilities]
        )
