"""The loss of finetuning (protocol, section 6): DICE and cross entropy of each instance at its own size."""

from torch import Tensor
from torch.nn import functional

#: Added to both sides of the fraction, as in MONAI's DiceLoss, so that it is never 0/0.
_SMOOTH = 1e-5


def instances(logits: Tensor, masks: Tensor) -> Tensor:
    """The loss of each instance: 1 − DICE with squared denominator, plus the mean binary cross entropy.

    Args:
        logits: n×H×W.
        masks: n×H×W, 0 or 1.
    """
    masks = masks.to(logits.dtype)
    likely = logits.sigmoid()
    common = (likely * masks).sum((-2, -1))
    squared = likely.square().sum((-2, -1)) + masks.square().sum((-2, -1))
    dice = (2 * common + _SMOOTH) / (squared + _SMOOTH)
    entropy = functional.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    return 1 - dice + entropy.mean((-2, -1))


def enlarged(low: Tensor, side: int, input_size: tuple[int, int] | None, size: tuple[int, int]) -> Tensor:
    """Logits n×h×w at the image's own size, n×H×W, as the owner's `Sam.postprocess_masks` makes them.

    Args:
        side: of the square that the network sees.
        input_size: what of it is the image, the rest being padding; None: the image was squeezed into it.
        size: H and W.
    """
    found = low[:, None]
    if input_size is not None:
        found = _scaled(found, (side, side))[..., : input_size[0], : input_size[1]]
    return _scaled(found, size)[:, 0]


def _scaled(logits: Tensor, size: tuple[int, int]) -> Tensor:
    found: Tensor = functional.interpolate(logits, size, mode="bilinear", align_corners=False)
    return found
