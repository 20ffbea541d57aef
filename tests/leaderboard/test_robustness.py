"""Shifts of prompts, whatever they are of, and the DICE that is lost by them, worked out by hand."""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cosmos1050k import shards
from cosmos1050k.errors import InputError
from leaderboard import models, robustness
from leaderboard.machine import DeviceLost, Machine
from leaderboard.models.base import ALL, PROMPTED, Candidates
from leaderboard.models.box import Box
from leaderboard.robustness import REACHES, SEEDS, Key, Reach, drops, measure, shifted
from leaderboard.strategies import NEGATIVE, PADDING, POSITIVE, STRATEGIES, Prompts, prompts
from tests.leaderboard import dataset
from tests.leaderboard.dataset import SmallCase, Thing, rectangle
from tests.leaderboard.segmenters import Scripted, candidates, declaration

#: In the middle of an image of twice that, where nothing is clipped.
MIDDLE = 500

keys_of = st.lists(st.tuples(st.text(max_size=12), st.integers(0, 400)), min_size=1, max_size=4, unique=True)
reaches = st.sampled_from(REACHES)
seeds = st.integers(0, 2**32)


def moved(
    keys: Sequence[Key], reach: Reach, seed: int = 0, places: int = 10
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """By how much every point and every corner of a box is shifted: n×places×2 and n×4."""
    points = np.full((len(keys), places, 2), MIDDLE, np.int32)
    boxes = np.full((len(keys), 4), MIDDLE, np.int32)
    before = Prompts(points, np.full((len(keys), places), POSITIVE, np.int8), boxes)
    after = shifted(before, keys, (2 * MIDDLE, 2 * MIDDLE), reach, seed)
    return points_of(after) - points, boxes_of(after) - boxes


def points_of(found: Prompts) -> NDArray[np.int32]:
    assert found.points is not None
    assert found.points.dtype == np.int32
    return found.points


def boxes_of(found: Prompts) -> NDArray[np.int32]:
    assert found.boxes is not None
    assert found.boxes.dtype == np.int32
    return found.boxes


def enlarged(shift: NDArray[np.int32]) -> bool:
    return shift.tolist() == [-shift[3], -shift[3], shift[3], shift[3]]


@given(keys_of, reaches, seeds)
def test_every_shift_is_within_its_reach(keys: list[Key], reach: Reach, seed: int) -> None:
    points, boxes = moved(keys, reach, seed, places=5)
    by = {int(x) ** 2 + int(y) ** 2 for x, y in points.reshape(-1, 2)}
    for box in boxes:
        assert enlarged(box) or (box[:2] == box[2:]).all()
        by.add(int(box[3]) ** 2 if enlarged(box) else int(box[2]) ** 2 + int(box[3]) ** 2)
    assert reach[0] ** 2 <= min(by) <= max(by) <= reach[1] ** 2


@given(st.data(), st.tuples(st.integers(1, 70), st.integers(1, 70)), reaches, seeds)
def test_what_is_shifted_is_clipped_to_the_image(
    data: st.DataObject, size: tuple[int, int], reach: Reach, seed: int
) -> None:
    keys: list[Key] = data.draw(keys_of)
    last = np.array(size[::-1]) - 1

    def corner() -> list[int]:
        return [data.draw(st.integers(0, int(most))) for most in last]

    points = np.array([[corner() for _ in range(3)] for _ in keys], np.int32)
    boxes = np.array([np.sort([corner(), corner()], axis=0).reshape(4) for _ in keys], np.int32)
    labels = np.array([[POSITIVE, NEGATIVE, POSITIVE]] * len(keys), np.int8)
    found = shifted(Prompts(points, labels, boxes), keys, size, reach, seed)
    of_points, of_boxes = moved(keys, reach, seed, places=3)
    np.testing.assert_array_equal(points_of(found), np.clip(points + of_points, 0, last))
    np.testing.assert_array_equal(boxes_of(found), np.clip(boxes + of_boxes, 0, np.tile(last, 2)))
    assert (boxes_of(found)[:, :2] <= boxes_of(found)[:, 2:]).all()
    assert found.labels is labels


@pytest.mark.parametrize("reach", REACHES)
def test_distances_directions_and_kinds_are_spread_evenly(reach: Reach) -> None:
    points, boxes = moved([("image", number) for number in range(600)], reach)
    x, y = points.reshape(-1, 2).astype(float).T
    far = np.hypot(x, y)
    assert np.mean(far) == pytest.approx(fmean(reach), abs=0.25)
    assert np.mean(far < fmean(reach)) == pytest.approx(0.5, abs=0.04)
    assert np.std(far) == pytest.approx(10 / math.sqrt(12), abs=0.15)
    for one, other in ((x, y), (y, x), (x + y, x - y)):
        assert np.mean(one > 0) == pytest.approx(np.mean(one < 0), abs=0.04)
        assert np.mean(one**2) == pytest.approx(np.mean(other**2), rel=0.1)
        assert np.corrcoef(one, other)[0, 1] == pytest.approx(0, abs=0.05)
    first, second = far.reshape(600, 10)[:, :2].T
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0, abs=0.12)
    grown = [box[3] for box in boxes if enlarged(box)]
    assert len(grown) / 600 == pytest.approx(0.5, abs=0.06)
    assert np.mean(grown) == pytest.approx(fmean(reach), abs=0.6)
    away = [math.hypot(*box[:2]) for box in boxes if not enlarged(box)]
    assert np.mean(away) == pytest.approx(fmean(reach), abs=0.6)


def test_a_shift_is_the_keyed_hash_of_what_is_shifted() -> None:
    """What a release published stays so: every model, of any release, gets the same prompts."""

    def uniform(what: str) -> float:
        text = f"7/10-20/{what}/4/a/b/CT/0".encode()
        digest = hashlib.blake2b(text, key=b"cosmos1050k/robustness", digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64

    points, boxes = moved([("a/b/CT/0", 4)], (10, 20), seed=7)
    for place, shift in enumerate(points[0].tolist()):
        far, angle = 10 + 10 * uniform(f"point {place} distance"), math.tau * uniform(f"point {place} angle")
        assert math.dist(shift, (far * math.cos(angle), far * math.sin(angle))) < math.sqrt(2)
    far, angle = 10 + 10 * uniform("box distance"), math.tau * uniform("box angle")
    expected = [far * math.cos(angle), far * math.sin(angle)] * 2
    if uniform("box kind") < 0.5:
        expected = [-far, -far, far, far]
    np.testing.assert_allclose(boxes[0], expected, atol=1)


def entry(seed: int) -> dict[str, Any]:
    """An object as a row stores it, with nothing around it if the seed is odd."""
    rng = np.random.default_rng(seed)
    (x0, x1), (y0, y1) = np.sort(rng.integers(0, 200, (2, 2)), axis=1).tolist()
    negative = [[-1, -1]] * 5 if seed % 2 else rng.integers(0, 200, (5, 2)).tolist()
    positive = rng.integers(0, 200, (5, 2)).tolist()
    return {"box": [x0, y0, x1, y1], "points_pos": positive, "points_neg": negative}


ENTRIES = [entry(number) for number in range(6)]


def of_strategy(name: str, places: Sequence[int] = range(6)) -> Prompts:
    """The shifted prompts of some of the objects, in that order."""
    asked = prompts(STRATEGIES[name], [ENTRIES[place] for place in places])
    return shifted(asked, [("image", place) for place in places], (200, 200), (10, 20), seed=1)


def test_the_same_prompt_is_shifted_alike_under_every_strategy() -> None:
    all_points = points_of(of_strategy("S4"))
    for name, count in (("S2", 1), ("S3", 5), ("S6", 1)):
        np.testing.assert_array_equal(points_of(of_strategy(name)), all_points[:, :count])
    np.testing.assert_array_equal(boxes_of(of_strategy("S5")), boxes_of(of_strategy("S6")))


@given(st.permutations(range(6)), st.integers(0, 6), st.sampled_from(PROMPTED))
def test_neither_order_nor_other_objects_change_a_shift(order: list[int], count: int, name: str) -> None:
    every, some = of_strategy(name), of_strategy(name, order[:count])
    assert len(some) == count
    if every.points is not None:
        np.testing.assert_array_equal(points_of(some), every.points[order[:count]])
    if every.boxes is not None:
        np.testing.assert_array_equal(boxes_of(some), every.boxes[order[:count]])


def test_whatever_a_shift_depends_on_changes_it() -> None:
    def shifts(image: str = "image", first: int = 0, reach: Reach = (10, 20), seed: int = 0) -> Any:
        return moved([(image, first + number) for number in range(20)], reach, seed)

    points, boxes = shifts()
    for others in (shifts(image="images"), shifts(first=20), shifts(reach=(20, 30)), shifts(seed=1)):
        # Two of the few whole pixels may be the same by chance.
        assert (points != others[0]).any(axis=-1).mean() > 0.95
        assert (boxes != others[1]).any(axis=-1).mean() > 0.8


def test_padding_stays_where_it_is() -> None:
    before, after = prompts(STRATEGIES["S4"], ENTRIES), of_strategy("S4")
    assert before.labels is not None
    padding = before.labels == PADDING
    assert padding.sum() == 15
    assert (points_of(after)[padding] == -1).all()
    assert (points_of(after)[~padding] != points_of(before)[~padding]).any(axis=-1).all()


SIZE = (160, 200)
#: Two objects of one image, away from its border, and one in its corner.
PLACES = ((90, 60, 129, 79), (60, 90, 84, 124), (0, 0, 19, 9))
INSIDE = [rectangle(*place, SIZE) for place in PLACES]


def rows_of(*masks: NDArray[np.bool_], images: int = 1) -> pa.Table:
    picture = np.zeros(SIZE, np.uint8)
    things = tuple(Thing("Liver", mask) for mask in masks)
    return dataset.rows("first", SmallCase("case", "patient", ((picture, things),) * images))


def of_rectangles(one: Sequence[int], other: Sequence[int]) -> float:
    """DICE of two boxes, both ends inside."""
    wide, high = (min(one[2 + k], other[2 + k]) - max(one[k], other[k]) + 1 for k in (0, 1))
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (one, other)]
    return 2 * max(wide, 0) * max(high, 0) / sum(areas)


def by_hand(value: Callable[[str, int, Reach, int], float], places: Sequence[int], images: int = 1) -> Any:
    """Reaches × seeds × objects of what is expected of an object of an image."""
    keys = [(f"first/case/CT/{image}", place) for image in range(images) for place in places]
    return [[[value(*key, reach, seed) for key in keys] for seed in SEEDS] for reach in REACHES]


def lost_box(image: str, place: int, reach: Reach, seed: int) -> float:
    """What the model `box` loses of an object: its shifted box is its answer."""
    box = np.array(PLACES[place])
    _, ((*shift,),) = moved([(image, place)], reach, seed)
    height, width = SIZE
    return 1 - of_rectangles(PLACES[place], np.clip(box + shift, 0, [width - 1, height - 1] * 2).tolist())


def test_a_box_loses_the_dice_of_two_rectangles() -> None:
    # 40×20 pixels, 10 more on each side: 2·800 / (800 + 60·40); moved by (6, 8): 2·34·12 / 1600.
    assert of_rectangles(PLACES[0], (80, 50, 139, 89)) == 0.5
    assert of_rectangles(PLACES[0], (96, 68, 135, 87)) == 0.51
    found = drops(Box(), rows_of(*INSIDE, images=2), ("S5", "S6"))
    expected = by_hand(lost_box, range(3), images=2)
    for name in ("S5", "S6"):
        np.testing.assert_allclose(found[name], expected, atol=1e-12)


def seen(image: NDArray[np.uint8], asked: Prompts) -> Iterator[Candidates]:
    """Nothing, rated best, and the ten columns of an object on its left if the point lies in it."""
    for (x0, y0, _, y1), mask, ((x, y),) in zip(PLACES, INSIDE, points_of(asked), strict=True):
        left = rectangle(x0, y0, x0 + 9, y1, SIZE)
        yield candidates([np.zeros(SIZE, bool), left & mask[y, x]], [0.9, 0.1])


def lost_point(image: str, place: int, reach: Reach, seed: int) -> float:
    """All the DICE that there is if the point misses."""
    x0, y0, x1, y1 = PLACES[place]
    (((more_x, more_y),),), _ = moved([(image, place)], reach, seed, places=1)
    x, y = max((x0 + x1) // 2 + more_x, 0), max((y0 + y1) // 2 + more_y, 0)
    missed = not (x0 <= x <= x1 and y0 <= y <= y1)
    return missed * of_rectangles(PLACES[place], (x0, y0, x0 + 9, y1))


def test_of_points_the_best_candidate_counts() -> None:
    found = drops(Scripted(declaration(), seen), rows_of(*INSIDE), ("S2",))["S2"]
    np.testing.assert_allclose(found, by_hand(lost_point, range(3)), atol=1e-12)
    assert 0.1 < (found > 0).mean() < 0.9


def test_a_model_that_heeds_no_prompt_loses_nothing_and_encodes_once() -> None:
    def always(image: NDArray[np.uint8], asked: Prompts) -> Iterator[Candidates]:
        calls.append(len(asked))
        for mask in INSIDE[: len(asked)]:
            yield candidates([np.roll(mask, 3), ~mask, mask ^ INSIDE[0]], [0.2, 0.5, 0.1])

    calls: list[int] = []
    model = Scripted(declaration(applies=PROMPTED), always)
    found = drops(model, rows_of(*INSIDE, images=2), PROMPTED)
    assert model.embedded == 2
    assert calls == [3] * 2 * len(PROMPTED) * (1 + len(REACHES) * len(SEEDS))
    assert list(found) == list(PROMPTED)
    assert all(values.shape == (3, 3, 6) and not values.any() for values in found.values())


def test_objects_of_fifty_pixels_are_left_out_and_images_without_others() -> None:
    small = rectangle(150, 20, 159, 24, SIZE)
    assert drops(Box(), rows_of(small), ("S5",))["S5"].shape == (3, 3, 0)
    found = drops(Box(), rows_of(INSIDE[0], small, INSIDE[2]), ("S5",))
    # The third of the row is shifted as the third, though it is the second that is asked for.
    np.testing.assert_allclose(found["S5"], by_hand(lost_box, [0, 2]), atol=1e-12)


def test_the_order_of_images_changes_nothing() -> None:
    rows = rows_of(*INSIDE, images=3)
    every = drops(Box(), rows, ("S5",))["S5"].reshape(3, 3, 3, 3)
    other = drops(Box(), rows.take([2, 0]), ("S5",))["S5"].reshape(3, 3, 2, 3)
    np.testing.assert_array_equal(other, every[:, :, [2, 0]])


FAILED = r"^scripted failed on first/case/CT/0: "


@pytest.mark.parametrize(
    ("error", "raised", "words"),
    [
        (RuntimeError("no\nidea"), InputError, FAILED + r"RuntimeError\('no\\nidea'\); mend the model$"),
        (None, InputError, FAILED + r"ValueError.*; mend the model$"),  # one answer for three objects
        (MemoryError("full"), MemoryError, "full"),
        (DeviceLost("gone"), DeviceLost, "gone"),
    ],
)
def test_a_failure_names_the_image_if_it_is_the_model_s(
    error: Exception | None, raised: type[Exception], words: str
) -> None:
    def prompt(image: NDArray[np.uint8], asked: Prompts) -> Iterator[Candidates]:
        if error:
            raise error
        yield candidates([INSIDE[0]], [0.5])

    with pytest.raises(raised, match=words):
        drops(Scripted(declaration(), prompt), rows_of(*INSIDE), ("S2",))


# A measurement.


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources; the first image of a third has no object that is large enough."""
    folder = tmp_path_factory.mktemp("built")
    dataset.build(folder, "first", dataset.cases(2, slices=1), shard_bytes=dataset.ONE_CASE)
    dataset.build(folder, "second", dataset.cases(1, seed=1, slices=1))
    slices = tuple(
        (np.zeros((48, 64), np.uint8), (Thing("Liver", rectangle(0, 0, side, side)),)) for side in (5, 25)
    )
    dataset.build(folder, "third", [SmallCase("case", "patient", slices)])
    return folder


SOURCES = ("first", "second")


def test_the_record_is_of_the_model_the_sources_and_the_means(data: Path) -> None:
    found = measure("box", data, SOURCES, ("S6", "S5"), 3)
    declared = Box.declaration
    assert (found.model, found.version, found.weights_sha256) == ("box", declared.version, None)
    assert found.sources == {slug: shards.load_manifest(data / slug).version for slug in SOURCES}
    assert (found.device, found.numerics, found.images) == ("cpu", "bool", 3)
    assert list(found.drops) == ["0-10", "10-20", "20-30"]
    assert all(list(drop) == ["S5", "S6"] for drop in found.drops.values())
    cases = [case for slug in SOURCES for case in shards.load_cases(data / slug) if case["split"] == "test"]
    tables = [shards.read_case(data / case["source"], case) for case in cases]
    most = measure("box", data, SOURCES, ("S5",), 100)
    assert most.images == sum(table.num_rows for table in tables) > 3
    every = drops(Box(), pa.concat_tables(tables), ("S5",))["S5"]
    assert most.objects == every.shape[-1] > found.objects
    for reach, of_seeds in zip(most.drops.values(), every, strict=True):
        means = [fmean(seed) for seed in of_seeds.tolist()]
        assert reach["S5"].mean == pytest.approx(fmean(means))
        assert reach["S5"].spread == pytest.approx(stdev(means))


def test_a_network_loses_the_same_in_other_batches_and_the_more_the_farther(data: Path) -> None:
    found = measure("sam_nano", data, SOURCES, ("S1", "S2", "S5"), 1, Machine(prompt_batch=16))
    declared = models.kind("sam_nano").declaration
    assert (found.version, found.weights_sha256) == (declared.version, declared.weights_sha256)
    assert (found.numerics, found.images) == ("float32", 1)
    assert all(list(drop) == ["S2", "S5"] for drop in found.drops.values())
    near, _, far = (drop["S5"].mean for drop in found.drops.values())
    assert near < far
    again = measure("sam_nano", data, SOURCES, ("S5",), 1)
    assert again.objects == found.objects
    for name, drop in again.drops.items():  # one prompt at a time is the same but for rounding
        assert drop["S5"].mean == pytest.approx(found.drops[name]["S5"].mean, abs=5e-3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "nobody"}, "unknown model 'nobody'"),
        ({"strategies": ("S1", "S2")}, "^box: no prompt to shift under S1, S2; .* under S5, S6$"),
        ({"sources": ("first", "fourth")}, "fourth/manifest.json: missing; build the source"),
    ],
)
def test_what_can_t_be_measured_is_one_line(data: Path, changes: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"model": "box", "data": data, "sources": SOURCES, "strategies": ALL, "images": 2}
    with pytest.raises(InputError, match=words):
        measure(**given | changes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('"objects"', '"more"'), "damaged or of another release"),
        (('"spread": ', '"spread": -'), "damaged or of another release"),
        (('"model": "box"', '"model": "cox"'), "measured of cox"),
    ],
)
def test_what_is_written_is_read_if_it_is_not_damaged(
    tmp_path: Path, data: Path, change: tuple[str, str], words: str
) -> None:
    found = measure("box", data, ("second",), ("S5",), 1)
    path = robustness.write(found, tmp_path / "robustness")
    assert (path.name, robustness.read(path)) == ("box.json", found)
    text = path.read_text()
    path.write_text(text.replace(*change))
    with pytest.raises(InputError, match=rf"box\.json: {words}; run `cosmos robustness box`$"):
        robustness.read(path)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"grabcut\.json: missing; run `cosmos robustness grabcut`$"):
        robustness.read(tmp_path / "grabcut.json")
