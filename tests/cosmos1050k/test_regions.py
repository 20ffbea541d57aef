"""The label map holds every combination of objects once, as the protocol says, and gives every mask back."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cosmos1050k import regions as module
from cosmos1050k.instances import Instance
from cosmos1050k.regions import MAX_REGIONS, TooManyRegions, mask_of, regions_of
from tests.cosmos1050k import literal, packs
from tests.label_maps import label_map
from tests.many import many

STACKS = arrays.arrays(
    bool, st.tuples(st.integers(1, 20), st.integers(1, 7), st.integers(1, 9)), elements=st.booleans()
)


def instance(mask: np.ndarray) -> Instance:
    """The mask as the instances of a slice hold it: cut out tightly."""
    top, bottom = np.flatnonzero(mask.any(axis=1))[[0, -1]]
    left, right = np.flatnonzero(mask.any(axis=0))[[0, -1]]
    return Instance("Liver", None, mask[top : bottom + 1, left : right + 1], int(top), int(left))


@st.composite
def stacks(draw: st.DrawFn) -> list[np.ndarray]:
    """A pack of stacks n×H×W: masks that overlap freely, seldom, or never."""
    count, height, width = draw(st.integers(1, 20)), draw(st.integers(1, 7)), draw(st.integers(1, 8))
    if draw(st.booleans()):  # no pixel has two masks
        numbers = draw(packs.codes((packs.PACK, 1, height, width), 4))
        return list(numbers == np.arange(1, count + 1)[:, None, None])
    stack = draw(packs.codes((packs.PACK, min(count, 12), height, width), 1)).astype(bool)
    if draw(st.booleans()):
        stack[:, :, :, :-1] &= ~stack[:, :, :, 1:]
        stack[:, 1:] &= ~stack[:, :-1]
    return list(stack)


@pytest.mark.parametrize("most", [255, 9])
def test_many_stacks(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Overlaps, numbering, order, limit; with a low limit that many reach."""
    monkeypatch.setattr(module, "MAX_REGIONS", most)
    refused = 0

    def check(stack: np.ndarray) -> None:
        nonlocal refused
        masks = [mask for mask in stack if mask.any()]
        if not masks:
            return
        height, width = masks[0].shape
        expected = literal.regions([packs.pixels(mask) for mask in masks], width, height, most)
        refused += expected is None
        cut = [instance(mask) for mask in masks]
        for way in (lambda: label_map(masks), lambda: regions_of(cut, (height, width))):
            if expected is None:
                with pytest.raises(TooManyRegions):
                    way()
                continue
            regions, values = way()
            assert regions.dtype == np.uint8
            assert (regions.tolist(), values) == expected

    packs.on_many(stacks(), check)
    assert (refused > many(1000)) == (most == 9)


def check(masks: list[np.ndarray]) -> None:
    """Everything that is promised, pixel by pixel against sets of masks."""
    regions, values = label_map(masks)
    assert regions.dtype == np.uint8
    assert regions.shape == masks[0].shape
    combination: dict[int, frozenset[int]] = {}
    for place in np.ndindex(regions.shape):
        here = frozenset(number for number, mask in enumerate(masks) if mask[place])
        assert (regions[place] == 0) == (not here)
        # one value for one combination, and another for another
        assert combination.setdefault(int(regions[place]), here) == here
    combination.pop(0, None)
    assert len(set(combination.values())) == len(combination)
    assert sorted(combination) == list(range(1, len(combination) + 1))
    assert len(values) == len(masks)
    for number, (mask, own) in enumerate(zip(masks, values, strict=True)):
        assert own == [value for value in sorted(combination) if number in combination[value]]
        assert np.array_equal(mask_of(regions, own), mask)
    # The order: by the last mask, then the last but one, …
    order = [sorted(combination[value], reverse=True) for value in sorted(combination)]
    assert order == sorted(order)


@given(STACKS)
def test_any_masks(stack: np.ndarray) -> None:
    masks = [mask for mask in stack if mask.any()]
    if masks:
        check(masks)


@pytest.mark.parametrize("count", [7, 8, 9, 16, 17, 24, 60, 64, 65, 130])
def test_many_masks_of_a_few_overlapping_squares(count: int) -> None:
    random = np.random.default_rng(count)
    masks = []
    for _ in range(count):
        mask = np.zeros((40, 50), bool)
        top, left = random.integers(0, 40), random.integers(0, 50)
        mask[top : top + 3, left : left + 3] = True
        masks.append(mask)
    regions, _ = label_map(masks)
    assert regions.max() > count // 2
    check(masks)


def test_the_order_of_a_worked_case() -> None:
    """Three masks, every combination once, the background in front."""
    codes = np.arange(8)[None]
    masks = [codes >> number & 1 == 1 for number in range(3)]
    regions, values = label_map(masks)
    assert regions.tolist() == [[0, 1, 2, 3, 4, 5, 6, 7]]
    assert values == [[1, 3, 5, 7], [2, 3, 6, 7], [4, 5, 6, 7]]
    # Without background and with two combinations alone: 1 and 2, and 1 belongs to both.
    regions, values = label_map([np.array([[True, True]]), np.array([[False, True]])])
    assert (regions.tolist(), values) == ([[1, 2]], [[1, 2], [2]])


@pytest.mark.parametrize("background", [0, 1])
def test_255_regions_fit_and_256_do_not(background: int) -> None:
    """One pixel for each of 255 objects, then for 256, with and without a pixel of none."""
    for count in (MAX_REGIONS, MAX_REGIONS + 1):
        pixels = np.arange(count + background)[None]
        masks = [pixels == number for number in range(count)]
        if count > MAX_REGIONS:
            with pytest.raises(TooManyRegions, match="256 regions or more in one picture, at most 255 fit"):
                label_map(masks)
        else:
            check(masks)


@pytest.mark.parametrize("background", [0, 1])
def test_overlaps_count_as_regions(background: int) -> None:
    """Eight masks make 255 combinations; one more pixel, of a ninth, is one too many."""
    codes = np.arange(1 - background, 257)[None]
    eight = [codes >> number & 1 == 1 for number in range(8)]
    check([mask[:, :-1] for mask in eight])
    with pytest.raises(TooManyRegions):
        label_map([*eight, codes == 256])


def test_all_orders_of_the_same_masks_give_them_back() -> None:
    random = np.random.default_rng(0)
    masks = [random.random((6, 6)) < 0.4 for _ in range(4)]
    for order in itertools.permutations(masks):
        check(list(order))


def test_masks_of_any_memory_order() -> None:
    random = np.random.default_rng(1)
    masks = [random.random((9, 5)) < 0.3 for _ in range(10)]
    plain = label_map(masks)
    turned = label_map([np.asfortranarray(mask[::-1])[::-1] for mask in masks])
    assert np.array_equal(plain[0], turned[0])
    assert plain[1] == turned[1]


def test_a_picture_of_more_pixels_than_a_float32_counts() -> None:
    """2²⁴ + 2¹³ + 1 pixels: of two masks the second lacks one pixel of the first."""
    first = np.ones((4097, 4097), bool)
    second = first.copy()
    second[4000, 4000] = False
    regions, values = label_map([first, second])
    assert values == [[1, 2], [2]]
    assert regions[4000, 4000] == 1
    assert np.count_nonzero(regions == 2) == first.size - 1
    assert label_map([first, first])[1] == [[1], [1]]
