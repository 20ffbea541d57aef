"""Everything by grids of points, worked out by hand, and against the owner's generator of masks."""

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray

from cosmos1050k import pictures
from cosmos1050k.errors import InputError
from leaderboard import measurements, models, weights
from leaderboard.machine import DeviceLost, Machine
from leaderboard.models.base import ALL, Candidates, Segmenter
from leaderboard.strategies import Prompts
from leaderboard.studies import everything_grid
from leaderboard.studies.everything_grid import COLOURS, STUDY, EverythingGrid, label_map
from leaderboard.studies.options import StudyOptions
from tests.leaderboard import dataset
from tests.leaderboard.dataset import SmallCase, Thing, rectangle
from tests.leaderboard.segmenters import declaration

Mask = NDArray[np.bool_]

LIVER, LESION, LATER = rectangle(10, 10, 19, 19), rectangle(30, 10, 39, 29), rectangle(20, 20, 29, 29)
SMALL = Thing("Nodule", rectangle(0, 41, 6, 47))
#: Gray value of a picture → points per side → the masks of everything.
ANSWERS = {
    10: {2: [rectangle(10, 10, 19, 14)], 4: [np.ones((48, 64), bool), LESION]},
    20: {2: [], 4: [rectangle(20, 20, 29, 24)]},
}
OPTIONS = StudyOptions(grid_images=5, everything_grid=(4, 2, 4))


def flat(value: int, *things: Thing, size: tuple[int, int] = (48, 64)) -> tuple[Any, tuple[Thing, ...]]:
    return np.full(size, value, np.uint8), things


CASES = [
    SmallCase(
        "a",
        "a",
        (
            flat(10, Thing("Liver", LIVER), Thing("Lesion", LESION), SMALL),
            flat(20, Thing("Liver", LATER)),
            flat(30, SMALL),
        ),
    )
]


class Gridded(Segmenter):
    """Answers by the picture's gray value and the grid."""

    declaration = declaration("gridded", applies=ALL)
    answers: Any = ANSWERS
    asked: list[int]

    def __init__(self) -> None:
        type(self).asked = []

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> list[int]:
        self.asked += [int(image[0, 0, 0]) for image in images]
        return self.asked[-len(images) :]

    def prompt(self, embedding: int, prompts: Prompts) -> Iterator[Candidates]:
        raise AssertionError

    def everything(self, embedding: int, filters: Any = None) -> Iterator[Mask]:
        yield from self.answers[embedding][filters.points_per_side]


def answering(answers: dict[int, dict[int, list[Mask]]]) -> type[Gridded]:
    return type("Answering", (Gridded,), {"answers": answers})


class Ungridded(Segmenter):
    """Must not be made."""

    declaration = declaration("ungridded", applies=ALL)

    @classmethod
    def on(cls, machine: Machine) -> Self:
        raise AssertionError

    embed = prompt = Gridded.prompt  # type: ignore[assignment]

    def everything(self, embedding: int) -> Iterator[Mask]:
        raise AssertionError


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sources, of which one is called as one of the paper's."""
    folder = tmp_path_factory.mktemp("data")
    dataset.build(folder, "toy", CASES)
    dataset.build(folder, "crag", CASES)
    trained = SmallCase("t", "t", (flat(10, Thing("Liver", LIVER)),), split="train")
    dataset.build(folder, "warwick_qu_glas", [trained])
    dataset.build(folder, "small", [SmallCase("s", "s", (flat(30, SMALL),))])
    return folder


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, data: Path) -> Any:
    """Measures a class of segmenters on sources."""

    def ask(kind: type[Segmenter], *sources: str, options: StudyOptions = OPTIONS) -> EverythingGrid:
        models._made.cache_clear()
        monkeypatch.setattr(models, "kind", lambda _: kind)
        found: EverythingGrid = STUDY.measure(kind.declaration.name, data, sources, options, Machine())
        return found

    yield ask
    models._made.cache_clear()


def test_dice_and_masks_of_each_pair_are_those_worked_out_by_hand(asked: Any) -> None:
    found = asked(Gridded, "toy")
    assert Gridded.asked == [10, 20]  # once each; one without an object that is scored is not encoded
    whole = 2 * 100 / (100 + 48 * 64)
    wanted = [
        ("Lesion-CT", 2, 1, 1, 0, 1),
        ("Lesion-CT", 4, 1, 1, 1, 2),
        ("Liver-CT", 2, 2, 2, (2 / 3 + 0) / 2, 0.5),
        ("Liver-CT", 4, 2, 2, (whole + 2 / 3) / 2, 1.5),
    ]
    told = [(own.pair, own.points, own.images, own.objects, own.dice, own.masks) for own in found.pairs]
    assert told == [(*keys, pytest.approx(dice, abs=1e-6), masks) for *keys, dice, masks in wanted]
    assert {own.source for own in found.pairs} == set(found.sources) == {"toy"}
    assert (found.images, found.objects, found.limits, found.of_paper) == (2, 3, "", False)


def test_the_example_has_the_most_objects_and_its_smallest_masks_on_top(asked: Any) -> None:
    (example,) = asked(Gridded, "toy").examples
    assert (example.source, example.image_id, example.objects) == ("toy", "toy/a/CT/0", 2)
    coarse, fine = example.grids
    assert (coarse.points, coarse.masks, coarse.dice) == (2, 1, pytest.approx(1 / 3, abs=1e-6))
    assert (fine.points, fine.masks) == (4, 2)
    assert (label_map(coarse) == rectangle(10, 10, 19, 14)).all()
    assert (label_map(fine) == np.where(LESION, 2, 1)).all()

    backwards = answering({10: {2: [], 4: ANSWERS[10][4][::-1]}, 20: ANSWERS[20]})
    assert (label_map(asked(backwards, "toy").examples[0].grids[1]) == np.where(LESION, 1, 2)).all()


def test_a_map_is_small_and_its_colours_come_again(asked: Any, data: Path) -> None:
    size = (601, 300)
    rng = np.random.default_rng(0)
    masks = [rng.random(size) < 0.5 for _ in range(COLOURS)]
    masks += [rectangle(5, 7, 200, 300, size)] * 2

    case = SmallCase("b", "b", (flat(10, Thing("Liver", rectangle(1, 1, 50, 50, size)), size=size),))
    dataset.build(data, "large", [case])
    found = asked(answering({10: {2: masks}}), "large", options=StudyOptions(everything_grid=(2,)))
    (drawn,) = found.examples[0].grids
    labels = label_map(drawn)
    assert labels.shape == (256, 127)
    assert drawn.masks == COLOURS + 2
    areas = [mask.sum() for mask in masks]
    for row, column in rng.integers(0, labels.shape, (300, 2)).tolist():
        y, x = row * 601 // 256, column * 300 // 127
        over = [place for place, mask in enumerate(masks) if mask[y, x]]
        # Of equal ones the last, as when they are painted one after the other.
        wanted = min(over, key=lambda place: (areas[place], -place)) % COLOURS + 1 if over else 0
        assert labels[row, column] == wanted
    assert len(drawn.labels) < 50_000
    assert pictures.decode(base64.b64decode(drawn.labels)).dtype == np.uint8


def test_of_the_sources_the_paper_s_are_asked_where_one_has_test_cases(asked: Any) -> None:
    found = asked(Gridded, "toy", "warwick_qu_glas", "crag")
    assert (list(found.sources), found.of_paper) == (["crag"], True)
    found = asked(Gridded, "toy", "warwick_qu_glas", "small")
    assert (list(found.sources), found.of_paper) == (["toy"], False)


def test_so_many_images_of_each_source_are_asked(asked: Any, data: Path) -> None:
    dataset.build(data, "toy_2", CASES)
    found = asked(Gridded, "toy", "toy_2", options=StudyOptions(grid_images=1, everything_grid=(2,)))
    assert (found.images, found.objects) == (2, 4)
    assert [(own.source, own.pair) for own in found.pairs] == [
        (source, pair) for source in ("toy", "toy_2") for pair in ("Lesion-CT", "Liver-CT")
    ]


def test_where_it_does_not_apply_the_record_says_why_and_nothing_else(asked: Any, data: Path) -> None:
    class Prompted(Ungridded):
        declaration = declaration("prompted", applies=("S5",), limits="has no eyes")

    for kind, why in ((Ungridded, "finds masks without a grid of points"), (Prompted, "has no eyes")):
        found = asked(kind, "toy")
        assert (found.model, found.limits) == (kind.declaration.name, why)
        assert (found.images, found.objects, found.pairs, found.examples) == (0, 0, (), ())


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        (("warwick_qu_glas",), "no test case of warwick_qu_glas; build a source that has one$"),
        (("small",), "no test case of small; build a source that has one$"),
        (("toy", "nowhere"), "nowhere/.*missing; build the source"),
    ],
)
def test_what_can_t_be_measured_is_one_line(asked: Any, sources: Sequence[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        asked(Gridded, *sources, options=StudyOptions(grid_images=1))


def test_a_failure_names_the_image_if_it_is_the_model_s(asked: Any) -> None:
    broken = answering({10: ANSWERS[10], 20: {2: [np.ones((3, 3), bool)]}})

    class Lost(Gridded):
        def everything(self, embedding: int, filters: Any = None) -> Iterator[Mask]:
            raise DeviceLost("gone")

    with pytest.raises(InputError, match=r"^gridded failed on toy/a/CT/1: .*shape.*; mend the model$"):
        asked(broken, "toy")
    with pytest.raises(DeviceLost):
        asked(Lost, "toy")


def test_what_is_written_is_read_and_twice_the_same(asked: Any, tmp_path: Path) -> None:
    paths = [measurements.write(asked(Gridded, "toy"), tmp_path / name) for name in ("one", "two")]
    assert paths[0].name == "gridded.json"
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert everything_grid.read(paths[0]) == asked(Gridded, "toy")
    told = json.loads(paths[0].read_text())
    told["pairs"][0]["dice"] = 1.5
    paths[0].write_text(json.dumps(told))
    with pytest.raises(InputError, match=r"gridded\.json: damaged or of another release; run `make repro`$"):
        everything_grid.read(paths[0])


@pytest.mark.slow
def test_sam_finds_what_its_owner_s_generator_finds(asked: Any, data: Path) -> None:
    import torch
    from segment_anything import SamAutomaticMaskGenerator
    from segment_anything.modeling import Sam as Network

    from leaderboard.sam import network
    from leaderboard.sam import weights as states
    from leaderboard.sam.segmenter import Sam
    from tests.leaderboard.sam.images import declared

    def rated_higher() -> Network:
        """The shipped one, which by itself rates its masks too low, and draws them too softly, to pass."""
        made = network.build("nano")
        states.load(weights.shipped("sam_nano"), made)
        with torch.no_grad():
            made.mask_decoder.iou_prediction_head.layers[-1].bias += 0.6
            for head in made.mask_decoder.output_hypernetworks_mlps:
                head.layers[-1].weight *= 20
                head.layers[-1].bias *= 20
        return made

    owner = rated_higher()

    class Rated(Sam):
        declaration = declared(name="rated")

        @classmethod
        def check(cls) -> None:
            pass

        @classmethod
        def load(cls) -> Network:
            return rated_higher()

    rng = np.random.default_rng(1)
    things = dataset.things(rng)[:4]
    image = dataset.picture(rng, things)
    dataset.build(data, "drawn", [SmallCase("d", "d", ((image, things),))])
    found = asked(Rated, "drawn", options=StudyOptions(everything_grid=(4, 8)))
    rgb = np.repeat(image[..., None], 3, axis=2)
    for drawn in found.examples[0].grids:
        generated = SamAutomaticMaskGenerator(owner, points_per_side=drawn.points).generate(rgb)
        masks = [one["segmentation"] for one in generated]
        assert drawn.masks == len(masks) > 3
        best = [
            max(2 * (mask & one.mask).sum() / (mask.sum() + one.mask.sum()) for mask in masks)
            for one in things
        ]
        assert drawn.dice == pytest.approx(np.mean(best), abs=1e-6)
