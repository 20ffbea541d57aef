"""The image encoder's blocks computed faster, equal to the owner's but for rounding.

The owner writes the matrix of all pairs of places, 0.8 GB of ViT-B, four times. Here it is never whole on a
CPU: a few rows of one head at a time stay in its cache. On a GPU torch's fused kernel takes it as its bias.
"""

from types import MethodType

import torch
from segment_anything.modeling import Sam as Network
from segment_anything.modeling.common import MLPBlock
from segment_anything.modeling.image_encoder import Attention, get_rel_pos
from torch import Tensor, nn
from torch.nn import functional

from leaderboard.sam.onednn import apart, linear, plain, together

#: Scores computed together on a CPU: 4 MB in float32 (measured on widths of 64…512 rows).
_SCORES = 2**20


def fuse(network: Network) -> Network:
    """Gives the blocks of the network's encoder the faster form; returns the same network."""
    for module in network.image_encoder.modules():
        if isinstance(module, Attention):
            module.forward = MethodType(_attention, module)
        elif isinstance(module, MLPBlock):
            module.forward = MethodType(_perceptron, module)
    return network


def unfuse(network: Network) -> Network:
    """Gives them the owner's form back."""
    for module in network.image_encoder.modules():
        if isinstance(module, Attention | MLPBlock):
            module.__dict__.pop("forward", None)
    return network


def _perceptron(self: MLPBlock, x: Tensor) -> Tensor:
    """x B×H×W×C → the same shape, as `MLPBlock.forward` of the owner."""
    hidden = self.act(_applied(self.lin1, together(x)))
    return apart(_applied(self.lin2, hidden)).view(x.shape)


def _attention(self: Attention, x: Tensor) -> Tensor:
    """x B×H×W×C → the same shape, as `Attention.forward` of the owner."""
    count, height, width, _ = x.shape
    # B × heads × places × channels of a head
    queries, keys, values = (
        apart(_applied(self.qkv, together(x)))
        .view(count, height * width, 3, self.num_heads, -1)
        .permute(2, 0, 3, 1, 4)
        .unbind(0)
    )
    rows, columns = _positions(self, queries, height, width)
    attend = _by_rows if plain(queries) else _at_once
    attended = attend(queries, keys, values, rows, columns, self.scale)
    joined = attended.transpose(1, 2).reshape(count, height, width, -1)
    return apart(_applied(self.proj, together(joined))).view(x.shape)


def _applied(layer: nn.Linear, rows: Tensor) -> Tensor:
    return linear(rows, layer.weight, layer.bias)


def _positions(self: Attention, queries: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """What each place adds for others by their distance in rows and in columns: B×heads×places×H, …×W."""
    count, heads, _, channels = queries.shape
    grid = queries.reshape(count * heads, height, width, channels)
    rows = torch.einsum("bhwc,hkc->bhwk", grid, get_rel_pos(height, height, self.rel_pos_h))
    columns = torch.einsum("bhwc,wkc->bhwk", grid, get_rel_pos(width, width, self.rel_pos_w))
    return rows.reshape(count, heads, -1, height), columns.reshape(count, heads, -1, width)


def _at_once(
    queries: Tensor, keys: Tensor, values: Tensor, rows: Tensor, columns: Tensor, scale: float
) -> Tensor:
    bias = (rows[..., :, None] + columns[..., None, :]).flatten(-2)
    return functional.scaled_dot_product_attention(queries, keys, values, attn_mask=bias, scale=scale)


def _by_rows(
    queries: Tensor, keys: Tensor, values: Tensor, rows: Tensor, columns: Tensor, scale: float
) -> Tensor:
    count, heads, places, _ = queries.shape
    found = torch.empty(queries.shape)
    some = max(_SCORES // (count * places), 1)
    for head in range(heads):
        scaled, turned = queries[:, head] * scale, keys[:, head].mT.contiguous()
        own = values[:, head].contiguous()
        for start in range(0, places, some):
            part = slice(start, start + some)
            scores = torch.bmm(scaled[:, part], turned)
            grid = scores.view(count, -1, rows.shape[-1], columns.shape[-1])
            grid += rows[:, head, part, :, None]
            grid += columns[:, head, part, None, :]
            found[:, head, part] = torch.bmm(scores.softmax(-1), own)
    return found
