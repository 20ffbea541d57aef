"""Safetensors into a network: all of it, or one line on the first difference and an untouched network."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from leaderboard.sam import weights
from tests.leaderboard.checkpoints import decoder, refused, same, state
from tests.leaderboard.sam.images import seeded
from tests.leaderboard.sam.test_conversion import POSITION, TOKEN


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "weights.safetensors"


def loaded(file: Path, base: Path | None = None) -> dict[str, torch.Tensor]:
    made = seeded("tiny", 1)
    weights.load(file, made, base)
    return dict(made.state_dict())


def test_a_network_is_filled(file: Path) -> None:
    save_file(state(), file)
    assert same(loaded(file), state())
    save_file({name: tensor.half() for name, tensor in state().items()}, file)
    assert same(loaded(file), {name: tensor.half().float() for name, tensor in state().items()})


def test_what_is_loaded_is_the_network_s_own(file: Path) -> None:
    """Training on must not write into the file, nor its removal take the weights away."""
    save_file(state(), file)
    found = loaded(file)
    found[TOKEN] += 1
    assert same(load_file(file), state())
    file.write_bytes(b"")
    assert torch.equal(found[POSITION], state()[POSITION])


def test_a_mask_decoder_on_its_base(file: Path, tmp_path: Path) -> None:
    base = tmp_path / "base.safetensors"
    save_file(state(2), base)
    save_file(decoder(), file)
    assert same(loaded(file, base), {**state(2), **decoder()})
    with refused(str(file), "a mask decoder alone", "name the base"):
        loaded(file)
    save_file(state(), file)
    with refused(str(file), "has a tensor 'image_encoder."):
        loaded(file, base)
    save_file(decoder(), file)
    save_file(decoder(), base)
    with refused(str(base), "a mask decoder alone"):
        loaded(file, base)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({TOKEN: None}, [f"lacks the tensor '{TOKEN}'"]),
        (
            {TOKEN: None, "other\nname": torch.zeros(1)},
            [f"lacks the tensor '{TOKEN}' and has 'other\\nname'"],
        ),
        ({"other": torch.zeros(1)}, ["has a tensor 'other'"]),
        ({TOKEN: torch.zeros(32)}, [TOKEN, "[32], not [1, 32]"]),
        ({TOKEN: torch.zeros(1, 32, dtype=torch.int64)}, [TOKEN, "int64"]),
        ({TOKEN: torch.zeros(1, 32, dtype=torch.bool)}, [TOKEN, "bool"]),
        ({TOKEN: torch.full((1, 32), torch.nan)}, [TOKEN, "NaN"]),
        ({TOKEN: torch.full((1, 32), -torch.inf)}, [TOKEN, "infinity"]),
        ({TOKEN: torch.full((1, 32), 1e300, dtype=torch.float64)}, [TOKEN, "infinity"]),
    ],
)
def test_what_does_not_fit_changes_nothing(
    file: Path, change: dict[str, torch.Tensor | None], words: list[str]
) -> None:
    changed = {**state(), **change}
    save_file({name: tensor for name, tensor in changed.items() if tensor is not None}, file)
    made = seeded("tiny", 1)
    with refused(str(file), *words):
        weights.load(file, made)
    assert same(dict(made.state_dict()), state(1))


def test_what_is_no_safetensors_file(file: Path, tmp_path: Path) -> None:
    save_file(state(), file)
    whole = file.read_bytes()
    damaged = [b"", b"PK\x03\x04" + bytes(99), whole[:4], whole[:500], whole[:-1], whole + b"\0"]
    for content in [*damaged, b"\xff" * 8 + whole[8:]]:
        file.write_bytes(content)
        with refused(str(file), "no safetensors file, or damaged"):
            loaded(file)
    for missing in (tmp_path, tmp_path / "nowhere"):
        with refused(str(missing), "no such file"):
            loaded(missing)
