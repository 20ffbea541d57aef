"""Slices come out as a radiologist looks at them, whatever the order the voxels are stored in."""

import itertools

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

from cosmos1050k.slicing import oriented, spacing
from cosmos1050k.source import View

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


def body() -> np.ndarray:
    """A volume in right–anterior–superior order whose every voxel is its own, by its place in the body."""
    right, front, up = np.indices(SHAPE)
    return (100 * right + 10 * front + up).astype(np.int16)


def stored(codes: str) -> tuple[np.ndarray, np.ndarray]:
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


def test_all_orientations_are_there() -> None:
    assert len(set(CODES)) == 48


@pytest.mark.parametrize("view", list(DISPLAY))
@pytest.mark.parametrize("codes", CODES)
def test_rows_and_columns_run_as_documented(codes: str, view: View) -> None:
    array, affine = stored(codes)
    slices = oriented(array, affine, view)
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
    assert np.shares_memory(slices, array)


@pytest.mark.parametrize("view", list(DISPLAY))
def test_every_orientation_shows_the_same_pictures(view: View) -> None:
    """But for the order of the slices, which is the stored one."""
    reference = {picture.tobytes() for picture in oriented(*stored("RAS"), view)}
    for codes in CODES:
        assert {picture.tobytes() for picture in oriented(*stored(codes), view)} == reference


def test_a_worked_case() -> None:
    """A marker at the patient's right, front, top, in a volume stored as left–posterior–inferior."""
    array, affine = stored("LPI")
    array[0, 0, 0] = 999  # stored axes run to left, back, bottom: this corner is right, front, top
    # Transverse: front is up, the right is at the left; top is the first stored slice.
    assert oriented(array, affine, "transverse")[0, 0, 0] == 999
    # Coronal: top is up, the right is at the left; front is the first stored slice.
    assert oriented(array, affine, "coronal")[0, 0, 0] == 999
    # Sagittal: top is up, front is at the left; right is the first stored slice.
    assert oriented(array, affine, "sagittal")[0, 0, 0] == 999
    assert oriented(*stored("RAS"), "sagittal").shape == (4, 6, 5)
    assert oriented(*stored("RAS"), "coronal").shape == (5, 6, 4)
    assert oriented(*stored("RAS"), "transverse").shape == (6, 5, 4)


@pytest.mark.parametrize("codes", CODES)
def test_spacing_is_between_rows_then_between_columns(codes: str) -> None:
    _, affine = stored(codes)
    assert spacing(affine, "transverse") == pytest.approx((2.0, 0.5))
    assert spacing(affine, "coronal") == pytest.approx((3.0, 0.5))
    assert spacing(affine, "sagittal") == pytest.approx((3.0, 2.0))


def rotation(axis: int, degrees: float) -> np.ndarray:
    turn = np.eye(4)
    first, second = [other for other in range(3) if other != axis]
    angle = np.radians(degrees)
    turn[first, first] = turn[second, second] = np.cos(angle)
    turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
    return turn


@given(codes=st.sampled_from(CODES), axis=st.integers(0, 2), degrees=st.floats(-44, 44))
def test_an_oblique_volume_takes_the_nearest_axes(codes: str, axis: int, degrees: float) -> None:
    array, affine = stored(codes)
    oblique = rotation(axis, degrees) @ affine
    for view in DISPLAY:
        assert np.array_equal(oriented(array, oblique, view), oriented(array, affine, view))
        assert spacing(oblique, view) == pytest.approx(spacing(affine, view))


def test_turned_further_than_half_way_it_takes_the_other_axes() -> None:
    array, affine = stored("RAS")
    turned = oriented(array, rotation(2, 50) @ affine, "transverse")
    # The stored first axis now runs to the front rather than to the right, the second to the left.
    assert nib.aff2axcodes(rotation(2, 50) @ affine) == ("A", "L", "S")
    assert turned.shape == (6, 4, 5)
    assert np.array_equal(turned[0], array[::-1, :, 0])


def test_nibabel_reorients_alike() -> None:
    """The coronal display is nibabel's volume in left–posterior–inferior order."""
    for codes in CODES:
        array, affine = stored(codes)
        change = ornt_transform(io_orientation(affine), axcodes2ornt("LPI"))
        shown = nib.orientations.apply_orientation(array, change)
        seen = oriented(array, affine, "coronal")
        if "P" not in codes:  # the slice order is the stored one
            seen = seen[::-1]
        assert np.array_equal(seen, shown.transpose(1, 2, 0))
