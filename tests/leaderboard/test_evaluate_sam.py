"""A SAM through the whole evaluation: the same bytes however it ran, and what may differ is measured."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from cosmos1050k import shards, units
from leaderboard import finetuned, models, plan, tolerance
from leaderboard.evaluate import EvaluateOptions, RunManifest, evaluate
from leaderboard.models.base import ALL, Declaration
from leaderboard.score import score
from leaderboard.tolerance import SHARED_BELOW
from tests.leaderboard import dataset
from tests.leaderboard.checkpoints import refused
from tests.leaderboard.sam.images import tiny

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("first", "second")
DATA = Path("built")


@pytest.fixture
def small_sam(project: Path) -> str:
    """Two sources and the small network as a finetuned model, in the project's folder."""
    save_file(dict(tiny().state_dict()), project / "small.safetensors")
    finetuned.adopt(project / "small.safetensors", "small", "tiny")
    for number, source in enumerate(SOURCES):
        dataset.build(DATA, source, dataset.cases(1, seed=number, slices=3), shard_bytes=dataset.ONE_CASE)
    return "small"


def run(model: str, name: str, **more: Any) -> RunManifest:
    """A run with units of its own."""
    given: dict[str, Any] = {"sources": SOURCES, "protocol_version": 1, "workers": 1}
    given |= {"store": units.Units("evaluate", Path("units") / name), "options": EvaluateOptions()} | more
    return evaluate(model, DATA, Path("scores") / name, **given)


def written(name: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (Path("scores") / name).glob("*.parquet")}


@pytest.mark.slow
def test_the_same_bytes_whatever_the_workers_the_order_and_the_parts(
    small_sam: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = run(small_sam, "one")
    assert not any(source.failures or source.failed_images for source in manifest.sources.values())
    assert (manifest.declaration.device, manifest.declaration.dtype) == ("cpu", "float32")
    expected = written("one")
    monkeypatch.setattr(plan, "PART", 2)  # of three slices
    run(small_sam, "other", workers=2, sources=SOURCES[::-1])
    assert written("other") == expected
    model, version = models.get(small_sam), shards.load_manifest(DATA / "first").version
    cases = [case for case in shards.load_cases(DATA / "first") if case["split"] == "test"]
    here = [score(model, shards.read_case(DATA / "first", case), ALL, version) for case in cases]
    table = pq.read_table(Path("scores/one/first.parquet"))
    # Scored apart, S1 stands behind the others of its part; the rows are the same.
    keys = [(name, "ascending") for name in ("image_id", "object_index", "strategy")]
    assert table.sort_by(keys).equals(pa.concat_tables(here).sort_by(keys))
    found = table.filter(pa.compute.equal(table["status"], "scored"))
    assert set(found["strategy"].to_pylist()) >= set(ALL) - {"S1"}
    assert len(set(found["dice_oracle"].to_pylist())) > 30


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_bytes(small_sam: str) -> None:
    run(small_sam, "whole")
    child = subprocess.Popen(
        [sys.executable, "-c", _RUN], env=os.environ | {"PYTHONPATH": str(ROOT)}, start_new_session=True
    )
    kept = Path("units/killed/evaluate")
    while not list(kept.glob("[!.]*")):
        assert child.poll() is None
        time.sleep(0.002)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    assert not Path("scores/killed").exists()
    done = len(list(kept.glob("[!.]*")))
    run(small_sam, "killed")
    assert len(list(kept.glob("[!.]*"))) > done
    assert written("killed") == written("whole")


_RUN = """
from tests.leaderboard.test_evaluate_sam import run
run("small", "killed")
"""


@pytest.mark.slow
def test_kept_embeddings_change_nothing_but_the_numerics(small_sam: str) -> None:
    options = EvaluateOptions(keep_embeddings=0.1, strategies=("S5",))
    first = run(small_sam, "first", options=options)
    assert first.declaration.dtype == "float32, embeddings float16"
    files = {path: path.stat().st_mtime_ns for path in Path("data/embeddings").rglob("*.safetensors")}
    assert len(files) == sum(len(set(_column(name, "image_id", "first"))) for name in SOURCES)
    run(small_sam, "second", options=options)
    assert written("first") == written("second")
    assert files == {path: path.stat().st_mtime_ns for path in files}


def _column(source: str, column: str, name: str) -> list[Any]:
    values: list[Any] = pq.read_table(Path("scores") / name / f"{source}.parquet")[column].to_pylist()
    return values


@pytest.mark.slow
def test_weights_that_do_not_fit_end_the_run_and_leave_the_old_scores(small_sam: str) -> None:
    run(small_sam, "kept")
    before = written("kept")
    weights = Path("data/models/small/weights.safetensors")
    record = weights.with_name("model.json")
    tensors = load_file(weights)
    tensors["mask_decoder.iou_token.weight"][:] = float("nan")
    save_file(tensors, weights)
    with refused("other weights than those of its model.json"):
        run(small_sam, "kept")
    # Whoever forges the record too is refused when the weights are read.
    forged = json.loads(record.read_text())
    forged["weights_sha256"] = finetuned.tensors_sha256(weights)
    record.write_text(json.dumps(forged))
    with refused("mask_decoder.iou_token.weight", "NaN"):
        run(small_sam, "kept")
    assert written("kept") == before


@pytest.mark.slow
def test_a_model_that_was_made_anew_meanwhile_is_not_scored_under_the_old_key(
    small_sam: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plan.tasks

    def planned_before(declaration: Declaration, *more: Any) -> list[plan.Task]:
        return planned(declaration.model_copy(update={"weights_sha256": "0" * 64}), *more)

    monkeypatch.setattr(plan, "tasks", planned_before)
    with refused("small: another model than when the run began"):
        run(small_sam, "meanwhile")
    assert not list(Path("units/meanwhile/evaluate").glob("[!.]*"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.slow
def test_a_gpu_that_is_not_there_is_one_line(small_sam: str) -> None:
    with refused("evaluate.device: cuda", "say cpu or auto"):
        run(small_sam, "gpu", options=EvaluateOptions(device="cuda"))
    assert run("box", "box", options=EvaluateOptions(device="cuda")).declaration.device == "cpu"
    assert run(small_sam, "auto", options=EvaluateOptions(strategies=("S5",))).declaration.device == "cpu"


@pytest.mark.slow
def test_an_image_that_the_network_fails_on_is_listed(small_sam: str) -> None:
    """Its ratings overflow."""
    weights = Path("data/models/small/weights.safetensors")
    tensors = load_file(weights)
    tensors["mask_decoder.iou_prediction_head.layers.2.bias"][:] = 3e38
    tensors["mask_decoder.iou_prediction_head.layers.2.weight"][:] = 3e38
    save_file(tensors, "large.safetensors")
    finetuned.adopt(Path("large.safetensors"), "large", "tiny")
    manifest = run("large", "large", options=EvaluateOptions(strategies=("S5",)))
    for source, ran in manifest.sources.items():
        failed = {
            image
            for image, status in zip(
                _column(source, "image_id", "large"), _column(source, "status", "large"), strict=True
            )
            if status == "failed"
        }
        assert set(ran.failed_images) == failed
        assert failed


@pytest.mark.slow
def test_the_tolerance_is_measured(small_sam: str) -> None:
    found = tolerance.measure(small_sam, DATA, SOURCES, ("S1", "S2", "S5"), 4)
    assert found.images == 4
    by_name = {one.name: one for one in found.runs}
    exact = {name: one for name, one in by_name.items() if one.machine.numerics == "float32"}
    assert len(exact) >= 3
    for one in exact.values():  # batches, threads, and a GPU where there is one
        assert one.pairs < SHARED_BELOW
    rounded = by_name["cpu, bfloat16"]
    assert 0 < rounded.pairs <= rounded.objects
    assert rounded.changed > 0
    assert by_name["cpu, float32, embeddings float16"].objects < rounded.objects
