import gzip
import io
import tracemalloc
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from cosmos1050k.errors import InputError
from cosmos1050k.readers import Volume
from leaderboard.demo.kept import Kept
from leaderboard.demo.study import Study
from leaderboard.demo.uploads import open_upload
from tests.leaderboard.demo.orientations import PLANES, affines

SHAPE = (5, 6, 7)


def loaded(kept: Kept) -> nib.Nifti1Image:
    name, data = kept.file()
    assert name.endswith("_mask.nii.gz")
    return nib.Nifti1Image.from_bytes(gzip.decompress(data))


@settings(max_examples=60, deadline=None)
@given(affines(), st.tuples(*[st.integers(0, n - 1) for n in SHAPE]), st.sampled_from(PLANES))
def test_a_voxel_seen_in_a_slice_and_kept_comes_back_where_it_was(
    affine: NDArray[np.float64], voxel: tuple[int, int, int], plane: str
) -> None:
    voxels = np.zeros(SHAPE, np.int16)
    voxels[voxel] = 7
    study = Study("a.nii", Volume(voxels, affine))
    kept = Kept(study)
    for index in range(study.depth(plane)):
        kept.keep(plane, index, study.picture(plane, index) == 255)
    assert len(kept) == 1
    image = loaded(kept)
    np.testing.assert_array_equal(np.argwhere(np.asarray(image.dataobj)), [voxel])
    np.testing.assert_allclose(image.affine, affine, atol=2e-5, rtol=1e-6)
    np.testing.assert_allclose(image.get_qform(), affine, atol=2e-3, rtol=1e-5)


def test_masks_of_all_planes_are_united_and_a_slice_has_its_last() -> None:
    random = np.random.default_rng(1)
    study = Study("a", Volume(np.zeros(SHAPE, np.int16), np.eye(4)))
    kept, expected = Kept(study), np.zeros(SHAPE, bool)
    for plane, axis in (("transverse", 2), ("coronal", 1), ("sagittal", 0)):
        for index in range(0, SHAPE[axis], 2):
            kept.keep(plane, index, random.random(study.size(plane)) < 0.5)  # replaced
            mask = random.random(study.size(plane)) < 0.3
            kept.keep(plane, index, mask)
            found = kept.mask(plane, index)
            assert found is not None
            np.testing.assert_array_equal(found, mask)
            # of RAS+ axes, as the identity has them, rows and columns run backwards
            np.moveaxis(expected, axis, 0)[index] |= mask[::-1, ::-1].T
    kept.keep("transverse", 1, np.ones((6, 5), bool))
    kept.remove("transverse", 1)
    kept.remove("transverse", 1)
    kept.keep("coronal", 1, np.ones((7, 5), bool))
    kept.keep("coronal", 1, np.zeros((7, 5), bool))
    assert kept.mask("transverse", 1) is kept.mask("coronal", 1) is None
    assert len(kept) == 4 + 3 + 3
    image = loaded(kept)
    assert image.header["descrip"].item().decode() == "For research. Not a medical device."
    assert image.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asarray(image.dataobj), expected)


def uploaded(tmp_path: Path, name: str, data: bytes) -> Study:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / name).write_bytes(data)
    return open_upload([tmp_path / "in" / name], tmp_path / "out")


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("codes", [(1, 2), (1, 0), (0, 3), (0, 0)])
def test_a_nifti_file_gets_its_own_geometry_back(
    tmp_path: Path, kind: type[nib.Nifti1Image], order: str, codes: tuple[int, int]
) -> None:
    header = kind.header_class(endianness=order)
    image = kind(np.zeros(SHAPE, np.int16), None, header)
    turned = nib.affines.from_matvec(
        nib.eulerangles.euler2mat(0.1, 0.2, 0.3) @ np.diag([-0.7, 0.8, 2.5]), (1, 2, 3)
    )
    sheared = turned.copy()
    sheared[0, 1] += 0.3
    image.header.set_zooms((0.7, 0.8, 2.5))
    image.header.set_xyzt_units("mm", "sec")
    image.set_qform(turned, codes[0])
    image.set_sform(sheared, codes[1])
    study = uploaded(tmp_path, "scan.nii", image.to_bytes())
    kept = Kept(study)
    kept.keep("transverse", 3, np.ones(study.size("transverse"), bool))
    _, data = kept.file()
    found = kind.from_bytes(gzip.decompress(data))
    for field in (
        "qform_code",
        "sform_code",
        "srow_x",
        "srow_y",
        "srow_z",
        "qoffset_x",
        "qoffset_y",
        "qoffset_z",
    ):
        np.testing.assert_array_equal(found.header[field], image.header[field])
    for field in ("quatern_b", "quatern_c", "quatern_d"):
        np.testing.assert_array_equal(found.header[field], image.header[field])
    np.testing.assert_array_equal(found.header["pixdim"][:4], image.header["pixdim"][:4])
    np.testing.assert_array_equal(found.affine, kind.from_bytes(image.to_bytes()).affine)
    assert found.header.get_xyzt_units()[0] == "mm"
    assert found.header["descrip"].item().decode() == "For research. Not a medical device."
    assert (found.shape, int(np.asarray(found.dataobj).sum())) == (SHAPE, 30)


def test_a_metaimage_gets_a_mask_that_itk_puts_in_its_place(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.zeros((7, 6, 5), np.int16))
    image.SetDirection(direction := (0.8, 0.6, 0, 0, 0, -1, -0.6, 0.8, 0))
    image.SetSpacing((0.5, 0.75, 3))
    image.SetOrigin((10, -20, 30))
    sitk.WriteImage(image, tmp_path / "a.mha")
    study = uploaded(tmp_path, "scan.mha", (tmp_path / "a.mha").read_bytes())
    kept = Kept(study)
    plane = study.planes[0]
    kept.keep(plane, 2, np.ones(study.size(plane), bool))
    name, data = kept.file()
    assert name == "scan_mask.nii.gz"
    (tmp_path / name).write_bytes(data)
    mask = sitk.ReadImage(tmp_path / name)
    assert mask.GetSize() == image.GetSize()
    np.testing.assert_allclose(mask.GetDirection(), direction, atol=1e-6)
    np.testing.assert_allclose(mask.GetSpacing(), image.GetSpacing(), rtol=1e-6)
    np.testing.assert_allclose(mask.GetOrigin(), image.GetOrigin(), rtol=1e-6)
    assert sitk.GetArrayFromImage(mask)[2].all()
    assert sitk.GetArrayFromImage(mask).sum() == 30


def test_a_sheared_affine_is_the_sform_alone() -> None:
    affine = np.array([[1, 0, 0, 4], [0, 1, 0.4, 5], [0, 0, 2, 6], [0, 0, 0, 1.0]])
    kept = Kept(Study("a", Volume(np.zeros(SHAPE, np.int16), affine)))
    header = loaded(kept).header
    assert (int(header["qform_code"]), int(header["sform_code"])) == (0, 1)
    np.testing.assert_allclose(header.get_sform(), affine, rtol=1e-6)


@pytest.mark.parametrize("colour", [False, True])
def test_a_picture_gives_png(colour: bool) -> None:
    study = Study("my photo (1).tar.png", Volume(np.zeros((5, 6, 1, *[3] * colour), np.uint8), colour=colour))
    kept = Kept(study)
    mask = np.zeros((6, 5), bool)
    mask[1:3, 2] = True
    kept.keep("picture", 0, mask)
    name, data = kept.file()
    assert name == "my_photo_1_.tar_mask.png"
    with Image.open(io.BytesIO(data)) as file:
        assert file.text == {"Disclaimer": "For research. Not a medical device."}  # type: ignore[attr-defined]
    np.testing.assert_array_equal(
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED), mask * 255
    )


def test_a_stack_without_geometry_gives_nifti_without_one() -> None:
    study = Study("../</b>", Volume(np.zeros((*SHAPE, 3), np.uint8), colour=True))
    kept = Kept(study)
    kept.keep("stored", 4, np.eye(6, 5) > 0)
    name, _ = kept.file()
    image = loaded(kept)
    assert name == "b_mask.nii.gz"
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (0, 0)
    expected = np.zeros(SHAPE)
    expected[:, :, 4] = np.eye(5, 6)
    np.testing.assert_array_equal(np.asarray(image.dataobj), expected)


def test_a_mask_of_another_size_or_place_is_refused() -> None:
    kept = Kept(Study("a", Volume(np.zeros(SHAPE, np.int16), np.eye(4))))
    with pytest.raises(InputError, match="a mask of"):
        kept.keep("transverse", 0, np.ones((5, 6), bool))
    with pytest.raises(InputError, match="no slice 7"):
        kept.keep("transverse", 7, np.ones((6, 5), bool))
    with pytest.raises(InputError, match="no plane 'axial'"):
        kept.keep("axial", 0, np.ones((6, 5), bool))
    assert len(kept) == 0


def test_kept_masks_take_little_memory() -> None:
    study = Study("a", Volume(np.zeros((512, 512, 1), np.int16).repeat(2, axis=2), np.eye(4)))
    mask = np.zeros((512, 512), bool)
    mask[200:300, 100:300] = True
    tracemalloc.start()
    kept = Kept(study)
    for index in range(2):
        kept.keep("transverse", index, mask)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 2 * (100 * 200 / 8 + 2000)  # eight pixels of the box to a byte
