"""Finetuning as it is written down: the owner's modules, an image's boxes at a time (protocol, section 6)."""

from collections.abc import Sequence

import numpy as np
import torch
from segment_anything.modeling import Sam as Network
from segment_anything.utils.transforms import ResizeLongestSide
from torch.nn import functional

from leaderboard.training.examples import Example


def pixels(network: Network, example: Example) -> tuple[torch.Tensor, tuple[int, int]]:
    """The image as the owner's predictor gives it to the encoder, and the size that it has there."""
    image = ResizeLongestSide(network.image_encoder.img_size).apply_image(example.image)
    given = torch.as_tensor(image).permute(2, 0, 1).contiguous()[None]
    return network.preprocess(given), (given.shape[2], given.shape[3])


def dice(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """MONAI's DiceLoss(sigmoid=True, squared_pred=True) of one mask H×W."""
    likely = torch.sigmoid(logits)
    return 1 - (2 * (likely * mask).sum() + 1e-5) / ((likely**2).sum() + (mask**2).sum() + 1e-5)


def losses(network: Network, example: Example, features: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The loss of each instance of an image, n; `size` is the image's in the network."""
    original = example.image.shape[:2]
    boxes = np.array([entry["box"] for entry in example.objects])
    scaled = ResizeLongestSide(network.image_encoder.img_size).apply_boxes(boxes, original)
    with torch.no_grad():
        sparse, dense = network.prompt_encoder(None, torch.as_tensor(scaled, dtype=torch.float), None)
    low, _ = network.mask_decoder(features, network.prompt_encoder.get_dense_pe(), sparse, dense, False)
    logits = network.postprocess_masks(low, size, original)[:, 0]
    found = []
    for one, mask in zip(logits, example.masks, strict=True):
        truth = torch.tensor(mask, dtype=torch.float)
        found.append(dice(one, truth) + functional.binary_cross_entropy_with_logits(one, truth))
    return torch.stack(found)


def step(
    network: Network,
    optimiser: torch.optim.Optimizer,
    batch: Sequence[Example],
    encoded: Sequence[tuple[torch.Tensor, tuple[int, int]]],
) -> float:
    """A step on a batch, its instances averaged."""
    found = [losses(network, one, *given) for one, given in zip(batch, encoded, strict=True)]
    loss = torch.cat(found).mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()
