"""Scores as pictures: on boards that the platform's own calls made, the outlines filled again by Pillow."""

import io
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image, ImageDraw

from leaderboard.demo.cases import DrawnCase, drawn
from leaderboard.demo.engine import Engine
from leaderboard.demo.samples import Sample, Samples
from leaderboard.store.extremes import Extreme, extremes
from leaderboard.store.publish import publish
from leaderboard.store.read import BoardReader
from tests.app.boards import make_board
from tests.leaderboard import dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board of two models on images that may be shown, published in `state`, and its data."""
    folder = tmp_path_factory.mktemp("cases")
    publish(make_board(folder, "sample", patients=2, slices=2, seed=1).path, folder / "state")
    return folder


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


def of_board(folder: Path, model: str, strategy: str = "S5", selection: str = "oracle") -> list[Extreme]:
    found = extremes(BoardReader(folder / "state"), model, strategy, selection, count=3)
    return [*found.best, *found.worst]


#: What each model of the board answers.
ASKED = (("box", "S5"), ("box", "S6"), ("grabcut", "S2"), ("grabcut", "S5"), ("grabcut", "S6"))


@pytest.mark.parametrize(("model", "strategy"), ASKED)
def test_what_is_drawn_is_what_was_scored(folder: Path, engine: Engine, model: str, strategy: str) -> None:
    samples = Samples(folder / "data")
    for selection in ("oracle", "predicted_iou"):
        asked = of_board(folder, model, strategy, selection)
        found = drawn(samples, engine, model, asked, strategy, selection)
        assert [case.extreme for case in found] == asked
        for case in found:
            assert case.note == ""
            assert case.dice == pytest.approx(case.extreme.dice, abs=1e-12)
            sample = samples.load(case.extreme.image_id)
            truth = sample.objects[case.extreme.object_index].mask
            top, left = place(case, sample)
            rows, columns = slice(top, top + case.size[0]), slice(left, left + case.size[1])
            np.testing.assert_array_equal(filled(case.truth, case.size), truth[rows, columns])
            assert truth[rows, columns].sum() == truth.sum()
            if model == "box":  # its masks have no holes, which Pillow would fill
                mask = filled(case.outline, case.size)
                dice = 2 * (mask & truth[rows, columns]).sum() / (mask.sum() + truth.sum())
                assert dice == pytest.approx(case.extreme.dice, abs=1e-12)
    assert asked


def place(case: DrawnCase, sample: Sample) -> tuple[int, int]:
    """Row and column of the only place where the picture holds the part that is shown."""
    assert case.png is not None
    part = np.asarray(Image.open(io.BytesIO(case.png)))
    assert part.shape == case.size
    same = (sliding_window_view(sample.picture, part.shape) == part).all(axis=(2, 3))
    ((top, left),) = np.argwhere(same).tolist()
    return top, left


def filled(path: str, size: Sequence[int]) -> np.ndarray:
    """The pixels within the polygons of an SVG path, those that they go through included."""
    canvas = Image.new("1", (size[1], size[0]))
    for polygon in re.findall(r"M([^Z]+)Z", path):
        points = [tuple(float(value) - 0.5 for value in point.split()) for point in polygon.split("L")]
        ImageDraw.Draw(canvas).polygon(points, fill=1, outline=1)
    return np.asarray(canvas)


def test_without_the_model_the_truth_is_drawn(folder: Path, engine: Engine) -> None:
    for model, strategy, says in (
        ("nobody", "S5", "unknown model 'nobody'"),
        ("box", "S1", "what a model finds under S1, everything, is not drawn"),
        ("box", "S2", "box can't answer points without a box"),
    ):
        asked = of_board(folder, "box")
        for case in drawn(Samples(folder / "data"), engine, model, asked, strategy, "oracle"):
            assert says in case.note
            assert case.png
            assert case.truth
            assert (case.outline, case.dice) == ("", None)


def test_a_mask_that_is_not_there_is_told(folder: Path, engine: Engine) -> None:
    for candidate in (None, 7):
        asked = [replace(of_board(folder, "box")[0], candidate=candidate)]
        (case,) = drawn(Samples(folder / "data"), engine, "box", asked, "S5", "oracle")
        assert case.note == "box gives no such mask as on the board"
        (case,) = drawn(Samples(folder / "data"), engine, "box", asked, "S5", "predicted_iou")
        assert (case.note, bool(case.outline)) == ("", True)


def test_another_dice_than_the_board_s_is_told(folder: Path, engine: Engine) -> None:
    one = of_board(folder, "box")[0]
    for difference, told in ((0.0005, False), (0.002, True), (-0.002, True)):
        asked = replace(one, dice=one.dice + difference)
        (case,) = drawn(Samples(folder / "data"), engine, "box", [asked], "S5", "oracle")
        both = f"DICE {100 * one.dice:.2f}, the one on the board {100 * asked.dice:.2f}" in case.note
        assert (both, bool(case.note)) == (told, told)


def test_what_may_not_be_shown_or_is_not_here_has_a_reason(
    folder: Path, engine: Engine, tmp_path: Path
) -> None:
    asked = of_board(folder, "box")
    (tmp_path / "data").mkdir()
    shutil.copytree(folder / "data" / "sample", tmp_path / "hidden" / "kvasir_seg")
    hidden = [replace(one, image_id=one.image_id.replace("sample", "kvasir_seg")) for one in asked]
    dataset.build(tmp_path / "anew", "sample", dataset.cases(1))
    others = [replace(asked[0], image_id="sample/case0/CT/0", object_index=1)]
    for data, given, says in (
        ("data", asked, "the source 'sample' is not built here; run `cosmos build sample`"),
        ("hidden", hidden, "pictures of 'kvasir_seg' may not be shown"),
        ("anew", asked, "'sample' as it is built here has no picture 'sample/case"),
        ("anew", others, "sample/case0/CT/0 was built anew since, with other objects"),
    ):
        for case in drawn(Samples(tmp_path / data), engine, "box", given, "S5", "oracle"):
            assert says in case.note
            assert case == DrawnCase(case.extreme, note=case.note)


def test_the_part_that_is_shown(tmp_path: Path, engine: Engine) -> None:
    """Square with a margin, within the picture, around the object wherever it lies; never too large."""
    random, size = np.random.default_rng(0), (90, 1300)
    boxes = [(0, 0, 9, 9), (1290, 80, 1299, 89), (600, 40, 620, 49), (0, 0, 1299, 89), (100, 5, 700, 60)]
    slices = tuple(
        (
            random.integers(0, 255, (*size, 3), np.uint8),
            (dataset.Thing("Polyp", dataset.rectangle(*box, size=size)),),
        )
        for box in boxes
    )
    kind = "Colonoscopy"
    case = dataset.SmallCase("a", "p", slices, modality=kind)
    dataset.build(tmp_path, "acdc", [case])
    asked = [
        Extreme(f"acdc/a/{kind}/{n}", 0, "Polyp", None, f"Polyp-{kind}", "acdc", 1.0, 0.0, "scored", 0)
        for n in range(len(boxes))
    ]
    found = drawn(Samples(tmp_path), engine, "box", asked, "S5", "oracle")
    assert [one.size for one in found] == [(42, 42), (42, 42), (53, 53), (90, 1300), (90, 901)]
    for one, (x0, y0, x1, y1) in zip(found, boxes, strict=True):
        assert one.png is not None
        shown = Image.open(io.BytesIO(one.png))
        assert max(shown.size) <= 512
        assert filled(one.truth, one.size).sum() == (x1 - x0 + 1) * (y1 - y0 + 1)
        assert one.truth == one.outline
    assert Image.open(io.BytesIO(found[3].png or b"")).size == (512, 35)


def test_pixels_that_are_not_square(folder: Path, engine: Engine) -> None:
    class Stretched(Samples):
        def load(self, image_id: str) -> Sample:
            return replace(super().load(image_id), spacing=(3.0, 0.75))

    asked = of_board(folder, "box")[:1]
    for samples, aspect in ((Samples(folder / "data"), 1), (Stretched(folder / "data"), 4)):
        (case,) = drawn(samples, engine, "box", asked, "S5", "oracle")
        assert case.aspect == aspect
