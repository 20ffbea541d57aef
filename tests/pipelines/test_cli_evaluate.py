"""`cosmos evaluate --weights`: one's own file, checked and scored as a submission is."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from cosmos1050k import pool
from leaderboard import finetuned
from leaderboard.weights import shipped
from pipelines.cli import app
from tests.conftest import ROOT
from tests.leaderboard.submissions import orders


@pytest.fixture
def folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with its parameters and a built source of two patients; no processes are started."""
    (project / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    orders.built(project / "data/built", first=2)
    run = pool.run
    monkeypatch.setattr(pool, "run", lambda *given, **how: run(*given, **how | {"here": True}))
    return project


@pytest.fixture
def file(folder: Path) -> Path:
    tensors = load_file(shipped("sam_nano"))
    tensors["mask_decoder.iou_token.weight"] += 0.1
    return orders.saved(tensors, folder / "Tuned.safetensors")


def cosmos(*arguments: object) -> tuple[int, str]:
    given = ["evaluate", "--data", "data/built", "--strategies", "S5", *map(str, arguments)]
    done = CliRunner().invoke(app, given)
    return done.exit_code, done.output


def test_it_gives_what_the_model_made_of_the_file_gets(folder: Path, file: Path) -> None:
    status, output = cosmos("--weights", file, "--architecture", "nano")
    assert status == 0, output
    assert "tuned: " in output
    assert "scores on 3 cases of first" in output
    units = sorted(path.name for path in Path("data/units/evaluate").iterdir())
    assert finetuned.adopt(file, "tuned", "nano") == "made"
    assert cosmos("--model", "tuned", "--out", "theirs")[0] == 0
    assert (
        Path("leaderboard/scores/tuned/first.parquet").read_bytes()
        == Path("theirs/first.parquet").read_bytes()
    )
    ours, theirs = (
        json.loads(Path(out, "manifest.json").read_text()) for out in ("leaderboard/scores/tuned", "theirs")
    )
    assert ours["sources"] == theirs["sources"]
    assert ours["declaration"] == theirs["declaration"]
    # The same units: nothing was computed twice, and nothing else is left.
    assert sorted(path.name for path in Path("data/units/evaluate").iterdir()) == units
    assert not list(Path("data").glob(".evaluate-*"))


def test_what_a_submission_would_be_refused_for_is_told(folder: Path, file: Path) -> None:
    tensors = load_file(file)
    tensors["mask_decoder.iou_token.weight"][0, 0] = torch.nan
    for content, problem in (
        (tensors, "holds NaN or infinity"),
        ({"a": torch.zeros(1)}, "`cosmos convert` lists what does not match"),
    ):
        status, output = cosmos(
            "--weights", orders.saved(content, folder / "bad.safetensors"), "--architecture", "nano"
        )
        assert status == 1
        assert output.startswith("error: ")
        assert problem in output
        assert len(output.splitlines()) == 1
    assert not Path("leaderboard").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --model MODEL, or --weights FILE"),
        (["--model", "box", "--architecture", "nano"], "give --model MODEL, or --weights FILE"),
        (["--weights", "Tuned.safetensors"], "--weights: needs --architecture"),
        (["--weights", "Tuned.safetensors", "--architecture", "nano", "--model", "box"], "no --model"),
        (["--weights", "Tuned.safetensors", "--architecture", "vit_x"], "architecture: "),
        (
            ["--weights", "Tuned.safetensors", "--architecture", "nano", "--name", "A b"],
            "'A b' can't be a model's name",
        ),
        (
            ["--weights", "Tuned.safetensors", "--architecture", "nano", "--name", "box"],
            "a model of the platform",
        ),
        (["--weights", "none.safetensors", "--architecture", "nano"], "none.safetensors: "),
        (
            ["--weights", "Tuned.safetensors", "--architecture", "nano", "--data", "nothing"],
            "no built source",
        ),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], message: str, folder: Path, file: Path) -> None:
    status, output = cosmos(*arguments)
    assert status == 1
    assert output.startswith("error: ")
    assert message in output
    assert len(output.splitlines()) == 1
