"""Users' own checkpoints: made into models whole and right, or not at all."""

import hashlib
import io
import json
import resource
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from segment_anything import SamPredictor
from segment_anything.modeling import Sam as Network

from leaderboard import models
from leaderboard.contamination import TrainedOn
from leaderboard.finetuned import MODELS, adopt, base_of, described, record, tensors_sha256
from leaderboard.models.base import ALL
from leaderboard.sam.medsam import MedSam
from leaderboard.sam.segmenter import Sam
from leaderboard.weights import shipped
from tests.leaderboard.checkpoints import Hostile, decoder, make, pickled, refused, same, state
from tests.leaderboard.sam.images import SmallMedSam, picture, prompted, seeded, tiny

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def content() -> bytes:
    return pickled(state())


def left() -> list[str]:
    """What a call left in the folder of models, but for its locks."""
    return sorted(path.name for path in MODELS.iterdir() if path.suffix != ".lock")


def network_of(tensors: Mapping[str, torch.Tensor]) -> Network:
    made = seeded("tiny", 9)
    made.load_state_dict(tensors)
    return made


def agree(name: str, network: Network) -> None:
    """The model gives what the owner's predictor gives with this network."""
    image, given = picture(97, 64), prompted("S6", 4, 97, 64)
    model, predictor = models.get(name), SamPredictor(network)
    predictor.set_image(image)
    (embedding,) = model.embed([image])
    assert given.points is not None
    assert given.labels is not None
    assert given.boxes is not None
    for number, found in enumerate(model.prompt(embedding, given)):
        logits, ratings, _ = predictor.predict(
            given.points[number], given.labels[number], given.boxes[number], return_logits=True
        )
        clear = np.abs(logits) >= 1e-4
        assert (found.masks == (logits > 0))[clear].all()
        np.testing.assert_allclose(found.predicted_iou, ratings, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_a_whole_model(project: Path) -> None:
    tensors = tiny().state_dict()
    made = make(project, pickled(tensors), description="Trained on nothing.")
    assert left() == ["mine"]
    assert sorted(path.name for path in made.iterdir()) == ["model.json", "weights.safetensors"]
    assert same(load_file(made / "weights.safetensors"), tensors)
    declared = models.kind("mine").declaration
    assert (declared.name, declared.kind, declared.base) == ("mine", "finetuned", None)
    assert declared.description == "Trained on nothing."
    assert declared.parameters == sum(values.numel() for values in tiny().parameters())
    assert (declared.preprocessing, declared.candidates, declared.applies) == ("sam", 3, ALL)
    assert "mine" in models.names()
    models.kind("mine").check()
    agree("mine", tiny())


@pytest.mark.slow
def test_a_mask_decoder_on_its_base(project: Path) -> None:
    make(project, pickled(tiny().state_dict()), "whole")
    tensors = {n: t for n, t in tiny(1).state_dict().items() if n.startswith("mask_decoder.")}
    made = make(project, pickled(tensors), "part", base="whole", made_for=["S5"])
    assert same(load_file(made / "weights.safetensors"), tensors)
    declared = models.kind("part").declaration
    assert (declared.base, declared.made_for) == ("whole", ("S5",))
    agree("part", network_of({**tiny().state_dict(), **tensors}))
    own = models.kind("part").declaration.weights_sha256
    assert own not in (models.kind("whole").declaration.weights_sha256, tensors_sha256(record("part").path))


SEEN = TrainedOn(others="none", sources={"acdc": "all", "drive": "train"})


@pytest.mark.slow
def test_what_it_was_trained_on_is_declared(project: Path, content: bytes) -> None:
    make(project, content, trained_on=SEEN)
    assert record("mine").trained_on == SEEN
    assert models.kind("mine").declaration.trained_on == SEEN
    assert models.get("mine").declaration.trained_on == SEEN
    assert adopt(project / "given.bin", "mine", "tiny", trained_on=SEEN) == "there"
    with refused("mine", "another model", "remove it"):
        adopt(project / "given.bin", "mine", "tiny")


@pytest.mark.slow
def test_a_mask_decoder_saw_what_its_base_saw(project: Path, content: bytes) -> None:
    make(project, content, "whole", trained_on=SEEN)
    own = TrainedOn(others="none", sources={"drive": "all", "crag": "train"})
    part = pickled(decoder(1))
    make(project, part, "part", base="whole", trained_on=own)
    both = {"acdc": "all", "crag": "train", "drive": "all"}
    assert record("part").trained_on.model_dump() == {"others": "none", "sources": both}
    assert adopt(project / "given.bin", "part", base="whole", trained_on=own) == "there"
    weights = MODELS / "part/weights.safetensors"
    assert (
        described(weights, "again", "tiny", "whole", trained_on=own).trained_on == record("part").trained_on
    )
    assert described(weights, "alone", "tiny", None, trained_on=own).trained_on == own
    assert described(weights, "silent", "tiny", "whole").trained_on == TrainedOn()


@pytest.mark.slow
def test_on_a_base_of_the_platform_its_training_counts(project: Path) -> None:
    tensors = load_file(shipped("sam_nano"))
    part = {name: tensor for name, tensor in tensors.items() if name.startswith("mask_decoder.")}
    make(project, pickled(part), base="sam_nano", trained_on=TrainedOn(others="none"))
    found = models.kind("mine").declaration.trained_on
    assert found == models.kind("sam_nano").declaration.trained_on
    assert (found.of("drive"), found.of("camus")) == ("train", "none")


def test_a_record_that_says_nothing_of_it_is_read_as_unknown(project: Path, content: bytes) -> None:
    file = make(project, content, trained_on=SEEN) / "model.json"
    old = json.loads(file.read_text())
    del old["trained_on"]
    file.write_text(json.dumps(old))
    assert models.kind("mine").declaration.trained_on == TrainedOn()
    assert adopt(project / "given.bin", "mine", "tiny") == "there"


@pytest.mark.slow
def test_medsam_s_way(project: Path) -> None:
    make(project, pickled(tiny().state_dict()), preprocessing="medsam")
    declared = models.kind("mine").declaration
    assert (declared.preprocessing, declared.candidates, declared.applies) == ("medsam", 1, ALL[1:])
    assert set(declared.not_applicable) == {"S1"}
    model, image, given = models.get("mine"), picture(97, 64), prompted("S5", 3, 97, 64)
    assert isinstance(model, MedSam)
    other = SmallMedSam(deepcopy(tiny()))
    for one, two in zip(
        model.prompt(model.embed([image])[0], given),
        other.prompt(other.embed([image])[0], given),
        strict=True,
    ):
        assert np.array_equal(one.masks, two.masks)


@pytest.mark.slow
def test_one_candidate_in_sam_s_way(project: Path, content: bytes) -> None:
    make(project, content, candidates=1)
    model = models.get("mine")
    assert isinstance(model, Sam)
    (embedding,) = model.embed([picture(30, 40)])
    assert [len(found.masks) for found in model.prompt(embedding, prompted("S5", 2, 30, 40))] == [1, 1]


def printed(project: Path, code: str) -> list[str]:
    """The words that another process in the project's folder prints."""
    command, env = [sys.executable, "-c", code], {"PYTHONPATH": str(ROOT)}
    return subprocess.check_output(command, cwd=project, env=env).decode().split()


@pytest.mark.slow
def test_another_process_finds_it(project: Path, content: bytes) -> None:
    make(project, content)
    code = "from leaderboard import models; print(models.get('mine').declaration.weights_sha256)"
    assert printed(project, code) == [record("mine").weights_sha256]


@pytest.mark.slow
def test_the_names_need_no_torch(project: Path, content: bytes) -> None:
    make(project, content)
    code = (
        "import sys; from leaderboard import models; print('mine' in models.names(), 'torch' in sys.modules)"
    )
    assert printed(project, code) == ["True", "False"]


@pytest.mark.slow
def test_a_model_made_again_is_the_new_one(project: Path) -> None:
    make(project, pickled(state()))
    first = models.get("mine")
    assert models.get("mine") is first
    record_of_first = record("mine")
    for file in (MODELS / "mine").iterdir():
        file.unlink()
    (MODELS / "mine").rmdir()
    make(project, pickled(state(1)))
    second = models.get("mine")
    assert isinstance(second, Sam)
    assert same(dict(second.network.state_dict()), state(1))
    assert record("mine").weights_sha256 != record_of_first.weights_sha256


def test_what_a_killed_run_left_is_no_model(project: Path, content: bytes) -> None:
    make(project, content).rename(MODELS / ".mine.new")
    assert not [name for name in models.names() if "mine" in name]


# Sums


def test_the_sum_is_of_the_tensors_alone(tmp_path: Path) -> None:
    first, second, other = (tmp_path / name for name in "abc")
    one, two = torch.arange(6.0), torch.ones(3, 2, dtype=torch.bfloat16)
    save_file({"x": one, "y": two}, first)
    save_file({"y": two, "x": one}, second, metadata={"a": "b"})
    parts = (
        b'["x", "F32", [6]]',
        one.numpy().tobytes(),
        b'["y", "BF16", [3, 2]]',
        two.view(torch.int16).numpy(),
    )
    expected = hashlib.sha256(b"".join(bytes(part) for part in parts)).hexdigest()
    assert tensors_sha256(first) == tensors_sha256(second) == expected
    for changed in ({"x": one + 1, "y": two}, {"z": one, "y": two}, {"x": one.reshape(2, 3), "y": two}):
        save_file(changed, other)
        assert tensors_sha256(other) != expected


def test_changed_weights_are_never_scored_under_the_old_sum(project: Path, content: bytes) -> None:
    made = make(project, content, description="Soon another.")
    save_file(state(1), made / "weights.safetensors")
    with refused("weights.safetensors", "other weights than those of its model.json"):
        models.kind("mine").check()
    with refused("weights.safetensors", "other weights"):
        models.get("mine")


@pytest.mark.slow
def test_a_base_that_was_made_anew_is_another_base(project: Path, content: bytes) -> None:
    whole = make(project, content, "whole")
    make(project, pickled(decoder(1)), "part", base="whole")
    models.kind("part").check()
    for file in whole.iterdir():
        file.unlink()
    whole.rmdir()
    with refused("no model is called 'whole'"):
        models.kind("part").check()
    make(project, pickled(state(2)), "whole")
    with refused("part/weights.safetensors", "whole is not what it was made on"):
        models.kind("part").check()


# Refusals


def test_a_second_call_does_nothing_and_another_file_is_refused(project: Path, content: bytes) -> None:
    made = make(project, content) / "weights.safetensors"
    before = made.stat().st_mtime_ns
    assert adopt(project / "given.bin", "mine", "tiny") == "there"
    (project / "other.bin").write_bytes(pickled(state(1)))
    for file, more in (("other.bin", {}), ("given.bin", {"made_for": ["S5"]})):
        with refused("mine", "another model", "remove it"):
            adopt(project / file, "mine", "tiny", **more)
    assert made.stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["", "../evil", "Mine", "a b", "-x", "x" * 65])
def test_a_name_is_a_plain_one(project: Path, content: bytes, name: str) -> None:
    with refused("--name", "match"):
        make(project, content, name)


@pytest.mark.parametrize("name", ["medsam", "box"])
def test_a_name_of_the_platform_is_not_for_one_s_own(project: Path, content: bytes, name: str) -> None:
    with refused(f"--name {name}", "choose another"):
        make(project, content, name)
    (MODELS / name).mkdir(parents=True)
    (MODELS / name / "model.json").write_text("{}")
    with refused(f"{MODELS / name}", "rename it"):
        models.kind(name)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"architecture": "vit_x"}, ["--architecture", "'vit_x'", "vit_b"]),
        ({"preprocessing": "other"}, ["--preprocessing"]),
        ({"candidates": 2}, ["--candidates"]),
        ({"preprocessing": "medsam", "candidates": 3}, ["one candidate"]),
        ({"preprocessing": "medsam", "made_for": ["S1"]}, ["not made for S1"]),
        ({"made_for": ["S9"]}, ["--made-for"]),
        ({"made_for": []}, ["--made-for"]),
        ({"base": "sam_vit_b"}, ["sam_vit_b.safetensors: missing", "cosmos weights sam_vit_b"]),
        ({"base": "nobody"}, ["'nobody'", "sam_vit_b"]),
    ],
)
def test_what_cannot_be_is_one_line(
    project: Path, content: bytes, given: dict[str, Any], words: list[str]
) -> None:
    with refused(*words):
        make(project, content, **given)
    assert not MODELS.exists() or left() == []


@pytest.mark.slow
def test_a_mask_decoder_needs_a_whole_model(project: Path, content: bytes) -> None:
    with refused("given.bin", "a mask decoder alone", "--base"):
        make(project, pickled(decoder()))
    make(project, content, "whole")
    make(project, pickled(decoder()), "part", base="whole")
    with refused("part", "mask decoder on whole itself"):
        make(project, pickled(decoder()), "third", base="part")
    with refused("given.bin", "has a tensor"):
        make(project, content, "third", base="whole")
    assert base_of("whole").architecture == "tiny"
    assert left() == ["part", "whole"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "other"}, ["is the record of 'other'"]),
        ({"colour": "red"}, ["colour"]),
        ({"weights_sha256": "x"}, ["weights_sha256"]),
        ({"trained_on": {"others": "some"}}, ["trained_on"]),
    ],
)
def test_a_record_that_is_none_is_one_line(
    project: Path, content: bytes, change: dict[str, Any], words: list[str]
) -> None:
    file = make(project, content) / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with refused(str(file), *words):
        models.kind("mine")


def test_missing_weights_are_one_line(project: Path, content: bytes) -> None:
    (make(project, content) / "weights.safetensors").unlink()
    with refused("mine/weights.safetensors: missing", "remove", "--name mine --architecture tiny"):
        models.kind("mine").check()


def test_a_hostile_pickle_runs_nothing(project: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    for legacy in (False, True):
        content = {**state(), "x": Hostile(f"touch {ran}")}
        with refused("given.bin", "more than tensors", "posix.system"):
            make(project, pickled(content, _use_new_zipfile_serialization=not legacy))
    assert not ran.exists()
    assert left() == []


@pytest.mark.slow
def test_what_does_not_fit_leaves_nothing(project: Path) -> None:
    given = state()
    del given["image_encoder.pos_embed"]
    with refused("given.bin", "lacks the tensor 'image_encoder.pos_embed'"):
        make(project, pickled(given))
    assert left() == []


@pytest.mark.slow
@pytest.mark.slow
def test_a_small_file_can_t_take_all_memory(project: Path) -> None:
    """Eight gigabytes of zeros, packed into a few megabytes."""
    bomb = project / "bomb.pth"
    plain = io.BytesIO(pickled({"mask_decoder.x": torch.zeros(8)}))
    with (
        zipfile.ZipFile(plain) as source,
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as to,
    ):
        for info in source.infolist():
            with to.open(info.filename, "w", force_zip64=True) as stream:
                if "/data/" not in info.filename:
                    stream.write(source.read(info))
                    continue
                for _ in range(8 * 2**10):
                    stream.write(bytes(2**20))
    with refused(str(bomb), "no checkpoint"):
        adopt(bomb, "mine", "tiny")
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 6 * 2**20  # kilobytes


def test_a_fault_of_the_program_is_no_fault_of_the_file(
    project: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "leaderboard").mkdir()
    (project / "leaderboard/__init__.py").write_text("raise SystemError('broken')")
    with pytest.raises(RuntimeError, match="broken"):
        make(project, content, description="Made by nobody before.")
