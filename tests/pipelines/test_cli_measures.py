"""The verbs `latency` and `verify`, and the stage `latency`: what they print, write and refuse."""

import os
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cosmos1050k.shards import DATA
from cosmos1050k.units import Units
from leaderboard import latency
from leaderboard.evaluate import SCORES, evaluate
from leaderboard.latency import LATENCIES
from leaderboard.verify import VERIFIED, Verification
from pipelines import params
from pipelines.latency import others
from pipelines.latency import run as run_latency
from tests.conftest import ROOT
from tests.leaderboard import dataset
from tests.pipelines.verbs import run

FILE = SCORES / "box/first.parquet"


@pytest.fixture
def ready(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's folder with its parameters; a machine that does nothing else."""
    monkeypatch.setattr("pipelines.latency.others", lambda: lambda: 0.0)
    shutil.copy2(ROOT / "params.yaml", project)
    return project


@pytest.fixture
def scored(ready: Path) -> Path:
    """The same with a built source, and the model `box` scored on it."""
    dataset.build(DATA, "first", dataset.cases(3), shard_bytes=dataset.ONE_CASE)
    given = {"sources": ["first"], "protocol_version": 1, "workers": 1, "store": Units("evaluate")}
    evaluate("box", DATA, SCORES / "box", **given)
    return ready


def test_latency_prints_what_it_writes(ready: Path) -> None:
    output = run("latency", "--model", "box").splitlines()
    found = latency.read(LATENCIES / "box.json")
    assert output[0].startswith(f"box on {found.device_name} (cpu, {found.threads} thread")
    assert output[1].split() == ["median", "of", "20,", "warm", "ms"]
    table = {line.split(",")[0].split()[0]: float(line.split()[-1]) for line in output[2:-1]}
    expected = {"encoder": found.encoder_ms, **found.prompt_ms}
    assert table == {name: pytest.approx(taken, abs=5e-4) for name, taken in expected.items()}
    assert list(table) == ["encoder", "S5", "S6"]
    assert output[-1] == str(LATENCIES / "box.json")


def test_what_other_processes_take_is_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: in 200 s of processors 120 are busy, of which 70 are this process's."""
    times = iter([SimpleNamespace(user=10.0, system=5.0), SimpleNamespace(user=70.0, system=15.0)])
    whole = iter([(100.0, 20.0, 500.0, 30.0), (200.0, 40.0, 570.0, 40.0)])
    kinds = namedtuple("kinds", "user system idle iowait")
    monkeypatch.setattr(psutil, "cpu_times", lambda: kinds(*next(whole)))
    monkeypatch.setattr(psutil, "Process", lambda: SimpleNamespace(cpu_times=lambda: next(times)))
    assert others()() == pytest.approx((120 - 70) / 200)


def test_times_beside_other_work_are_said_to_be(
    ready: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_latency("box", params.load())
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("pipelines.latency.others", lambda: lambda: 0.25)
    run_latency("box", params.load())
    told = capsys.readouterr().err
    assert told.startswith("box: other processes took 25% of this machine's processors meanwhile, so ")


@pytest.mark.slow
def test_the_stage_writes_what_the_verb_writes(ready: Path) -> None:
    command = [sys.executable, "-m", "pipelines.latency", "box"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    staged = latency.read(LATENCIES / "box.json")
    taken = r"\d+\.\d{3}$"
    assert [re.sub(taken, "", line) for line in done.stdout.splitlines()] == [
        re.sub(taken, "", line) for line in run("latency", "--model", "box").splitlines()
    ]
    times = {"encoder_ms", "prompt_ms"}
    assert staged.model_dump(exclude=times) == latency.read(LATENCIES / "box.json").model_dump(exclude=times)


def altered() -> None:
    """Lowers one DICE of the run by 0.01."""
    table = pq.read_table(FILE)
    dice = table["dice_oracle"].to_pylist()
    dice[3] -= 0.01
    place = table.schema.get_field_index("dice_oracle")
    pq.write_table(table.set_column(place, table.field(place), pa.array(dice)), FILE)


def test_verify_says_that_a_run_holds(scored: Path) -> None:
    output = run("verify", "box", "--share", "1").splitlines()
    path = VERIFIED / "box.json"
    found = Verification.model_validate_json(path.read_bytes())
    assert found.rows == found.of_rows == pq.read_metadata(FILE).num_rows
    assert output == [
        f"box: rows scored again {found.rows} of {found.rows}, images {found.images}; "
        f"cpu, bool, seed {found.seed}",
        "largest difference of DICE 0.00e+00, tolerance 1.00e-03 (default): held",
        "rows of another status: 0; other differences: jaccard 0.00e+00, hausdorff 0.00e+00, assd 0.00e+00",
        str(path),
    ]


def test_verify_fails_where_a_run_does_not_hold(scored: Path) -> None:
    altered()
    row = pq.read_table(FILE).to_pylist()[3]
    output = run("verify", "box", "--share", "1", "--seed", "5", status=1)
    assert "largest difference of DICE 1.00e-02, tolerance 1.00e-03 (default): not held\n" in output
    assert f"furthest off: {row['image_id']}, object {row['object_index']}, {row['strategy']}: " in output
    found = Verification.model_validate_json((VERIFIED / "box.json").read_bytes())
    assert (found.held, found.seed) == (False, 5)


def test_verify_takes_other_folders(scored: Path) -> None:
    (scored / "elsewhere").mkdir()
    SCORES.rename("elsewhere/scores")
    DATA.rename("elsewhere/data")
    given = ["--scores", "elsewhere/scores/box", "--data", "elsewhere/data"]
    assert run("verify", "box", *given).startswith("box: rows scored again 1 of 56, images 1; ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["latency", "--model", "nobody"], "unknown model 'nobody'"),
        (["latency", "--model", "box", "--device", "tpu"], "params.yaml: evaluate.device: "),
        (["latency", "--model", "box", "--everything"], "box: S1 does not apply, it needs a box"),
        (["verify", "nobody"], "unknown model 'nobody'"),
        (["verify", "box", "--share", "2"], "share: 2 is not above 0 and up to 1"),
        (["verify", "box"], "leaderboard/scores/box/manifest.json: missing; run `cosmos evaluate"),
    ],
)
def test_a_mistake_is_one_line(ready: Path, arguments: list[str], words: str) -> None:
    output = run(*arguments, status=1)
    assert output.startswith("error: ")
    assert words in output
    assert output.count("\n") == 1
