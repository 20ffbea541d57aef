import hashlib
import multiprocessing
from copy import deepcopy
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cosmos1050k import sources
from cosmos1050k.errors import InputError
from cosmos1050k.prompts import prompts_of
from leaderboard import models, weights
from leaderboard.models.base import Candidates, Segmenter
from leaderboard.models.box import Box
from leaderboard.models.grabcut import GrabCut
from leaderboard.sam import network
from leaderboard.sam.segmenter import Sam
from leaderboard.strategies import STRATEGIES, Prompts, prompts
from tests.leaderboard.dataset import disc, rectangle
from tests.leaderboard.sam.images import tiny

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@cache
def made(name: str) -> Segmenter:
    """A model; of those whose weights must be fetched, with the small network."""
    kind = models.kind(name)
    return kind(deepcopy(tiny())) if issubclass(kind, Sam) else models.get(name)


def stored(*masks: Mask) -> list[dict[str, Any]]:
    """Objects as a row of the dataset stores them, as far as prompts go."""
    found = [prompts_of(mask) for mask in masks]
    return [{"box": one.box, "points_pos": one.positive, "points_neg": one.negative} for one in found]


def prompts_for(strategy: str, *masks: Mask) -> Prompts:
    return prompts(STRATEGIES[strategy], stored(*masks))


def answers(model: str, strategy: str, image: Image, *masks: Mask) -> list[Candidates]:
    segmenter = made(model)
    (embedding,) = segmenter.embed([image])
    if STRATEGIES[strategy].everything:
        found = list(segmenter.everything(embedding))
        return [Candidates(np.array(found, bool), np.zeros(len(found), np.float32))]
    return list(segmenter.prompt(embedding, prompts_for(strategy, *masks)))


def shaded(masks: list[Mask], *, gray: bool) -> Image:
    rng = np.random.default_rng(0)
    image = rng.integers(30, 60, (*masks[0].shape, 3), dtype=np.uint8)
    for number, mask in enumerate(masks):
        image[mask] = image[mask] // 2 + np.array([150, 90 + 20 * number, 60], np.uint8)
    return np.repeat(image[..., :1], 3, axis=2) if gray else image


def scene(width: int, height: int) -> list[Mask]:
    """Things inside, at the border, over the whole image, of one pixel, in two pieces."""
    size = (height, width)
    two = rectangle(0, 0, 1, 1, size) | rectangle(width - 2, height - 2, width - 1, height - 1, size)
    return [
        disc(width // 2, height // 2, min(size) / 4, size),
        rectangle(0, 0, width // 2, height // 3, size),
        rectangle(0, 0, width - 1, height - 1, size),
        rectangle(width - 1, 0, width - 1, 0, size),
        two,
    ]


#: Everything by SAM has tests of its own (`sam/test_everything.py`), with a grid of fewer points.
MADE = [
    name for name in models.modules() if name not in ("sam_vit_l", "sam_vit_h")
]  # here equal to sam_vit_b
CELLS = [
    (name, strategy)
    for name in MADE
    for strategy in models.kind(name).declaration.applies
    if not (STRATEGIES[strategy].everything and issubclass(models.kind(name), Sam))
]


@pytest.mark.parametrize("name", weights.OFFICIAL)
def test_declared_parameters_are_those_of_the_architecture(name: str) -> None:
    with torch.device("meta"):
        made = network.build(weights.OFFICIAL[name].architecture)
    assert models.kind(name).declaration.parameters == sum(values.numel() for values in made.parameters())


def test_the_registry_lists_the_package() -> None:
    assert {"box", "grabcut"} <= set(models.names())
    assert models.names() == sorted(models.names())
    assert "base" not in models.names()


@pytest.mark.parametrize("name", ["", "base", "Box", "no-such", "../box", "box.py"])
def test_an_unknown_model_is_one_line(name: str) -> None:
    with pytest.raises(InputError, match=r"unknown model .*known are .*box, .*grabcut") as caught:
        models.get(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", models.modules())
def test_declarations_are_complete(name: str) -> None:
    declared = models.kind(name).declaration
    assert declared.name == name
    assert declared.description
    assert declared.applies
    assert len(set(declared.applies)) == len(declared.applies)
    assert declared.made_for
    assert set(declared.made_for) <= set(declared.applies)
    gaps = [strategy for strategy in STRATEGIES if strategy not in declared.applies]
    assert list(declared.not_applicable) == gaps
    assert all(declared.not_applicable.values()), "say in `limits` why the others do not apply"
    assert declared.dtype
    assert bool(declared.weights_sha256) == (declared.kind != "baseline")


@pytest.mark.parametrize("name", models.modules())
def test_every_model_says_what_it_was_trained_on(name: str) -> None:
    declared = models.kind(name).declaration
    assert "trained_on" in declared.model_fields_set
    assert set(declared.trained_on.sources) <= set(sources.slugs())
    seen = {slug for slug in sources.slugs() if declared.trained_on.of(slug) != "none"}
    assert bool(seen) == (name in ("medsam", "sam_nano"))


@pytest.mark.parametrize(("name", "strategy"), CELLS)
@pytest.mark.parametrize("gray", [True, False])
@pytest.mark.parametrize("size", [(8, 8), (37, 23), (65, 31)])
def test_every_strategy_is_answered(name: str, strategy: str, gray: bool, size: tuple[int, int]) -> None:
    masks = scene(*size)
    found = answers(name, strategy, shaded(masks, gray=gray), *masks)
    if STRATEGIES[strategy].everything:
        assert found[0].masks.shape[1:] == masks[0].shape or not len(found[0].masks)
        return
    assert len(found) == len(masks)
    count = models.kind(name).declaration.candidates
    for one in found:
        assert one.masks.shape == (count, *masks[0].shape)
        assert one.masks.dtype == bool
        assert one.predicted_iou.shape == (count,)
        assert np.isfinite(one.predicted_iou).all()


def fingerprint(threads: int | None = None) -> dict[tuple[str, str], str]:
    """A hash of every model's masks under every strategy."""
    if threads is not None:
        cv2.setNumThreads(threads)
    masks = scene(57, 43)
    image = shaded(masks, gray=False)
    found: dict[tuple[str, str], str] = {}
    for cell in CELLS:
        content = hashlib.sha256()
        for one in answers(*cell, image, *masks):
            content.update(one.masks.tobytes() + one.predicted_iou.tobytes())
        found[cell] = content.hexdigest()
    return found


@pytest.mark.slow
def test_the_same_input_gives_the_same_masks_here_and_in_another_process() -> None:
    first = fingerprint()
    cv2.setRNGSeed(99)
    assert fingerprint() == first
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(fingerprint, (1,)) == first


@pytest.mark.parametrize(("name", "strategy"), CELLS)
def test_objects_are_answered_one_by_one_as_together(name: str, strategy: str) -> None:
    if STRATEGIES[strategy].everything:
        pytest.skip("everything takes no prompts")
    masks = scene(57, 43)
    image = shaded(masks, gray=False)
    before = image.copy()
    together = answers(name, strategy, image, *masks)
    for mask, one in zip(masks, together, strict=True):
        assert np.array_equal(answers(name, strategy, image, mask)[0].masks, one.masks)
    assert np.array_equal(image, before), "the model wrote into its input"


@pytest.mark.parametrize(
    "name", [name for name in models.modules() if "S1" not in models.kind(name).declaration.applies]
)
def test_everything_is_refused_where_it_is_not_declared(name: str) -> None:
    segmenter = made(name)
    (embedding,) = segmenter.embed([np.zeros((8, 8, 3), np.uint8)])
    with pytest.raises(TypeError, match=f"{name} does not declare S1"):
        next(iter(segmenter.everything(embedding)))


def test_images_of_several_sizes_are_encoded_together() -> None:
    sizes = [(8, 8), (23, 37), (31, 65)]
    for name in MADE:
        segmenter = made(name)
        strategy = next(s for s in segmenter.declaration.applies if not STRATEGIES[s].everything)
        images = [shaded(scene(width, height), gray=False) for height, width in sizes]
        for image, embedding in zip(images, segmenter.embed(images), strict=True):
            mask = disc(4, 4, 2, image.shape[:2])
            (one,) = segmenter.prompt(embedding, prompts_for(strategy, mask))
            assert np.array_equal(one.masks, answers(name, strategy, image, mask)[0].masks)


def test_box_fills_its_box_both_ends_inside() -> None:
    box = np.array([[1, 0, 3, 1]], np.int32)
    (one,) = Box().prompt((3, 5), Prompts(None, None, box))
    expected = [[0, 1, 1, 1, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]]
    assert one.masks.astype(int).tolist() == [expected]
    assert one.predicted_iou.tolist() == [1.0]


def test_box_needs_a_box() -> None:
    points = Prompts(np.zeros((1, 1, 2), np.int32), np.ones((1, 1), np.int8), None)
    with pytest.raises(ValueError, match="needs a box"):
        next(Box().prompt((3, 5), points))


def flat(mask: Mask) -> Image:
    """Two flat colours."""
    return np.where(mask[..., None], np.array([200, 60, 90]), np.array([30, 120, 60])).astype(np.uint8)


@pytest.mark.parametrize("strategy", ["S5", "S6"])
def test_grabcut_separates_two_flat_colours_by_a_box(strategy: str) -> None:
    mask = disc(30, 22, 12)
    (one,) = answers("grabcut", strategy, flat(mask), mask)
    assert np.array_equal(one.masks[0], mask)


def test_grabcut_separates_two_flat_colours_by_five_points_on_either_side() -> None:
    mask = disc(30, 22, 12)
    # Not nearer to the edge than a point's disc reaches.
    inside = [[30, 22], [30, 15], [30, 29], [23, 22], [37, 22]]
    outside = [[5, 5], [58, 5], [5, 42], [58, 42], [30, 43]]
    points, labels = np.array([inside + outside], np.int32), np.array([[1] * 5 + [0] * 5], np.int8)
    (one,) = GrabCut().prompt(flat(mask), Prompts(points, labels, None))
    assert np.array_equal(one.masks[0], mask)


def test_grabcut_with_a_box_is_opencvs_with_a_rectangle() -> None:
    masks = [disc(25, 20, 11), rectangle(38, 8, 60, 40)]
    image = shaded(masks, gray=False)
    for mask, one in zip(masks, answers("grabcut", "S5", image, *masks), strict=True):
        x0, y0, x1, y1 = prompts_of(mask).box
        marks = np.zeros(mask.shape, np.uint8)
        rectangle_ = (x0, y0, x1 - x0 + 1, y1 - y0 + 1)
        cv2.setRNGSeed(0)
        cv2.grabCut(image, marks, rectangle_, np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_RECT)
        assert np.array_equal(one.masks[0], (marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD))
        assert one.masks[0].any()


def test_grabcut_with_nothing_to_cut_answers_the_prompt() -> None:
    whole = rectangle(0, 0, 63, 47)
    (one,) = answers("grabcut", "S5", flat(disc(30, 22, 12)), whole)
    assert one.masks.all()
    # Padding is no point: with a negative one at (−1, −1) there would be background.
    (one,) = answers("grabcut", "S4", flat(whole), whole)
    assert np.array_equal(one.masks, answers("grabcut", "S3", flat(whole), whole)[0].masks)


def test_grabcut_takes_negative_points_for_background() -> None:
    left, right = disc(16, 24, 9), disc(47, 24, 9)
    both = flat(left | right)
    points = np.array([[[16, 24], [47, 24], [32, 24], [3, 3]]], np.int32)
    labels = np.array([[1, 0, 0, 0]], np.int8)
    (one,) = GrabCut().prompt(both, Prompts(points, labels, None))
    assert one.masks[0][24, 16]
    assert not one.masks[0][24, 47]
    assert not one.masks[0][24, 32]
