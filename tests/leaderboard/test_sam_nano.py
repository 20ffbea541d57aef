"""The small SAM that is shipped: what its card says holds, and its weights are what the recipe made."""

import csv
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from safetensors.torch import load_file
from segment_anything import SamPredictor

from cosmos1050k import sources
from leaderboard import finetuned, models, weights
from leaderboard.evaluate import EvaluateOptions, evaluate
from leaderboard.sam import network
from leaderboard.sam import weights as states
from leaderboard.strategies import STRATEGIES, prompts
from pipelines.nano import card, recipe
from tests.leaderboard.sam.images import picture

FILE = weights.shipped("sam_nano")
NANO = Path(recipe.PARAMS).parent


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(recipe.METRICS.read_text())
    return found


def test_the_weights_are_small_in_half_precision_and_the_declared_ones() -> None:
    assert FILE.stat().st_size < 10 * 2**20
    tensors = load_file(FILE)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    declared = models.kind("sam_nano").declaration
    assert declared.weights_sha256 == finetuned.tensors_sha256(FILE)
    assert declared.parameters == sum(value.numel() for value in network.build("nano").parameters())
    assert declared.kind == "demonstration"
    assert "no measure of SAM" in declared.description


def test_they_are_those_that_the_recipe_made_last() -> None:
    lock = yaml.safe_load((NANO / "dvc.lock").read_text())["stages"]
    (made,) = [out for out in lock["train"]["outs"] if out["path"].endswith("weights.safetensors")]
    assert made["md5"] == hashlib.md5(FILE.read_bytes(), usedforsecurity=False).hexdigest()
    lines = list(csv.DictReader(recipe.CURVE.read_text().splitlines()))
    assert int(lines[-1]["step"]) == recipe.load().train.steps
    assert float(lines[-1]["s5_oracle"]) > float(lines[0]["s5_oracle"])


def test_it_answers_as_the_owner_s_predictor_does() -> None:
    owner = network.build("nano")
    states.load(FILE, owner)
    image, box = picture(70, 100), [20, 10, 70, 50]
    predictor = SamPredictor(owner)
    predictor.set_image(image)
    logits, ratings, _ = predictor.predict(box=torch.tensor(box).numpy(), return_logits=True)
    model = models.get("sam_nano")
    (embedding,) = model.embed([image])
    (found,) = model.prompt(embedding, prompts(STRATEGIES["S5"], [{"box": box}]))
    clear = abs(logits) > 1e-3
    assert ((logits > 0) == found.masks)[clear].all()
    torch.testing.assert_close(torch.tensor(found.predicted_iou), torch.tensor(ratings), rtol=0, atol=1e-4)


def test_on_patients_never_seen_it_is_better_than_the_baselines(measured: dict[str, Any]) -> None:
    found = measured["patients never seen"]
    assert found["patients"] >= 30
    own = found["dice"]["sam_nano"]["S5"]
    for baseline in ("box", "grabcut"):
        assert own["low"] > found["dice"][baseline]["S5"]["high"]
    sample = measured["the sample's slabs never seen"]["dice"]
    assert sample["sam_nano"]["S5"]["oracle"] > max(
        sample[name]["S5"]["oracle"] for name in ("box", "grabcut")
    )


def test_more_prompts_are_better_and_its_ratings_mean_something(measured: dict[str, Any]) -> None:
    found = measured["patients never seen"]
    own = {name: one["oracle"] for name, one in found["dice"]["sam_nano"].items()}
    for dice in (own, found["same_images"]):
        assert dice["S4"] >= dice["S3"] >= dice["S2"] > dice["S1"]
    assert found["rated"]["all"] > 0.5


def test_the_card_says_what_it_was_trained_on(measured: dict[str, Any]) -> None:
    text = card.CARD.read_text()
    seen = measured["patients never seen"]["sources"]
    assert len(seen) > 40
    left_out = recipe.load().phantoms["left_out"].slugs
    assert not set(seen) & set(left_out)
    for words in (*seen, *left_out, "MNI152", "synthetic", "Apache-2.0", "say nothing about SAM"):
        assert words in text
    assert "{" not in text


def test_it_declares_what_its_card_and_its_recipe_say(measured: dict[str, Any]) -> None:
    declared = models.kind("sam_nano").declaration.trained_on
    seen = {source for source in sources.slugs() if declared.of(source) != "none"}
    assert {declared.of(source) for source in seen} == {"train"}
    assert declared.others == "none"
    data = card.CARD.read_text().split("## Data")[1].split("## ")[0]
    (phantoms,) = re.findall(r"nothing was used: (.*)\.\n", data)
    assert seen == {recipe.SAMPLE, *phantoms.split(", ")}
    lock = yaml.safe_load((NANO / "dvc.lock").read_text())["stages"]["train"]["params"]
    (left_out,) = [given["phantoms.left_out.sources"].split() for given in lock.values()]
    assert list(recipe.load().phantoms["left_out"].slugs) == left_out
    built = {recipe.SAMPLE, *measured["patients never seen"]["sources"]}
    assert not built & set(left_out)
    # All that was built, but for one whose few phantoms are none of the split train.
    assert built - seen == {"epfl_em"}
    assert seen < built


@pytest.mark.slow
def test_on_the_sample_it_is_better_than_the_baselines_here_too(sample: Path, project: Path) -> None:
    means = {}
    for name in ("sam_nano", "box", "grabcut"):
        options = EvaluateOptions(strategies=("S5",))
        evaluate(name, sample, Path(name), sources=["sample"], protocol_version=1, options=options, workers=2)
        scores = pq.read_table(Path(name) / "sample.parquet")
        means[name] = pc.mean(scores["dice_oracle"]).as_py()
    assert means["sam_nano"] > max(means["box"], means["grabcut"])
    assert means["sam_nano"] > 0.7
