"""The verbs of `cosmos` about sources: what they print, write and refuse."""

import hashlib
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cosmos1050k import sources
from cosmos1050k.source import Download
from pipelines import params
from pipelines.cli import app
from tests import phantoms
from tests.conftest import ROOT
from tests.cosmos1050k.fetch.site import Site, zipped
from tests.pipelines.test_cli import cosmos

SLUG = "kvasir_seg"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with its parameters and nothing else, in which the test runs."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy2(ROOT / "params.yaml", folder)
    monkeypatch.chdir(folder)
    return folder


def run(*arguments: str, fails: bool = False) -> str:
    """What the command prints on both streams, run in this process, where a test may change a source."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    assert bool(result.exit_code) == fails, result.output
    return result.output


def declare(monkeypatch: pytest.MonkeyPatch, *downloads: Download, steps: str = "") -> None:
    module = sources.get(SLUG)
    update = {"downloads": downloads, "steps": steps, "labelled": None}
    monkeypatch.setattr(module, "SOURCE", module.SOURCE.model_copy(update=update))


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    """A phantom of the source as one archive."""
    phantoms.write(SLUG, tmp_path / "release")
    names = sorted(path for path in (tmp_path / "release").rglob("*") if path.is_file())
    return zipped({str(path.relative_to(tmp_path / "release")): path.read_bytes() for path in names})


def masks(data: Path) -> int:
    """The instances in the shards of the sample."""
    tables = [pq.read_table(path, columns=["objects"]) for path in data.glob("sample/*/*.parquet")]
    rows = [row for table in tables for row in table["objects"].to_pylist()]
    return sum(map(len, rows))


def test_sources_lists_the_registry_with_all_that_is_known(project: Path, sample: Path) -> None:
    (project / "cosmos1050k/data").mkdir(parents=True)
    (project / "cosmos1050k/data/sample").symlink_to(sample / "sample")
    listed = {row["slug"]: row for row in json.loads(run("sources", "--json"))}
    assert sorted(listed) == sources.slugs()
    ours = [listed["sample"][name] for name in ("present", "images", "masks", "verdict")]
    assert ours == [True, 123, masks(sample), "same"]
    for slug, row in listed.items():
        source = sources.get(slug).SOURCE
        for field in ("licence", "access", "labelled", "steps", "citation"):
            assert row[field] == getattr(source, field)
        assert row["present"] == (row["verdict"] != "not built") == (slug == "sample")


def test_sources_piped_is_a_line_each(project: Path, sample: Path) -> None:
    status, output, error = cosmos(project, "sources")
    assert (status, error) == (0, "")
    head, *lines = [line.split("\t") for line in output.decode().splitlines()]
    assert [line[0] for line in lines] == sources.slugs()
    assert {len(line) for line in [head, *lines]} == {len(head)}
    rows = {line[0]: dict(zip(head, line, strict=True)) for line in lines}
    assert rows["sample"]["present"] == "yes"
    assert rows["sample"]["reference"] == "not built"
    assert rows[SLUG]["downloads"] == "0/1"


def on_a_terminal(*arguments: str) -> str:
    """What the command shows on a terminal 160 columns wide, without its colours."""
    command = [str(Path(sys.executable).with_name("cosmos")), *arguments]
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": "160", "TERM": "xterm"}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment):
        os.close(theirs)
        shown = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            shown += piece
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())


def test_sources_on_a_terminal_is_a_table_beside_the_paper_s_counts(project: Path, sample: Path) -> None:
    (project / "cosmos1050k/data").mkdir(parents=True)
    (project / "cosmos1050k/data/sample").symlink_to(sample / "sample")
    shown = on_a_terminal("sources")
    (line,) = [line for line in shown.splitlines() if line.startswith("│ sample ")]
    cells = [cell.strip() for cell in line.split("│")[1:-1]]
    assert cells[3:] == ["7", "3 of 3", "123", str(masks(sample)), "same"]
    assert f"1 built from real ones: 123 images, {masks(sample)} masks" in shown
    assert "53 sources, 1,050,311 images, 6,033,198 masks" in " ".join(shown.split())


def test_what_is_present_becomes_the_list_of_params(project: Path) -> None:
    phantoms.write(SLUG, project / "data/raw" / SLUG)
    phantoms.write("acdc", project / "lab")
    run("link", "acdc", "lab")
    (project / "data/raw/drive").mkdir()
    (project / "data/raw/drive/notes.txt").write_text("to be fetched")
    (project / "data/raw/chaos/.fetch").mkdir(parents=True)  # only begun to be fetched
    (project / "data/raw/chaos/.fetch/a.zip.part").write_text("a part")
    listed = json.loads(run("sources", "--present", "--json"))
    assert [row["slug"] for row in listed] == ["acdc", "drive", SLUG, "sample"]
    before = (project / "params.yaml").read_text()
    output = run("sources", "--present", "--write")
    assert "drive: left out, it has files but no case; `cosmos doctor drive` says why" in output
    assert "the sample is left out" in output
    assert f"params.yaml: sources are acdc, {SLUG}" in output
    assert params.load().sources == ("acdc", SLUG)
    assert (project / "params.yaml").read_text() == before.replace("  - sample\n", f"  - acdc\n  - {SLUG}\n")
    for slug in ("acdc", SLUG):
        assert (project / f"data/raw/{slug}.json").is_file()
    shutil.rmtree(project / "data/raw")
    run("sources", "--present", "--write")
    assert (project / "params.yaml").read_text() == before
    assert "error: --write: only with --present" in run("sources", "--write", fails=True)
    phantoms.write(SLUG, project / "data/raw" / SLUG)
    (project / "params.yaml").write_text(before + "more: 1\n")
    output = run("sources", "--present", "--write", fails=True)
    assert output.startswith("error: params.yaml: more: ")
    assert not (project / f"data/raw/{SLUG}.json").exists()


def test_link_uses_a_release_where_it_lies(tmp_path: Path) -> None:
    slug = next(slug for slug in sources.slugs() if sources.get(slug).SOURCE.package is None)
    project, first, second = (tmp_path / name for name in ("project", "first", "second"))
    for folder, size in ((project, 0), (first, 3), (second, 7)):
        folder.mkdir()
        if size:
            (folder / "a.png").write_bytes(bytes(size))
    (second / "PHANTOM").write_text("")
    status, output, error = cosmos(project, "link", slug, str(first))
    assert status == 0, error
    assert output.decode() == f"data/raw/{slug} leads to {first}\n{slug}: 1 file, 3 bytes\n"
    _, output, _ = cosmos(project, "link", slug, "../second")
    assert output.decode().splitlines() == [
        f"data/raw/{slug} leads to {second}; it led to {first}",
        f"{slug}: 2 files, 7 bytes, a phantom: synthetic files",
    ]
    listed = json.loads((project / f"data/raw/{slug}.json").read_text())["files"]
    assert [(file["name"], file["size"]) for file in listed] == [("PHANTOM", 0), ("a.png", 7)]
    _, output, _ = cosmos(project, "sources", "--json")
    assert {row["slug"] for row in json.loads(output) if row["present"]} == {"sample", slug}


def test_fetch_indexes_what_it_fetched(
    project: Path, site: Site, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.put("/a.zip", archive, script=[site.cut(3000)])
    known = hashlib.sha256(archive).hexdigest()
    declare(monkeypatch, Download(file="kvasir-seg.zip", url=site.url("/a.zip"), sha256=known))
    lines = run("fetch", SLUG).splitlines()
    assert lines[1].startswith("licence: research and education only")
    assert lines[2].startswith("to cite: Jha et al.")
    assert f"kvasir-seg.zip: fetched, {len(archive)} bytes" in lines
    assert lines[-2].startswith(f"{SLUG}: ")
    assert lines[-2].endswith("a phantom: synthetic files")
    found = list(sources.get(SLUG).cases(sources.RAW / SLUG))
    assert lines[-1] == f"{SLUG}: {len(found)} cases"
    indexed = json.loads((project / f"data/raw/{SLUG}.json").read_text())
    assert {"name": "kvasir-seg.zip", "size": len(archive), "sha256": known} in indexed["files"]
    assert any(file["name"].startswith("kvasir-seg/Kvasir-SEG/images/") for file in indexed["files"])
    assert "kvasir-seg.zip: there, its sha256 is the release's" in run("fetch", SLUG)
    assert "ok     kvasir-seg.zip: its sha256 is the release's" in run("doctor", SLUG)


def test_what_cannot_be_fetched_is_one_line_and_the_steps(
    project: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(monkeypatch, Download(file="a.zip", url=site.url("/gone.zip")), steps="Write to the owner.")
    output = run("fetch", SLUG, fails=True)
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    gone = f"127.0.0.1 has it no longer (404 Not Found), at {site.url('/gone.zip')}"
    assert errors == [f"error: a.zip: {gone}; look for where it lies now, and get it by hand"]
    assert f"By hand: Write to the owner.\nThen: cosmos fetch {SLUG} --from FILE…" in output
    assert not (project / f"data/raw/{SLUG}").exists()


def test_by_hand_then_from(project: Path, archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(monkeypatch, Download(file="a.zip"), Download(file="b.csv"), steps="Write to the owner.")
    output = run("fetch", SLUG, fails=True)
    assert "a.zip: by hand\nb.csv: by hand\n" in output
    assert "By hand: Write to the owner." in output
    assert "error: " in output
    (project / "a.zip").write_bytes(archive)
    (project / "b.csv").write_text("a,b\n")
    output = run("fetch", SLUG, "--from", "a.zip", "b.csv")
    assert "a.zip: placed, " in output
    assert "b.csv: placed, " in output
    assert "a phantom: synthetic files" in output
    assert (project / "a.zip").read_bytes() == archive
    (project / "b.csv").write_text("<html><title>Sign in</title>")
    shutil.rmtree(project / "data/raw" / SLUG)
    output = run("fetch", SLUG, "--from", "b.csv", "--from", "a.zip", fails=True)
    assert "error: b.csv: it is a web page; download it again" in output
    assert (project / "data/raw" / SLUG / "a.zip").is_file()
    assert not (project / "data/raw" / SLUG / "b.csv").exists()


def test_what_gives_no_case_is_said(project: Path, archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "b.zip").write_bytes(zipped({"notes.txt": b"nothing of it"}))
    (project / "a.zip").write_bytes(archive)
    declare(monkeypatch, Download(file="b.zip"), Download(file="a.zip"), steps="Write to the owner.")
    output = run("fetch", SLUG, "--from", "b.zip")  # the rest may yet come
    assert f"{SLUG}: 0 cases; 1 file of it not here, such as a.zip" in output
    run("fetch", SLUG, "--from", "a.zip")
    shutil.rmtree(project / "data/raw" / SLUG)
    declare(monkeypatch, steps="Write to the owner.")  # what the rest is, nobody knows
    output = run("fetch", SLUG, "--from", "b.zip", fails=True)
    assert "b.zip: placed, " in output
    assert output.endswith(f"error: {SLUG}: no case is found in its files; `cosmos doctor {SLUG}` says why\n")
    assert "cases\n" in run("fetch", SLUG, "--from", "a.zip")


def test_another_version_is_taken_by_the_command_that_the_message_names(
    project: Path, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(monkeypatch, Download(file="a.zip"), steps="Write to the owner.")
    (project / "a.zip").write_bytes(zipped({"notes.txt": b"an earlier version"}))
    run("fetch", SLUG, "--from", "a.zip", fails=True)
    (project / "data/raw" / SLUG / "a.zip").unlink()
    (project / "a.zip").write_bytes(archive)
    output = run("fetch", SLUG, "--from", "a.zip", fails=True)
    (command,) = re.findall(r"`cosmos (fetch .*--anew)`", output)
    assert "a.zip: placed, " in run(*command.split())
    assert "a.zip: there, its sha256 is the first fetch's" in run("fetch", SLUG)


def test_the_usage_of_fetch(project: Path) -> None:
    status, output, _ = cosmos(project, "fetch", "--help")
    shown = " ".join(output.decode().split())
    assert status == 0
    assert "[FILE]..." in shown
    assert "--anew" in shown


def test_every_source_that_no_program_may_fetch_says_how_to_get_it(project: Path) -> None:
    for slug in sources.slugs():
        source = sources.get(slug).SOURCE
        if source.package is None and not any(download.url for download in source.needed):
            output = run("fetch", slug, fails=True)
            assert f"By hand: {source.steps}\nThen: cosmos fetch {slug} --from FILE…" in output
            assert f"error: {slug}: not all of it can be fetched" in output
            assert not (project / "data/raw" / slug).exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fetch", "nowhere"], "unknown source 'nowhere'"),
        (["doctor", "nowhere"], "unknown source 'nowhere'"),
        (["fetch", "sample"], "come with the package nilearn; there is nothing to fetch"),
        (["fetch", SLUG, "a.zip"], "a.zip: give the files that you downloaded after --from"),
        (["fetch", SLUG, "--from", "gone.zip"], "gone.zip: no such file; check the name"),
    ],
)
def test_a_mistake_is_one_line(project: Path, arguments: list[str], said: str) -> None:
    status, _, error = cosmos(project, *arguments)
    assert status == 1
    assert error.startswith("error: ")
    assert said in error
    assert error.count("\n") == 1


def test_doctor_s_status_says_whether_anything_is_wrong(project: Path) -> None:
    status, output, error = cosmos(project, "doctor", SLUG)
    assert (status, error) == (1, "")
    assert output.decode() == (
        f"wrong  data/raw/{SLUG}: missing; `cosmos fetch {SLUG}`, or `cosmos link {SLUG} FOLDER` if a "
        "release is at hand\n"
    )
    status, output, error = cosmos(project, "doctor", "sample")
    assert (status, error) == (0, "")
    assert {line.split()[0] for line in output.decode().splitlines()} == {"ok", "note"}
