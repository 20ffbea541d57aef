import gzip
import io
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from PIL import Image

from cosmos1050k.errors import InputError
from leaderboard.demo.study import Study
from leaderboard.demo.uploads import open_upload
from tests.cosmos1050k import dicom_files
from tests.cosmos1050k.fuzzed_volumes import analyze_files, itk_files
from tests.cosmos1050k.itk_files import meta
from tests.cosmos1050k.nifti_files import nifti
from tests.leaderboard.demo.upload_files import (
    COLOUR,
    GRAY,
    RANDOM,
    VOXELS,
    dicom,
    opened_in,
    picture,
    tiff,
    zipped,
)

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

Upload = Callable[..., Study]


@pytest.fixture
def upload(tmp_path: Path) -> Upload:
    return partial(opened_in, tmp_path / "upload")


@pytest.mark.parametrize("name", ["scan", "scan.png", "scan.nii", "scan.nii.gz", "scan.dcm", "scan.zip"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_volume_is_told_by_its_content(upload: Upload, name: str, packed: bool) -> None:
    data = nifti(VOXELS, LPS)
    study = upload({name: gzip.compress(data) if packed else data})
    assert (study.name, study.note, study.planes[0]) == (name, "", "transverse")
    np.testing.assert_array_equal(study.volume.array, VOXELS)
    np.testing.assert_array_equal(study.volume.affine, LPS)


@pytest.mark.parametrize("name", ["a", "a.jpeg", "a.dcm", "a.nii.gz"])
def test_pictures_are_told_by_their_content(upload: Upload, name: str) -> None:
    for pixels in (GRAY, COLOUR):
        jpeg = picture(pixels, "JPEG", quality=90)
        decoded = np.asarray(Image.open(io.BytesIO(jpeg)))
        for data, expected in (
            (picture(pixels, "PNG"), pixels), (jpeg, decoded), (picture(pixels, "BMP"), pixels),
            (tiff(pixels), pixels), (tiff(pixels, compression="lzw", bigtiff=True), pixels),
        ):  # fmt: skip
            study = upload({name: data})
            assert (study.planes, study.windows, study.spacing("picture")) == (("picture",), (), None)
            np.testing.assert_array_equal(study.picture("picture", 0), expected)


def test_metaimage_and_nrrd_lie_where_itk_puts_them(upload: Upload, tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(VOXELS.T)
    image.SetDirection((0.8, 0.6, 0, 0, 0, -1, -0.6, 0.8, 0))
    image.SetSpacing((0.5, 0.75, 3))
    image.SetOrigin((10, -20, 30))
    for ending in (".mha", ".nrrd"):
        path = tmp_path / f"a{ending}"
        sitk.WriteImage(image, path, useCompression=True)
        study = upload({"scan.bin": path.read_bytes()})
        np.testing.assert_array_equal(study.volume.array, VOXELS)
        np.testing.assert_allclose(study.volume.affine, affine_of(image), atol=1e-9)
        assert len(study.windows) > 0


def affine_of(image: sitk.Image) -> np.ndarray:
    """Index → RAS+ mm, by ITK's own points."""
    affine = np.eye(4)
    origin = np.array(image.TransformIndexToPhysicalPoint((0, 0, 0)))
    for axis in range(3):
        one = [int(axis == n) for n in range(3)]
        affine[:3, axis] = np.array(image.TransformIndexToPhysicalPoint(one)) - origin
    affine[:3, 3] = origin
    return np.diag([-1, -1, 1, 1]) @ affine


@pytest.mark.parametrize(
    "pair", [*itk_files(".mhd"), *itk_files(".zraw"), *itk_files(".nhdr"), *analyze_files()]
)
def test_a_header_finds_its_voxels(upload: Upload, pair: dict[str, bytes]) -> None:
    (header, head), (voxels, body) = pair.items()
    expected = upload(pair).volume
    assert expected.array.shape == (6, 5, 4)
    for files in (
        {voxels: body, header: head},
        {"my scan.txt": head, "voxels (1)": body},  # renamed on the way, and still the only two
        {"s.zip": zipped({f"s/{header}": head, f"s/{voxels}": body})},
    ):
        found = upload(files).volume
        np.testing.assert_array_equal(found.array, expected.array)
    with pytest.raises(InputError, match="upload both files together"):
        upload({"scan": head})


def test_a_4d_file_and_a_stack_of_pages(upload: Upload) -> None:
    four = np.stack([VOXELS, VOXELS + 1], axis=3)
    study = upload({"four.nii": nifti(four)})
    assert study.frames == 2
    np.testing.assert_array_equal(study.frame(1).volume.array, VOXELS + 1)
    pages = RANDOM.integers(0, 60000, (7, 6, 5)).astype(np.uint16)
    study = upload({"pages": tiff(pages, photometric="minisblack")})
    assert (study.planes, study.depth("stored")) == (("stored",), 7)
    np.testing.assert_array_equal(study.volume.array, pages.T)


def test_pictures_are_stacked_in_the_order_of_their_numbers(upload: Upload) -> None:
    files = {f"z{number}.png": picture(GRAY + np.uint8(number), "PNG") for number in (10, 9, 1, 2)}
    for given_files in (files, {"a.zip": zipped({f"d/{name}": data for name, data in files.items()})}):
        study = upload(given_files)
        assert study.note == "4 pictures, in the order of their names"
        expected = np.stack([GRAY + np.uint8(number) for number in (1, 2, 9, 10)], axis=2)
        np.testing.assert_array_equal(study.volume.array, expected.transpose(1, 0, 2))


# DICOM


def test_one_dicom_file(upload: Upload) -> None:
    (data,) = dicom_files.series(VOXELS.T[:1], start=(1, 2, 3))
    study = upload({"IM0001": dicom(data)})
    assert (study.name, study.planes, study.spacing("picture")) == (
        "IM0001",
        ("picture",),
        dicom_files.SPACING,
    )
    np.testing.assert_array_equal(study.picture("picture", 0).shape, (6, 5))
    frames = dicom_files.multiframe(VOXELS.T.copy(), [(0, 0, 2.0 * number) for number in range(7)])
    study = upload({"frames": dicom(frames)})
    np.testing.assert_array_equal(study.volume.array, VOXELS)
    assert (study.depth("transverse"), study.planes[0]) == (7, "transverse")


@pytest.mark.parametrize("plane", [dicom_files.AXIAL, dicom_files.OBLIQUE])
def test_a_zipped_series_with_shuffled_names_lies_where_itk_puts_it(
    upload: Upload, tmp_path: Path, plane: tuple[tuple[float, ...], ...]
) -> None:
    normal = np.cross(*plane)
    slices = dicom_files.series(VOXELS.T, step=2.5 * normal, plane=plane, SeriesDescription="T1 <b>axial")
    names = [f"IM{number:03d}" for number in range(7)]
    random.Random(1).shuffle(names)
    for name, data in zip(names, slices, strict=True):
        dicom_files.saved(data, tmp_path / name)
    clutter = {"DICOMDIR": b"x", "__MACOSX/._a": b"x", "viewer.exe": b"MZ\x90\0"}
    files = {f"a/{name}": (tmp_path / name).read_bytes() for name in sorted(names)} | clutter
    study = upload({"s.zip": zipped(files)})
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    image = reader.Execute()
    np.testing.assert_array_equal(study.volume.array, sitk.GetArrayFromImage(image).T)
    np.testing.assert_allclose(study.volume.affine, affine_of(image), atol=1e-6)
    assert (study.name, study.note) == ("T1 <b>axial", "1 other file left aside")


def test_of_several_series_the_one_of_most_slices(upload: Upload) -> None:
    slices = dicom_files.series(VOXELS.T, SeriesDescription="thin")
    other = dicom_files.series(VOXELS.T[:3], start=(0, 0, 900))
    scout = dicom_files.series(VOXELS.T[:2], plane=dicom_files.OBLIQUE)  # in the same series
    for number, data in enumerate([*other, *scout]):
        data.SOPInstanceUID = f"2.25.5{number}"
    for data in other:
        data.SeriesInstanceUID = "2.25.99"
    segments = dicom_files.segmentation(slices, np.ones((7, 6, 5, 1), np.uint8))
    brought = [*other, *scout, *slices, *slices[:2], segments]  # two files twice
    study = upload({f"f{number}": dicom(data) for number, data in enumerate(brought)})
    np.testing.assert_array_equal(study.volume.array, VOXELS)
    assert study.note == "3 series were found: this is the one of most slices, 7 (thin)"


def test_phases_films_gaps_and_slices_without_a_place(upload: Upload) -> None:
    def opened(slices: list[pydicom.Dataset]) -> Study:
        return upload({f"f{number}": dicom(data) for number, data in enumerate(slices)})

    def numbered(slices: list[pydicom.Dataset], start: int) -> list[pydicom.Dataset]:
        for number, data in enumerate(slices, start=start):
            data.InstanceNumber, data.SOPInstanceUID = number, f"2.25.6{number}"
        return slices

    slices = dicom_files.series(VOXELS.T)
    later = numbered(dicom_files.series(VOXELS.T + 1), 100)
    study = opened([*later, *slices])
    assert study.note == "the series holds 2 volumes: this is the first"
    np.testing.assert_array_equal(study.volume.array, VOXELS)
    with pytest.raises(InputError, match=r"f7: lies where f0 lies; give the slices of one volume"):
        opened([*slices, later[0]])

    study = opened([*slices[:3], *slices[4:]])
    assert study.note.startswith("its slices lie 2.50 to 5.00 mm apart")
    assert study.depth("transverse") == 6

    film = numbered(dicom_files.series(VOXELS.T, step=(0, 0, 0)), 1)
    study = opened(film[::-1])
    assert (study.planes, study.note[:29]) == (("stored",), "all slices lie in one place: ")
    np.testing.assert_array_equal(study.volume.array, VOXELS)

    for data in slices:
        del data.ImagePositionPatient
    study = opened(slices[::-1])
    assert study.planes == ("stored",)
    np.testing.assert_array_equal(study.volume.array, VOXELS)


def test_files_given_are_left_as_they_were(tmp_path: Path) -> None:
    files = {"a.mhd": meta(b"", ElementDataFile="a.raw"), "a.raw": bytes(240)}
    (tmp_path / "out").mkdir()
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    open_upload([tmp_path / name for name in files], tmp_path / "out")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == files
