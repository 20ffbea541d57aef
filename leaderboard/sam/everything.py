"""S1, everything: the masks of a grid of points that pass SAM's own filters (Kirillov et al., appendix B).

What the owner's generator computes for every candidate at the image's size is computed here for those alone
that pass the filter before it, one at a time; the masks are the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from isal import isal_zlib
from numpy.typing import NDArray
from segment_anything.utils.amg import build_point_grid
from torchvision.ops.boxes import batched_nms

from leaderboard.sam.batches import halving

if TYPE_CHECKING:
    from leaderboard.sam.segmenter import Embedding, Sam


@dataclass(frozen=True)
class Filters:
    """The owner's defaults: points per side, and what a mask must reach or may share."""

    points_per_side: int = 32
    predicted_iou: float = 0.88
    stability: float = 0.95
    stability_offset: float = 1.0
    nms_iou: float = 0.7


@dataclass(frozen=True)
class _Found:
    """A mask cut out by its box [x0, y0, x1, y1], both ends inside, its bits packed and compressed."""

    box: tuple[int, int, int, int]
    bits: bytes
    rating: float


def masks(sam: "Sam", embedding: "Embedding", filters: Filters | None = None) -> Iterator[NDArray[np.bool_]]:
    """All masks H×W, the best rated first."""
    filters = filters or Filters()
    height, width = embedding.original_size
    grid = sam.placed(build_point_grid(filters.points_per_side) * (width, height), (height, width))

    def passing(part: slice) -> list[_Found]:
        return _passing(sam, embedding, grid[part], filters)

    found = list(halving(passing, len(grid), sam.prompt_batch, "points", sam.shrunk))
    if not found:
        return
    kept = batched_nms(
        torch.tensor([one.box for one in found], dtype=torch.float),
        torch.tensor([one.rating for one in found], dtype=torch.float),
        torch.zeros(len(found)),
        iou_threshold=filters.nms_iou,
    )
    for place in kept.tolist():
        yield _whole(found[place], embedding.original_size)


def _passing(sam: "Sam", embedding: "Embedding", grid: NDArray[np.float64], filters: Filters) -> list[_Found]:
    """What passes the filters of the masks of some points n×2."""
    # The owner's generator leaves the points in double precision.
    points = torch.as_tensor(grid[:, None], device=sam.device)
    labels = torch.ones(points.shape[:2], dtype=torch.int, device=sam.device)
    low, ratings = sam.decode(embedding, (points, labels), None)
    return [
        found
        for logits, rating in zip(low.reshape(-1, *low.shape[2:]), ratings.ravel(), strict=True)
        if rating > filters.predicted_iou
        and (found := _stable(sam.upscaled(logits, embedding), float(rating), sam, filters))
    ]


def _stable(logits: NDArray[np.float32], rating: float, sam: "Sam", filters: Filters) -> _Found | None:
    """The mask of some logits H×W if it hardly changes with the threshold."""
    threshold, offset = sam.network.mask_threshold, filters.stability_offset
    inner = np.count_nonzero(logits > threshold + offset)
    outer = np.count_nonzero(logits > threshold - offset)
    # In single precision, as the owner's; of no pixel at all the ratio is no number, and no mask.
    if not outer or np.float32(inner) / np.float32(outer) < np.float32(filters.stability):
        return None
    mask = logits > threshold
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return _Found((0, 0, 0, 0), _packed(np.zeros((1, 1), bool)), rating)
    y0, y1, x0, x1 = int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])
    return _Found((x0, y0, x1, y1), _packed(mask[y0 : y1 + 1, x0 : x1 + 1]), rating)


def _packed(mask: NDArray[np.bool_]) -> bytes:
    # Of an ellipse over half of 3000×2000 pixels 3 % remain: a grid of 256×256 points fits into memory.
    packed: bytes = isal_zlib.compress(np.packbits(mask), 1)
    return packed


def _whole(found: _Found, size: tuple[int, int]) -> NDArray[np.bool_]:
    x0, y0, x1, y1 = found.box
    height, width = y1 - y0 + 1, x1 - x0 + 1
    mask = np.zeros(size, bool)
    packed = np.frombuffer(isal_zlib.decompress(found.bits), np.uint8)
    bits = np.unpackbits(packed, count=height * width).reshape(height, width)
    mask[y0 : y1 + 1, x0 : x1 + 1] = bits.view(bool)
    return mask
