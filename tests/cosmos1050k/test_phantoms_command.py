"""`python -m tests.phantoms` writes releases beside each other, and nothing where something is."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.phantoms import MARKER, __main__


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on stderr of a command that fails and says nothing else."""
    with pytest.raises(SystemExit) as caught:
        __main__.main(arguments)
    written = capsys.readouterr()
    assert caught.value.code == 2
    assert written.out == ""
    assert written.err.count("\n") == 1
    return written.err.strip()


def test_as_a_command_it_says_a_line_per_source(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.phantoms", "--out", str(tmp_path / "a/b"), "luna16", "acdc"]
    done = subprocess.run(
        [*command, "--patients", "1", "--seed", "4"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    first, second = done.stdout.splitlines()
    assert first.startswith(f"{tmp_path}/a/b/luna16: 1 patients, to become ")
    assert second.startswith(f"{tmp_path}/a/b/acdc: 1 patients, to become ")
    assert done.stderr == ""
    assert sorted(path.name for path in (tmp_path / "a/b").iterdir()) == ["acdc", "luna16"]
    assert "synthetic" in (tmp_path / "a/b/acdc" / MARKER).read_text().lower()


def test_without_a_slug_it_writes_every_phantom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        __main__.phantoms, "slugs", lambda: ["acdc", "luna16"]
    )  # all would take half a minute
    __main__.main(["--out", str(tmp_path), "--patients", "1"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["acdc", "luna16"]


def test_a_folder_that_holds_something_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "luna16").mkdir()
    (tmp_path / "luna16/mine").write_text("x")
    said = refused(capsys, "--out", str(tmp_path), "acdc", "luna16")
    assert said == f"{tmp_path}/luna16 exists and is not empty; name another --out or remove it"
    assert [path.name for path in tmp_path.rglob("*")] == ["luna16", "mine"]  # not even the other one
    (tmp_path / "luna16/mine").unlink()
    __main__.main(["--out", str(tmp_path), "luna16", "--patients", "1"])  # an empty folder will do
    assert (tmp_path / "luna16" / MARKER).is_file()


def test_whatever_else_is_wrong_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    assert refused(capsys, "--out", out, "nowhere").startswith(
        "no phantom of 'nowhere'; there are abdomenct_1k, acdc, "
    )
    assert "--patients must be 1 or more" in refused(capsys, "--out", out, "acdc", "--patients", "0")
    assert "--seed 0 or more" in refused(capsys, "--out", out, "acdc", "--seed", "-1")
    (tmp_path / "out").write_text("")
    assert refused(capsys, "--out", out, "acdc") == f"{out} is a file; name another --out"
