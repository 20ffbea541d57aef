"""MedSAM's path gives what its owner's steps give, written out here (`MedSAM_Inference.py` of the owner)."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from skimage import transform
from torch.nn import functional

from tests.leaderboard.sam.images import SmallMedSam, picture, prompted, tiny


@torch.no_grad()
def by_owner(image: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and mask H×W for one box."""
    network, (height, width) = tiny(), image.shape[:2]
    side = network.image_encoder.img_size  # the owner's is 1024
    resized = transform.resize(image, (side, side), order=3, preserve_range=True, anti_aliasing=True)
    resized = resized.astype(np.uint8)
    scaled = (resized - resized.min()) / np.clip(resized.max() - resized.min(), a_min=1e-8, a_max=None)
    features = network.image_encoder(torch.tensor(scaled).float().permute(2, 0, 1).unsqueeze(0))
    corners = torch.as_tensor(box[None] / np.array([width, height, width, height]) * side, dtype=torch.float)
    sparse, dense = network.prompt_encoder(points=None, boxes=corners[:, None, :], masks=None)
    logits, _ = network.mask_decoder(
        image_embeddings=features,
        image_pe=network.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=False,
    )
    found = functional.interpolate(
        torch.sigmoid(logits), size=(height, width), mode="bilinear", align_corners=False
    )
    return found[0, 0].numpy(), (found > 0.5)[0, 0].numpy()


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize(("height", "width"), [(97, 64), (256, 256), (300, 700)])
def test_the_owner_s_steps(height: int, width: int, gray: bool) -> None:
    image, given = picture(height, width, gray=gray), prompted("S5", 5, height, width)
    model = SmallMedSam(deepcopy(tiny()))
    (embedding,) = model.embed([image])
    assert given.boxes is not None
    shares = []
    for box, found in zip(given.boxes, model.prompt(embedding, given), strict=True):
        probabilities, mask = by_owner(image, box)
        clear = np.abs(probabilities - 0.5) > 1e-4
        assert found.masks.shape == (1, height, width)
        assert (found.masks[0] == mask)[clear].all()
        assert clear.mean() > 0.99
        shares.append(mask.mean())
    assert 0.02 < np.mean(shares) < 0.98


def test_a_picture_of_one_gray(recwarn: pytest.WarningsRecorder) -> None:
    flat = np.full((40, 50, 3), 7, np.uint8)
    model = SmallMedSam(deepcopy(tiny()))
    (found,) = model.prompt(model.embed([flat])[0], prompted("S5", 1, 40, 50))
    assert found.masks.shape == (1, 40, 50)
    assert not recwarn.list
