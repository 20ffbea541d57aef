"""S1 gives the set of masks that the owner's `SamAutomaticMaskGenerator` gives with the same settings."""

from copy import deepcopy
from functools import cache

import numpy as np
import pytest
from segment_anything import SamAutomaticMaskGenerator
from segment_anything.modeling import Sam as Network

from leaderboard.machine import Machine
from leaderboard.sam import everything
from leaderboard.sam.everything import Filters
from tests.leaderboard.sam.images import SmallSam, picture, tiny

#: Random weights rate nothing highly: these let some of their masks pass each filter, and stop others.
LOOSE = Filters(points_per_side=14, predicted_iou=0.05, stability=0.5, stability_offset=0.02, nms_iou=0.95)


@cache
def local() -> Network:
    """With a threshold at which the masks cover parts of the picture: else all have the same box."""
    network = deepcopy(tiny())
    network.mask_threshold = 1.4
    return network


def by_owner(image: np.ndarray, filters: Filters) -> list[np.ndarray]:
    generator = SamAutomaticMaskGenerator(
        local(), points_per_side=filters.points_per_side, pred_iou_thresh=filters.predicted_iou,
        stability_score_thresh=filters.stability, stability_score_offset=filters.stability_offset,
        box_nms_thresh=filters.nms_iou,
    )  # fmt: skip
    return [entry["segmentation"] for entry in generator.generate(image)]


def ours(image: np.ndarray, filters: Filters, prompt_batch: int = 1) -> list[np.ndarray]:
    sam = SmallSam(deepcopy(local()), Machine(prompt_batch=prompt_batch))
    return list(everything.masks(sam, sam.embed([image])[0], filters))


def as_set(masks: list[np.ndarray]) -> list[bytes]:
    return sorted(np.packbits(mask).tobytes() for mask in masks)


@pytest.mark.parametrize(
    ("height", "width"),
    [(97, 64), *(pytest.param(*size, marks=pytest.mark.slow) for size in ((300, 500), (1024, 700)))],
)
@pytest.mark.parametrize("prompt_batch", [1, 64])
def test_the_same_set_of_masks(height: int, width: int, prompt_batch: int) -> None:
    image = picture(height, width)
    found, expected = ours(image, LOOSE, prompt_batch), by_owner(image, LOOSE)
    assert len(expected) >= 20
    assert as_set(found) == as_set(expected)


@pytest.mark.parametrize(
    "change", [{"predicted_iou": 0.15}, {"stability": 0.8}, {"nms_iou": 0.6}, {"stability_offset": 0.05}]
)
@pytest.mark.slow
def test_each_filter_counts(change: dict[str, float]) -> None:
    image = picture(97, 64)
    filters = Filters(**{**LOOSE.__dict__, **change})
    found = ours(image, filters)
    assert as_set(found) == as_set(by_owner(image, filters))
    assert as_set(found) != as_set(ours(image, LOOSE))


@pytest.mark.slow
def test_no_mask_passes_the_owner_s_defaults_on_random_weights() -> None:
    assert ours(picture(97, 64), Filters()) == by_owner(picture(97, 64), Filters()) == []
