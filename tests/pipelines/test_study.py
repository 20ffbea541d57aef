"""Stage `study`: a record per study, of a model that fails as well."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cosmos1050k.errors import InputError
from cosmos1050k.shards import DATA
from cosmos1050k.units import UNITS
from leaderboard import models
from leaderboard.analyses import given
from leaderboard.studies import correction
from leaderboard.studies.every import STUDIES
from leaderboard.studies.record import Studied
from leaderboard.studies.study import STAGE
from pipelines import study
from tests.conftest import ROOT


@pytest.fixture
def built(project: Path, sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project with the built sample, of which `box` is studied."""
    text = (ROOT / "params.yaml").read_text()
    text = text.replace("  - grabcut\n  - sam_nano\n", "").replace("  workers: null", "  workers: 1")
    Path("params.yaml").write_text(text)
    DATA.mkdir(parents=True)
    (DATA / "sample").symlink_to(sample / "sample")
    monkeypatch.setattr("sys.argv", ["study", "box"])


@pytest.mark.usefixtures("built")
def test_each_study_has_a_record_and_a_second_run_finds_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    study.main()
    told = capsys.readouterr().out.splitlines()
    assert told[:2] == [
        "box, the grid of everything: needs a box", "box, clicks in turn: needs a box"
    ]  # fmt: skip
    record = correction.read(correction.CORRECTION / "box.json")
    assert (
        told[2] == f"box, the effort to correct its masks: {record.objects} objects on {record.images} images"
    )
    kept = {path: path.stat().st_mtime_ns for path in (UNITS / STAGE).rglob("*")}
    assert len(list((UNITS / STAGE).iterdir())) == record.images > 0
    study.main()
    assert correction.read(correction.CORRECTION / "box.json") == record
    assert {path: path.stat().st_mtime_ns for path in (UNITS / STAGE).rglob("*")} == kept


@pytest.mark.usefixtures("built")
def test_a_model_that_fails_has_a_record_that_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no idea")

    monkeypatch.setattr(type(models.get("box")), "embed", fails)
    study.main()
    assert {(one.folder / "box.json").is_file() for one in STUDIES} == {True}
    record = correction.read(correction.CORRECTION / "box.json")
    assert record.limits == ""
    assert record.failed.startswith("box failed on sample/")
    assert record.failed.endswith("RuntimeError('no idea'); mend the model")
    assert f"box, the effort to correct its masks: {record.failed}\n" in capsys.readouterr().out
    assert not (UNITS / STAGE).exists()


@pytest.mark.usefixtures("built")
def test_without_the_source_it_is_one_line() -> None:
    (DATA / "sample").unlink()
    with pytest.raises(InputError, match="sample"):
        study.main()


@pytest.mark.slow
def test_what_a_report_says_of_a_failed_model_runs_its_study_alone(project: Path) -> None:
    record = Studied(
        model="box", version=1, weights_sha256=None, sources={}, device="cpu", numerics="bool", failed="no"
    )
    command, again = re.findall(r"`([^`]*)`", given.failed([record]))
    assert again == "make repro"
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy2(ROOT / name, project)
    for folder in ("cosmos1050k", "leaderboard", "pipelines"):
        (project / folder).symlink_to(ROOT / folder)
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--no-scm", "-q"], check=True)
    asked = [*dvc, *shlex.split(command)[1:], "--dry"]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"Running stage '([^']*)'", told) == ["study@box"]
