"""Names and shapes of the tensors of SAM's networks, by formula: known without torch."""

from collections.abc import Iterator
from dataclasses import dataclass

from cosmos1050k.errors import InputError

Shape = tuple[int, ...]

PATCH = 16


@dataclass(frozen=True)
class Sizes:
    """What an architecture's shapes follow from.

    Args:
        encoder, depth, heads: width of the encoder's blocks, how many, and heads of each.
        everywhere: the blocks in which all places see each other; in the others those of a window do.
        ratio: width of a block's hidden layer, by the block's.
        width: of the decoder's transformer, and of the embeddings.
        hidden, rating, decoder_heads: of the decoder, widths of the hidden layers, and its heads.
        side, window: of the image in pixels, of a window in places.
    """

    encoder: int
    depth: int
    heads: int
    everywhere: tuple[int, ...]
    ratio: int = 4
    width: int = 256
    hidden: int = 2048
    rating: int = 256
    side: int = 1024
    window: int = 14
    decoder_heads: int = 8


SIZES = {
    "vit_b": Sizes(768, 12, 12, (2, 5, 8, 11)),
    "vit_l": Sizes(1024, 24, 16, (5, 11, 17, 23)),
    "vit_h": Sizes(1280, 32, 16, (7, 15, 23, 31)),
    "nano": Sizes(192, 6, 3, (0, 1, 2, 3, 4, 5), 4, 128, 512, 128, side=256, window=7),
    "tiny": Sizes(64, 2, 2, (1,), 2, 32, 128, 64, side=256, window=7, decoder_heads=4),
}


def shapes(architecture: str) -> dict[str, Shape]:
    """Every tensor of an architecture of `leaderboard.sam.network`: name → shape.

    Raises:
        InputError: there is no such architecture.
    """
    if architecture not in SIZES:
        raise InputError(f"unknown architecture {architecture!r}; known are {', '.join(SIZES)}")
    sizes = SIZES[architecture]
    parts = {"image_encoder": _encoder, "prompt_encoder": _prompt_encoder, "mask_decoder": _mask_decoder}
    return {f"{part}.{name}": shape for part, named in parts.items() for name, shape in named(sizes)}


_Named = Iterator[tuple[str, Shape]]


def _encoder(sizes: Sizes) -> _Named:
    places, own, head = sizes.side // PATCH, sizes.encoder, sizes.encoder // sizes.heads
    yield "pos_embed", (1, places, places, own)
    yield from _affine("patch_embed.proj", own, 3, PATCH, PATCH)
    for number in range(sizes.depth):
        block = f"blocks.{number}"
        seen = places if number in sizes.everywhere else sizes.window
        yield from _norm(f"{block}.norm1", own)
        yield f"{block}.attn.rel_pos_h", (2 * seen - 1, head)
        yield f"{block}.attn.rel_pos_w", (2 * seen - 1, head)
        yield from _affine(f"{block}.attn.qkv", 3 * own, own)
        yield from _affine(f"{block}.attn.proj", own, own)
        yield from _norm(f"{block}.norm2", own)
        yield from _affine(f"{block}.mlp.lin1", sizes.ratio * own, own)
        yield from _affine(f"{block}.mlp.lin2", own, sizes.ratio * own)
    yield "neck.0.weight", (sizes.width, own, 1, 1)
    yield from _norm("neck.1", sizes.width)
    yield "neck.2.weight", (sizes.width, sizes.width, 3, 3)
    yield from _norm("neck.3", sizes.width)


def _prompt_encoder(sizes: Sizes) -> _Named:
    yield "pe_layer.positional_encoding_gaussian_matrix", (2, sizes.width // 2)
    for number in range(4):
        yield f"point_embeddings.{number}.weight", (1, sizes.width)
    yield "not_a_point_embed.weight", (1, sizes.width)
    yield from _affine("mask_downscaling.0", 4, 1, 2, 2)
    yield from _norm("mask_downscaling.1", 4)
    yield from _affine("mask_downscaling.3", 16, 4, 2, 2)
    yield from _norm("mask_downscaling.4", 16)
    yield from _affine("mask_downscaling.6", sizes.width, 16, 1, 1)
    yield "no_mask_embed.weight", (1, sizes.width)


def _mask_decoder(sizes: Sizes) -> _Named:
    width = sizes.width
    for number in range(2):
        layer = f"transformer.layers.{number}"
        yield from _attention(f"{layer}.self_attn", width, width)
        yield from _norm(f"{layer}.norm1", width)
        yield from _attention(f"{layer}.cross_attn_token_to_image", width, width // 2)
        yield from _norm(f"{layer}.norm2", width)
        yield from _affine(f"{layer}.mlp.lin1", sizes.hidden, width)
        yield from _affine(f"{layer}.mlp.lin2", width, sizes.hidden)
        yield from _norm(f"{layer}.norm3", width)
        yield from _norm(f"{layer}.norm4", width)
        yield from _attention(f"{layer}.cross_attn_image_to_token", width, width // 2)
    yield from _attention("transformer.final_attn_token_to_image", width, width // 2)
    yield from _norm("transformer.norm_final_attn", width)
    yield "iou_token.weight", (1, width)
    yield "mask_tokens.weight", (4, width)
    # Transposed convolutions: the width that comes in stands first.
    yield "output_upscaling.0.weight", (width, width // 4, 2, 2)
    yield "output_upscaling.0.bias", (width // 4,)
    yield from _norm("output_upscaling.1", width // 4)
    yield "output_upscaling.3.weight", (width // 4, width // 8, 2, 2)
    yield "output_upscaling.3.bias", (width // 8,)
    for number in range(4):
        yield from _perceptron(f"output_hypernetworks_mlps.{number}", width, width, width // 8)
    yield from _perceptron("iou_prediction_head", width, sizes.rating, 4)


def _affine(name: str, out: int, *into: int) -> _Named:
    """A linear layer or a convolution."""
    yield f"{name}.weight", (out, *into)
    yield f"{name}.bias", (out,)


def _norm(name: str, width: int) -> _Named:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _attention(name: str, width: int, within: int) -> _Named:
    for part in ("q_proj", "k_proj", "v_proj"):
        yield from _affine(f"{name}.{part}", within, width)
    yield from _affine(f"{name}.out_proj", width, within)


def _perceptron(name: str, into: int, hidden: int, out: int) -> _Named:
    """Three linear layers."""
    for number, (before, after) in enumerate(((into, hidden), (hidden, hidden), (hidden, out))):
        yield from _affine(f"{name}.layers.{number}", after, before)
