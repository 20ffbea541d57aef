"""Clicks in turn, worked out by hand, and against the owners' predictor clicked at by another hand."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from cosmos1050k import shards
from cosmos1050k.errors import InputError
from leaderboard import click_models, measurements, models
from leaderboard.board_images import board_images
from leaderboard.machine import Machine
from leaderboard.models.base import PROMPTED, Candidates
from leaderboard.score import score
from leaderboard.strategies import NEGATIVE, POSITIVE, Prompts
from leaderboard.studies import interactive, subjects
from leaderboard.studies.interactive import course, in_turn, next_click
from leaderboard.studies.options import StudyOptions
from tests.leaderboard import click_graphs, dataset
from tests.leaderboard.click_graphs import mask_of_discs
from tests.leaderboard.dataset import SmallCase, Thing, disc, rectangle
from tests.leaderboard.segmenters import Scripted, candidates, declaration

SIZE = (48, 64)
measure = interactive.STUDY.measure
#: One object in pieces of 121, 81 and 49 pixels, 251 together; the smallest comes first in row-major order.
PIECES = [rectangle(2, 1, 8, 7, SIZE), rectangle(18, 20, 28, 30, SIZE), rectangle(50, 30, 58, 38, SIZE)]
WHOLE = PIECES[0] | PIECES[1] | PIECES[2]

Mask = NDArray[np.bool_]


def subject_of(*masks: Mask) -> subjects.Subject:
    things = tuple(Thing("Liver", mask) for mask in masks)
    picture = np.zeros(masks[0].shape, np.uint8)
    rows = dataset.rows("first", SmallCase("case", "patient", ((picture, things),)))
    return subjects.read(rows.to_pylist()[0])


def run(model: Any, clicks: int, *masks: Mask) -> NDArray[np.float64]:
    subject = subject_of(*masks)
    (embedding,) = model.embed([subject.picture])
    return in_turn(model, embedding, subject, clicks)


def clicks_of(asked: Prompts) -> list[list[tuple[int, int, bool]]]:
    assert asked.points is not None
    assert asked.labels is not None
    assert asked.boxes is None
    return [
        [(x, y, label == POSITIVE) for (x, y), label in zip(points, labels, strict=True)]
        for points, labels in zip(asked.points.tolist(), asked.labels.tolist(), strict=True)
    ]


def shares(mask: Mask, truth: Mask) -> tuple[float, float]:
    both = (mask & truth).sum()
    return 2 * both / (mask.sum() + truth.sum()), both / (mask | truth).sum()


# The next click


def by_hand(truth: Mask, mask: Mask) -> tuple[int, int, int] | None:
    """On the whole picture with a border around it, by SciPy's transform."""
    deep = [distance_transform_edt(np.pad(wrong, 1))[1:-1, 1:-1] for wrong in (truth & ~mask, mask & ~truth)]
    if not (truth ^ mask).any():
        return None
    positive = deep[0].max() > deep[1].max()
    depths = deep[0 if positive else 1]
    y, x = np.argwhere(np.isclose(depths, depths.max()))[0].tolist()
    return x, y, POSITIVE if positive else NEGATIVE


@given(st.integers(0, 2**32), st.tuples(st.integers(1, 40), st.integers(1, 40)), st.floats(0, 3))
def test_it_is_the_deepest_pixel_of_what_is_wrong(seed: int, size: tuple[int, int], smooth: float) -> None:
    rng = np.random.default_rng(seed)

    def blob() -> Mask:
        found = np.zeros(size, bool)
        for _ in range(int(rng.integers(0, 5))):
            found ^= disc(*rng.integers(0, 40, 2).tolist(), rng.uniform(0, 12), size)
        return found ^ (rng.random(size) < 0.02 * smooth)

    truth, mask = blob(), blob()
    assert next_click(truth, mask) == by_hand(truth, mask)


def test_what_the_border_cuts_off_is_not_deep() -> None:
    # Ten rows at the border are five deep, not ten; of equals the first in row-major order.
    assert next_click(rectangle(0, 0, 63, 9, SIZE), np.zeros(SIZE, bool)) == (4, 4, POSITIVE)


def test_of_both_sides_equally_deep_the_one_too_many_is_clicked_at() -> None:
    truth, mask = rectangle(0, 0, 8, 8, SIZE), rectangle(40, 20, 48, 28, SIZE)
    assert next_click(truth, mask) == (44, 24, NEGATIVE)
    assert next_click(truth | rectangle(0, 0, 10, 10, SIZE), mask) == (5, 5, POSITIVE)


# Clicks in turn


seen: list[list[tuple[int, int, bool]]] = []


def filling(image: NDArray[np.uint8], asked: Prompts) -> Iterator[Candidates]:
    """The pieces that have a click."""
    for clicks in clicks_of(asked):
        seen.append(clicks)
        hit = [piece for piece in PIECES if any(piece[y, x] for x, y, _ in clicks)]
        yield candidates([np.any([*hit, np.zeros(SIZE, bool)], axis=0)], [0.5])


def test_each_click_goes_to_the_largest_piece_that_is_missed() -> None:
    seen.clear()
    found = run(Scripted(declaration(applies=PROMPTED), filling), 5, WHOLE)
    first = (2, 1, True)  # the first pixel, since the centre of mass is in no piece
    assert seen == [[first], [first, (23, 25, True)], [first, (23, 25, True), (54, 34, True)]]
    # Of 251 pixels 49, 170 and all; then nothing is wrong, nobody is asked, and the mask stays.
    dice = [2 * 49 / 300, 2 * 170 / 421, 1, 1, 1]
    np.testing.assert_allclose(found, [[[one, one / (2 - one)] for one in dice]])


def test_objects_of_one_image_go_their_own_ways_in_one_call() -> None:
    calls: list[int] = []

    def prompt(image: NDArray[np.uint8], asked: Prompts) -> Iterator[Candidates]:
        calls.append(len(asked))
        yield from filling(image, asked)

    alone = [run(Scripted(declaration(), prompt), 4, mask) for mask in (WHOLE, PIECES[1])]
    calls.clear()
    # The second object overlaps the first: both are prompted, since each is asked of by itself.
    found = run(Scripted(declaration(), prompt), 4, WHOLE, PIECES[1])
    np.testing.assert_allclose(found, np.concatenate(alone))
    assert calls == [2, 1, 1]


class Feedback(Scripted):
    """Three candidates of which the second is rated highest; then what it was given, and one piece more."""

    def __init__(self) -> None:
        super().__init__(declaration(applies=PROMPTED))
        self.given: list[list[float]] = []

    def prompt(self, embedding: Any, prompts: Prompts) -> Iterator[Any]:
        for _ in range(len(prompts)):
            masks = [WHOLE, PIECES[1], np.zeros(SIZE, bool)]
            yield Low(np.array(masks), np.array([0.1, 0.7, 0.7], np.float32), np.arange(3.0))

    def refine(self, embedding: Any, prompts: Prompts, previous: NDArray[np.float32]) -> Iterator[Any]:
        self.given.append(previous[:, 0, 0].tolist())
        assert previous.shape == (len(prompts), 2, 2)
        for one in previous:
            count = int(one[0, 0])
            mask = np.any(PIECES[1 : count + 2], axis=0) if count < 2 else WHOLE
            yield Low(mask[None], np.array([0.2], np.float32), np.array([count + 1.0]))


class Low(Candidates):
    def __init__(self, masks: Mask, rated: NDArray[np.float32], levels: NDArray[np.float64]) -> None:
        super().__init__(masks, rated)
        object.__setattr__(self, "low", np.repeat(levels, 4).reshape(-1, 2, 2).astype(np.float32))


def test_the_mask_rated_highest_is_fed_back() -> None:
    model = Feedback()
    found = run(model, 4, WHOLE, WHOLE)
    # The first of two that are rated alike, then what came of it.
    assert model.given == [[1, 1], [2, 2]]
    dice = [2 * 121 / 372, 2 * 202 / 453, 1, 1]
    np.testing.assert_allclose(found, [[[one, one / (2 - one)] for one in dice]] * 2)


def test_no_mask_is_an_empty_one() -> None:
    def prompt(image: NDArray[np.uint8], asked: Prompts) -> Iterator[Candidates]:
        (clicks,) = clicks_of(asked)
        yield candidates([np.zeros(SIZE, bool)][: len(clicks) - 1], [0.5][: len(clicks) - 1])

    assert run(Scripted(declaration(), prompt), 3, WHOLE).tolist() == [[[0, 0]] * 3]


def test_a_click_model_goes_on_from_its_mask(project: Path) -> None:
    click_models.add(click_graphs.saved(project / "given.onnx", click_graphs.discs(5)), "clicked")
    truth = disc(30, 24, 14)
    found = run(models.get("clicked"), 8, truth)
    # By loops: discs so far, without those around the negative clicks so far.
    x, y = (int(value) for value in np.argwhere(truth).mean(axis=0)[::-1])
    clicks, expected, mask = [(x, y, True)], [], None
    for _ in range(8):
        mask = mask_of_discs(clicks, 5, SIZE, mask)
        expected.append(shares(mask, truth))
        click = by_hand(truth, mask)
        assert click is not None
        clicks.append((*click[:2], click[2] == POSITIVE))
    np.testing.assert_allclose(found[0], expected)
    assert expected[-1][0] > 0.8


@pytest.mark.slow
def test_a_sam_is_clicked_at_as_its_owner_s_predictor_would_be() -> None:
    from segment_anything import SamPredictor

    from tests.leaderboard.sam.images import picture

    model = models.get("sam_nano")
    predictor = SamPredictor(model.network)  # type: ignore[attr-defined]
    image = picture(*SIZE)
    truth = disc(30, 24, 12)
    predictor.set_image(image)
    points, labels, low, expected = [(30, 24)], [1], None, []
    for _ in range(5):
        masks, ratings, lows = predictor.predict(
            np.array(points), np.array(labels), mask_input=low, multimask_output=low is None
        )
        best = int(np.argmax(ratings))
        low, mask = lows[best][None], masks[best]
        expected.append(shares(mask, truth))
        click = by_hand(truth, mask)
        assert click is not None
        points.append(click[:2])
        labels.append(click[2])
    subject = subject_of(truth)
    (embedding,) = model.embed([image])
    found = in_turn(model, embedding, subject, 5)
    np.testing.assert_allclose(found[0], expected, atol=2e-3)


# The record


def test_clicks_are_counted_until_a_share_is_first_reached() -> None:
    shares_of = [[0.5, 0.8, 0.7, 0.9], [0.84, 0.85, 0.2, 0.2], [0.1, 0.1, 0.1, 0.79]]
    values = np.array([[[2 * one / (1 + one), one] for one in own] for own in shares_of])
    found = course(values)
    assert found.objects == 3
    assert found.dice == tuple(round(float(mean), 6) for mean in values[..., 0].mean(axis=0))
    # What is lost again counts as reached; who never gets there counts with all four clicks.
    assert found.clicks == {80: round((2 + 1 + 4) / 3, 6), 85: round((4 + 2 + 4) / 3, 6), 90: 4}
    assert found.unreached == {80: 1, 85: 1, 90: 2}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    dataset.build(folder, "first", dataset.cases(4, slices=2))
    return folder


CLICK_OBJECTS = 2
OPTIONS = StudyOptions(images=50, click_objects=CLICK_OBJECTS, clicks=3)


def test_the_first_objects_of_each_pair_are_clicked_at(data: Path, project: Path) -> None:
    click_models.add(click_graphs.saved(project / "given.onnx", click_graphs.discs(5)), "clicked")
    found = measure("clicked", data, ("first",), OPTIONS, Machine())
    assert set(found.pairs) == {"Liver-CT", "Lesion-CT", "Kidney-CT", "Lesion-Colonoscopy"}
    assert {own.objects for own in found.pairs.values()} == {CLICK_OBJECTS}
    assert found.objects == 4 * CLICK_OBJECTS
    assert found.sources == {"first": shards.load_manifest(data / "first").version}
    assert found.weights_sha256 == models.kind("clicked").declaration.weights_sha256
    assert found.overall is not None
    for place in range(3):
        means = [own.dice[place] for own in found.pairs.values()]
        assert found.overall.dice[place] == pytest.approx(np.mean(means), abs=2e-6)
    assert found.overall.unreached[80] == sum(own.unreached[80] for own in found.pairs.values())
    # DICE after one click is that of S2.
    rows = board_images(data, ("first",), 50)
    scores = score(models.get("clicked"), rows, ("S2",), "").to_pylist()
    first = [row["dice_predicted_iou"] for row in scores if row["pair"] == "Liver-CT"][:CLICK_OBJECTS]
    assert found.pairs["Liver-CT"].dice[0] == pytest.approx(np.mean(first), abs=1e-6)
    again = measure("clicked", data, ("first",), OPTIONS, Machine())
    assert found == again
    assert interactive.read(measurements.write(found, project)) == found


def test_a_model_that_takes_no_points_says_so(data: Path) -> None:
    found = measure("box", data, ("first",), OPTIONS, Machine())
    assert (found.limits, found.overall, found.pairs, found.objects) == ("needs a box", None, {}, 0)


def test_a_model_s_failure_and_too_few_objects_are_one_line(
    project: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices = ((np.zeros(SIZE, np.uint8), (Thing("Liver", rectangle(0, 0, 5, 5, SIZE)),)),)
    dataset.build(project, "small", [SmallCase("case", "patient", slices)])
    with pytest.raises(InputError, match="no test case of small; build a source that has one"):
        measure("grabcut", project, ("small",), StudyOptions(), Machine())

    def fails(image: NDArray[np.uint8], asked: Prompts) -> Sequence[Candidates]:
        raise RuntimeError("no idea")

    monkeypatch.setattr(models, "get", lambda *_: Scripted(declaration(), fails))
    with pytest.raises(
        InputError, match=r"^grabcut failed on first/case\d/CT/\d: RuntimeError\('no idea'\); mend"
    ):
        measure("grabcut", data, ("first",), OPTIONS, Machine())
