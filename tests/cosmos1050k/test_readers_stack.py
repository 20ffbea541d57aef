"""Stacks: a DICOM series is ITK's volume, whatever the order of its files; pictures keep the order given."""

import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import read
from cosmos1050k.readers.stack import read_stack
from tests.cosmos1050k.bad_input import one_line
from tests.cosmos1050k.dicom_files import AXIAL, OBLIQUE, image, multiframe, placed, saved, series
from tests.cosmos1050k.real import real

VOLUME = np.random.default_rng(7).integers(0, 4000, (6, 4, 7)).astype(np.uint16)  # slices × rows × columns
Files = list[tuple[Path, str]]


def written(folder: Path, volume: np.ndarray = VOLUME, **options: object) -> Files:
    """A series of DICOM files, in the order of the volume's slices."""
    slices = series(volume, **options)
    return [(saved(data, folder / f"{n:02}.dcm"), f"{n:02}.dcm") for n, data in enumerate(slices)]


def by_itk(files: Sequence[tuple[Path, str]]) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for path, _ in files])
    return reader.Execute()


def refused(files: Files, name: str, by_position: bool = False) -> BadFile:
    with pytest.raises(BadFile) as caught:
        read_stack(files, by_position)
    return one_line(caught.value, name)


def same_place(affine: np.ndarray, itk: sitk.Image) -> bool:
    points = ((0, 0, 0), (2, 0, 0), (0, 3, 0), (1, 2, 5))
    expected = [itk.TransformIndexToPhysicalPoint(index) for index in points]
    return np.allclose(
        [affine @ [*index, 1] for index in points], [[-x, -y, z, 1] for x, y, z in expected], atol=1e-6
    )


@settings(max_examples=20)
@given(order=st.permutations(range(6)), plane=st.sampled_from([AXIAL, OBLIQUE]))
def test_a_shuffled_series_is_sorted_along_its_normal(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], plane: tuple[tuple[float, ...], ...]
) -> None:
    """As ITK reads the files in their true order; the normal is row × column."""
    normal = np.cross(*plane)
    files = written(tmp_path_factory.mktemp("series"), plane=plane, step=2.5 * normal)
    found, places = read_stack([files[place] for place in order], by_position=True)
    assert [order[place] for place in places] == list(range(6))
    itk = by_itk(files)
    assert np.array_equal(found.array, sitk.GetArrayFromImage(itk).T)
    assert np.array_equal(found.array, VOLUME.T)
    assert found.array.dtype == np.uint16
    assert found.array.flags.f_contiguous
    assert same_place(found.affine, itk)


def test_the_order_given_is_kept(tmp_path: Path) -> None:
    """Downwards the step is negative; of slices that go back and forth no affine is right."""
    files = written(tmp_path)
    found, order = read_stack(files[::-1], by_position=False)
    assert order == (0, 1, 2, 3, 4, 5)
    assert np.array_equal(found.array, VOLUME[::-1].T)
    assert np.allclose(found.affine[:, 2], [0, 0, -2.5, 0])
    assert np.allclose(found.affine[:3, 3], [-10, 20, 42.5])
    mixed = [files[place] for place in (0, 2, 1, 3, 4, 5)]
    found, order = read_stack(mixed, by_position=False)
    assert order == (0, 1, 2, 3, 4, 5)
    assert np.array_equal(found.array, VOLUME[[0, 2, 1, 3, 4, 5]].T)
    assert found.affine is None


def test_slices_that_are_missing_or_uneven(tmp_path: Path) -> None:
    """Heights 0, 2.5, 5 and 12.5: the step is their mean, the ends are where they were."""
    files = written(tmp_path)
    found, _ = read_stack([files[place] for place in (5, 0, 2, 1)], by_position=True)
    assert np.array_equal(found.array, VOLUME[[0, 1, 2, 5]].T)
    assert np.allclose(found.affine @ [0, 0, 0, 1], [-10, 20, 30, 1])
    assert np.allclose(found.affine @ [0, 0, 3, 1], [-10, 20, 42.5, 1])


def test_a_tilted_gantry(tmp_path: Path) -> None:
    """Slices that move sideways as they rise: the step is not their normal."""
    files = written(tmp_path, step=(0, 1, 2))
    found, order = read_stack(files, by_position=True)
    assert order == (0, 1, 2, 3, 4, 5)
    assert np.allclose(found.affine[:, 2], [0, -1, 2, 0])


def test_one_slice(tmp_path: Path) -> None:
    files = written(tmp_path, VOLUME[:1])
    for by_position in (False, True):
        found, order = read_stack(files, by_position)
        assert order == (0,)
        assert np.array_equal(found.array, VOLUME[:1].T)
        assert np.allclose(found.affine[:, 2], [0, 0, 2, 0])  # its thickness


def test_a_type_that_holds_all(tmp_path: Path) -> None:
    """One slice is scaled by a half: all become float64, and none loses a value."""
    slices = series(VOLUME)
    slices[4].RescaleSlope, slices[4].RescaleIntercept = 0.5, 0
    files = [(saved(data, tmp_path / f"{n}.dcm"), f"{n}.dcm") for n, data in enumerate(slices)]
    expected = VOLUME.astype(np.float64)
    expected[4] /= 2
    for order in ((0, 1, 2, 3, 4, 5), (4, 0, 1, 2, 3, 5)):
        found, _ = read_stack([files[place] for place in order], by_position=True)
        assert found.array.dtype == np.float64
        assert np.array_equal(found.array, expected.T)


@pytest.fixture
def picture(tmp_path: Path) -> Callable[[str, np.ndarray], tuple[Path, str]]:
    def save(name: str, pixels: np.ndarray) -> tuple[Path, str]:
        Image.fromarray(pixels).save(tmp_path / name)
        return tmp_path / name, name

    return save


@pytest.mark.parametrize("shape", [(5, 4, 3), (5, 4, 3, 3)])
def test_pictures(picture: Callable[[str, np.ndarray], tuple[Path, str]], shape: tuple[int, ...]) -> None:
    pages = np.random.default_rng(2).integers(0, 256, shape).astype(np.uint8)
    files = [picture(f"{n}.png", page) for n, page in enumerate(pages)]
    found, order = read_stack(files, by_position=False)
    assert order == (0, 1, 2, 3, 4)
    assert found.colour == (len(shape) == 4)
    assert found.affine is None
    assert np.array_equal(found.array.transpose(2, 1, 0, *range(3, len(shape))), pages)


def test_pictures_of_eight_and_sixteen_bits(picture: Callable[[str, np.ndarray], tuple[Path, str]]) -> None:
    small, large = np.full((4, 3), 200, np.uint8), np.full((4, 3), 60_000, np.uint16)
    files = [picture("a.png", small), picture("b.png", large), picture("c.png", small)]
    found, _ = read_stack(files, by_position=False)
    assert found.array.dtype == np.uint16
    assert found.array[0, 0].tolist() == [200, 60_000, 200]


def test_what_does_not_fit_is_named(
    tmp_path: Path, picture: Callable[[str, np.ndarray], tuple[Path, str]]
) -> None:
    files = written(tmp_path)

    def odd(name: str, **fields: object) -> tuple[Path, str]:
        fields = placed((10, -20, 99)) | fields
        return saved(image(VOLUME[0], **fields), tmp_path / name), name

    gray, colour = np.zeros((4, 7), np.uint8), np.zeros((4, 7, 3), np.uint8)
    wide = saved(image(np.zeros((4, 5), np.uint16), **placed((10, -20, 99))), tmp_path / "wide.dcm")
    thick = saved(multiframe(VOLUME[:2], [(0, 0, 0), (0, 0, 1)]), tmp_path / "thick.dcm")
    nowhere = saved(image(VOLUME[0]), tmp_path / "nowhere.dcm")
    for other, message in (
        ((wide, "wide.dcm"), "shape (5, 4, 1), but 00.dcm has (7, 4, 1)"),
        ((thick, "thick.dcm"), "2 slices where one is expected"),
        ((nowhere, "nowhere.dcm"), "no position, unlike 00.dcm"),
        (odd("turned.dcm", ImageOrientationPatient=[0, 1, 0, 1, 0, 0]), "turned or scaled unlike 00.dcm"),
        (odd("scaled.dcm", PixelSpacing=[0.5, 0.8]), "turned or scaled unlike 00.dcm"),
        (picture("gray.png", gray), "no position, unlike 00.dcm"),
        (picture("colour.png", colour), "but 00.dcm has"),
        ((tmp_path / "absent.dcm", "absent.dcm"), f"not in {tmp_path}"),
    ):
        for by_position in (False, True):
            assert message in refused([*files, other], other[1], by_position).problem
    twice = saved(image(VOLUME[0], **placed((10, -20, 32.5))), tmp_path / "twice.dcm")
    assert refused([*files, (twice, "twice.dcm")], "twice.dcm", True).problem == "lies where 01.dcm lies"
    first = [(nowhere, "nowhere.dcm")]
    assert refused(first, "nowhere.dcm", True).problem == "a slice without a position"
    pictures = [picture("a.png", gray), picture("b.png", gray)]
    assert refused(pictures, "a.png", True).problem == "a slice without a position"
    assert "shape" in refused([picture("a.png", gray), picture("b.png", colour)], "b.png").problem


def test_numbers_that_no_type_holds_together(tmp_path: Path) -> None:
    """Of 64 bits and of a half: a double has room for 53."""
    sitk.WriteImage(sitk.GetImageFromArray(np.full((4, 3), 2**60)), str(tmp_path / "a.mha"))
    sitk.WriteImage(sitk.GetImageFromArray(np.full((4, 3), 0.5)), str(tmp_path / "b.mha"))
    files = [(tmp_path / name, name) for name in ("a.mha", "b.mha")]
    assert refused(files, "b.mha").problem == "voxels of type float64, other slices have int64"
    same, _ = read_stack([files[0], files[0]], by_position=False)
    assert same.array.dtype == np.int64
    assert (same.array == 2**60).all()


def test_the_volume_is_in_memory_once(tmp_path: Path) -> None:
    """And not twice while it is sorted."""
    volume = np.random.default_rng(5).integers(0, 4000, (40, 128, 128)).astype(np.uint16)
    files = written(tmp_path, volume)
    shuffled = [files[place] for place in np.random.default_rng(6).permutation(len(files))]
    read(*files[0])
    tracemalloc.start()
    found, _ = read_stack(shuffled, by_position=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.array_equal(found.array, volume.T)
    assert peak < 1.5 * volume.nbytes


def test_a_real_series() -> None:
    """Its owners made label maps of it, which lie on the same grid."""
    paths = real("dicom_seg_dcmqi/data/segmentations/ct-3slice/*.dcm")
    found, order = read_stack([(path, path.name) for path in paths], by_position=True)
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(paths[0].parent))
    assert [paths[place].name for place in order] == [Path(name).name for name in names]
    assert np.array_equal(found.array, sitk.GetArrayFromImage(sitk.ReadImage(names)).T)
    label = paths[0].parents[1] / "liver_seg.nrrd"
    liver = read(label, label.name)
    assert np.allclose(found.affine, liver.affine, atol=1e-4)
    assert 30 < np.median(found.array[liver.array > 0]) < 150  # HU
