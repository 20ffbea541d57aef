"""The verb `robustness`: what it prints, writes and refuses."""

import json
import re
import shutil
from functools import partial
from pathlib import Path

import pytest

from cosmos1050k.shards import DATA
from leaderboard import robustness
from leaderboard.robustness import ROBUSTNESS
from tests.conftest import ROOT
from tests.leaderboard import dataset
from tests.pipelines import verbs

FILE = ROBUSTNESS / "box.json"
#: Table 8's means of a box, and of a box with a point.
PAPER = {"S5": ["3.25", "10.50", "24.11"], "S6": ["4.69", "14.03", "29.93"]}

run = partial(verbs.run, "robustness")


@pytest.fixture
def ready(project: Path) -> Path:
    """The project's folder with its parameters and a built source of three images of two patients."""
    shutil.copy2(ROOT / "params.yaml", project)
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("- sample", "- first"))
    dataset.build(DATA, "first", dataset.cases(2, slices=1))
    return project


def test_it_prints_what_it_writes_beside_the_paper(ready: Path) -> None:
    lines = run("box").splitlines()
    found = robustness.read(FILE)
    assert lines[0] == (
        "box: DICE lost when prompts are shifted, in percentage points; "
        f"objects {found.objects}, images 3; cpu, bool"
    )
    assert lines[1].split() == ["pixels", "0-10", "10-20", "20-30"]
    table = {
        line.split(",")[0]: re.findall(r"(-?[\d.]+) ± ([\d.]+) \(([\d.]+)\)", line) for line in lines[2:-3]
    }
    assert list(table) == ["S5", "S6"]
    for name, cells in table.items():
        drops = [drop[name] for drop in found.drops.values()]
        expected = [(f"{100 * drop.mean:.2f}", f"{100 * drop.spread:.2f}") for drop in drops]
        assert cells == [(*own, paper) for own, paper in zip(expected, PAPER[name], strict=True)]
    assert "a SAM of a size it doesn't name" in lines[-2]
    assert lines[-1] == str(FILE)
    assert [path for path in ROBUSTNESS.rglob("*") if path.is_file()] == [FILE]


def test_beside_synthetic_images_it_prints_none_of_the_paper_s(ready: Path) -> None:
    shutil.rmtree(DATA / "first")
    dataset.build(DATA, "first", dataset.cases(2, slices=1), phantom=True)
    lines = run("box").splitlines()
    assert [line.split(",")[0] for line in lines[2:-2]] == ["S5", "S6"]
    assert not re.findall(r"\([\d.]+\)", "".join(lines))
    assert lines[-2].endswith("; none of the paper's beside synthetic images")
    assert lines[-1] == str(FILE)


def test_it_takes_images_strategies_and_another_folder(ready: Path) -> None:
    DATA.rename("elsewhere")
    output = run("box", "--images", "2", "--strategies", "S1,S6", "--data", "elsewhere")
    assert ", images 2; " in output
    assert "S5, box " not in output
    found = json.loads(FILE.read_text())
    assert [list(drop) for drop in found["drops"].values()] == [["S6"]] * 3
    assert found["images"] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody"], "unknown model 'nobody'"),
        (["box", "--strategies", "S2"], "box: no prompt to shift under S2; it takes prompts under S5, S6"),
        (["box", "--strategies", "S9"], "--strategies: unknown 'S9'"),
        (["box", "--data", "nowhere"], "nowhere/first/manifest.json: missing; build the source"),
    ],
)
def test_a_refusal_is_one_line(ready: Path, arguments: list[str], words: str) -> None:
    output = run(*arguments, status=1)
    assert output.startswith(f"error: {words}")
    assert output.count("\n") == 1
    assert not FILE.exists()
