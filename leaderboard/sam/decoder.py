"""SAM's mask decoder for many prompts of one image: what no prompt changes is computed once.

Equal to the owner's `MaskDecoder` but for rounding (Kirillov et al., appendix A). An image has thousands of
places and a prompt about ten tokens, so wherever the two meet the projections are applied to the tokens.
Below, n counts prompts, t tokens, N = h·w places, C channels, H heads and d the channels of a head.
"""

import math
from dataclasses import dataclass

import torch
from segment_anything.modeling import MaskDecoder, Sam, TwoWayTransformer
from segment_anything.modeling.transformer import Attention, TwoWayAttentionBlock
from torch import Tensor, nn
from torch.nn import functional

#: Places upscaled together. With more, each step waits for new memory from the system as long as it computes.
_UPSCALED_TOGETHER = 1024
#: Of a decoder's masks the one that it gives for a clear prompt, the three for any, and all of them.
ONE, THREE, ALL = range(1), range(1, 4), range(4)


@dataclass(frozen=True)
class Shared:
    """What the prompts of an image have in common.

    Args:
        size: h and w of the features.
        image: the features with the embedding of "no mask", 1×N×C.
        positions: of the places, 1×N×C.
        keys: the image's in the first layer, where the tokens attend to it, 1×H×d×N.
        values: likewise, 1×H×N×d.
        queries: the image's in the first layer, where it attends to the tokens, 1×H×d×N.
    """

    size: tuple[int, int]
    image: Tensor
    positions: Tensor
    keys: Tensor
    values: Tensor
    queries: Tensor

    def of(self, places: Tensor) -> "Shared":
        """Of k images' share that of n prompts, each of the image at its place, n numbers below k."""
        own = (one[places] for one in (self.image, self.keys, self.values, self.queries))
        image, keys, values, queries = own
        return Shared(self.size, image, self.positions, keys, values, queries)


def share(network: Sam, features: Tensor, positions: Tensor, dense: Tensor | None = None) -> Shared:
    """What prompts of an image share.

    Args:
        features: of the image, 1×C×h×w, or of n images that have a prompt each.
        positions: of the places, 1×C×h×w.
        dense: n×C×h×w, if each prompt has a mask, which its prompt encoder embedded; then nothing is shared.
    """
    if dense is None:
        dense = network.prompt_encoder.no_mask_embed.weight[..., None, None]
    image = features + dense
    image, places = (one.flatten(2).mT.contiguous() for one in (image, positions))
    return _shared(network, (features.shape[-2], features.shape[-1]), image, places)


def with_masks(network: Sam, shared: Shared, dense: Tensor) -> Shared:
    """The share of n prompts of an image that have a mask each, which its prompt encoder embedded, n×C×h×w.

    Args:
        network, shared: the image's share without a mask, made of that network.
    """
    features = shared.image - network.prompt_encoder.no_mask_embed.weight
    image = features + dense.flatten(2).mT
    return _shared(network, shared.size, image, shared.positions)


def _shared(network: Sam, size: tuple[int, int], image: Tensor, places: Tensor) -> Shared:
    """The share of images n×N×C, what is known of masks included, whose places have positions 1×N×C."""
    first = network.mask_decoder.transformer.layers[0]
    taking, giving = first.cross_attn_token_to_image, first.cross_attn_image_to_token
    placed = image + places
    return Shared(
        size=size,
        image=image,
        positions=places,
        keys=_heads(taking, taking.k_proj(placed)).mT.contiguous(),
        values=_heads(taking, taking.v_proj(image)).contiguous(),
        queries=_heads(giving, giving.q_proj(placed)).mT.contiguous(),
    )


def decode(network: Sam, shared: Shared, sparse: Tensor, which: range = THREE) -> tuple[Tensor, Tensor]:
    """The masks of an image's prompts. Gradients pass through.

    Args:
        network: that of which the image's share was made.
        shared: the image's share, or that of n images or masks.
        sparse: embedded points and boxes, n×t×C.
        which: of the decoder's masks.

    Returns:
        Logits n×c×4h×4w and ratings n×c.
    """
    decoder: MaskDecoder = network.mask_decoder
    own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    tokens = torch.cat([own.expand(len(sparse), -1, -1), sparse], dim=1)
    tokens, image = _transformed(decoder.transformer, shared, tokens)
    kernels = [decoder.output_hypernetworks_mlps[number](tokens[:, 1 + number]) for number in which]
    parts = (_upscaled(decoder, part) for part in image.split(_UPSCALED_TOGETHER, dim=1))
    stacked = torch.stack(kernels, dim=1)
    logits = torch.cat([stacked @ part.mT for part in parts], dim=-1)
    ratings = decoder.iou_prediction_head(tokens[:, 0])[:, which.start : which.stop]
    return _arranged(logits, shared.size), ratings


def _transformed(transformer: TwoWayTransformer, shared: Shared, given: Tensor) -> tuple[Tensor, Tensor]:
    """The tokens n×t×C and the image n×N×C after all layers and the last attention."""
    tokens, image = given, shared.image
    for number, layer in enumerate(transformer.layers):
        placed = image + shared.positions if number else None
        tokens = _among_themselves(layer, tokens, given)
        taking, giving = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
        if placed is None:
            taken = _taken_from_shared(taking, tokens + given, shared)
        else:
            taken = _taken(taking, tokens + given, placed, image)
        tokens = layer.norm2(tokens + taken)
        tokens = layer.norm3(tokens + layer.mlp(tokens))
        keys = _scaled(giving, giving.k_proj(tokens + given))
        scores = keys @ shared.queries if placed is None else _scores(giving, keys, placed)
        image = layer.norm4(image + _given(giving, scores, tokens))
    last = transformer.final_attn_token_to_image
    taken = _taken(last, tokens + given, image + shared.positions, image)
    return transformer.norm_final_attn(tokens + taken), image


def _among_themselves(layer: TwoWayAttentionBlock, tokens: Tensor, given: Tensor) -> Tensor:
    """The tokens n×t×C after they attended to each other."""
    if layer.skip_first_layer_pe:
        attended = layer.self_attn(tokens, tokens, tokens)
    else:
        placed = tokens + given
        attended = tokens + layer.self_attn(placed, placed, tokens)
    result: Tensor = layer.norm1(attended)
    return result


def _taken_from_shared(attention: Attention, tokens: Tensor, shared: Shared) -> Tensor:
    """What the tokens n×t×C take from the image in the first layer, n×t×C."""
    queries = _scaled(attention, attention.q_proj(tokens))
    weights = (queries @ shared.keys).softmax(-1)
    result: Tensor = attention.out_proj((weights @ shared.values).transpose(1, 2).flatten(2))
    return result


def _taken(attention: Attention, tokens: Tensor, placed: Tensor, image: Tensor) -> Tensor:
    """What the tokens n×t×C take from the image n×N×C, with and without its positions; n×t×C."""
    queries = _scaled(attention, attention.q_proj(tokens))
    # The bias of the keys adds the same to a token's every score, which the softmax ignores.
    folded = (queries @ _by_head(attention, attention.k_proj)).flatten(1, 2)
    weights = (folded @ placed.mT).softmax(-1)
    mixed = (weights @ image).unflatten(1, (attention.num_heads, -1))
    values = mixed @ _by_head(attention, attention.v_proj).mT
    # The weights of a token add up to one, so the bias of the values comes once.
    result: Tensor = attention.out_proj(values.transpose(1, 2).flatten(2) + attention.v_proj.bias)
    return result


def _scores(attention: Attention, keys: Tensor, placed: Tensor) -> Tensor:
    """How much each token's keys n×H×t×d are those of the places, the image n×N×C; n×H×t×N."""
    folded = keys @ _by_head(attention, attention.q_proj)
    bias = keys @ attention.q_proj.bias.reshape(attention.num_heads, -1, 1)
    return (folded.flatten(1, 2) @ placed.mT).unflatten(1, (attention.num_heads, -1)) + bias


def _given(attention: Attention, scores: Tensor, tokens: Tensor) -> Tensor:
    """What the image is given by the tokens n×t×C for its scores n×H×t×N; n×N×C."""
    weights = scores.softmax(-2).flatten(1, 2)
    values = _heads(attention, attention.v_proj(tokens))
    outputs = attention.out_proj.weight.mT.unflatten(0, (attention.num_heads, -1))
    # The weights of a place add up to one in each head, so each adds its part of the bias.
    folded = values @ outputs + attention.out_proj.bias / attention.num_heads
    return weights.mT @ folded.flatten(1, 2)


def _heads(attention: Attention, projected: Tensor) -> Tensor:
    """n×t×(H·d) → n×H×t×d."""
    return projected.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)


def _scaled(attention: Attention, projected: Tensor) -> Tensor:
    """The tokens' queries or keys n×t×(H·d), for products n×H×t×d that are scores."""
    separate = _heads(attention, projected)
    return separate / math.sqrt(separate.shape[-1])


def _by_head(attention: Attention, projection: nn.Linear) -> Tensor:
    """The weights H×d×C of a projection."""
    return projection.weight.unflatten(0, (attention.num_heads, -1))


def _upscaled(decoder: MaskDecoder, image: Tensor) -> Tensor:
    """The image n×N×C at four times its size, n×16N×(C/8), the places as two `_quartered` leave them."""
    first, norm, activation, second, last_activation = decoder.output_upscaling
    image = _quartered(first.weight, first.bias, image)
    image = functional.layer_norm(image, norm.weight.shape, norm.weight, norm.bias, norm.eps)
    result: Tensor = last_activation(_quartered(second.weight, second.bias, activation(image)))
    return result


def _quartered(weight: Tensor, bias: Tensor, image: Tensor) -> Tensor:
    """A transposed convolution that makes each place 2×2, n×N×C → n×4N×C'; a place's four stand together."""
    apart = weight.permute(2, 3, 1, 0).flatten(0, 2)
    return functional.linear(image, apart, bias.repeat(4)).view(len(image), -1, len(bias))


def _arranged(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """n×c×16N, in the order of `_upscaled` → n×c×4h×4w."""
    height, width = size
    # h, w, then row and column in the first quartering and in the second
    apart = logits.view(*logits.shape[:2], height, width, 2, 2, 2, 2)
    return apart.permute(0, 1, 2, 4, 6, 3, 5, 7).reshape(*logits.shape[:2], 4 * height, 4 * width)
