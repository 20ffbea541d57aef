"""`convert`: a checkpoint of any make to a whole model's safetensors, and all that does not match listed."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from leaderboard import finetuned, weights
from leaderboard.convert import convert
from leaderboard.weights import Refused
from tests.leaderboard.checkpoints import Hostile, decoder, pickled, refused, same, state

NEW = Path("new.safetensors")
TOKEN = "mask_decoder.iou_token.weight"


def given(content: object) -> Path:
    file = Path("x.pth")
    file.write_bytes(pickled(content))
    return file


def left() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


@pytest.mark.slow
def test_the_architecture_is_told_from_the_tensors(project: Path) -> None:
    file = given({"model": {f"module.{name}": tensor for name, tensor in state().items()}, "epoch": 1})
    made, own = convert(file, NEW)
    assert own is None
    assert same(load_file(NEW), state())
    assert (made.architecture, made.part, made.sha256) == ("tiny", "whole", weights.sha256(file))
    assert weights.origin(NEW) == made
    assert left() == ["new.safetensors", "x.pth"]
    finetuned.adopt(NEW, "mine", made.architecture)  # the next step


@pytest.mark.slow
def test_a_decoder_is_merged_onto_its_base(project: Path) -> None:
    save_file(state(), "base.safetensors")
    finetuned.adopt(Path("base.safetensors"), "base", "tiny")
    made, own = convert(
        given({f"sam.{name}": tensor for name, tensor in decoder(1).items()}), NEW, base="base"
    )
    assert same(load_file(NEW), {**state(), **decoder(1)})
    assert (made.architecture, made.part) == ("tiny", "whole")
    assert own is not None
    assert (own.preprocessing, own.candidates) == ("sam", 3)
    NEW.unlink()
    convert(given(state(2)), NEW, base="base")  # a whole one needs nothing of it
    assert same(load_file(NEW), state(2))
    NEW.unlink()
    with refused("x.pth", "a mask decoder alone", "--base"):
        convert(given(decoder()), NEW)


@pytest.mark.slow
def test_all_that_does_not_match_is_listed(project: Path) -> None:
    added = "image_encoder.blocks.0.Adapter.D_fc1.bias"
    changed = {**state(), TOKEN: torch.zeros(2, 32), added: torch.zeros(1)}
    gone = [name for name in changed if name.startswith("prompt_encoder.")]
    with pytest.raises(Refused) as error:
        convert(given({name: tensor for name, tensor in changed.items() if name not in gone}), NEW, "tiny")
    assert f"and {len(gone) - 1} more" in str(error.value)
    assert "\n" not in str(error.value)
    assert "and 1 of another shape" in str(error.value)
    assert error.value.lines == (
        *(f"missing: {name!r}" for name in gone),
        f"not the architecture's: {added!r}",
        f"another shape: {TOKEN!r} [2, 32], not [1, 32]",
    )
    assert left() == ["x.pth"]


@pytest.mark.slow
def test_what_is_refused_leaves_nothing(project: Path) -> None:
    for content, words in (
        ({"model": Hostile("touch stolen")}, "more than tensors"),
        ({"other.weight": torch.zeros(3)}, "no tensor in it is one of SAM's"),
        ({**state(), TOKEN: torch.full((1, 32), torch.nan)}, "NaN"),
    ):
        with refused("x.pth", words):
            convert(given(content), NEW)
        assert left() == ["x.pth"]
    with refused("--architecture", "'vit_x'", "vit_b"):
        convert(given(state()), NEW, "vit_x")
    with refused("nowhere"):
        convert(Path("nowhere"), NEW)
    for place in (Path("no/folder/new"), Path("x" * 300)):
        with refused("can't be written"):
            convert(given(state()), place)
    NEW.symlink_to("nowhere")
    with refused("new.safetensors", "is there already"):
        convert(given(state()), NEW)
    NEW.unlink()
    NEW.write_text("mine")
    with refused("new.safetensors", "is there already"):
        convert(given(state()), NEW)
    assert NEW.read_text() == "mine"
