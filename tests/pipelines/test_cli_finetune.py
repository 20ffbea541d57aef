"""The verbs `finetune` and `convert`: what they print, and what they refuse in one line."""

from dataclasses import replace
from pathlib import Path

import pytest

from leaderboard import finetuned
from tests.leaderboard import dataset
from tests.leaderboard.checkpoints import pickled, state
from tests.pipelines.test_cli_sources import run

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"


@pytest.fixture
def built(project: Path) -> Path:
    """A built source with four patients for training and one for validation."""
    (project / "params.yaml").write_text(PARAMS.read_text())
    cases = dataset.cases(5, slices=1)
    split = [replace(case, split="train" if case.patient != "patient4" else "validation") for case in cases]
    dataset.build(project / "built", "drive", split)
    return project


def test_a_model_is_finetuned_and_can_be_scored(built: Path) -> None:
    asked = "finetune --base sam_nano --data built --epochs 1 --out data/models/mine"
    output = run(*asked.split())
    assert "epoch 1 of 1, in data/models/mine\n" in output
    assert (
        "To score it: `cosmos evaluate --model mine`, or its name under `models` in params.yaml\n" in output
    )
    assert finetuned.record("mine").base == "sam_nano"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--base", "no", "--out", "x"], "no model is called 'no'"),
        (["--base", "sam_vit_b", "--out", "x"], "run `cosmos weights sam_vit_b`"),
        (["--base", "sam_nano", "--out", "x", "--sources", "stare"], "cosmos build stare"),
        (["--base", "sam_nano", "--out", "x", "--sources", "drive,drive"], "drive is listed twice"),
        (["--base", "sam_nano", "--out", "x", "--epochs", "0"], "--epochs: Input should be greater than"),
        (["--base", "sam_nano", "--out", "x", "--points", "2"], "--points: Input should be less than"),
        (["--base", "sam_nano", "--out", "x", "--device", "tpu"], "--device: Input should be"),
        (["--base", "sam_nano", "--out", "built"], "built: holds another model or other files"),
        (["--base", "sam_nano", "--out", "sam_nano"], "a model of the platform has that name"),
    ],
)
def test_what_can_t_be_finetuned_is_one_line(built: Path, arguments: list[str], words: str) -> None:
    output = run("finetune", "--data", "built", *arguments, fails=True)
    assert output.startswith("error: ")
    assert output.count("\n") == 1
    assert words in output
    assert not Path("x").exists()


@pytest.mark.slow
def test_a_checkpoint_is_converted_and_taken(project: Path) -> None:
    Path("x.pth").write_bytes(pickled({"model": {f"module.{name}": one for name, one in state().items()}}))
    output = run("convert", "x.pth", "x.safetensors")
    assert "x.safetensors: tiny, sha256" in output
    taken = ["weights", "--from", "x.safetensors", "--name", "mine", "--architecture", "tiny"]
    assert run(*taken) == "data/models/mine: made\n"


@pytest.mark.slow
def test_what_does_not_match_is_listed_beside_the_one_line(project: Path) -> None:
    content = state()
    content.pop("mask_decoder.iou_token.weight")
    content["extra.weight"] = content["prompt_encoder.no_mask_embed.weight"].clone()
    Path("x.pth").write_bytes(pickled(content))
    output = run("convert", "x.pth", "x.safetensors", fails=True).splitlines()
    refusal = "error: x.pth: lacks the tensor 'mask_decoder.iou_token.weight' and has 'extra.weight'; give"
    assert len(output) == 3
    assert {"missing: 'mask_decoder.iou_token.weight'", "not the architecture's: 'extra.weight'"} < set(
        output
    )
    assert any(line.startswith(refusal) for line in output)
