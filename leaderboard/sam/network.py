"""The architectures of SAM as torch modules without trained weights."""

from functools import partial

from segment_anything import sam_model_registry
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import nn

from cosmos1050k.errors import InputError
from leaderboard.weights import PARAMETERS

#: Those of the owner, and one of the same make that is small enough for tests and laptops.
ARCHITECTURES = tuple(PARAMETERS)
_TINY_SIZE, _TINY_WIDTH, _PATCH = 256, 32, 16


def build(architecture: str) -> Sam:
    """A network in evaluation mode, its weights as initialised.

    Raises:
        InputError: there is no such architecture.
    """
    if architecture not in ARCHITECTURES:
        raise InputError(f"unknown architecture {architecture!r}; known are {', '.join(ARCHITECTURES)}")
    return _tiny() if architecture == "tiny" else sam_model_registry[architecture](checkpoint=None).eval()


def _tiny() -> Sam:
    """The owner's modules, an encoder of two blocks and width 64: 0.2 million parameters."""
    size = _TINY_SIZE // _PATCH
    encoder = ImageEncoderViT(
        img_size=_TINY_SIZE, patch_size=_PATCH, embed_dim=64, depth=2, num_heads=2, mlp_ratio=2,
        out_chans=_TINY_WIDTH, norm_layer=partial(nn.LayerNorm, eps=1e-6), qkv_bias=True, use_rel_pos=True,
        global_attn_indexes=(1,), window_size=7,
    )  # fmt: skip
    prompts = PromptEncoder(
        embed_dim=_TINY_WIDTH, image_embedding_size=(size, size), input_image_size=(_TINY_SIZE, _TINY_SIZE),
        mask_in_chans=16,
    )  # fmt: skip
    decoder = MaskDecoder(
        num_multimask_outputs=3, transformer_dim=_TINY_WIDTH, iou_head_depth=3, iou_head_hidden_dim=64,
        transformer=TwoWayTransformer(depth=2, embedding_dim=_TINY_WIDTH, mlp_dim=128, num_heads=4),
    )  # fmt: skip
    return Sam(image_encoder=encoder, prompt_encoder=prompts, mask_decoder=decoder).eval()
