"""The command `cosmos`: a verb explains itself, does what its stage does, and names a mistake in one line."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cosmos1050k import shards
from leaderboard import models
from leaderboard.evaluate import evaluate
from leaderboard.store.build import BOARD, build_board
from leaderboard.store.publish import publish
from pipelines import params
from pipelines.board import given as board_of
from pipelines.cli import app
from tests.conftest import ROOT

COMMANDS = {
    command.name or command.callback.__name__.replace("_", "-"): command.callback
    for command in app.registered_commands
    if command.callback
}
VERBS = list(COMMANDS)
#: Verbs that have verbs of their own.
GROUPS = {group.name: group.typer_instance.registered_commands for group in app.registered_groups}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Path:
    """A project folder with its parameters, the built sample, and a published board of the model `box`."""
    return project(tmp_path_factory.mktemp("cli"), sample)


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory, phantom: Path) -> Path:
    """The same, of a phantom."""
    return project(tmp_path_factory.mktemp("synthetic"), phantom)


def project(target: Path, data: Path) -> Path:
    text = (ROOT / "params.yaml").read_text()
    (target / "params.yaml").write_text(text.replace("  - grabcut\n  - sam_nano\n", ""))
    (target / "cosmos1050k/data").mkdir(parents=True)
    (target / "cosmos1050k/data/sample").symlink_to(data / "sample")
    before = Path.cwd()
    os.chdir(target)
    try:
        evaluate("box", shards.DATA, Path("leaderboard/scores/box"), sources=["sample"], protocol_version=1)
        build_board(board_of(params.load()), BOARD)
        publish(BOARD)
    finally:
        os.chdir(before)
    return target


def cosmos(folder: Path, *arguments: str) -> tuple[int, bytes, str]:
    """Exit status, standard output and standard error of the installed command."""
    command = [str(Path(sys.executable).with_name("cosmos")), *arguments]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, check=False, env=os.environ | {"COLUMNS": "120"}
    )
    return done.returncode, done.stdout, done.stderr.decode()


def test_the_verbs_are_those_the_readme_names() -> None:
    assert VERBS == [
        "sources", "fetch", "doctor", "index", "link", "weights", "convert", "add-click-model", "finetune",
        "tolerance", "latency", "robustness", "export-annotation", "import-annotation", "verify", "board",
        "compare", "duplicates", "publish", "clean",
        "version", "submit", "worker", "backup", "restore",
        "build", "evaluate", "serve",
    ]  # fmt: skip
    assert list(GROUPS) == ["token", "submissions"]
    readme = (ROOT / "README.md").read_text()
    assert all(f"cosmos {verb}" in readme for verb in [*VERBS, *GROUPS])


def test_serve_takes_what_the_app_takes(tmp_path: Path) -> None:
    status, output, error = cosmos(tmp_path, "serve", "--help")
    assert (status, error) == (0, "")
    assert b"--root-path" in output
    status, _, error = cosmos(tmp_path, "serve", "--max-upload", "none")
    assert status == 2
    assert error.endswith("error: argument --max-upload: 'none' is no whole number above 0\n")


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "serve"])
def test_help_explains_itself(verb: str) -> None:
    result = CliRunner().invoke(app, [verb, "--help"])
    assert result.exit_code == 0
    assert (COMMANDS[verb].__doc__ or "").split()[0] in result.output


@pytest.mark.parametrize("group", GROUPS)
def test_help_of_a_group_names_its_verbs(group: str | None) -> None:
    output = CliRunner().invoke(app, [str(group), "--help"]).output
    own = [command.name or command.callback.__name__ for command in GROUPS[group] if command.callback]
    assert len(own) >= 3
    assert all(name in output for name in own)


def test_build_gives_what_the_stage_gives(folder: Path, sample: Path, tmp_path: Path) -> None:
    status, output, error = cosmos(
        folder, "build", "sample", "--out", str(tmp_path / "sample"), "--workers", "1"
    )
    assert status == 0, error
    assert b"sample: 123 images of 7 cases, 0 skipped" in output
    assert shards.load_manifest(tmp_path / "sample") == shards.load_manifest(sample / "sample")


def test_evaluate_scores_the_strategies_asked_for(folder: Path, sample: Path, tmp_path: Path) -> None:
    arguments = [
        "--model",
        "box",
        "--data",
        str(sample),
        "--strategies",
        "S5",
        "--out",
        str(tmp_path / "box"),
    ]
    status, output, error = cosmos(folder, "evaluate", *arguments)
    assert status == 0, error
    assert b"box: 120 scores on 2 cases of sample" in output
    ours = pq.read_table(tmp_path / "box/sample.parquet")
    theirs = pq.read_table(folder / "leaderboard/scores/box/sample.parquet")
    assert set(ours["strategy"].to_pylist()) == {"S5"}
    assert ours.equals(theirs.filter(pyarrow.compute.equal(theirs["strategy"], "S5")))


@pytest.mark.slow
def test_board_shown_and_exported_alike(folder: Path) -> None:
    status, shown, error = cosmos(folder, "board")
    assert status == 0, error
    as_csv = pyarrow.csv.read_csv(io.BytesIO(cosmos(folder, "board", "--export", "csv")[1])).to_pylist()
    as_parquet = pq.read_table(io.BytesIO(cosmos(folder, "board", "--export", "parquet")[1])).to_pylist()
    as_json = json.loads(cosmos(folder, "board", "--export", "json")[1])["scores"]
    assert as_parquet == as_json
    assert len(as_json) == 3 * 2 * 2  # pairs, strategies, selections
    for row, other in zip(as_json, as_csv, strict=True):
        assert row["dice"] == pytest.approx(other["dice"], rel=1e-12)
        assert f"{100 * row['dice']:.2f}".encode() in shown
    assert b"This is the sample, not COSMOS 1050K" in shown
    assert b"hantom" not in shown
    assert {row["phantom"] for row in as_json} == {False}


@pytest.mark.slow
def test_a_phantom_is_named_wherever_it_goes(synthetic: Path, phantom: Path, tmp_path: Path) -> None:
    raw, out = str(phantom / "raw/sample"), str(tmp_path / "sample")
    assert (
        b"\nsample is a phantom: its files are synthetic\n"
        in cosmos(synthetic, "build", "sample", "--raw", raw, "--out", out)[1]
    )
    assert b"\t123\t364\t22d00b8f5041\tphantom\t" in cosmos(synthetic, "sources")[1]
    listed = {row["slug"]: row["phantom"] for row in json.loads(cosmos(synthetic, "sources", "--json")[1])}
    assert [slug for slug in listed if listed[slug]] == ["sample"]
    shown = cosmos(synthetic, "board")[1]
    assert b"Synthetic images: sample is a phantom." in shown
    assert shown.count(b"(phantom)") == 3  # pairs
    exported = json.loads(cosmos(synthetic, "board", "--export", "json")[1])
    assert exported["board"]["phantoms"] == ["sample"]
    assert {row["phantom"] for row in exported["scores"]} == {True}


@pytest.mark.slow
def test_the_board_s_stage_counts_and_marks_phantoms(synthetic: Path, folder: Path) -> None:
    for project, count, mark in ((folder, 0, ""), (synthetic, 1, " (phantom)")):
        done = subprocess.run(
            [sys.executable, "-m", "pipelines.board"], cwd=project, check=False, capture_output=True
        )
        assert done.returncode == 0, done.stderr
        assert json.loads((project / "leaderboard/summary.json").read_text())["phantoms"] == count
        plot = (project / "leaderboard/plots/dice.csv").read_text()
        assert f"\nBrain-T1W MRI{mark} box S5,box,S5," in plot


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "nowhere"], "unknown source 'nowhere'; `cosmos sources` lists"),
        (["index", "nowhere"], "unknown source 'nowhere'"),
        (["link", "nowhere", "."], "unknown source 'nowhere'"),
        (["link", "sample", "."], "sample: its files come with the package nilearn"),
        (["build", "sample", "--raw", "nothing", "--out", "x"], "missing; put the release"),
        (["evaluate", "--model", "nobody"], f"unknown model 'nobody'; known are {', '.join(models.names())}"),
        (["evaluate", "--model", "box", "--strategies", "S5,S9"], "--strategies: unknown 'S9'"),
        (["evaluate", "--model", "box", "--strategies", ""], "--strategies: unknown ''"),
        (["build", "sample", "--out", "params.yaml"], "params.yaml: not of a build or an evaluation"),
        (["build", "sample", "--out", "."], "not of a build or an evaluation and would be lost"),
        (["build", "sample", "--out", "/proc/nothing"], "/proc/nothing: can't be written"),
        (["evaluate", "--model", "box", "--out", "cosmos1050k"], "would be lost; choose another folder"),
        (["evaluate", "--model", "box", "--data", "nothing"], "no built source; build one"),
    ],
)
def test_a_mistake_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as ended:
        app(arguments)
    error = str(ended.value)
    assert error.startswith("error: ")
    assert message in error
    assert "\n" not in error


def test_a_mistake_goes_to_standard_error(folder: Path) -> None:
    status, output, error = cosmos(folder, "build", "nowhere")
    assert (status, output) == (1, b"")
    assert error == "error: unknown source 'nowhere'; `cosmos sources` lists those that exist\n"


@pytest.mark.slow
def test_a_damaged_build_is_one_line_and_hides_no_other(folder: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(folder, project, symlinks=False)
    shutil.rmtree(project / "data")  # finished scores need no shard
    built = project / "cosmos1050k/data/sample"
    for name in ("cases.parquet", "t1w_mri/test-00000-of-00001.parquet"):
        whole = (built / name).read_bytes()
        for damaged in (b"", whole[: len(whole) // 2]):
            (built / name).write_bytes(damaged)
            status, _, error = cosmos(project, "evaluate", "--model", "box", "--data", "cosmos1050k/data")
            assert (status, "Traceback" in error) == (1, False), error
            assert f"{name}: damaged; build the source again" in error
        (built / name).write_bytes(whole)
    (built / "manifest.json").write_text("{")
    status, output, _ = cosmos(project, "sources")
    assert status == 0
    assert b"manifest.json: damaged; build the source again" in output


def test_outside_the_project_it_says_so(tmp_path: Path) -> None:
    status, _, error = cosmos(tmp_path, "build", "sample")
    assert status == 1
    assert "run this in the project's folder" in error
    assert "no board is published" in cosmos(tmp_path, "board")[2]
