"""`cosmos clean` deletes what no stage would use again, and nothing else."""

import os
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from cosmos1050k import attributes, index
from cosmos1050k.shards import DATA
from cosmos1050k.units import Units
from leaderboard.evaluate import SCORES, EvaluateOptions, evaluate
from leaderboard.machine import Machine
from leaderboard.studies.every import STUDIES
from leaderboard.studies.options import StudyOptions
from leaderboard.studies.study import STAGE
from pipelines import cli_clean
from tests.conftest import ROOT

UNITS = Path("data/units")
EVERY = ("build", "attributes", "evaluate", "studies", "duplicates")


def clean(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(cli_clean.clean)
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def used(project: Path, sample: Path) -> set[Path]:
    """A project with the built sample and the scores of `box`; the units that they were made of."""
    text = (ROOT / "params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("  - grabcut\n  - sam_nano\n", ""))
    DATA.mkdir(parents=True)
    (DATA / "sample").symlink_to(sample / "sample")
    index.write("sample")
    shutil.copytree(sample / "units/build", UNITS / "build")
    attributes.write("sample", DATA, attributes.ATTRIBUTES / "sample.parquet", workers=1)
    evaluate("box", DATA, SCORES / "box", sources=["sample"], protocol_version=1, here=True)
    for study in STUDIES:
        study.measure("box", DATA, ["sample"], StudyOptions(), Machine(), Units(STAGE))
    return units()


def units() -> set[Path]:
    return {path for stage in UNITS.iterdir() for path in stage.iterdir()}


def test_what_is_used_stays_and_all_else_goes(used: set[Path]) -> None:
    assert {path.parent.name for path in used} == {"build", "attributes", "evaluate", "studies"}
    for stage in EVERY:
        (UNITS / stage / ("0" * 32)).mkdir(parents=True)
        (UNITS / stage / ("0" * 32) / "rows.parquet").write_bytes(bytes(500_000))
        (UNITS / stage / f".{'1' * 32}.killed").mkdir()
        os.utime(UNITS / stage / f".{'1' * 32}.killed", (0, 0))
        (UNITS / stage / f".{'2' * 32}.written").mkdir()
    written = {UNITS / stage / f".{'2' * 32}.written" for stage in EVERY}
    before = units()
    found = clean("--dry-run")
    assert found.exit_code == 0, found.output
    assert "build: would free 0.500 MB, 2 units; 7 in use\n" in found.output
    assert units() == before
    found = clean()
    assert "duplicates: freed 0.500 MB, 2 units; 3 in use\n" in found.output
    assert units() == used | written


def test_units_of_another_protocol_and_of_models_that_are_not_listed_go(used: set[Path]) -> None:
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("protocol_version: 1", "protocol_version: 2"))
    assert clean().exit_code == 0
    assert units() == {path for path in used if path.parent.name != "evaluate"}


def test_scores_of_all_strategies_are_known(used: set[Path]) -> None:
    options = EvaluateOptions(strategies=["S5"])
    evaluate("box", DATA, SCORES / "box", sources=["sample"], protocol_version=1, options=options, here=True)
    assert units() > used
    assert clean().exit_code == 0
    assert units() == used


def test_nothing_goes_where_a_source_is_not_built(used: set[Path]) -> None:
    (DATA / "sample").unlink()
    (UNITS / "build" / ("0" * 32)).mkdir()
    assert clean().exit_code == 1
    assert units() > used
