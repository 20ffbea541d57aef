"""A worker's folder for a submission: the model as the registry finds it, what is kept, whom it trusts."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from leaderboard import finetuned, models, weights
from leaderboard.submissions import workspace
from leaderboard.submissions.order import Beat
from leaderboard.submissions.workspace import Job
from tests.leaderboard.checkpoints import declare, refused
from tests.leaderboard.sam.images import tiny
from tests.leaderboard.submissions import orders


@pytest.fixture
def file(project: Path) -> Path:
    return orders.saved(tiny().state_dict(), project / "given.safetensors")


@pytest.fixture
def job(project: Path, file: Path) -> Job:
    return orders.job(orders.built(project / "data", first=1), file, "tiny")


def test_the_registry_finds_the_model_there(
    project: Path, job: Job, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workspace.prepare(project / "work", job, file)
    assert folder == project / "work" / job.order.submission
    assert workspace.job_of(folder) == job
    monkeypatch.chdir(folder)
    assert finetuned.record(orders.NAME) == job.order.record
    models.kind(orders.NAME).check()
    assert file.exists()


def test_prepared_again_it_keeps_units_alone(project: Path, job: Job, file: Path) -> None:
    folder = workspace.prepare(project / "work", job, file)
    (folder / "data/units/evaluate/ab").mkdir(parents=True)
    for name in ("tmp/left", "out/progress.json", "data/models/mine/more", "data/weights/more"):
        (folder / name).touch()
    assert workspace.prepare(project / "work", job, file) == folder
    assert (folder / "data/units/evaluate/ab").is_dir()
    assert [path.name for path in (folder / "data/models/mine").iterdir()] == [
        "model.json",
        "weights.safetensors",
    ]
    assert not [path for name in ("tmp", "out", "data/weights") for path in (folder / name).iterdir()]


def test_a_private_file_is_copied_and_a_public_one_lent(project: Path, job: Job, file: Path) -> None:
    file.chmod(0o644)
    lent = workspace.prepare(project / "work", job, file) / "data/models/mine/weights.safetensors"
    assert lent.samefile(file)
    file.chmod(0o600)
    copied = workspace.prepare(project / "work", job, file) / "data/models/mine/weights.safetensors"
    assert not copied.samefile(file)
    assert copied.read_bytes() == file.read_bytes()
    assert copied.stat().st_mode & 0o777 == 0o644
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_mask_decoder_brings_its_base(
    project: Path, job: Job, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    official = declare(monkeypatch, b"owner's", "http://localhost/none")
    record = job.order.record.model_copy(update={"base": official.name})
    order = job.order.model_copy(update={"record": record})
    part = job.model_copy(update={"order": order})
    with refused("sam_vit_b.safetensors: missing; run `cosmos weights sam_vit_b`"):
        workspace.prepare(project / "work", part, file)
    weights.WEIGHTS.mkdir(parents=True)
    origin = weights.Origin(name=official.name, architecture="tiny", sha256=official.sha256)
    save_file({"a": torch.zeros(1)}, weights.WEIGHTS / "sam_vit_b.safetensors", metadata=origin.model_dump())
    folder = workspace.prepare(project / "work", part, file)
    monkeypatch.chdir(folder)
    assert finetuned.base_of(official.name).path.is_file()


def test_a_folder_that_cannot_be_written_is_one_line(project: Path, job: Job, file: Path) -> None:
    (project / "work").write_text("")
    with refused("work", "can't be written", "choose another folder"):
        workspace.prepare(project / "work", job, file)


def test_a_damaged_job_is_one_line(project: Path) -> None:
    with refused("order.json: missing or damaged"):
        workspace.job_of(project)


def test_progress_is_what_was_told(
    project: Path, job: Job, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workspace.prepare(project / "work", job, file)
    assert workspace.progress(folder).total == 0
    monkeypatch.chdir(folder)
    workspace.tell("scores", 3, 7)
    assert workspace.progress(folder) == Beat(doing="scores", done=3, total=7)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "no number", "long"])
def test_of_progress_nothing_is_trusted(kind: str, project: Path, job: Job, file: Path) -> None:
    folder = workspace.prepare(project / "work", job, file)
    told, secret = folder / workspace.PROGRESS, project / "secret"
    secret.write_text(json.dumps({"doing": "secret", "done": 1, "total": 1}))
    match kind:
        case "link":
            told.symlink_to(secret)
        case "pipe":
            os.mkfifo(told)
        case "folder":
            told.mkdir()
        case "no number":
            told.write_text('{"doing": "x", "done": -1, "total": 1}')
        case _:
            told.write_text(" " * 10**6 + json.dumps({"doing": "x", "done": 1, "total": 1}))
    assert workspace.progress(folder) == Beat(doing="starts")


def finished(folder: Path) -> Path:
    (folder / workspace.SCORES).mkdir(parents=True)
    for name in ("first.parquet", "manifest.json"):
        (folder / workspace.SCORES / name).write_text("x")
    return folder / workspace.SCORES


def test_results_are_the_files_of_the_sources_scored_and_the_manifest(
    project: Path, job: Job, file: Path
) -> None:
    folder = workspace.prepare(project / "work", job, file)
    with refused("first.parquet: No such file", "score it again"):
        workspace.results(folder)
    out = finished(folder)
    (out / "other.parquet").touch()
    assert workspace.results(folder) == {name: out / name for name in ("first.parquet", "manifest.json")}


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "long", "out"])
def test_results_lead_nowhere_else(kind: str, project: Path, job: Job, file: Path) -> None:
    folder = workspace.prepare(project / "work", job, file)
    out, secret = finished(folder), project / "secret"
    secret.write_text("secret")
    scores = out / "first.parquet"
    scores.unlink()
    match kind:
        case "link":
            scores.symlink_to(secret)
        case "hard link":
            scores.hardlink_to(secret)
        case "pipe":
            os.mkfifo(scores)
        case "long":
            with scores.open("wb") as stream:
                stream.truncate(10**9 + 1)
        case _:
            scores.touch()
            out.rename(project / "elsewhere")
            out.symlink_to(project / "elsewhere")
    with refused("first.parquet: no plain file, or too large"):
        workspace.results(folder)


def test_what_a_child_put_in_place_of_a_folder_is_not_followed(project: Path, job: Job, file: Path) -> None:
    folder = workspace.prepare(project / "work", job, file)
    precious = project / "precious"
    (precious / "mine").mkdir(parents=True)
    (precious / "mine/file").write_text("precious")
    for name in ("data/models", "data/weights"):
        (folder / name).rename(folder / name.replace("data", "tmp"))
        (folder / name).symlink_to(precious)
    workspace.prepare(project / "work", job, file)
    assert sorted(path.name for path in precious.rglob("*")) == ["file", "mine"]
    assert not (folder / "data/models").is_symlink()
