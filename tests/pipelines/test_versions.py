"""`cosmos version`; by git and DVC back to an older dataset, and to a built one without its raw files."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
import typer
from typer.testing import CliRunner

from cosmos1050k.shards import load_manifest
from pipelines.cli_version import version
from tests import phantoms
from tests.conftest import ROOT, copy_project
from tests.pipelines.test_repro import content, run, stages

WHO = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *WHO, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def told(*arguments: str) -> str:
    app = typer.Typer()
    app.command()(version)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def here(project: Path, sample: Path, phantom: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, not of git, with the sample built and a source that is not."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.parent))
    params = (ROOT / "params.yaml").read_text()
    (project / "params.yaml").write_text(params.replace("  - sample\n", "  - sample\n  - drive\n"))
    (project / "cosmos1050k/data").mkdir(parents=True)
    shutil.copytree(sample / "sample", project / "cosmos1050k/data/sample")
    return project


def test_where_nothing_is_it_says_so(here: Path) -> None:
    shutil.rmtree(here / "cosmos1050k")
    lines = told().splitlines()
    assert lines[:4] == [
        "dataset none: not built is sample, drive; run `make repro`",
        "source sample not built",
        "source drive not built",
        "protocol 1",
    ]
    assert lines[5].startswith("commit none: not a git repository")
    assert lines[6:] == ["board none: leaderboard/state/boards/current.duckdb: missing; run `make repro`"]
    facts = json.loads(told("--json"))
    assert (facts["dataset"], facts["git"]["commit"], facts["board"]["id"]) == (None, None, None)


def test_it_says_what_is_here(here: Path) -> None:
    found = load_manifest(here / "cosmos1050k/data/sample").version
    assert told().splitlines()[:2] == [
        "dataset none: not built is drive; run `make repro`",
        f"source sample {found}",
    ]
    (here / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    boards = here / "leaderboard/state/boards"
    boards.mkdir(parents=True)
    with duckdb.connect(str(boards / "0123456789abcdef.duckdb")) as connection:
        connection.execute(
            """create table boards as select '0123456789abcdef' as build_id, '' as numerics,
            'feedfeedfeedfeed' as dataset_version, 1 as protocol_version"""
        )
    (boards / "current.duckdb").symlink_to("0123456789abcdef.duckdb")
    (here / ".gitignore").write_text("leaderboard\ncosmos1050k\n")
    git(here, "init", "-q")
    git(here, "add", "-A")
    assert "\ncommit none: " in told()  # none is made yet
    git(here, "commit", "-q", "-m", "one")
    commit = git(here, "rev-parse", "HEAD")
    lines = told().splitlines()
    dataset = hashlib.sha256(json.dumps({"sample": found}).encode()).hexdigest()[:16]
    assert lines[:3] == [f"dataset {dataset}", f"source sample {found}", "protocol 1"]
    board = "board 0123456789abcdef of another dataset, feedfeedfeedfeed, protocol 1"
    assert lines[4:] == [f"commit {commit}; the folder equals it", board]
    (here / "new.py").write_text("")
    assert f"commit {commit}; the folder differs from it" in told()
    facts = json.loads(told("--json"))
    assert facts["git"] == {"commit": commit, "differs": True, "problem": None}
    assert (facts["dataset"], facts["sources"]["sample"]["version"]) == (dataset, found)
    assert (facts["board"]["dataset"], facts["board"]["problem"]) == ("feedfeedfeedfeed", None)
    with duckdb.connect(str(boards / "0123456789abcdef.duckdb")) as connection:
        connection.execute("update boards set dataset_version = ?", [dataset])
    assert told().splitlines()[-1] == f"board 0123456789abcdef of dataset {dataset}, protocol 1"
    assert f'version = "{facts["package"]}"' in (ROOT / "pyproject.toml").read_text()


def test_it_says_of_a_source_what_is_particular_about_it(here: Path, phantom: Path) -> None:
    (here / "params.yaml").write_text((ROOT / "params.yaml").read_text().replace("- sample", "- drive"))
    manifest = here / "cosmos1050k/data/sample/manifest.json"
    written = json.loads((phantom / "sample/manifest.json").read_text())
    written["excluded"] = [{"case": "slab_050", "slice": number, "reason": "x"} for number in (50, 51)]
    manifest.write_text(json.dumps(written))
    assert told().splitlines()[1:3] == [
        "source drive not built",
        f"source sample {written['version']}; a phantom; 2 excluded; not listed in params.yaml",
    ]


def test_without_git_it_says_the_rest(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(here))
    assert "\ncommit none: git can't be run (No such file or directory)\n" in told()


def test_another_project_s_commit_is_not_told(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GIT_CEILING_DIRECTORIES")
    git(here.parent, "init", "-q")
    git(here.parent, "commit", "-q", "--allow-empty", "-m", "another")
    assert "\ncommit none: this folder is no clone, but lies in another project's\n" in told()


def test_it_takes_no_heavy_library(here: Path) -> None:
    script = (
        "import sys; from pipelines.cli_version import version; version(); "
        "print({'datasets', 'dvc', 'gradio', 'scipy', 'torch'} & {*sys.modules})"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, check=True, text=True)
    assert done.stdout.splitlines()[-1] == "set()"


#: A source whose raw files lie in `data/raw`, as those of all but the sample do.
OTHER = "chase_db1"
EXCLUSIONS = "cosmos1050k/exclusions.csv"


@dataclass(frozen=True)
class Released:
    """A project under git and DVC, and what each of its tags had: what `make repro` said and what it made."""

    folder: Path
    said: dict[str, str]
    made: dict[str, dict[str, str]]


def made_in(folder: Path) -> dict[str, str]:
    """Digests of what the pipeline makes."""
    card = hashlib.sha256((folder / "cosmos1050k/README.md").read_bytes()).hexdigest()
    board = hashlib.sha256((folder / "leaderboard/leaderboard.duckdb").read_bytes()).hexdigest()
    scores = content(folder, "leaderboard/scores", "*.parquet")
    data = content(folder, "cosmos1050k/data", "[!.]*")  # without the locks
    return {**data, **scores, "card": card, "board": board}


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Released:
    """Of the sample and a phantom, with the model `box`; `v2` excludes a case. Both were pushed."""
    folder = tmp_path_factory.mktemp("released")
    found = Released(folder / "project", {}, {})
    found.folder.mkdir()
    copy_project(found.folder)
    params = found.folder / "params.yaml"
    text = params.read_text().replace("  - grabcut\n  - sam_nano\n", "")
    text = text.replace("  - sample\n", f"  - sample\n  - {OTHER}\n")
    params.write_text(text.replace("strategies: [S1, S2, S3, S4, S5, S6]", "strategies: [S5]"))
    (found.folder / "dvc.lock").unlink(missing_ok=True)
    phantoms.write(OTHER, found.folder / "data/raw" / OTHER)
    run(found.folder, "dvc", "remote", "add", "-d", "far", str(folder / "far"))
    for tag, line in (("v1", ""), ("v2", "sample,slab_050,,a ghost\n")):
        with (found.folder / EXCLUSIONS).open("a") as stream:
            stream.write(line)
        found.said[tag] = run(found.folder, "pipelines.repro")
        found.made[tag] = made_in(found.folder)
        git(found.folder, "add", "-A")
        git(found.folder, "commit", "-q", "-m", tag)
        git(found.folder, "tag", tag)
        run(found.folder, "dvc", "push")
    return found


@pytest.mark.slow
def test_an_exclusion_makes_a_new_version_of_its_source_alone(released: Released) -> None:
    ran = stages(released.said["v2"])
    assert ran >= {"build@sample", "card", "evaluate@box", "board"}
    assert {stage for stage in ran if OTHER in stage} == {f"build@{OTHER}"}  # puts kept cases together again
    assert "sample: 103 images of 6 cases, 0 skipped, 1 case excluded; version" in released.said["v2"]
    first, second = released.made["v1"], released.made["v2"]
    changed = {name for name in first | second if first.get(name) != second.get(name)}
    assert changed >= {
        "card",
        "board",
        "cosmos1050k/data/sample/manifest.json",
        "leaderboard/scores/box/sample.parquet",
    }
    assert not [name for name in changed if OTHER in name]
    assert [name for name in first if OTHER in name]


@pytest.mark.slow
def test_a_tag_is_brought_back_to_the_byte(released: Released) -> None:
    for tag in ("v1", "v2"):
        git(released.folder, "checkout", "-q", tag)
        run(released.folder, "dvc", "checkout")
        assert made_in(released.folder) == released.made[tag]
        assert "up to date" in run(released.folder, "dvc", "status", "dvc.yaml")
        assert stages(run(released.folder, "pipelines.repro")) == set()
        assert made_in(released.folder) == released.made[tag]
        told = json.loads(run(released.folder, "pipelines.cli", "version", "--json"))
        assert (told["git"]["commit"], told["git"]["differs"]) == (
            git(released.folder, "rev-parse", tag),
            False,
        )
        assert f"dataset {told['dataset']}" in released.said[tag]
        assert f"board {told['board']['id']}" in released.said[tag]


@pytest.fixture
def clone(released: Released, tmp_path: Path) -> Path:
    """A clone at its second version, with what was pushed and no raw files but those of a package."""
    git(tmp_path, "clone", "-q", str(released.folder), "clone")
    git(tmp_path / "clone", "checkout", "-q", "v2")
    run(tmp_path / "clone", "dvc", "pull")
    return tmp_path / "clone"


@pytest.mark.slow
def test_a_clone_pulls_what_was_built_and_goes_on_without_raw_files(released: Released, clone: Path) -> None:
    from datasets import load_dataset

    assert made_in(clone) == released.made["v2"]
    assert not (clone / "data/raw").exists()
    rows = load_dataset(str(clone / "cosmos1050k"), split="train")
    assert set(rows["source"]) == {"sample", OTHER}
    assert not set(rows["case"]) & {"slab_050"}
    # DVC by itself misses the lists of raw files, and nothing else.
    status = run(clone, "dvc", "status", "dvc.yaml").split()
    assert {word for word in status if "/" in word} == {f"data/raw/{OTHER}.json", "data/raw/sample.json"}
    said = run(clone, "pipelines.repro")
    assert f"{OTHER}: no raw files here, so it is not built again; what was built stays\n" in said
    assert stages(said) == set()
    assert made_in(clone) == released.made["v2"]
    status = run(clone, "dvc", "status", "dvc.yaml").split()
    assert {word for word in status if "/" in word} == {f"data/raw/{OTHER}.json"}
    # What does not need them is made anew where it must be; what does stays as it was pulled.
    params = clone / "params.yaml"
    params.write_text(params.read_text().replace("strategies: [S5]", "strategies: [S5, S6]"))
    (clone / EXCLUSIONS).write_text((clone / EXCLUSIONS).read_text() + "sample,slab_025,,a ghost\n")
    ran = stages(run(clone, "pipelines.repro"))
    assert ran >= {"build@sample", "card", "evaluate@box", "board"}
    assert not [stage for stage in ran if OTHER in stage]
    after = made_in(clone)
    assert {name: after[name] for name in after if f"data/{OTHER}/" in name} == {
        name: released.made["v2"][name] for name in after if f"data/{OTHER}/" in name
    }


@pytest.mark.slow
def test_a_clone_that_gets_the_raw_files_has_nothing_to_build(released: Released, clone: Path) -> None:
    shutil.copytree(released.folder / "data/raw" / OTHER, clone / "data/raw" / OTHER)
    assert stages(run(clone, "pipelines.repro")) == set()
    assert "up to date" in run(clone, "dvc", "status", "dvc.yaml")
