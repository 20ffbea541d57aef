"""What a checkpoint may look like and still be converted, and what is wrong with one that is not."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from leaderboard.sam import conversion, network
from leaderboard.weights import Origin
from tests.leaderboard.checkpoints import pickled, refused, same, state

TOKEN, POSITION = "mask_decoder.iou_token.weight", "image_encoder.pos_embed"


def converted(folder: Path, content: bytes, architecture: str = "tiny") -> dict[str, torch.Tensor]:
    """The tensors of the safetensors file made of a file of this content."""
    file, new = folder / "given.bin", folder / "new"
    file.write_bytes(content)
    conversion.convert(file, new, Origin(name="mine", architecture=architecture, sha256="0" * 64))
    return load_file(new)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_checkpoint_in_either_of_torch_s_formats(tmp_path: Path, legacy: bool) -> None:
    content = pickled(state(), _use_new_zipfile_serialization=not legacy)
    assert same(converted(tmp_path, content), state())


def test_safetensors_are_taken_whatever_their_name(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "plain")
    assert same(converted(tmp_path, (tmp_path / "plain").read_bytes()), state())


def test_what_training_scripts_wrap_around_it_is_taken_off(tmp_path: Path) -> None:
    wrapped = {
        "model": {f"module.{name}": tensor for name, tensor in state().items()},
        "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4}]},
        "epoch": 3,
    }
    assert same(converted(tmp_path, pickled(wrapped)), state())


@pytest.mark.parametrize(
    "prefix", ["module.", "model.", "sam.", "module.model.", "_orig_mod.module.", "base_model.model."]
)
@pytest.mark.parametrize("wrapper", [(), ("state_dict",), ("model",), ("checkpoint", "model_state_dict")])
def test_prefixes_and_wrappers_are_stripped(tmp_path: Path, prefix: str, wrapper: tuple[str, ...]) -> None:
    content: dict[str, object] = {f"{prefix}{name}": tensor for name, tensor in state().items()}
    for name in reversed(wrapper):
        content = {name: content, "epoch": 7}
    assert same(converted(tmp_path, pickled(content)), state())


def test_a_mask_decoder_under_its_own_names_is_taken(tmp_path: Path) -> None:
    own = {name.removeprefix("mask_decoder."): t for name, t in state().items() if "mask_decoder." in name}
    with refused("given.bin", "a mask decoder alone"):
        converted(tmp_path, pickled(own))


def test_a_wrapper_may_hold_tensors_beside_the_model(tmp_path: Path) -> None:
    assert same(converted(tmp_path, pickled({"model": state(), "best": torch.tensor(0.9)})), state())


def test_another_encoder_is_no_adapter(tmp_path: Path) -> None:
    content = {
        name: tensor for name, tensor in state().items() if not name.startswith("image_encoder.blocks")
    }
    content |= {f"image_encoder.layers.{number}.weight": torch.zeros(1) for number in range(9)}
    given = {name: tensor for name, tensor in content.items() if "mask_decoder.transformer" not in name}
    with refused("given.bin", "lacks the tensor", "give the architecture"):
        converted(tmp_path, pickled(given))


def test_two_models_under_two_prefixes_are_refused(tmp_path: Path) -> None:
    content = {f"{prefix}{name}": tensor for prefix in ("model.", "") for name, tensor in state().items()}
    with refused("given.bin", "twice"):
        converted(tmp_path, pickled(content))


_BLOCK = "image_encoder.blocks.0"


@pytest.mark.parametrize(
    ("names", "modules"),
    [
        ([f"{_BLOCK}.Adapter.D_fc1.weight", "image_encoder.blocks.1.Adapter.D_fc1.weight"], "'Adapter'"),
        ([f"{_BLOCK}.attn.qkv.lora_A.weight", f"{_BLOCK}.attn.qkv.lora_B.weight"], "'lora_A', 'lora_B'"),
        (["image_encoder.prompt_generator.lightweight_mlp_0.0.weight"], "'prompt_generator'"),
    ],
)
def test_adapters_are_named_as_unsupported(tmp_path: Path, names: list[str], modules: str) -> None:
    content = {**state(), **{name: torch.zeros(1) for name in names}}
    with refused("given.bin", f"modules that SAM has not: {modules};", "adapters are not supported"):
        converted(tmp_path, pickled(content))


def test_precision_strides_and_shared_memory_make_no_difference(tmp_path: Path) -> None:
    expected = {name: tensor.half() for name, tensor in state().items()}
    flat = torch.cat([tensor.ravel() for tensor in expected.values()])
    given, start = {}, 0
    for name, tensor in expected.items():
        given[name] = flat[start : start + tensor.numel()].view(tensor.shape)
        start += tensor.numel()
    weight = "mask_decoder.iou_token.weight"
    given[weight] = given[weight].T.contiguous().T
    assert same(converted(tmp_path, pickled(given)), expected)


def change(**tensors: torch.Tensor | None) -> bytes:
    """A checkpoint with these tensors in the place of those of their names, or without them."""
    changed = {**state(), **tensors}
    return pickled({name: tensor for name, tensor in changed.items() if tensor is not None})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["no checkpoint that torch can read"]),
        (b"junk" * 1000, ["no checkpoint that torch can read"]),
        (pickled(state())[:-1000], ["no checkpoint that torch can read"]),
        (b"\x10" + bytes(7) + b"{" + b"junk" * 9, ["no safetensors file"]),
        (pickled([1, 2]), ["tensors by name", "state_dict"]),
        (pickled({"epoch": 3}), ["tensors by name", "state_dict"]),
        (pickled({}), [f"lacks the tensor '{POSITION}'"]),
        (change(**{TOKEN: None}), [f"lacks the tensor '{TOKEN}'"]),
        (change(**{TOKEN: None, "a\nb": torch.zeros(1)}), [f"lacks the tensor '{TOKEN}' and has 'a\\nb'"]),
        (change(**{"more": torch.zeros(1)}), ["has a tensor 'more'"]),
        (change(**{TOKEN: torch.zeros(2, 32)}), [TOKEN, "[2, 32], not [1, 32]"]),
        (change(**{TOKEN: torch.zeros(1, 32, dtype=torch.int32)}), [TOKEN, "int32"]),
        (change(**{TOKEN: torch.zeros(1, 32).to_sparse()}), [TOKEN, "sparse"]),
        (change(**{TOKEN: torch.full((1, 32), torch.nan)}), [TOKEN, "NaN or infinity"]),
        (change(**{TOKEN: torch.full((1, 32), torch.inf)}), [TOKEN, "NaN or infinity"]),
        (change(**{TOKEN: torch.full((1, 32), 1e300, dtype=torch.float64)}), [TOKEN, "infinity"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_line(tmp_path: Path, content: bytes, words: list[str]) -> None:
    with refused("given.bin", *words):
        converted(tmp_path, content)
    assert not (tmp_path / "new").exists()


def test_another_architecture_says_where_it_differs(tmp_path: Path) -> None:
    with refused(POSITION, "[1, 16, 16, 64], not [1, 64, 64, 768]"):
        converted(tmp_path, pickled({**_deeper(), **state()}), "vit_b")


def _deeper() -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        names = network.build("vit_b").state_dict().keys() - state().keys()
    return {name: torch.zeros(1) for name in names}
