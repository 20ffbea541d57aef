"""The encoder's blocks give what the owner's give."""

from copy import deepcopy

import pytest
import torch
from segment_anything.modeling.common import MLPBlock
from segment_anything.modeling.image_encoder import Attention

from leaderboard.sam import encoder, onednn
from leaderboard.sam.encoder import fuse
from tests.leaderboard.sam.images import seeded, tiny


def attention(size: tuple[int, int], heads: int = 4) -> Attention:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made = Attention(32, heads, use_rel_pos=True, input_size=size)
        for values in made.parameters():
            values.data = torch.randn(values.shape) / 3
    return made.eval()


def fused(module: torch.nn.Module) -> torch.nn.Module:
    network = deepcopy(tiny())
    network.image_encoder.blocks[0].attn = deepcopy(module)
    return fuse(network).image_encoder.blocks[0].attn  # type: ignore[no-any-return]


@pytest.mark.parametrize(("count", "size"), [(1, (16, 16)), (3, (7, 7)), (2, (5, 9)), (1, (1, 3))])
@pytest.mark.parametrize("scores", [1, 300, 2**20])
@pytest.mark.parametrize("gradients", [False, True])
def test_attention(
    count: int, size: tuple[int, int], scores: int, gradients: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "_SCORES", scores)
    owner = attention(size)
    x = torch.randn((count, *size, 32), generator=torch.Generator().manual_seed(1))
    with torch.set_grad_enabled(gradients):
        expected, found = owner(x), fused(owner)(x)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_gradients_pass_through() -> None:
    owner = attention((6, 6))
    ours = fused(owner)
    x = torch.randn((1, 6, 6, 32), generator=torch.Generator().manual_seed(1))
    for module in (owner, ours):
        module(x).square().sum().backward()
    assert all(values.grad is not None for values in ours.parameters())
    for (name, one), (_, two) in zip(owner.named_parameters(), ours.named_parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-3, msg=name)


@pytest.mark.parametrize("gradients", [False, True])
def test_the_hidden_layer(gradients: bool) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        owner = MLPBlock(24, 50)
    network = deepcopy(tiny())
    network.image_encoder.blocks[0].mlp = deepcopy(owner)
    ours = fuse(network).image_encoder.blocks[0].mlp
    x = torch.randn((2, 3, 5, 24), generator=torch.Generator().manual_seed(1))
    with torch.set_grad_enabled(gradients):
        torch.testing.assert_close(ours(x), owner(x), rtol=0, atol=1e-5)


def test_the_whole_encoder_takes_images_together() -> None:
    ours = fuse(deepcopy(tiny()))
    images = torch.randn((3, 3, 256, 256), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(
            ours.image_encoder(images), tiny().image_encoder(images), rtol=0, atol=1e-5
        )


def test_half_precision_stays_with_torch() -> None:
    rows = torch.ones(4, 8)
    with torch.inference_mode():
        assert onednn.together(rows).is_mkldnn == torch.backends.mkldnn.is_available()
        with torch.autocast("cpu", torch.bfloat16):
            assert not onednn.together(rows).is_mkldnn
        assert not onednn.together(rows.half()).is_mkldnn
    with torch.enable_grad():
        assert not onednn.together(rows).is_mkldnn


@pytest.mark.slow
def test_the_real_architecture() -> None:
    owner = seeded("vit_b")
    for name, values in owner.image_encoder.named_parameters():
        if "rel_pos" in name:  # zero until they are trained
            values.data = 0.1 * torch.randn(values.shape, generator=torch.Generator().manual_seed(1))
    image = torch.randn((1, 3, 1024, 1024), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = owner.image_encoder(image)
        torch.testing.assert_close(fuse(owner).image_encoder(image), expected, rtol=0, atol=1e-4)
