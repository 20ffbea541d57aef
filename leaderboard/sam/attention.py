"""The image encoder's attention by torch's fused kernel, the relative positions as its bias.

Equal to the owner's but for rounding; the matrix of all pairs of places is written once, not four times.
"""

from types import MethodType

import torch
from segment_anything.modeling import Sam as Network
from segment_anything.modeling.image_encoder import Attention, get_rel_pos
from torch.nn import functional


def fuse(network: Network) -> Network:
    """Gives every attention of the network's encoder the fused form; returns the same network."""
    for module in network.image_encoder.modules():
        if isinstance(module, Attention):
            module.forward = MethodType(_attention, module)
    return network


def _attention(self: Attention, x: torch.Tensor) -> torch.Tensor:
    """x B×H×W×C → the same shape, as `Attention.forward` of the owner."""
    count, height, width, _ = x.shape
    # B × heads × places × channels of a head
    queries, keys, values = (
        self.qkv(x).reshape(count, height * width, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
    )
    bias = _positions(self, queries, height, width) if self.use_rel_pos else None
    found = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=bias, scale=self.scale)
    joined = found.transpose(1, 2).reshape(count, height, width, -1)
    result: torch.Tensor = self.proj(joined)
    return result


def _positions(self: Attention, queries: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """What each place adds for each other by their distance in rows and in columns."""
    count, heads, places, channels = queries.shape
    grid = queries.reshape(count * heads, height, width, channels)
    rows = torch.einsum("bhwc,hkc->bhwk", grid, get_rel_pos(height, height, self.rel_pos_h))
    columns = torch.einsum("bhwc,wkc->bhwk", grid, get_rel_pos(width, width, self.rel_pos_w))
    both = rows[..., :, None] + columns[..., None, :]
    return both.reshape(count, heads, places, places)
