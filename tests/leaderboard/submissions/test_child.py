"""The scoring child: `evaluate`'s scores, a broken model told at once, a killed run gone on with."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cosmos1050k import pool, shards
from cosmos1050k.units import MANIFEST
from leaderboard import finetuned, models
from leaderboard.evaluate import BoardRows, evaluate, manifest_of
from leaderboard.machine import Machine
from leaderboard.models.base import Candidates, Segmenter
from leaderboard.submissions import child, sandbox, workspace
from leaderboard.submissions.order import Beat
from leaderboard.submissions.terms import Limits
from leaderboard.submissions.workspace import Job
from leaderboard.weights import shipped
from tests.leaderboard.checkpoints import refused
from tests.leaderboard.sam.images import tiny
from tests.leaderboard.segmenters import Scripted, declaration
from tests.leaderboard.submissions import orders


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child would change those of its process, which here runs other tests too."""
    monkeypatch.setattr(pool, "single_threaded", lambda: None)


@pytest.fixture
def data(project: Path) -> Path:
    return orders.built(project / "data", first=2, second=3)


@pytest.fixture
def file(project: Path) -> Path:
    return orders.saved(tiny().state_dict(), project / "given.safetensors")


def scored(project: Path, job: Job, file: Path) -> dict[str, Path]:
    """What the child leaves, run in this process."""
    folder = workspace.prepare(project / "work", job, file)
    with chdir(folder):
        child.run(job)
    return workspace.results(folder)


def parquet(results: Iterable[Path]) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in results if path.name != MANIFEST}


def by_evaluate(project: Path, job: Job, file: Path) -> dict[str, bytes]:
    """What `cosmos weights --from` and `cosmos evaluate --model` make of the same file."""
    record, order = job.order.record, job.order
    whole = {} if record.base else {"architecture": record.architecture}
    assert finetuned.adopt(file, record.name, base=record.base, **whole) == "made"  # type: ignore[arg-type]
    run = evaluate(
        record.name, job.data, project / "theirs", sources=tuple(order.sources), here=True,
        protocol_version=order.protocol_version, options=order.evaluate, board_rows=order.board_rows,
    )  # fmt: skip
    assert run.declaration.kind == "finetuned"
    return parquet((project / "theirs").iterdir())


@pytest.mark.slow
def test_in_its_sandbox_the_child_gives_the_scores_of_evaluate(project: Path, data: Path, file: Path) -> None:
    job, ticks = orders.job(data, file, "tiny"), []
    folder = workspace.prepare(project / "work", job, file)
    ended = sandbox.score(folder, lambda: ticks.append(workspace.progress(folder)))
    assert (ended.code, ended.reason) == (0, ""), ended.log
    found = workspace.results(folder)
    assert list(found) == ["first.parquet", "second.parquet", MANIFEST]
    assert parquet(found.values()) == by_evaluate(project, job, file)
    ours, theirs = (
        manifest_of(path, orders.NAME) for path in (found[MANIFEST], project / "theirs" / MANIFEST)
    )
    assert ours.sources == theirs.sources
    assert ours.declaration.weights_sha256 == theirs.declaration.weights_sha256
    cases = [case for slug in ("first", "second") for case in shards.load_cases(data / slug)]
    total = sum(case["rows"] for case in cases)
    assert workspace.progress(folder) == Beat(doing="scores", done=total, total=total)
    assert {beat.doing for beat in ticks} >= {"scores"}


def test_a_mask_decoder_s_scores_are_those_of_evaluate(project: Path) -> None:
    data = orders.built(project / "data", first=1)
    random = torch.Generator().manual_seed(0)
    part = {
        name: tensor * (1 + 0.05 * torch.randn(tensor.shape, generator=random))
        for name, tensor in load_file(shipped("sam_nano")).items()
        if name.startswith("mask_decoder.")
    }
    file = orders.saved(part, project / "given.safetensors")
    job = orders.job(data, file, "nano", "sam_nano")
    found = scored(project, job, file)
    assert parquet(found.values()) == by_evaluate(project, job, file)
    assert manifest_of(found[MANIFEST], orders.NAME).declaration.base == "sam_nano"


@pytest.mark.slow
def test_only_some_sources_are_scored_on_the_board_of_all(project: Path, data: Path, file: Path) -> None:
    # Of each pair one case is on the board, of whichever source.
    job = orders.job(data, file, "tiny", only=("second",), board_rows=BoardRows(images_per_pair=1))
    found = scored(project, job, file)
    assert list(found) == ["second.parquet", MANIFEST]
    of_all = by_evaluate(project, job, file)
    assert found["second.parquet"].read_bytes() == of_all["second.parquet"]
    alone = orders.job(data, file, "tiny", sources={"second": job.order.sources["second"]}, only=())
    assert scored(project, alone, file)["second.parquet"].read_bytes() != of_all["second.parquet"]


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(
    project: Path, data: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = orders.job(data, file, "tiny")
    folder = workspace.prepare(project / "work", job, file)
    kept = folder / "data/units/evaluate"

    def lost() -> None:
        if list(kept.glob("[!.]*")):
            raise KeyboardInterrupt

    def held() -> dict[str, int]:
        return {path.name: path.stat().st_ino for path in kept.glob("[!.]*")}

    with monkeypatch.context() as hasty:
        hasty.setattr(sandbox, "_TICK_S", 0.005)
        with pytest.raises(KeyboardInterrupt):
            sandbox.score(folder, lost)
    killed = held()
    assert killed
    assert workspace.prepare(project / "work", job, file) == folder
    assert sandbox.score(folder, lambda: None).code == 0
    assert held().items() >= killed.items()
    assert parquet(workspace.results(folder).values()) == by_evaluate(project, job, file)


@pytest.mark.slow
def test_what_is_not_the_model_s_fault_ends_in_one_line_on_the_log(
    project: Path, data: Path, file: Path
) -> None:
    folder = workspace.prepare(project / "work", orders.job(data, file, "tiny"), file)
    orders.built(data, second=1)
    ended = sandbox.score(folder, lambda: None)
    assert (ended.code, ended.reason, ended.said) == (1, "crashed", "")
    problem = "second: of another version than the board's; build it again"
    assert ended.log == f"error: {problem}"


@pytest.mark.parametrize("what", ["source", "weights", "job"])
def test_what_a_run_lacks_is_one_line(what: str, project: Path, data: Path, file: Path) -> None:
    job = orders.job(data, file, "tiny")
    folder = workspace.prepare(project / "work", job, file)
    match what:
        case "source":
            words = "manifest.json: missing; build the source"
            (data / "first" / MANIFEST).unlink()
        case "weights":
            words = "other weights than those of its model.json"
            (folder / "data/models/mine/weights.safetensors").unlink()
            orders.saved(tiny(1).state_dict(), folder / "data/models/mine/weights.safetensors")
        case _:
            words = "order.json: missing or damaged"
            (folder / workspace.JOB).write_text("{}")
    with chdir(folder), pytest.raises(SystemExit) as ended:
        child.main()
    assert str(ended.value.code).startswith("error: ")
    assert words in str(ended.value.code)
    assert "\n" not in str(ended.value.code)


def model(asked: list[str], fails: Callable[[int], bool]) -> Segmenter:
    """Finds nothing; fails on those images, counted from 0, that it is told to."""

    def prompt(image: Any, prompts: Any) -> Iterator[Candidates]:
        asked.append("image")
        if fails(len(asked) - 1):
            raise RuntimeError("no such layer:\n attention")
        return iter(
            Candidates(np.zeros((1, *image.shape[:2]), bool), np.zeros(1, np.float32)) for _ in prompts.boxes
        )

    return Scripted(declaration(orders.NAME, candidates=1, applies=("S5",)), prompt)


@pytest.fixture
def ready(project: Path, data: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job in whose workspace the test runs."""
    job = orders.job(data, file, "tiny", limits=Limits(check_images=4))
    monkeypatch.chdir(workspace.prepare(project / "work", job, file))
    return job


def test_a_model_that_fails_on_every_image_is_refused_at_once(
    ready: Job, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(models, "get", lambda name, machine: model(asked, lambda number: True))
    with pytest.raises(SystemExit) as ended:
        child.main()
    assert ended.value.code == workspace.REFUSED
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert told["code"] == "fails"
    assert "RuntimeError('no such layer:\\n attention')" in told["message"]
    assert len(asked) == 4
    assert not workspace.SCORES.exists()
    assert workspace.progress(Path()).doing == "quick check"


def test_a_model_that_answers_once_is_scored(ready: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(models, "get", lambda name, machine: model(asked, lambda number: number < 2))
    given: dict[str, Any] = {}

    class Reached(Exception):
        pass

    def evaluated(*arguments: Any, **more: Any) -> None:
        given.update(more)
        raise Reached

    monkeypatch.setattr(child, "evaluate", evaluated)
    with pytest.raises(Reached):
        child.run(ready)
    assert len(asked) == 3
    assert given["sources"] == tuple(ready.order.sources)


def test_the_quick_check_takes_images_of_every_source(ready: Job) -> None:
    samples = list(child._samples(ready, Machine()))
    assert [sample.folder.name for sample in samples] == ["first", "first", "second", "second"]
    assert sum(sample.images for sample in samples) == 4
    assert all(sample.case["split"] == "test" for sample in samples)


def test_a_part_that_no_process_got_to_the_end_with_is_tried_again_and_never_counted_as_failed(
    ready: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def crashed(function: Any, tasks: list[Any], **how: Any) -> list[pool.Outcome[Any, Any]]:
        tried.append(how["label"])
        return [pool.Outcome(task, None, "its process crashed (SIGSEGV)") for task in tasks]

    monkeypatch.setattr(pool, "run", crashed)
    with refused("8 parts could not be scored", "first/case0/CT: its process crashed (SIGSEGV)", "try again"):
        child.run(ready)
    assert len(tried) == child._TRIES


def test_on_a_gpu_a_quick_check_whose_process_crashes_is_tried_again(
    ready: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Any] = []

    def crashed(function: Any, tasks: list[Any], **how: Any) -> list[pool.Outcome[Any, Any]]:
        tried.append((function, how["workers"], how["timeout_s"]))
        return [pool.Outcome(task, None, "its process crashed") for task in tasks]

    monkeypatch.setattr(pool, "run", crashed)
    samples = list(child._samples(ready, Machine(device="cuda")))
    with refused("quick check: its process crashed"):
        child._failure(samples, 10)
    assert tried == [(child._tried, 1, 40)] * child._TRIES


def test_as_many_processes_as_there_is_memory_for(ready: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "workers_or_all", lambda workers: 64)
    given = ready.model_copy(update={"workers": None})
    assert child._workers(given, Machine()) == 10
    assert child._workers(given, Machine(device="cuda")) is None
    assert child._workers(ready, Machine()) == 1
