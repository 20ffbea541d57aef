"""Slices come out as a radiologist looks at them, or as stored, whatever the voxels' order in memory."""

import itertools
from dataclasses import dataclass

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

from cosmos1050k.slicing import Arrangement, Slices, anatomical, spacing
from cosmos1050k.slicing import stored as along
from cosmos1050k.source import View
from tests.cosmos1050k import literal, packs

#: All 48 ways to store a volume: which anatomical direction each stored axis runs to.
CODES = [
    "".join(direction[flip] for direction, flip in zip(axes, flips, strict=True))
    for axes in itertools.permutations(("RL", "AP", "SI"))
    for flips in itertools.product((0, 1), repeat=3)
]
SHAPE, ZOOMS = (4, 5, 6), (0.5, 2.0, 3.0)  # to the right, to the front, upwards
#: The documented display: rows run downwards to, columns rightwards to, slices along.
DISPLAY: dict[View, tuple[str, str, int]] = {
    "transverse": ("P", "L", 2),
    "coronal": ("I", "L", 1),
    "sagittal": ("I", "P", 0),
}
DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "?", ">i2", ">u4", ">f8", "g"]


def body() -> np.ndarray:
    """A volume in right–anterior–superior order whose every voxel is its own, by its place in the body."""
    right, front, up = np.indices(SHAPE)
    return (100 * right + 10 * front + up).astype(np.int16)


def body_as(codes: str) -> tuple[np.ndarray, np.ndarray]:
    """The body stored in another order, and its affine: nibabel's own reorientation."""
    change = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))
    array = nib.orientations.apply_orientation(body(), change)
    affine = np.diag([*ZOOMS, 1.0]) @ inv_ornt_aff(change, SHAPE)
    assert nib.aff2axcodes(affine) == tuple(codes)
    return array, affine


def place(slices: np.ndarray, index: int, row: int, column: int) -> tuple[int, int, int]:
    """(right, front, up) of the voxel seen there."""
    value = int(slices[index, row, column])
    return value // 100, value // 10 % 10, value % 10


def seen(array: np.ndarray, affine: np.ndarray, view: View) -> np.ndarray:
    slices = Slices(array, anatomical(affine, view))
    return np.stack([slices[index] for index in range(slices.count)])


def test_all_orientations_are_there() -> None:
    assert len(set(CODES)) == 48


@pytest.mark.parametrize("view", list(DISPLAY))
@pytest.mark.parametrize("codes", CODES)
def test_rows_and_columns_run_as_documented(codes: str, view: View) -> None:
    array, affine = body_as(codes)
    slices = seen(array, affine, view)
    down, right, along = DISPLAY[view]
    for direction, step in ((down, (0, 1, 0)), (right, (0, 0, 1))):
        axis, sign = {"P": (1, -1), "I": (2, -1), "L": (0, -1)}[direction]
        moved = np.subtract(place(slices, *step), place(slices, 0, 0, 0))
        expected = [0, 0, 0]
        expected[axis] = sign
        assert moved.tolist() == expected
    # The slice index is the stored one: along its stored axis, in the stored direction.
    axis = next(number for number, code in enumerate(codes) if code in ("RL", "AP", "SI")[along])
    for index in range(slices.shape[0]):
        assert (
            np.sort(slices[index].ravel()).tolist() == np.sort(np.take(array, index, axis).ravel()).tolist()
        )


@pytest.mark.parametrize("view", list(DISPLAY))
def test_every_orientation_shows_the_same_pictures(view: View) -> None:
    """But for the order of the slices, which is the stored one."""
    reference = {picture.tobytes() for picture in seen(*body_as("RAS"), view)}
    for codes in CODES:
        assert {picture.tobytes() for picture in seen(*body_as(codes), view)} == reference


def test_a_worked_case() -> None:
    """A marker at the patient's right, front, top, in a volume stored as left–posterior–inferior."""
    array, affine = body_as("LPI")
    array[0, 0, 0] = 999  # stored axes run to left, back, bottom: this corner is right, front, top
    # Transverse: front is up, the right is at the left; top is the first stored slice.
    assert seen(array, affine, "transverse")[0, 0, 0] == 999
    # Coronal: top is up, the right is at the left; front is the first stored slice.
    assert seen(array, affine, "coronal")[0, 0, 0] == 999
    # Sagittal: top is up, front is at the left; right is the first stored slice.
    assert seen(array, affine, "sagittal")[0, 0, 0] == 999
    assert seen(*body_as("RAS"), "sagittal").shape == (4, 6, 5)
    assert seen(*body_as("RAS"), "coronal").shape == (5, 6, 4)
    assert seen(*body_as("RAS"), "transverse").shape == (6, 5, 4)


@pytest.mark.parametrize("codes", CODES)
def test_spacing_is_between_rows_then_between_columns(codes: str) -> None:
    _, affine = body_as(codes)
    assert spacing(affine, anatomical(affine, "transverse")) == pytest.approx((2.0, 0.5))
    assert spacing(affine, anatomical(affine, "coronal")) == pytest.approx((3.0, 0.5))
    assert spacing(affine, anatomical(affine, "sagittal")) == pytest.approx((3.0, 2.0))


def rotation(axis: int, degrees: float) -> np.ndarray:
    turn = np.eye(4)
    first, second = [other for other in range(3) if other != axis]
    angle = np.radians(degrees)
    turn[first, first] = turn[second, second] = np.cos(angle)
    turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
    return turn


@given(codes=st.sampled_from(CODES), axis=st.integers(0, 2), degrees=st.floats(-44, 44))
def test_an_oblique_volume_takes_the_nearest_axes(codes: str, axis: int, degrees: float) -> None:
    array, affine = body_as(codes)
    oblique = rotation(axis, degrees) @ affine
    for view in DISPLAY:
        assert np.array_equal(seen(array, oblique, view), seen(array, affine, view))
        assert spacing(oblique, anatomical(oblique, view)) == pytest.approx(
            spacing(affine, anatomical(affine, view))
        )


def test_turned_further_than_half_way_it_takes_the_other_axes() -> None:
    array, affine = body_as("RAS")
    turned = seen(array, rotation(2, 50) @ affine, "transverse")
    # The stored first axis now runs to the front rather than to the right, the second to the left.
    assert nib.aff2axcodes(rotation(2, 50) @ affine) == ("A", "L", "S")
    assert turned.shape == (6, 4, 5)
    assert np.array_equal(turned[0], array[::-1, :, 0])


def test_nibabel_reorients_alike() -> None:
    """The coronal display is nibabel's volume in left–posterior–inferior order."""
    for codes in CODES:
        array, affine = body_as(codes)
        change = ornt_transform(io_orientation(affine), axcodes2ornt("LPI"))
        shown = nib.orientations.apply_orientation(array, change)
        ours = seen(array, affine, "coronal")
        if "P" not in codes:  # the slice order is the stored one
            ours = ours[::-1]
        assert np.array_equal(ours, shown.transpose(1, 2, 0))


@dataclass(frozen=True)
class Stored:
    """A volume in memory, sliced by `view` in its orientation `codes`, or along `axis`; a box of it."""

    array: np.ndarray
    codes: str
    view: View
    axis: int | None
    box: tuple[slice, slice, slice]

    @property
    def arrangement(self) -> Arrangement:
        if self.axis is not None:
            return along(self.axis)
        change = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(self.codes))
        return anatomical(np.diag([0.7, 2, 3, 1]) @ inv_ornt_aff(change, (4, 5, 6)), self.view)

    def by_words(self) -> np.ndarray:
        """The place of every voxel (i·J + j)·K + k in slices × rows × columns."""
        places = np.arange(np.prod(self.array.shape[:3])).reshape(self.array.shape[:3])
        if self.axis is not None:
            return literal.sliced_as_stored(places, self.axis)
        return literal.sliced(places, self.codes, self.view)


@st.composite
def volumes(draw: st.DrawFn) -> list[Stored]:
    """A pack of volumes, every voxel of which is its own, in every orientation and order in memory."""
    dtype = draw(st.sampled_from(DTYPES))
    longest = draw(st.sampled_from([4] * 7 + [70]))  # blocks of slices are copied together: several of them
    pack = []
    for number, any_of in enumerate(draw(packs.codes((packs.PACK, 16), 8)).tolist()):
        shape = [1 + any_of[0] % longest, 1 + any_of[1] % 4, 1 + any_of[2] % 3, 3]
        turned = shape[any_of[3] % 3 :: -1] + shape[any_of[3] % 3 + 1 : 3] + shape[3 : 3 + (any_of[4] > 200)]
        array = np.arange(np.prod(turned)).astype(dtype).reshape(turned)
        places = list(itertools.permutations(range(array.ndim)))[any_of[5] % 6]
        kept = array.transpose(places).copy().transpose(np.argsort(places))
        kept.flags.writeable = any_of[6] % 2 == 0
        box = tuple(
            slice(low % n, low % n + 1 + high % (n - low % n))
            for low, high, n in zip(any_of[7:10], any_of[10:13], turned[:3], strict=True)
        )
        axis = any_of[14] % 9
        view = list(DISPLAY)[any_of[13] % 3]
        pack.append(Stored(kept, CODES[(number + any_of[15]) % 48], view, axis if axis < 3 else None, box))
    return pack


def same(found: np.ndarray, expected: np.ndarray) -> bool:
    return found.dtype == expected.dtype and np.array_equal(found, expected)


@pytest.mark.slow
def test_many_volumes() -> None:
    """Anatomical slices of all orientations and slices along stored axes, of whole volumes and of boxes."""

    def check(volume: Stored) -> None:
        places = volume.by_words()
        shape = volume.array.shape
        expected = volume.array.reshape(-1, *shape[3:])[places]
        slices = Slices(volume.array, volume.arrangement)
        assert (slices.first, slices.top, slices.left, slices.count) == (0, 0, 0, len(expected))
        assert all(same(slices[index], picture) for index, picture in enumerate(expected))
        assert all(same(slices[index], expected[index]) for index in reversed(range(len(expected))))
        # Of a box the slices are those of the whole, cut at its place.
        inside = np.zeros(shape[:3], bool)
        inside[volume.box] = True
        cut = Slices(
            volume.array[volume.box].copy(order="K"),
            volume.arrangement,
            [part.start for part in volume.box],
            shape[:3],
        )
        for index, (picture, here) in enumerate(zip(expected, inside.reshape(-1)[places], strict=True)):
            assert (index in cut) == here.any()
            if index in cut:
                part = cut[index]
                height, width = part.shape[:2]
                assert same(part, picture[cut.top : cut.top + height, cut.left : cut.left + width])
                assert part.size == here.sum() * (3 if volume.array.ndim == 4 else 1)
        for wrong in (cut.first - 1, cut.first + cut.count):
            assert wrong not in cut
            with pytest.raises(IndexError):
                cut[wrong]

    packs.on_many(volumes(), check)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ["F", "C"])
def test_long_volumes_of_every_dtype(dtype: str, order: str) -> None:
    """Any bits come through: blocks of slices that interleave in memory, whole and in part."""
    random = np.random.default_rng(1050)
    for length in (31, 32, 33, 63, 64, 65, 100):
        for axis, shape in ((0, (length, 3, 5)), (2, (3, 5, length)), (1, (3, length, 5))):
            bits = random.integers(0, 256, (*shape, np.dtype(dtype).itemsize), np.uint8)
            if dtype == "?":
                bits &= 1
            array = bits.view(dtype)[..., 0].copy(order=order)
            slices = Slices(array, along(axis))
            for index in [*range(length), *random.permutation(length).tolist()]:
                expected = np.take(array, index, axis).T
                assert slices[index].dtype == array.dtype
                assert slices[index].tobytes() == expected.tobytes()
