"""`make repro` in a copy of the project, with the model `box` alone: no-op, partial reruns, kills, damage."""

import fcntl
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cosmos1050k.shards import load_manifest
from pipelines import repro
from tests.conftest import copy_project

ENVIRONMENT = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def run(project: Path, *command: str, fails: bool = False) -> str:
    """Runs a command in the project and returns what it printed, both streams."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=project, env=ENVIRONMENT, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert bool(done.returncode) == fails, done.stdout
    return done.stdout


def stages(output: str) -> set[str]:
    """The stages that ran."""
    return set(re.findall(r"Running stage '(.+?)'", output))


def content(project: Path, folder: str, pattern: str = "*") -> dict[str, str]:
    return {
        str(path.relative_to(project)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((project / folder).rglob(pattern))
        if path.is_file()
    }


def results(project: Path) -> dict[str, str]:
    """Digests of all that must come out the same: shards, manifests, score files."""
    return content(project, "cosmos1050k/data") | content(project, "leaderboard/scores", "*.parquet")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, run once."""
    target = copy_project(tmp_path_factory.mktemp("project"))
    params = target / "params.yaml"
    params.write_text(params.read_text().replace("  - grabcut\n  - sam_nano\n", ""))
    (target / "dvc.lock").unlink(missing_ok=True)
    output = run(target, "pipelines.repro")
    assert stages(output) == {
        "build@sample", "attributes@sample", "card", "evaluate@box", "latency@box", "study@box", "board",
        "analyse",
    }  # fmt: skip
    assert "This is the sample, not COSMOS 1050K" in output
    assert "box: S2 does not apply, it needs a box" in output
    assert "make app" in output
    return target


def test_two_at_once_are_one_line(project: Path) -> None:
    with (project / repro.BUSY).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        output = run(project, "pipelines.repro", fails=True)
    assert output == "error: `make repro` is running here already; wait until it has ended\n"


def test_what_a_killed_dvc_held_is_free_while_a_running_ones_is_not(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    dead = subprocess.Popen([sys.executable, "-c", "'dvc'"])  # a zombie, since nobody waits for it yet
    time.sleep(1)
    alive = subprocess.Popen([sys.executable, "-c", "input()", "dvc"], stdin=subprocess.PIPE)
    try:
        for process, kept in ((dead, False), (alive, True)):
            held = {"pid": process.pid, "cmd": "dvc repro"}
            repro.RUNNING.write_text(json.dumps({"write": {"x": held}, "read": {}}))
            repro.mend()
            assert repro.RUNNING.exists() == kept
        repro.RUNNING.write_text('{"write": {"x')  # cut off
        repro.mend()
        assert not repro.RUNNING.exists()
    finally:
        alive.communicate(b"\n")
        dead.wait()


def test_a_second_run_does_nothing(project: Path) -> None:
    assert stages(run(project, "pipelines.repro")) == set()
    started = time.monotonic()
    assert stages(run(project, "dvc", "repro")) == set()
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(
            "bootstrap_draws: 10000", "bootstrap_draws: 500", {"board", "analyse"}, marks=pytest.mark.slow
        ),
        pytest.param(
            "strategies: [S1, S2, S3, S4, S5, S6]",
            "strategies: [S5]",
            {"evaluate@box", "board", "analyse"},
            marks=pytest.mark.slow,
        ),
        pytest.param("workers: null", "workers: 1", set(), marks=pytest.mark.slow),
        pytest.param(
            "row_group_rows: 64",
            "row_group_rows: 32",
            {"build@sample", "attributes@sample", "card", "evaluate@box", "study@box", "board", "analyse"},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_parameter_reruns_only_what_depends_on_it(
    project: Path, old: str, new: str, expected: set[str]
) -> None:
    params = project / "params.yaml"
    before = params.read_text()
    assert old in before
    params.write_text(before.replace(old, new))
    try:
        units = content(project, "data/units/build")
        assert stages(run(project, "dvc", "repro")) == expected
        assert content(project, "data/units/build") == units  # no case is built twice
    finally:
        params.write_text(before)
        run(project, "dvc", "repro")


@pytest.mark.slow
def test_a_model_under_finetune_is_made_scored_and_not_made_twice(project: Path) -> None:
    params = project / "params.yaml"
    before = params.read_text()
    named = "finetune:\n  tuned: {base: sam_nano, epochs: 1}\n"
    params.write_text(before.replace("finetune: {}\n", named).replace("  - box\n", "  - box\n  - tuned\n"))
    try:
        output = run(project, "dvc", "repro", "finetune@tuned")
        assert stages(output) == {"finetune@tuned"}
        assert "tuned: DICE on validation" in output
        assert stages(run(project, "dvc", "repro", "finetune@tuned")) == set()
        shown = json.loads(run(project, "dvc", "metrics", "show", "--json"))[""]["data"]
        split = load_manifest(project / "cosmos1050k/data/sample").splits
        images = shown["data/models/tuned/metrics.json"]["data"]["images"]
        assert images == {name: split[name] for name in ("train", "validation")}
        assert "evaluate@tuned" in run(project, "dvc", "repro", "--dry")  # it may stand in `models`
        scored = ("evaluate", "--model", "tuned", "--strategies", "S5", "--out", "scores/tuned")
        assert "tuned: 120 scores" in run(project, "pipelines.cli", *scored)
    finally:
        params.write_text(before)
        run(project, "dvc", "repro")


@pytest.mark.slow
def test_dag_metrics_and_plots(project: Path) -> None:
    assert "evaluate@box" in run(project, "dvc", "dag")
    metrics = json.loads(run(project, "dvc", "metrics", "show", "--json"))
    found = metrics[""]["data"]["leaderboard/summary.json"]["data"]
    assert found["pairs"] == 3
    assert 0 < found["models"]["box"]["S5"]["dice"] < 100
    run(project, "dvc", "plots", "show")
    page = (project / "dvc_plots/index.html").read_text()
    assert "White Matter-T1W MRI box S5" in page


@pytest.mark.slow
def test_a_cut_off_lock_file_is_restored(project: Path) -> None:
    run(project, "pipelines.repro")
    lock = project / "dvc.lock"
    whole = lock.read_text()
    lock.write_text(whole[: whole.index("outs:") + 3])
    run(project, "dvc", "repro", fails=True)  # DVC alone refuses to start
    output = run(project, "pipelines.repro")
    assert "dvc.lock was damaged by a killed run; restored" in output
    assert stages(output) == set()
    assert lock.read_text() == whole


@pytest.mark.slow
def test_what_counts_as_a_whole_lock_file_is_what_dvc_reads(project: Path, tmp_path: Path) -> None:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    lines = (project / "dvc.lock").read_text()
    cuts = [0, *(random.Random(0).randrange(len(lines)) for _ in range(25)), len(lines)]
    copy = copy_project(tmp_path)
    shutil.copytree(
        project / ".dvc", copy / ".dvc", dirs_exist_ok=True, ignore=shutil.ignore_patterns("cache", "tmp")
    )
    shutil.copy(project / "params.yaml", copy)
    verdicts = set()
    for cut in cuts:
        (copy / "dvc.lock").write_text(lines[:cut])
        try:
            with Repo(str(copy)) as opened:
                [stage.reload() for stage in opened.index.stages]
                read = True
        except DvcException:
            read = False
        # An empty file DVC reads as no stages; it is started anew all the same.
        assert repro.whole(copy / "dvc.lock") == (read and cut > 0), lines[:cut][-200:]
        verdicts.add(read)
    assert verdicts == {True, False}


@pytest.mark.slow
def test_a_bad_release_is_one_line_and_loses_nothing(project: Path) -> None:
    before = results(project)
    source = project / "cosmos1050k/sources/sample.py"
    text = source.read_text()
    first = re.search(r'sha256="([0-9a-f]{64})"', text)
    assert first
    source.write_text(text.replace(first[1], "0" * 64))
    try:
        output = run(project, "pipelines.repro", fails=True)
    finally:
        source.write_text(text)
    (line,) = [line for line in output.splitlines() if line.startswith("error: sample")]
    assert "is not the release's 000000000000…; install it again" in line
    assert "Traceback" not in output
    assert results(project) == before
    assert stages(run(project, "pipelines.repro")) <= {"build@sample"}


@pytest.mark.slow
def test_killed_at_random_moments_it_completes_with_the_same_bytes(project: Path) -> None:
    expected = results(project)
    for made in ("cosmos1050k/data", "leaderboard/scores", "data", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(project / made)
    (project / "dvc.lock").unlink()
    moments = random.Random(1050)
    for _ in range(5):
        child = subprocess.Popen(
            [sys.executable, "-m", "pipelines.repro"], cwd=project, env=ENVIRONMENT, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(moments.uniform(0.5, 7))
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    run(project, "pipelines.repro")
    assert results(project) == expected
    assert not list((project / "cosmos1050k/data").glob(".*.new"))
