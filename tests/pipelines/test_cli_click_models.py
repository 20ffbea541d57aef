"""The verb `add-click-model`: what it prints, and what it refuses in one line."""

from functools import partial
from pathlib import Path

import pytest

from leaderboard import click_models, models
from tests.leaderboard.click_graphs import discs, saved
from tests.pipelines import verbs

run = partial(verbs.run, "add-click-model")


def test_a_graph_becomes_a_model(project: Path) -> None:
    saved(project / "given.onnx", discs(5, ("height", "width")))
    how = ["given.onnx", "--name", "clicked", "--side", "32", "--mean", "0.5,0.25,0", "--deviation", "1,2,4"]
    more = ["--description", "Discs.", "--trained-on", "camus=train", "--trained-on-others", "none"]
    next_step = "To score it: `cosmos evaluate --model clicked`, or clicked under `models` in params.yaml\n"
    for word in ("made", "there"):
        assert run(*how, *more) == f"data/click_models/clicked: {word}\n{next_step}"
    found = click_models.record("clicked")
    assert (found.mean, found.deviation) == ((0.5, 0.25, 0), (1, 2, 4))
    declared = models.kind("clicked").declaration
    assert declared.description == "Discs."
    assert {slug: declared.trained_on.of(slug) for slug in ("camus", "drive")} == {
        "camus": "train",
        "drive": "none",
    }
    run("given.onnx", "--name", "other", "--side", "32")
    assert models.kind("other").declaration.trained_on.of("drive") == "unknown"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--mean", "0.5"], "--mean: '0.5' is not three numbers such as 0.5,0.5,0.5"),
        (["--deviation", "a,b,c"], "--deviation: 'a,b,c' is not three numbers"),
        (["--trained-on", "nowhere=all"], "--trained-on: unknown source 'nowhere'"),
        (["--trained-on-others", "train"], "--trained-on-others: 'train' needs one of the words"),
        (["--side", "32"], "--side: the graph has a size of its own"),
    ],
)
def test_what_is_wrong_is_one_line(project: Path, arguments: list[str], words: str) -> None:
    saved(project / "given.onnx", discs(5))
    output = run("given.onnx", "--name", "clicked", *arguments, status=1)
    assert output.startswith(f"error: {words}")
    assert output.count("\n") == 1
