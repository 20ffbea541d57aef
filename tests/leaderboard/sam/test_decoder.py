"""The decoder gives what the owner's `MaskDecoder` gives for the same features and prompts."""

from copy import deepcopy

import pytest
import torch
from segment_anything.modeling import Sam as Network
from segment_anything.modeling import TwoWayTransformer

from leaderboard.sam import decoder
from tests.leaderboard.sam.images import seeded, tiny

#: What the owner's code and ours may round differently; the logits below are about 1 to 10.
TOLERANCE = 1e-4
#: Those the decoder adds to a prompt's: of the rating, of the masks.
OWN_TOKENS = 5


def lively(network: Network, seed: int = 0) -> Network:
    """A copy in which every parameter of the decoder matters: fresh biases are small and norms do nothing."""
    made, random = deepcopy(network), torch.Generator().manual_seed(seed)
    for name, values in made.mask_decoder.named_parameters():
        if name.endswith("bias") or values.ndim == 1:
            values.data += 0.3 * torch.randn(values.shape, generator=random)
        elif "proj.weight" in name:  # attention that is far from equal everywhere
            values.data *= 2
    return made


def of_depth(depth: int) -> Network:
    """The small network with another number of layers in its decoder."""
    made = deepcopy(tiny())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(depth)
        made.mask_decoder.transformer = TwoWayTransformer(
            depth=depth, embedding_dim=32, mlp_dim=128, num_heads=4
        ).eval()
    return lively(made)


def features(network: Network, seed: int = 0) -> torch.Tensor:
    """Those of an image, 1×C×h×w."""
    random = torch.Generator().manual_seed(seed)
    size = network.prompt_encoder.image_embedding_size
    return torch.randn(1, network.mask_decoder.transformer_dim, *size, generator=random)


def sparse(network: Network, count: int, tokens: int, seed: int = 0) -> torch.Tensor:
    """Prompts, n×t×C; with its own the decoder works on so many tokens."""
    random = torch.Generator().manual_seed(100 + seed)
    return torch.randn(count, tokens - OWN_TOKENS, network.mask_decoder.transformer_dim, generator=random)


def shared(network: Network, image: torch.Tensor) -> decoder.Shared:
    return decoder.share(network, image, network.prompt_encoder.get_dense_pe())


@torch.inference_mode()
def by_owner(
    network: Network, image: torch.Tensor, prompts: torch.Tensor, multimask: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    _, dense = network.prompt_encoder(points=None, boxes=torch.zeros(len(prompts), 4), masks=None)
    found: tuple[torch.Tensor, torch.Tensor] = network.mask_decoder(
        image, network.prompt_encoder.get_dense_pe(), prompts, dense, multimask
    )
    return found


def which(multimask: bool) -> range:
    return decoder.THREE if multimask else decoder.ONE


def agree(network: Network, count: int, tokens: int, multimask: bool = True) -> None:
    image, prompts = features(network), sparse(network, count, tokens)
    logits, ratings = decoder.decode(network, shared(network, image), prompts, which(multimask))
    expected_logits, expected_ratings = by_owner(network, image, prompts, multimask)
    assert expected_logits.std() > 0.5
    torch.testing.assert_close(logits, expected_logits, rtol=0, atol=TOLERANCE)
    torch.testing.assert_close(ratings, expected_ratings, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("tokens", range(6, 18))
def test_every_prompt(tokens: int, count: int, multimask: bool) -> None:
    agree(lively(tiny()), count, tokens, multimask)


@pytest.mark.parametrize("depth", [1, 3])
def test_every_depth(depth: int) -> None:
    agree(of_depth(depth), 2, 8)


def test_an_image_that_is_not_square_and_is_upscaled_in_several_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decoder, "_UPSCALED_TOGETHER", 50)
    network = lively(tiny())
    network.prompt_encoder.image_embedding_size = (12, 20)
    agree(network, 2, 8)


def test_images_do_not_mix() -> None:
    network = lively(tiny())
    images = [features(network, seed) for seed in (1, 2)]
    shares = [shared(network, image) for image in images]
    for number in (1, 0, 1):
        prompts = sparse(network, 2, 8, number)
        logits, _ = decoder.decode(network, shares[number], prompts)
        expected, _ = by_owner(network, images[number], prompts, True)
        torch.testing.assert_close(logits, expected, rtol=0, atol=TOLERANCE)


def test_half_precision() -> None:
    """About as far from single precision as the owner's decoder is."""
    network = lively(tiny())
    image, prompts = features(network), sparse(network, 2, 8)
    exact, exact_ratings = by_owner(network, image, prompts, True)
    with torch.autocast("cpu", torch.bfloat16):
        logits, ratings = decoder.decode(network, shared(network, image), prompts)
        owner, _ = by_owner(network, image, prompts, True)
    assert (logits - exact).abs().mean() < 2 * (owner - exact).abs().mean()
    torch.testing.assert_close(ratings.float(), exact_ratings, rtol=0, atol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [7, 16])
def test_the_real_architecture(tokens: int) -> None:
    agree(lively(seeded("vit_b")), 1, tokens)
