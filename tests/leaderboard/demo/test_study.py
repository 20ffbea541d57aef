import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cosmos1050k import pictures
from cosmos1050k.errors import InputError
from cosmos1050k.readers import Volume
from leaderboard.demo.study import Study
from leaderboard.demo.windows import WINDOWS, Window, windowed
from tests.leaderboard.demo.orientations import PLANES, affines, shown_by_nibabel

#: No two axes are equally long.
SHAPE = (5, 6, 7)
VOXELS = np.random.default_rng(8).permutation(5 * 6 * 7).reshape(SHAPE).astype(np.int16)


@settings(max_examples=60, deadline=None)
@given(affines())
def test_slices_lie_as_nibabel_turns_the_volume(affine: NDArray[np.float64]) -> None:
    study = Study("a", Volume(VOXELS, affine))
    assert sorted(study.planes) == sorted(PLANES)
    for plane in PLANES:
        expected, spacing = shown_by_nibabel(VOXELS, affine, plane)
        assert study.depth(plane) == len(expected)
        assert study.size(plane) == expected.shape[1:]
        assert study.spacing(plane) == pytest.approx(spacing)
        for index, values in enumerate(expected):
            np.testing.assert_array_equal(study.cut(VOXELS, plane, index), values)
            np.testing.assert_array_equal(study.picture(plane, index), pictures.normalised(values))


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
def test_the_first_plane_is_the_one_that_slices_were_taken_in(axes: tuple[int, int, int]) -> None:
    turn = np.zeros((4, 4))
    for axis, to in enumerate(axes):
        turn[to, axis] = 1.0
    turn[3, 3] = 1.0
    across = {2: "transverse", 1: "coronal", 0: "sagittal"}
    assert Study("a", Volume(VOXELS, turn)).planes[0] == across[axes[2]]
    thick_first = turn @ np.diag([5.0, 1.0, 1.2, 1.0])  # written with its slices along the first axis
    assert Study("a", Volume(VOXELS, thick_first)).planes[0] == across[axes[0]]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_one_slice_is_a_picture_along_any_axis(axis: int) -> None:
    voxels = VOXELS.take([2], axis)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    study = Study("a", Volume(voxels, affine))
    plane = ("sagittal", "coronal", "transverse")[axis]
    expected, spacing = shown_by_nibabel(voxels, affine, plane)
    assert study.planes == ("picture",)
    assert study.depth("picture") == 1
    assert study.spacing("picture") == pytest.approx(spacing)
    np.testing.assert_array_equal(study.picture("picture", 0), pictures.normalised(expected[0]))


def test_without_geometry_slices_lie_along_the_third_axis_as_stored() -> None:
    study = Study("a", Volume(VOXELS))
    assert (study.planes, study.depth("stored"), study.size("stored")) == (("stored",), 7, (6, 5))
    assert study.spacing("stored") is None
    np.testing.assert_array_equal(study.picture("stored", 3), pictures.normalised(VOXELS[:, :, 3].T))


def test_a_picture_of_8_bits_stays_as_it_is_and_a_deeper_one_is_spread() -> None:
    gray = np.arange(30, 60, dtype=np.uint8).reshape(5, 6, 1)
    colour = np.stack([gray, gray + 1, gray + 2], axis=3)
    np.testing.assert_array_equal(Study("a", Volume(gray)).picture("picture", 0), gray[:, :, 0].T)
    shown = Study("a", Volume(colour, colour=True)).picture("picture", 0)
    assert shown.shape == (6, 5, 3)
    np.testing.assert_array_equal(shown, colour[:, :, 0].transpose(1, 0, 2))
    deep = Study("a", Volume(gray.astype(np.uint16) * 100)).picture("picture", 0)
    assert (deep.min(), deep.max()) == (0, 255)
    page = Study("a", Volume(np.repeat(gray, 2, axis=2))).picture("stored", 1)  # a volume's slice is spread
    assert (page.min(), page.max()) == (0, 255)


def test_windows_are_offered_where_the_values_look_like_hounsfield_units() -> None:
    def offered(values: list[float], dtype: str, colour: bool = False) -> bool:
        return (
            Study(
                "a", Volume(np.array(values, dtype).reshape(1, 1, -1, *[1] * colour), colour=colour)
            ).windows
            == WINDOWS
        )

    assert offered([-1000, 40, 1000], "i2")
    assert offered([-1000.5, np.nan, 40], "f4")
    assert not offered([-499, 0, 3000], "i2")
    assert not offered([0, 40, 4000], "u2")
    assert not offered([-np.inf, 0, 1], "f8")
    assert not offered([-1000, 0, 1], "i2", colour=True)


def test_a_window_spreads_its_part_of_the_scale() -> None:
    window = Window("w", 40, 400)  # from −160 to 240
    values = np.array([-3000, -161, -160, -159, 40, 239, 240, 241, 3000], np.int16)
    expected = [min(max(255 * (int(value) + 160) // 400, 0), 255) for value in values]
    assert windowed(values, window).tolist() == expected == [0, 0, 0, 0, 127, 254, 255, 255, 255]
    assert windowed(np.array([np.nan, np.inf, -np.inf, 240.0]), window).tolist() == [0, 0, 0, 255]
    voxels = VOXELS.astype(np.int16) * 10 - 1000
    study = Study("a", Volume(voxels, np.eye(4)))
    shown = study.picture("transverse", 2, window)
    np.testing.assert_array_equal(shown, windowed(voxels[::-1, ::-1, 2].T, window))


def test_a_4d_file_shows_one_volume_and_shares_the_others() -> None:
    voxels = np.stack([VOXELS, VOXELS[::-1] - 2000], axis=3)
    study = Study("a", Volume(voxels, np.eye(4)), note="n")
    other = study.frame(1)
    assert (study.frames, study.number, other.frames, other.number, other.note) == (2, 0, 2, 1, "n")
    assert (study.windows, other.windows) == ((), WINDOWS)
    np.testing.assert_array_equal(study.volume.array, VOXELS)
    np.testing.assert_array_equal(other.volume.array, VOXELS[::-1] - 2000)
    assert np.shares_memory(other.volume.array, study.stored.array)
    assert other.nbytes == voxels.nbytes
    for number in (-1, 2):
        with pytest.raises(InputError, match=f"a has 2 volumes, and no number {number}"):
            study.frame(number)


def test_what_there_is_not_is_said_in_a_sentence() -> None:
    study = Study("scan.nii", Volume(VOXELS, np.eye(4)))
    for call in (study.depth, study.size, study.spacing, lambda plane: study.picture(plane, 0)):
        with pytest.raises(InputError, match=r"no plane 'x': scan\.nii has transverse, coronal, sagittal"):
            call("x")
    for index in (-1, 7):
        with pytest.raises(InputError, match=f"no slice {index}: scan.nii has 7 in its plane transverse"):
            study.picture("transverse", index)
    with pytest.raises(InputError, match="no number of a slice"):
        study.picture("transverse", "1")  # type: ignore[arg-type]


@given(st.sampled_from(["i1", "u1", "i2", "u2", "i4", "f4", "f8", ">i2", ">f4"]), affines())
@settings(max_examples=25, deadline=None)
def test_slices_of_any_type_and_order_in_memory(dtype: str, affine: NDArray[np.float64]) -> None:
    voxels = (VOXELS % 120).astype(dtype)
    for array in (voxels, np.asfortranarray(voxels)):
        study = Study("a", Volume(array, affine))
        for plane in PLANES:
            expected, _ = shown_by_nibabel(VOXELS % 120, affine, plane)
            np.testing.assert_array_equal(study.picture(plane, 1), pictures.normalised(expected[1]))
