"""Click models of ONNX: added whole and tried, or not at all; asked, they answer what their graph says."""

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from cosmos1050k import sources
from cosmos1050k.errors import InputError
from leaderboard import finetuned, models, score
from leaderboard.click_models import CLICK_MODELS, add, record
from leaderboard.click_segmenter import ClickSegmenter, placed
from leaderboard.contamination import TrainedOn
from leaderboard.demo.engine import Engine
from leaderboard.demo.prompting import Offer, Picture, Prompt
from leaderboard.models.base import Interactive
from leaderboard.own_models import RECORD
from leaderboard.strategies import NEGATIVE, PADDING, POSITIVE, STRATEGIES, Prompts, prompts
from leaderboard.submissions import checkpoint
from leaderboard.submissions.refusals import Refused
from tests.leaderboard import dataset
from tests.leaderboard.click_graphs import INSIDE, OUTSIDE, discs, mask_of_discs, saved
from tests.leaderboard.dataset import HEIGHT, WIDTH, SmallCase, Thing, disc, rectangle

SIZE = (HEIGHT, WIDTH)


def added(project: Path, graph: onnx.ModelProto | None = None, **more: Any) -> ClickSegmenter:
    """The model `clicked`, by default of discs of five pixels, ready."""
    assert add(saved(project / "given.onnx", graph or discs(5)), "clicked", **more) == "made"
    made = models.get("clicked")
    assert isinstance(made, ClickSegmenter)
    return made


def refused(file: Path, *words: str, name: str = "clicked", **more: Any) -> None:
    """Adding it ends in one line that holds these words, and leaves nothing."""
    before = sorted(CLICK_MODELS.glob("[!.]*"))
    with pytest.raises(InputError) as error:
        add(file, name, **more)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)
    assert sorted(CLICK_MODELS.glob("[!.]*")) == before
    assert not list(CLICK_MODELS.glob(".*.new"))


def asked(*objects: Sequence[tuple[int, int, bool]]) -> Prompts:
    points = np.array([[click[:2] for click in clicks] for clicks in objects], np.int32)
    labels = np.array(
        [[POSITIVE if click[2] else NEGATIVE for click in clicks] for clicks in objects], np.int8
    )
    return Prompts(points, labels, None)


# Adding


def test_what_is_added_is_a_model_that_declares_itself(project: Path) -> None:
    made = added(project, description="Discs.", trained_on=TrainedOn(others="none", sources={"camus": "all"}))
    folder = CLICK_MODELS / "clicked"
    assert sorted(path.name for path in CLICK_MODELS.iterdir() if path.suffix != ".lock") == ["clicked"]
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.onnx"]
    content = (project / "given.onnx").read_bytes()
    assert (folder / "model.onnx").read_bytes() == content
    assert (
        json.loads((folder / "model.json").read_text())["file_sha256"] == hashlib.sha256(content).hexdigest()
    )
    declared = made.declaration
    assert declared == models.kind("clicked").declaration == record("clicked").declaration
    assert (declared.name, declared.kind, declared.description) == ("clicked", "baseline", "Discs.")
    assert (declared.candidates, declared.applies) == (1, ("S2", "S3", "S4"))
    assert set(declared.not_applicable) == {"S1", "S5", "S6"}
    assert all(declared.not_applicable.values())
    assert {slug for slug in sources.slugs() if declared.trained_on.of(slug) != "none"} == {"camus"}
    assert "clicked" in models.names()
    assert "clicked" not in finetuned.names()
    assert isinstance(made, Interactive)


def test_the_same_again_is_there_and_anything_else_is_another_model(project: Path) -> None:
    made = added(project)
    assert add(project / "given.onnx", "clicked") == "there"
    another = "another model; remove it, or choose another --name"
    refused(project / "given.onnx", f"{CLICK_MODELS}/clicked: {another}", mean=(0.5, 0.5, 0.5))
    refused(saved(project / "other.onnx", discs(6)), another)
    (project / CLICK_MODELS / "clicked").rename(project / "away")
    changed = added(project, mean=(0.5, 0.5, 0.5))
    # What decides a mask is in the key of every score.
    assert changed.declaration.weights_sha256 != made.declaration.weights_sha256


def test_a_graph_of_every_size_is_given_one(project: Path) -> None:
    file = saved(project / "free.onnx", discs(5, ("height", "width")))
    refused(file, "--side: the graph takes every size; say which it was trained on, such as 448")
    refused(file, "--side: Input should be less than or equal to 4096", side=5000)
    assert add(file, "clicked", side=32) == "made"
    assert (record("clicked").height, record("clicked").width) == (32, 32)
    refused(saved(project / "fixed.onnx", discs(5)), "--side: the graph has a size of its own", side=32)


def test_names_are_taken_once(project: Path) -> None:
    file = saved(project / "given.onnx", discs(5))
    refused(file, "--name box: another model has that name", name="box")
    refused(file, "--name ../up: must be lower-case letters", name="../up")
    assert add(file, "box2") == "made"
    (CLICK_MODELS / "box2").rename(CLICK_MODELS / "box")
    with pytest.raises(InputError, match=r"^data/click_models/box: a model of the platform has that name"):
        models.kind("box")
    (CLICK_MODELS / "box").rename(CLICK_MODELS / "twice")
    (finetuned.MODELS / "twice").mkdir(parents=True)
    (finetuned.MODELS / "twice" / RECORD).write_text("{}")
    with pytest.raises(
        InputError, match=r"^data/click_models/twice: a finetuned model has that name; rename"
    ):
        models.kind("twice")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mean": (0, 0, 99)}, "--mean: Input should be less than or equal to 10"),
        ({"deviation": (1, 1, 0)}, "--deviation: Input should be greater than 0"),
        ({"mean": (float("nan"), 0, 0)}, "--mean: "),
        ({"description": "two\nlines"}, "--description: String should match"),
    ],
)
def test_a_wrong_option_is_one_line(project: Path, changes: dict[str, Any], words: str) -> None:
    refused(saved(project / "given.onnx", discs(5)), words, **changes)


NODE = helper.make_node
LOW = [NODE("Sub", ["levels", "scale"], ["fewer"]), NODE("Sub", ["fewer", "half"], ["below"])]
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "logits": (
        {"end": [NODE("Sub", ["levels", "half"], ["probabilities"])]},
        "gives values outside 0…1, not probabilities: it lacks a sigmoid at its end",
    ),
    "nan": ({"end": [*LOW, NODE("Sqrt", ["below"], ["probabilities"])]}, "gives NaN or infinity"),
    "one mask for each sign": (
        {"end": [NODE("Concat", ["levels", "levels"], ["probabilities"], axis=1)],
         "outputs": {"probabilities": (1, 2, 48, 64)}},
        "gives 1 × 2 × 48 × 64, not 1 × 1 × 48 × 64",
    ),
    "another output": (
        {"outputs": {"probabilities": (1, 1, 48, 64), "levels": (1, 1, 48, 64)}}, "has 2 outputs, not one",
    ),
    "another input": (
        {"inputs": {"box": (1, 4)}}, "has the inputs image, mask, clicks, box, not image, mask, clicks",
    ),
    "four channels": ({"inputs": {"image": (1, 4, 48, 64)}}, "takes image as 1 × 4 × 48 × 64, not 1 × 3 × "),
    "doubles": (
        {"end": [NODE("Cast", ["levels"], ["probabilities"], to=TensorProto.DOUBLE)],
         "kinds": {"probabilities": TensorProto.DOUBLE}},
        "has probabilities as tensor(double), not tensor(float)",
    ),
    "clicks without an order": ({"inputs": {"clicks": (1, "n", 2)}}, "takes clicks as 1 × n × 2, not 1"),
    "few clicks": ({"clicks": 8}, "takes 8 clicks alone, not any number of them, or 40 and more"),
    "one free side": ({"size": (48, "width")}, "takes pictures of one height and any width"),
    "blind to clicks": (
        {"end": [NODE("Sigmoid", ["mask"], ["probabilities"])]},
        "gives the same mask for a click on the left and one on the right",
    ),
    "masks of another size": ({"inputs": {"mask": (1, 1, 24, 64)}}, "fails on a picture ("),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_graph_that_is_no_click_model_is_refused(project: Path, name: str) -> None:
    changes, words = FAULTS[name]
    file = saved(project / "wrong.onnx", discs(5, **changes))
    refused(file, f"{file}: {words}", "; export it as docs/click_models.md says")


def test_a_file_that_is_no_graph_is_refused(project: Path) -> None:
    given = project / "given.onnx"
    refused(given, "given.onnx: can't be read", "No such file")
    refused(project, "can't be read or written", "Is a directory")
    given.write_bytes(b"")
    refused(given, "given.onnx: is no graph that onnxruntime can load (")
    given.write_bytes(b"\x80\x04}q\x00." * 9)
    refused(given, "given.onnx: is no graph that onnxruntime can load (")
    given.write_bytes(discs(5).SerializeToString()[:-300])
    refused(given, "given.onnx: is no graph that onnxruntime can load (")
    onnx.save_model(discs(5), given, save_as_external_data=True, location="more.bin", size_threshold=0)
    assert (project / "more.bin").exists()
    refused(given, "given.onnx: keeps its weights in another file, not in itself; export it")


def test_what_changed_since_is_not_run(project: Path) -> None:
    added(project)
    graph, file = CLICK_MODELS / "clicked" / "model.onnx", CLICK_MODELS / "clicked" / "model.json"
    kind = models.kind("clicked")
    kind.check()
    saved(graph, discs(6))
    with pytest.raises(InputError, match=r"model\.onnx: another graph than that of its model\.json; remove"):
        kind.check()
    graph.write_bytes(b"of another release")
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"file_sha256": hashlib.sha256(graph.read_bytes()).hexdigest()}))
    with pytest.raises(
        InputError, match=r"model\.onnx: is no graph that onnxruntime can load .*; remove data/cl"
    ):
        models.get("clicked")
    graph.unlink()
    with pytest.raises(
        InputError, match=r"model\.onnx: missing; remove data/click_models/clicked and run `cosmos add"
    ):
        kind()
    file.write_text(file.read_text().replace("{", '{"more": 1,', 1))
    with pytest.raises(InputError, match=r"^data/click_models/clicked/model\.json: more: Extra inputs"):
        models.kind("clicked")


def test_without_onnxruntime_it_says_what_to_install(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = saved(project / "given.onnx", discs(5))
    add(file, "known")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match="click models need the package onnxruntime; run `pip install"):
        models.kind("known").check()
    refused(file, "click models need the package onnxruntime; run `pip install -e '.[clicks]'`")


def test_nobody_can_submit_one(project: Path) -> None:
    file = saved(project / "given.onnx", discs(5))
    with pytest.raises(Refused, match=r"^an ONNX graph; only who runs the platform can add one, ") as error:
        checkpoint.check(file, "vit_b", 10**9)
    assert error.value.code == "no-safetensors"


# Answers


def test_clicks_are_placed_as_the_networks_take_them() -> None:
    points = np.array([[10, 20], [30, 6], [-1, -1], [7, 8]], np.int32)
    labels = np.array([POSITIVE, NEGATIVE, PADDING, POSITIVE], np.int8)
    found = placed(points, labels, np.array([2.0, 0.5]))
    assert found.dtype == np.float32
    none = [-1, -1, -1]
    # (y, x, order): the positive ones, then the negative; padding is no click and has no place in the order.
    assert found.tolist() == [[[40, 5, 0], [16, 3.5, 2], [12, 15, 1], none]]
    found = placed(points, labels, np.ones(2), slots=3)
    assert found.tolist() == [[[20, 10, 0], [8, 7, 2], none, [6, 30, 1], none, none]]
    with pytest.raises(ValueError, match="the graph takes 1 clicks of a sign, not 2"):
        placed(points, labels, np.ones(2), slots=1)


def test_a_mask_fed_back_is_gone_on_from(project: Path) -> None:
    model = added(project)
    (embedding,) = model.embed([np.zeros((*SIZE, 3), np.uint8)])
    first = [[(20, 12, True)], [(50, 30, True)]]
    answers = list(model.prompt(embedding, asked(*first)))
    for answer, clicks in zip(answers, first, strict=True):
        assert (answer.masks[0] == mask_of_discs(clicks, 5, SIZE)).all()
        assert answer.masks.shape == (1, *SIZE)
        assert answer.predicted_iou.tolist() == [1]
        assert set(np.unique(answer.low)) == {np.float32(INSIDE), np.float32(OUTSIDE)}
    second = [[(20, 12, True), (23, 12, False)], [(50, 30, True), (40, 30, True)]]
    # Of other masks than those clicks make: it is the mask given that counts.
    before = [np.roll(answer.masks[0], 9, axis=1) for answer in answers]
    low = np.stack([np.where(mask, INSIDE, OUTSIDE).astype(np.float32) for mask in before])
    for answer, clicks, mask in zip(
        model.refine(embedding, asked(*second), low), second, before, strict=True
    ):
        assert (answer.masks[0] == mask_of_discs(clicks, 5, SIZE, mask)).all()
    for wrong in (low[:, :24], low[:1], low + 1, np.full_like(low, np.nan)):
        with pytest.raises(
            InputError, match="the mask of the round before must be probabilities 2×48×64 of this"
        ):
            list(model.refine(embedding, asked(*second), wrong))


def test_a_picture_of_another_size_is_stretched_and_its_mask_stretched_back(project: Path) -> None:
    model = added(project, discs(5, (48, 48), clicks=40))
    picture = np.zeros((96, 144, 3), np.uint8)
    (embedding,) = model.embed([picture])
    (answer,) = model.prompt(embedding, asked([(60, 40, True), (60, 60, False)]))
    ys, xs = np.indices((96, 144))
    far = ((ys / 2 - 20) ** 2 + (xs / 3 - 20) ** 2, (ys / 2 - 30) ** 2 + (xs / 3 - 20) ** 2)
    assert answer.masks[0][(far[0] < 3.5**2) & (far[1] > 6.5**2)].all()
    assert not answer.masks[0][(far[0] > 6.5**2) | (far[1] < 3.5**2)].any()
    assert answer.low.shape == (1, 48, 48)
    with pytest.raises(ValueError, match="takes 20 clicks of a sign, not 21"):
        list(model.prompt(embedding, asked([(60, 40, True)] * 21)))


def test_the_picture_is_normalised_as_the_record_says(project: Path) -> None:
    # The mean of the picture that it is given, everywhere, and of the clicks too little to tell.
    end = [
        NODE("Constant", [], ["tiny"], value_float=5e-7), NODE("Mul", ["levels", "tiny"], ["nothing"]),
        NODE("Add", ["nothing", "mean"], ["probabilities"]),
    ]  # fmt: skip
    model = added(project, discs(5, end=end), mean=(-0.1, 0.0, 0.1), deviation=(2.0, 4.0, 8.0))
    picture = np.full((*SIZE, 3), (51, 102, 204), np.uint8)
    (embedding,) = model.embed([picture])
    (answer,) = model.prompt(embedding, asked([(1, 1, True)]))
    expected = np.mean([(0.2 + 0.1) / 2, 0.4 / 4, (0.8 - 0.1) / 8])
    np.testing.assert_allclose(answer.low, expected, atol=1e-6)
    assert not answer.masks.any()


@pytest.mark.parametrize("box", [True, False])
def test_a_box_is_not_taken(project: Path, box: bool) -> None:
    model = added(project)
    (embedding,) = model.embed([np.zeros((*SIZE, 3), np.uint8)])
    given = asked([(20, 12, True)])
    boxes = np.array([[1, 1, 9, 9]], np.int32)
    with pytest.raises(ValueError, match="the model clicked takes points alone"):
        list(model.prompt(embedding, Prompts(given.points if box else None, given.labels, boxes)))


def test_it_is_scored_under_the_strategies_of_points(project: Path) -> None:
    model = added(project)
    masks = [disc(20, 20, 9), rectangle(40, 4, 60, 12)]
    things = tuple(Thing("Liver", mask) for mask in masks)
    rows = dataset.rows("first", SmallCase("case", "patient", ((np.zeros(SIZE, np.uint8), things),)))
    found = score.score(model, rows, tuple(STRATEGIES), "version").to_pylist()
    assert [row["strategy"] for row in found] == ["S2", "S3", "S4"] * 2
    objects = rows["objects"].to_pylist()[0]
    for row in found:
        given = prompts(STRATEGIES[row["strategy"]], objects)
        assert given.points is not None
        assert given.labels is not None
        number = row["object_index"]
        points, labels = given.points[number].tolist(), given.labels[number].tolist()
        clicks = [
            (x, y, label == POSITIVE)
            for (x, y), label in zip(points, labels, strict=True)
            if label != PADDING
        ]
        mask, truth = mask_of_discs(clicks, 5, SIZE), masks[number]
        dice = 2 * (mask & truth).sum() / (mask.sum() + truth.sum())
        assert row["status"] == "scored"
        assert row["dice_oracle"] == row["dice_predicted_iou"] == pytest.approx(dice)
        assert 0.1 < dice < 1


def test_the_demo_offers_it_with_feedback(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "modules", lambda: ["box"])  # the others take seconds to import
    added(project)
    engine = Engine()
    offers = {offer.name: offer for offer in engine.offers()}
    assert offers["clicked"] == Offer("clicked", everything=False, feedback=True, limits="takes points alone")
    picture = Picture(np.zeros(SIZE, np.uint8))
    clicks = [(20, 12, True), (24, 12, False)]
    first = engine.ask("clicked", picture, Prompt(tuple(clicks[:1])))
    assert first.low is not None
    second = engine.ask("clicked", picture, Prompt(tuple(clicks)), first.low[first.best])
    assert (second.masks[0] == mask_of_discs(clicks, 5, SIZE)).all()
    with pytest.raises(InputError, match=r"^clicked can't answer a box without points: it takes points"):
        engine.ask("clicked", picture, Prompt(box=(1, 1, 9, 9)))
    with pytest.raises(InputError, match=r"^clicked can't find everything: it takes points alone$"):
        engine.everything("clicked", picture)
