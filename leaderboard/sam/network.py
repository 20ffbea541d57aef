"""The architectures of SAM as torch modules without trained weights."""

from functools import partial

from segment_anything import sam_model_registry
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import nn

from cosmos1050k.errors import InputError
from leaderboard.sam.tensors import PATCH, SIZES, Sizes
from leaderboard.weights import PARAMETERS

#: Those of the owner, and smaller ones of the same make: `nano` is trained, `tiny` is for tests.
ARCHITECTURES = tuple(PARAMETERS)
#: Those of them that the owner's registry does not make.
_SMALL = ("nano", "tiny")


def build(architecture: str) -> Sam:
    """A network in evaluation mode, its weights as initialised.

    Raises:
        InputError: there is no such architecture.
    """
    if architecture not in ARCHITECTURES:
        raise InputError(f"unknown architecture {architecture!r}; known are {', '.join(ARCHITECTURES)}")
    if architecture in _SMALL:
        return _small(SIZES[architecture])
    return sam_model_registry[architecture](checkpoint=None).eval()


def _small(sizes: Sizes) -> Sam:
    places = sizes.side // PATCH
    encoder = ImageEncoderViT(
        img_size=sizes.side, patch_size=PATCH, embed_dim=sizes.encoder, depth=sizes.depth,
        num_heads=sizes.heads, mlp_ratio=sizes.ratio, out_chans=sizes.width,
        norm_layer=partial(nn.LayerNorm, eps=1e-6), qkv_bias=True, use_rel_pos=True,
        global_attn_indexes=sizes.everywhere, window_size=sizes.window,
    )  # fmt: skip
    prompts = PromptEncoder(
        embed_dim=sizes.width, image_embedding_size=(places, places),
        input_image_size=(sizes.side, sizes.side), mask_in_chans=16,
    )  # fmt: skip
    transformer = TwoWayTransformer(
        depth=2, embedding_dim=sizes.width, mlp_dim=sizes.hidden, num_heads=sizes.decoder_heads
    )
    decoder = MaskDecoder(
        num_multimask_outputs=3, transformer_dim=sizes.width, iou_head_depth=3,
        iou_head_hidden_dim=sizes.rating, transformer=transformer,
    )  # fmt: skip
    return Sam(image_encoder=encoder, prompt_encoder=prompts, mask_decoder=decoder).eval()
