"""The architectures of SAM as torch modules without trained weights."""

from dataclasses import dataclass
from functools import partial

from segment_anything import sam_model_registry
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import nn

from cosmos1050k.errors import InputError
from leaderboard.weights import PARAMETERS

#: Those of the owner, and smaller ones of the same make: `nano` is trained, `tiny` is for tests.
ARCHITECTURES = tuple(PARAMETERS)
_PATCH = 16


@dataclass(frozen=True)
class _Small:
    """The owner's modules at 256×256.

    Args:
        encoder, depth, heads: width of the encoder's blocks, how many, and heads of each.
        ratio: width of a block's hidden layer, by the block's.
        width: of the decoder's transformer, and of the embeddings.
        hidden, decoder_heads, rating: of the decoder, widths of the hidden layers, and its heads.
        everywhere: the blocks in which all places see each other; in the others those within 7×7 do.
    """

    encoder: int
    depth: int
    heads: int
    ratio: int
    width: int
    hidden: int
    decoder_heads: int
    rating: int
    everywhere: tuple[int, ...]
    side: int = 256


_SMALL = {
    "nano": _Small(192, 6, 3, 4, 128, 512, 8, 128, everywhere=(0, 1, 2, 3, 4, 5)),
    "tiny": _Small(64, 2, 2, 2, 32, 128, 4, 64, everywhere=(1,)),
}


def build(architecture: str) -> Sam:
    """A network in evaluation mode, its weights as initialised.

    Raises:
        InputError: there is no such architecture.
    """
    if architecture not in ARCHITECTURES:
        raise InputError(f"unknown architecture {architecture!r}; known are {', '.join(ARCHITECTURES)}")
    if architecture in _SMALL:
        return _small(_SMALL[architecture])
    return sam_model_registry[architecture](checkpoint=None).eval()


def _small(shape: _Small) -> Sam:
    places = shape.side // _PATCH
    encoder = ImageEncoderViT(
        img_size=shape.side, patch_size=_PATCH, embed_dim=shape.encoder, depth=shape.depth,
        num_heads=shape.heads, mlp_ratio=shape.ratio, out_chans=shape.width,
        norm_layer=partial(nn.LayerNorm, eps=1e-6), qkv_bias=True, use_rel_pos=True,
        global_attn_indexes=shape.everywhere, window_size=7,
    )  # fmt: skip
    prompts = PromptEncoder(
        embed_dim=shape.width, image_embedding_size=(places, places),
        input_image_size=(shape.side, shape.side), mask_in_chans=16,
    )  # fmt: skip
    transformer = TwoWayTransformer(
        depth=2, embedding_dim=shape.width, mlp_dim=shape.hidden, num_heads=shape.decoder_heads
    )
    decoder = MaskDecoder(
        num_multimask_outputs=3, transformer_dim=shape.width, iou_head_depth=3,
        iou_head_hidden_dim=shape.rating, transformer=transformer,
    )  # fmt: skip
    return Sam(image_encoder=encoder, prompt_encoder=prompts, mask_decoder=decoder).eval()
