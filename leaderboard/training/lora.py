"""Low-rank adapters on the encoder's attention (Hu et al., LoRA, 2021), by the library peft."""

from segment_anything.modeling import Sam as Network
from torch import nn

from cosmos1050k.errors import InputError
from leaderboard.sam.encoder import unfuse

#: Where they sit: what attention is computed from, and what comes of it.
_TARGETS = r"blocks\.\d+\.attn\.(qkv|proj)"


def adapt(network: Network, rank: int) -> dict[str, nn.Parameter]:
    """Puts adapters into the encoder, which change nothing yet; returns their weights by name.

    Raises:
        InputError: peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise InputError("lora_rank: needs the package peft; run `pip install peft`, or say 0") from None
    unfuse(network)  # the faster form takes the weights themselves, and would pass the adapters by
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=_TARGETS, lora_dropout=0.0)
    inject_adapter_in_model(config, network.image_encoder)
    named = network.image_encoder.named_parameters(prefix="image_encoder")
    return {name: value for name, value in named if ".lora_" in name}


def merged(network: Network) -> Network:
    """The network with its adapters added to the weights that they adapt, and gone."""
    for module in list(network.image_encoder.modules()):
        for name, child in list(module.named_children()):
            if hasattr(child, "merge") and hasattr(child, "base_layer"):
                child.merge()
                setattr(module, name, child.base_layer)
    return network
