import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from segment_anything import SamPredictor
from segment_anything.modeling import Sam as Network

from leaderboard import finetuned, models, weights
from leaderboard.demo.engine import Engine, size_of
from leaderboard.demo.prompting import Picture, Prompt
from leaderboard.models.box import Box
from leaderboard.models.grabcut import GrabCut
from leaderboard.models.sam_nano import SamNano
from leaderboard.own_models import RECORD
from leaderboard.sam import everything, network
from leaderboard.sam import weights as states
from leaderboard.sam.segmenter import Sam
from leaderboard.strategies import STRATEGIES, prompts
from tests.leaderboard.checkpoints import refused, state
from tests.leaderboard.sam.images import SmallMedSam, SmallSam, objects, picture, prompted, tiny

HEIGHT, WIDTH = 48, 64
CLICK = Prompt(((20, 30, True),))
BOX = Prompt(box=(10, 8, 40, 30))
TOLERANCE = 1e-4


def shown(seed: int = 0, gray: bool = False) -> Picture:
    pixels = picture(HEIGHT, WIDTH, seed, gray)
    return Picture(np.ascontiguousarray(pixels[..., 0]) if gray else pixels)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sums of all pictures that sam_nano has encoded."""
    found: list[int] = []

    def embed(self: Sam, images: Sequence[np.ndarray]) -> list[Any]:
        found.extend(int(image.sum()) for image in images)
        return Sam.embed(self, images)

    monkeypatch.setattr(SamNano, "embed", embed)
    return found


@cache
def shared() -> Engine:
    """For tests that don't look at what it remembers."""
    return Engine()


# What is asked is answered


@pytest.mark.parametrize("strategy", [name for name, one in STRATEGIES.items() if not one.everything])
@pytest.mark.parametrize("model", ["box", "grabcut", "sam_nano"])
def test_it_answers_as_the_model_does(model: str, strategy: str) -> None:
    segmenter, asked = models.get(model), STRATEGIES[strategy]
    if strategy not in segmenter.declaration.applies:
        with refused("box can't answer points without a box: it needs a box"):
            shared().ask(model, shown(), CLICK)
        return
    (embedding,) = segmenter.embed([picture(HEIGHT, WIDTH)])
    for stored in objects(2, HEIGHT, WIDTH):
        (expected,) = segmenter.prompt(embedding, prompts(asked, [stored]))
        given = [(*point, True) for point in stored["points_pos"][: asked.positive]]  # type: ignore[index]
        given += [(*point, False) for point in stored["points_neg"][: asked.negative]]  # type: ignore[index]
        box: Any = tuple(stored["box"]) if asked.box else None  # type: ignore[arg-type]
        found = shared().ask(model, shown(), Prompt(tuple(given), box))
        assert np.array_equal(found.masks, expected.masks)
        assert np.array_equal(found.predicted_iou, expected.predicted_iou)
        assert found.predicted_iou[found.best] == found.predicted_iou.max()
        assert (found.low is not None) == (model == "sam_nano")
        assert found.milliseconds > 0


def test_one_channel_is_asked_as_three_that_are_equal() -> None:
    gray, colour = shown(gray=True), Picture(picture(HEIGHT, WIDTH, gray=True))
    assert gray.pixels.ndim == 2
    assert gray.key != colour.key
    one, other = (shared().ask("sam_nano", each, CLICK) for each in (gray, colour))
    assert np.array_equal(one.masks, other.masks)
    assert one.masks.shape == (3, HEIGHT, WIDTH)


def test_everything_is_what_sam_finds_the_largest_first() -> None:
    filters = everything.Filters(5, predicted_iou=0.4, stability=0.5)
    segmenter = models.get("sam_nano")
    assert isinstance(segmenter, Sam)
    expected = list(everything.masks(segmenter, segmenter.embed([shown().rgb])[0], filters))
    found = shared().everything("sam_nano", shown(), 5, 0.4, 0.5)
    assert len(expected) > 3
    assert sorted(mask.tobytes() for mask in found) == sorted(mask.tobytes() for mask in expected)
    sizes = [int(mask.sum()) for mask in found]
    assert sizes == sorted(sizes, reverse=True)


# Mask feedback


def owner_of_nano() -> Network:
    made = network.build("nano")
    states.load(weights.shipped("sam_nano"), made)
    return made


def test_rounds_are_those_of_the_owner_s_predictor() -> None:
    """The kept mask of a round goes into the next one, as `SamPredictor` is used by hand."""
    predictor = SamPredictor(owner_of_nano())
    predictor.set_image(shown().rgb)
    clicks = [(20, 30, True), (50, 12, False), (33, 25, True)]
    previous = None
    for count in range(1, 4):
        found = shared().ask("sam_nano", shown(), Prompt(tuple(clicks[:count])), previous)
        masks, ratings, low = predictor.predict(
            np.array([click[:2] for click in clicks[:count]]),
            np.array([int(click[2]) for click in clicks[:count]]),
            mask_input=None if previous is None else previous[None],
            multimask_output=previous is None,
        )
        assert found.low is not None
        np.testing.assert_allclose(found.low, low, rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(found.predicted_iou, ratings, rtol=0, atol=TOLERANCE)
        assert found.masks.shape == masks.shape
        assert (found.masks != masks).mean() < 1e-3
        assert len(found.masks) == (3 if previous is None else 1)
        previous = found.low[found.best]


@pytest.mark.parametrize("strategy", ["S2", "S4", "S5", "S6"])
@pytest.mark.parametrize(("height", "width"), [(97, 64), (40, 300)])
def test_a_mask_fed_back_counts_as_in_the_owner_s_predictor(strategy: str, height: int, width: int) -> None:
    ours, predictor = SmallSam(), SamPredictor(tiny())
    (embedding,) = ours.embed([picture(height, width)])
    predictor.set_image(picture(height, width))
    given = prompted(strategy, 3, height, width)
    previous = np.stack([low[1] for low, _ in ours.low_resolution(embedding, given)])
    for number, answer in enumerate(ours.refine(embedding, given, previous)):
        logits, ratings, low = predictor.predict(
            None if given.points is None else given.points[number],
            None if given.labels is None else given.labels[number],
            None if given.boxes is None else given.boxes[number],
            mask_input=previous[number][None],
            multimask_output=False,
            return_logits=True,
        )
        assert np.abs(low - previous[number]).max() > 100 * TOLERANCE
        np.testing.assert_allclose(answer.low, low, rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(answer.predicted_iou, ratings, rtol=0, atol=TOLERANCE)
        clear = np.abs(logits) >= TOLERANCE
        assert (answer.masks == (logits > 0))[clear].all()


def test_a_mask_fed_back_to_medsam_counts_as_in_the_owner_s_decoder() -> None:
    ours, owner = SmallMedSam(deepcopy(tiny())), tiny()
    (embedding,) = ours.embed([picture(97, 64)])
    ((features, _),) = ours.features([picture(97, 64)])
    given = prompted("S5", 2, 97, 64)
    previous = np.stack([low[0] for low, _ in ours.low_resolution(embedding, given)])
    boxes = torch.as_tensor(given.boxes / np.tile([64, 97], 2) * 256, dtype=torch.float)
    for number, answer in enumerate(ours.refine(embedding, given, previous)):
        with torch.inference_mode():
            mask = torch.from_numpy(previous[number][None, None])
            sparse, dense = owner.prompt_encoder(None, boxes[number : number + 1], mask)
            positions = owner.prompt_encoder.get_dense_pe()
            low, ratings = owner.mask_decoder(features, positions, sparse, dense, False)
        np.testing.assert_allclose(answer.low, low[0].numpy(), rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(answer.predicted_iou, ratings[0].numpy(), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("previous", [np.zeros((8, 8), np.float32), np.full((64, 64), np.nan, np.float32)])
def test_no_other_mask_is_taken(previous: np.ndarray) -> None:
    with refused("mask of the round before", "1×64×64"):
        shared().ask("sam_nano", shown(), CLICK, previous)
    with refused("grabcut takes no mask of an earlier round"):
        shared().ask("grabcut", shown(), CLICK, previous)


# What is remembered


def test_the_embeddings_are_bounded_by_their_bytes(encoded: list[int]) -> None:
    (one,) = models.get("sam_nano").embed([shown().rgb])
    encoded.clear()
    engine = Engine(gigabytes=2.5 * size_of(one) / 2**30)
    first, second, third = (shown(seed) for seed in range(3))
    for asked in (first, second, first, third):
        engine.ask("sam_nano", asked, CLICK)
    for held in (first, third):
        engine.encode("sam_nano", held)
    engine.encode("sam_nano", second)
    assert encoded == [int(each.pixels.sum()) for each in (first, second, third, second)]


def test_no_more_embeddings_are_kept_than_so_many_however_small(
    monkeypatch: pytest.MonkeyPatch, encoded: list[int]
) -> None:
    monkeypatch.setattr("leaderboard.demo.engine.MOST_EMBEDDINGS", 2)
    engine = Engine()
    first, second, third = (shown(seed) for seed in range(3))
    for asked in (first, second, third, second, third, first):
        engine.encode("sam_nano", asked)
    assert encoded == [int(each.pixels.sum()) for each in (first, second, third, first)]


def test_an_embedding_measures_what_its_tensors_hold() -> None:
    (found,) = SmallSam().embed([picture(97, 64)])
    tensors = [value for value in vars(found.shared).values() if isinstance(value, torch.Tensor)]
    assert len(tensors) == 5
    assert size_of(found) == sum(len(tensor.numpy().tobytes()) for tensor in tensors)
    pixels = picture(10, 20)
    assert size_of(pixels) == size_of(pixels[..., :1]) == 600
    assert size_of((10, 20)) == 0


def test_a_picture_is_encoded_once_for_prompts_and_threads(encoded: list[int]) -> None:
    engine, start = Engine(), threading.Barrier(6)

    def ask(number: int) -> np.ndarray:
        start.wait()
        return engine.ask("sam_nano", shown(), Prompt(((5 * number, 20, True),))).masks

    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(ask, range(6)))
    engine.encode("sam_nano", shown())
    assert len(encoded) == 1
    for number, masks in enumerate(found):
        alone = engine.ask("sam_nano", shown(), Prompt(((5 * number, 20, True),)))
        assert np.array_equal(masks, alone.masks)


def test_so_many_models_stay_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    for kind in (Box, GrabCut):
        monkeypatch.setattr(kind, "on", classmethod(lambda cls, machine: made.append(cls.__name__) or cls()))
    engine = Engine(models=1)
    for model in ("box", "box", "grabcut", "box"):
        engine.ask(model, shown(), BOX)
    assert made == ["Box", "GrabCut", "Box"]


# Models on disk


def write_model(seed: int) -> None:
    folder = finetuned.MODELS / "mine"
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in state(seed).items()}, folder / finetuned.WEIGHTS)
    record = finetuned.described(folder / finetuned.WEIGHTS, "mine", "tiny", None)
    (folder / RECORD).write_text(record.model_dump_json())


def test_a_model_made_anew_answers_for_itself(project: Path) -> None:
    engine = Engine()
    write_model(0)
    before = engine.ask("mine", shown(), CLICK)
    write_model(1)
    after = engine.ask("mine", shown(), CLICK)
    (expected,) = Sam.prompt(
        (own := models.get("mine")),
        own.embed([shown().rgb])[0],
        CLICK.prompts(),  # type: ignore[arg-type]
    )
    assert after.low is not None
    assert before.low is not None
    assert np.array_equal(after.low, expected.low)
    assert not np.allclose(after.low, before.low)


def test_what_is_here_is_offered(project: Path) -> None:
    engine = Engine()
    offers = {offer.name: offer for offer in engine.offers()}
    assert list(offers) == ["box", "grabcut", "random_walker", "sam_nano"]
    box, grabcut, nano = offers["box"], offers["grabcut"], offers["sam_nano"]
    assert (box.everything, box.feedback, box.limits) == (False, False, "needs a box")
    assert (grabcut.everything, grabcut.feedback, grabcut.limits) == (False, False, "needs a prompt")
    assert (nano.everything, nano.feedback) == (True, True)
    write_model(0)
    assert "mine" in [offer.name for offer in engine.offers()]
    (finetuned.MODELS / "mine" / RECORD).write_text("{}")
    assert list(offers) == [offer.name for offer in engine.offers()]


def test_a_model_without_a_network_needs_no_torch() -> None:
    code = (
        "import sys, numpy\nfrom leaderboard.demo.engine import Engine\n"
        "from leaderboard.demo.prompting import Picture, Prompt\n"
        "Engine().ask('box', Picture(numpy.zeros((9, 9), 'uint8')), Prompt(box=(1, 1, 3, 3)))\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# What is refused


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda engine: engine.ask("box", shown(), Prompt()), "nothing to go by: give a point or a box"),
        (lambda engine: engine.ask("nobody", shown(), CLICK), "unknown model 'nobody'"),
        (lambda engine: engine.ask("sam_vit_b", shown(), CLICK), "run `cosmos weights sam_vit_b`"),
        (lambda engine: engine.everything("grabcut", shown()), "grabcut can't find everything: it needs"),
        (lambda engine: engine.everything("sam_nano", shown(), 0), "points_per_side: 0 is not within 1…64"),
        (lambda engine: engine.everything("sam_nano", shown(), 65), "points_per_side: 65"),
        (lambda engine: engine.everything("sam_nano", shown(), 4, float("nan")), "predicted_iou: nan"),
        (lambda engine: engine.everything("sam_nano", shown(), 4, 0.5, 1.1), "stability: 1.1"),
    ],
)  # fmt: skip
def test_what_can_t_be_asked_is_said(project: Path, ask: Callable[[Engine], object], words: str) -> None:
    with refused(words):
        ask(Engine())


@pytest.mark.parametrize(
    ("error", "words"), [(RuntimeError("bad\nkernel"), "bad kernel"), (MemoryError("one"), "out of memory")]
)
def test_a_model_s_failure_is_a_sentence_and_the_next_prompt_is_answered(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, words: str
) -> None:
    engine = Engine()

    def fail(*given: object) -> None:
        raise error

    for method in ("embed", "prompt"):
        with monkeypatch.context() as broken, caplog.at_level(logging.ERROR):
            broken.setattr(GrabCut, method, fail)
            with refused(f"grabcut can't answer this: {words}"):
                engine.ask("grabcut", shown(), CLICK)
        assert caplog.records[-1].exc_info is not None
    assert engine.ask("grabcut", shown(), CLICK).masks.shape == (1, HEIGHT, WIDTH)
