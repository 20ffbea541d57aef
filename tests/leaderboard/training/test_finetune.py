"""Finetuning from end to end: what it sees, what a kill leaves, what it writes."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from cosmos1050k import shards, splits
from leaderboard import finetuned, models
from leaderboard.contamination import TrainedOn
from leaderboard.evaluate import EvaluateOptions, evaluate
from leaderboard.sam.segmenter import Sam
from leaderboard.training import finetune as room
from leaderboard.training.examples import Example, Examples
from leaderboard.training.finetune import finetune
from leaderboard.training.options import FinetuneOptions
from leaderboard.training.tuner import Tuner
from tests.leaderboard import dataset
from tests.leaderboard.checkpoints import refused
from tests.leaderboard.sam.images import tiny

DATA, MODELS = Path("built"), finetuned.MODELS
SOURCES = ("drive", "stare")
#: What the small network is said to have seen before.
BEFORE = TrainedOn(others="none", sources={"acdc": "all", "stare": "all"})
SPLITS = ("train", "train", "validation", "test", "train", "test")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources of six patients in three splits, of several shards, and the small network as a model."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        for number, source in enumerate(SOURCES):
            own = {f"patient{place}": split for place, split in enumerate(SPLITS)}
            cases = dataset.cases(len(SPLITS), seed=number, slices=1)
            split = [replace(case, split=own[case.patient]) for case in cases]
            dataset.build(DATA, source, split, shard_bytes=dataset.ONE_CASE)
        save_file(dict(tiny().state_dict()), "small.safetensors")
        finetuned.adopt(Path("small.safetensors"), "small", "tiny", trained_on=BEFORE)
    return folder


@pytest.fixture
def data(made: Path, project: Path) -> Path:
    """A copy of it, in which the test runs."""
    shutil.copytree(made, project, dirs_exist_ok=True)
    return project


def run(name: str = "tuned", store: str = "store", **options: Any) -> dict[str, torch.Tensor]:
    """The tensors of a model finetuned from the small network."""
    given = FinetuneOptions.model_validate({"base": "small", "epochs": 2, "rate": 1e-3, **options})
    finetune(MODELS / name, given, data=DATA, sources=SOURCES, store=Path(store))
    return load_file(MODELS / name / "weights.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def rows(split: str) -> Iterator[dict[str, Any]]:
    for source in SOURCES:
        for case in shards.load_cases(DATA / source):
            for row in shards.read_case(DATA / source, case).to_pylist():
                if row["split"] == split:
                    yield row


def groups(found: list[tuple[str, str]]) -> set[str]:
    return {splits.group_of(source, patient) for source, patient in found}


def test_it_trains_on_train_chooses_on_validation_and_never_sees_test(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[Example]] = {"train": [], "validation": [], "encoded": []}
    step, validated, features = Tuner.step, Tuner.validated, Sam.features
    read = {example.image.tobytes(): example for split in ("train", "validation") for example in _all(split)}

    def stepped(self: Tuner, batch: list[Example], random: Any) -> float:
        seen["train"] += batch
        return step(self, batch, random)

    def chosen(self: Tuner, examples: Any) -> dict[str, float]:
        listed = list(examples)
        seen["validation"] += listed
        return validated(self, listed)

    def encoded(self: Sam, images: Any) -> Any:
        seen["encoded"] += [read[image.tobytes()] for image in images]  # KeyError: an image of neither
        return features(self, images)

    monkeypatch.setattr(Tuner, "step", stepped)
    monkeypatch.setattr(Tuner, "validated", chosen)
    monkeypatch.setattr(Sam, "features", encoded)
    run()
    for split in ("train", "validation"):
        ids = [example.image_id for example in seen[split]]
        assert set(ids) == {row["image_id"] for row in rows(split)}
        assert len(ids) == len(set(ids)) * (2 if split == "train" else 3)  # epochs; and the base before them
    test = groups([(row["source"], row["patient"]) for row in rows("test")])
    for examples in seen.values():
        assert not test & groups([(example.source, example.patient) for example in examples])
    assert test


def _all(split: Any) -> list[Example]:
    return list(Examples(DATA, SOURCES, split))


@pytest.mark.parametrize("stop", [3, *(pytest.param(stop, marks=pytest.mark.slow) for stop in (0, 6, 9))])
def test_a_killed_run_ends_with_the_same_weights(
    data: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """Killed at a step, in either epoch; what it kept is of the step before, or of another before that."""
    options: dict[str, Any] = {"box_jitter": 3, "points": 0.5}
    expected = run("whole", "other", **options)
    step, done = Tuner.step, 0

    def killed(self: Tuner, *given: Any) -> float:
        nonlocal done
        if done == stop:
            raise KeyboardInterrupt
        done += 1
        return step(self, *given)

    monkeypatch.setattr(Tuner, "step", killed)
    monkeypatch.setattr(room, "_SAVE_S", -1.0 if stop % 2 else 1e9)
    with pytest.raises(KeyboardInterrupt):
        run(**options)
    assert not (MODELS / "tuned").exists()
    monkeypatch.setattr(Tuner, "step", step)
    assert same(run(**options), expected)


@pytest.mark.slow
def test_images_are_encoded_once_however_many_epochs(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0
    forward = type(tiny().image_encoder).forward

    def counted(self: Any, batch: torch.Tensor) -> torch.Tensor:
        nonlocal count
        count += len(batch)
        found: torch.Tensor = forward(self, batch)
        return found

    monkeypatch.setattr(type(tiny().image_encoder), "forward", counted)
    images = sum(1 for split in ("train", "validation") for _ in rows(split))
    once = run(epochs=3)
    assert count == images
    run("again", "other", epochs=4)
    assert count == images  # the folder of embeddings serves the next run too
    count = 0
    assert same(run("never", "third", epochs=3, embeddings_gb=0), once)  # rounded the same way
    assert count > 3 * images / 2


def test_more_embeddings_than_may_be_kept_is_said(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = run(epochs=1)
    for path in Path("data/embeddings").rglob("*.safetensors"):
        path.unlink()
    assert same(run("little", "other", epochs=1, embeddings_gb=1e-4), kept)
    (line,) = [record.getMessage() for record in caplog.records if "embeddings_gb" in record.getMessage()]
    assert "0.0001 GB" in line
    assert 0 < sum(path.stat().st_size for path in Path("data/embeddings").rglob("*.safetensors")) < 1.1e5


def test_only_the_mask_decoder_changes_and_the_model_can_be_scored(data: Path) -> None:
    tensors = run()
    base = tiny().state_dict()
    assert tensors.keys() == {name for name in base if name.startswith("mask_decoder.")}
    assert not same(tensors, {name: base[name] for name in tensors})
    record = finetuned.record("tuned")
    assert (record.base, record.candidates, record.made_for) == ("small", 3, ("S5",))
    model = models.get("tuned")
    assert isinstance(model, Sam)
    expected = {**base, **tensors}
    assert same(dict(model.network.state_dict()), expected)
    run_ = evaluate(
        "tuned", DATA, Path("scores"), sources=SOURCES, protocol_version=1, workers=1,
        options=EvaluateOptions(strategies=("S5",)),
    )  # fmt: skip
    assert not any(source.failed_images for source in run_.sources.values())


def test_the_best_epoch_s_weights_are_kept_with_its_curve_and_card(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dices = iter([0.5, 0.7, 0.9, 0.8])
    weights: list[dict[str, torch.Tensor]] = []

    def validated(self: Tuner, examples: Any) -> dict[str, float]:
        weights.append({name: value.clone() for name, value in self.weights().items()})
        return {"Liver-CT": next(dices)}

    monkeypatch.setattr(Tuner, "validated", validated)
    tensors = run(epochs=3)
    assert same(tensors, weights[2])
    assert not same(tensors, weights[3])
    folder = MODELS / "tuned"
    curve = [line.split(",") for line in (folder / "curve.csv").read_text().splitlines()]
    assert [line[::2] for line in curve] == [
        ["epoch", "dice"], ["0", "50.00"], ["1", "70.00"], ["2", "90.00"], ["3", "80.00"],
    ]  # fmt: skip
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["validation_dice"] == {"before": 50.0, "after": 90.0}
    card = (folder / "README.md").read_text()
    versions = [shards.load_manifest(DATA / source).version for source in SOURCES]
    for words in (
        "base_model: small", "epoch 2 of 3", "| 2 |", *SOURCES, *(version[:12] for version in versions),
        shards.dataset_version(dict(zip(SOURCES, versions, strict=True))), "| rate | 0.001 |",
    ):  # fmt: skip
        assert words in card
    assert "no better than its base" not in card


@pytest.mark.parametrize("options", [{}, {"lora_rank": 2}])
def test_it_says_what_it_and_its_base_were_trained_on(data: Path, options: dict[str, Any]) -> None:
    if options:
        pytest.importorskip("peft")
    run(epochs=1, **options)
    seen = {"acdc": "all", "drive": "train", "stare": "all"}
    assert finetuned.record("tuned").trained_on.model_dump() == {"others": "none", "sources": seen}
    assert models.kind("tuned").declaration.trained_on == finetuned.record("tuned").trained_on
    line = "the split train of drive; all of acdc, stare; nothing of any other source."
    assert line in (MODELS / "tuned/README.md").read_text()


@pytest.mark.slow
def test_on_a_base_that_says_nothing_all_is_unknown(data: Path) -> None:
    finetuned.adopt(data / "small.safetensors", "silent", "tiny")
    run(base="silent", epochs=1)
    assert finetuned.record("tuned").trained_on == TrainedOn()
    assert "an unknown part of any source." in (MODELS / "tuned/README.md").read_text()


def test_a_model_that_gained_nothing_says_so(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tuner, "validated", lambda self, examples: {"Liver-CT": 0.5})
    run(epochs=1)
    assert "no better than its base" in (MODELS / "tuned/README.md").read_text()


def test_what_can_t_be_done_is_one_line_and_nothing_is_lost(data: Path) -> None:
    with refused("'nothing'", "known are", "sam_nano", "small"):
        run(base="nothing")
    with refused("box", "a model of the platform has that name"):
        run("box")
    with refused("A-b", "small letters"):
        run("A-b")
    with refused("no model", "'box'"):
        run(base="box")
    with refused("built/crag", "cosmos build crag"):
        run(sources=("crag",))
    shutil.copytree(MODELS / "small", MODELS / "other")
    with refused("data/models/other", "holds another model"):
        run("other")
    shutil.rmtree(MODELS / "other")
    assert same(load_file(MODELS / "small/weights.safetensors"), dict(tiny().state_dict()))
    run()
    run(seed=1)  # in the place of the last
    with refused("tuned", "mask decoder on small itself"):
        run("other", base="tuned")


def test_a_source_without_training_images_is_one_line(data: Path) -> None:
    cases = [replace(case, split="test") for case in dataset.cases(2)]
    dataset.build(DATA, "crag", cases)
    with refused("crag: no image of the split train"):
        run(sources=("crag",))


def test_adapters_on_the_encoder_are_merged_into_a_whole_model(data: Path) -> None:
    pytest.importorskip("peft")
    tensors, base = run(lora_rank=2, epochs=1), tiny().state_dict()
    assert tensors.keys() == base.keys()
    changed = {name for name in base if not torch.equal(base[name], tensors[name])}
    encoder = {name for name in changed if name.startswith("image_encoder.")}
    assert encoder == {
        f"image_encoder.blocks.{block}.attn.{part}.weight" for block in (0, 1) for part in ("qkv", "proj")
    }
    for name in encoder:  # of the rank that was asked for
        assert torch.linalg.matrix_rank((tensors[name] - base[name]).double(), rtol=1e-4) <= 2
    assert finetuned.record("tuned").base is None
    assert same(dict(models.get("tuned").network.state_dict()), tensors)  # type: ignore[attr-defined]


def test_a_model_is_never_put_in_the_place_of_its_base(data: Path) -> None:
    with refused("data/models/small", "would take the place of its base"):
        run("small")
    (data / "elsewhere").mkdir()
    (MODELS / "linked").symlink_to(data / "elsewhere")
    with refused("data/models/linked", "a link"):
        run("linked")


@pytest.mark.slow
def test_a_state_of_another_base_is_not_gone_on_with(data: Path) -> None:
    """Equal weights that are asked otherwise are another base."""
    finetuned.adopt(data / "small.safetensors", "squeezed", "tiny", preprocessing="medsam")
    assert not same(run("one", epochs=1), run("two", base="squeezed", epochs=1))
