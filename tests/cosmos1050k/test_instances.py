"""Which pixels are which instance, and what a slice weighs, against the words of the protocol."""

import math

import numpy as np
import pytest
from hypothesis import strategies as st

from cosmos1050k.instances import Instance, NotOneLabel, instances_of, weight
from cosmos1050k.source import Label
from tests.cosmos1050k import literal, packs

DTYPES = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", ">i2", ">f4"]
#: Values that masks hold: few and near each other, 0/255, with gaps, huge.
VALUES = [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 100, 127, 128, 254, 255, 256, 300, 600, 1000, 30_000, 70_000, 2**20]
HUGE = [2**16 - 1, 2**16, 2**20 - 1, 2**20 + 1, 2**31, 2**40, 2**62, 2**63 + 5, -1, -300]
Case = tuple[np.ndarray, list[Label]]


def table(draw: st.DrawFn, dtype: np.dtype, size: int) -> np.ndarray:
    """The values of one pack's masks, all of the dtype."""
    if dtype.kind == "b":
        return np.arange(size) % 2 == 1
    wanted = draw(st.sampled_from([VALUES[:6], VALUES[:10], VALUES, VALUES + HUGE]))
    low, high = (np.iinfo(dtype).min, np.iinfo(dtype).max) if dtype.kind in "iu" else (-(2**20), 2**20)
    fitting = [value for value in wanted if low <= value <= high]
    return np.array(draw(st.lists(st.sampled_from(fitting), min_size=size, max_size=size)), dtype)


@st.composite
def by_value(draw: st.DrawFn) -> Label:
    """A label by one value or several, which the mask's dtype need not be able to hold."""
    several = st.lists(st.sampled_from(VALUES[2:]), min_size=1, max_size=4, unique=True).map(tuple)
    return Label(
        object=draw(st.sampled_from(["Liver", "Kidney"])),
        value=draw(st.one_of(st.sampled_from(VALUES[2:10]), several)),
        instance=(instance := draw(st.sampled_from([None, "left"]))),
        instances="one" if instance else draw(st.sampled_from(["one", "components"])),
    )


@st.composite
def above(draw: st.DrawFn) -> Label:
    low = draw(st.sampled_from([0, 0, 1, 3, 100, 127, 254, 300]))
    return Label(
        object=draw(st.sampled_from(["Cell", "Polyp"])),
        above=low,
        up_to=draw(st.sampled_from([None, None, low + 1, low + 60])),
        instances=draw(st.sampled_from(["one", "values", "components", "parts"])),
        weight=draw(st.sampled_from([1, 255])),
    )


@st.composite
def colour(draw: st.DrawFn) -> Label:
    return Label(
        object=draw(st.sampled_from(["Tool", "Eye"])),
        colour=draw(st.tuples(*[st.sampled_from([0, 1, 100, 128, 255])] * 3)),
        within=draw(st.sampled_from([0, 1, 28, 155])),
        instances=draw(st.sampled_from(["one", "components"])),
        weight=draw(st.sampled_from([1, 255])),
    )


@st.composite
def shade(draw: st.DrawFn) -> Label:
    """A colour that gray masks have too."""
    label = draw(colour())
    return label.model_copy(update={"colour": (label.colour[0],) * 3})


@st.composite
def gray(draw: st.DrawFn) -> list[Case]:
    """A pack of gray masks, saved as such or in three equal channels, and their labels."""
    dtype, most = np.dtype(draw(st.sampled_from(DTYPES))), 1 if draw(st.integers(0, 9)) == 0 else 8
    height, width = draw(st.integers(1, most)), draw(st.integers(1, most))
    bits = draw(st.sampled_from([1, 2, 4]))
    values = table(draw, dtype, 1 << bits)
    pack = values[draw(packs.codes((packs.PACK, height, width), bits))]
    if draw(st.booleans()):  # a background around it, of any width
        pack = pack * (np.add.outer(np.arange(height), np.arange(width)) % (height + 1) > 1).astype(dtype)
    if dtype.kind == "f":
        pack[pack == 7] = draw(st.sampled_from([7, math.nan]))
    if draw(st.integers(0, 4)) == 0:
        pack = np.repeat(pack[..., None], 3, axis=-1)
    if draw(st.booleans()):
        pack = pack[:, ::-1, ::-1]
    labels = draw(st.lists(st.one_of(by_value(), by_value(), above(), shade()), min_size=1, max_size=7))
    return [(mask, labels) for mask in pack]


@st.composite
def coloured(draw: st.DrawFn) -> list[Case]:
    """A pack of masks H×W×3 whose labels are colours, or the brightness of all channels together."""
    height, width = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    dtype = draw(st.sampled_from(["u1", "u1", "u2"]))
    bits = draw(st.sampled_from([1, 2, 4]))
    colours = np.array(
        draw(
            st.lists(
                st.sampled_from([0, 0, 1, 2, 100, 127, 128, 200, 254, 255]),
                min_size=3 << bits,
                max_size=3 << bits,
            )
        )
    ).reshape(-1, 3)
    pack = colours.astype(dtype)[draw(packs.codes((packs.PACK, height, width), bits))]
    bright = above().filter(lambda label: label.instances not in ("values", "parts"))
    labels = draw(st.lists(st.one_of(colour(), bright), min_size=1, max_size=4))
    return [(mask, labels) for mask in pack]


def as_found(instance: Instance) -> literal.Found:
    """With its pixels in the slice; it has to be cut out tightly."""
    rows, columns = np.nonzero(instance.mask)
    assert instance.mask.dtype == bool
    assert instance.mask.shape == (rows.max() + 1, columns.max() + 1)
    assert (rows.min(), columns.min()) == (0, 0)
    places = zip((columns + instance.left).tolist(), (rows + instance.top).tolist(), strict=True)
    return instance.object, instance.instance, frozenset(places)


def check(case: Case) -> None:
    mask, labels = case
    before = mask.copy()
    assert list(map(as_found, instances_of(mask, labels))) == literal.instances(mask, labels)
    assert weight(mask, labels) == literal.sum_of_values(mask, labels)
    assert np.array_equal(mask, before, equal_nan=mask.dtype.kind == "f")


@pytest.mark.slow
def test_many_gray_masks() -> None:
    packs.on_many(gray(), check)


@pytest.mark.slow
def test_many_masks_in_colour() -> None:
    packs.on_many(coloured(), check)


@st.composite
def sides(draw: st.DrawFn) -> list[tuple[np.ndarray, int]]:
    """A pack of slices of an organ's two sides, and the value its owner gave them."""
    shape = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    value = draw(st.sampled_from([1, 2, 13, 255]))
    return [(mask, value) for mask in draw(packs.codes((packs.PACK, *shape), 2)) % 3]


def test_the_two_sides_weigh_what_the_organ_did() -> None:
    labels = [Label(object="Kidney", value=number, instance=str(number)) for number in (1, 2)]

    def check(drawn: tuple[np.ndarray, int]) -> None:
        mask, value = drawn
        organ = np.where(mask > 0, value, 0)
        expected = literal.sum_of_values(organ, [Label(object="Kidney", value=value)])
        assert weight(mask, labels, value) == literal.sum_of_values(mask, labels, value) == expected

    packs.on_many(sides(), check)


def test_every_value_is_an_instance_where_no_pixel_is_background() -> None:
    for low in (1, 2**30):  # looked up in a table, or sorted
        mask = np.array([[low, low], [low + 7, low + 7]])
        assert [(one.instance, one.top) for one in instances_of(mask, [CELLS])] == [
            (str(low), 0),
            (str(low + 7), 1),
        ]


def test_components_count_row_by_row_in_a_large_picture() -> None:
    """As a flood fill of thousands of components in all sizes says."""
    random = np.random.default_rng(1050)
    mask = (random.random((300, 200)) < np.linspace(0.05, 0.6, 200)).astype(np.uint8)
    labels = [Label(object="Neural Structures", above=0, instances="components")]
    found = list(map(as_found, instances_of(mask, labels)))
    assert len(found) > 1000
    assert max(len(one[2]) for one in found) > 1000
    assert found == literal.instances(mask, labels)


def test_parts_of_a_value_are_told_apart_and_values_that_touch_stay_apart() -> None:
    values = np.array([[7, 7, 9, 0, 7], [0, 9, 9, 0, 7], [3, 0, 0, 0, 0]], np.uint8)
    found = instances_of(values, [Label(object="Adenocarcinoma", above=0, instances="parts")])
    assert [(one.instance, one.left, one.top, one.mask.tolist()) for one in found] == [
        ("3", 0, 2, [[True]]),
        ("7.1", 0, 0, [[True, True]]),
        ("7.2", 4, 0, [[True], [True]]),
        ("9", 1, 0, [[False, True], [True, True]]),
    ]


CELLS = Label(object="Cell", above=0, instances="values")
GRAY, RGB = np.array([[0, 1], [2, 3]], np.uint8), np.arange(12, dtype=np.uint8).reshape(2, 2, 3)


@pytest.mark.parametrize(
    ("mask", "label", "message"),
    [
        (RGB, Label(object="Liver", value=1), "a mask in colour, but its labels are values"),
        (
            RGB,
            Label(object="Cell", above=0, instances="values"),
            "a mask in colour, but its labels are values",
        ),
        (GRAY, Label(object="Tool", colour=(255, 0, 0)), "a gray mask, but its labels are colours"),
        (
            GRAY / 2,
            Label(object="Cell", above=0, instances="values"),
            "fractions, but each value should be an",
        ),
    ],
)
def test_what_does_not_fit_its_labels(mask: np.ndarray, label: Label, message: str) -> None:
    with pytest.raises(NotOneLabel, match=message):
        list(instances_of(mask, [label]))


def test_an_empty_mask_holds_nothing() -> None:
    for empty in (np.zeros((3, 4), np.uint8), np.zeros((3, 4, 3), np.uint8)):
        labels = [Label(object="Cell", above=0), Label(object="Liver", value=(1, 2, 3, 4, 5, 6))]
        assert list(instances_of(empty, labels)) == []
        assert weight(empty, labels) == 0
