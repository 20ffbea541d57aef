"""A mask on a grid of its own is brought onto its image's as SimpleITK does it."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from cosmos1050k import opening, readers, resampled
from cosmos1050k.errors import BadFile
from cosmos1050k.readers import Volume
from cosmos1050k.source import Case, Label, Mask

OBLIQUE = (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1)
STRAIGHT = (1, 0, 0, 0, 1, 0, 0, 0, 1)


def written(
    path: Path,
    array: np.ndarray,
    spacing: tuple[float, ...],
    origin: tuple[float, ...],
    direction: tuple[float, ...] = STRAIGHT,
) -> sitk.Image:
    made = sitk.GetImageFromArray(array)
    made.SetSpacing(spacing)
    made.SetOrigin(origin)
    made.SetDirection(direction)
    sitk.WriteImage(made, path)
    return made


def both(folder: Path, direction: tuple[float, ...]) -> tuple[sitk.Image, sitk.Image]:
    """An image, and labels that reach over some of its borders and not to others."""
    random = np.random.default_rng(1)
    image = written(folder / "image.nrrd", random.integers(0, 99, (7, 12, 15)).astype(np.int16),
                    (0.7, 0.9, 2.0), (-4.1, -5.3, 8.2), direction)  # fmt: skip
    labels = written(folder / "labels.nrrd", random.integers(0, 4, (9, 10, 14)).astype(np.uint8),
                     (0.83, 0.61, 1.37), (-6.02, -3.11, 9.05))  # fmt: skip
    return image, labels


@pytest.mark.parametrize("axes", ["LPS", "RAI", "SAL", "PIR"])
@pytest.mark.parametrize("direction", [STRAIGHT, OBLIQUE])
def test_it_is_what_simpleitk_says(tmp_path: Path, direction: tuple[float, ...], axes: str) -> None:
    image, labels = both(tmp_path, direction)
    sitk.WriteImage(sitk.DICOMOrient(labels, axes), tmp_path / "turned.nrrd")
    volumes = [readers.read(tmp_path / name, name) for name in ("turned.nrrd", "image.nrrd")]
    found = resampled.onto(*volumes)
    expected = sitk.Resample(labels, image, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    assert np.array_equal(found.array, sitk.GetArrayFromImage(expected).T)
    assert set(np.unique(found.array)) == {0, 1, 2, 3}
    assert found.array.dtype == np.uint8
    assert np.array_equal(found.affine, volumes[1].affine)


def test_a_mask_on_the_image_s_grid_or_on_none_stays_as_it_is() -> None:
    array = np.random.default_rng(2).integers(0, 3, (5, 6, 4)).astype(np.uint8)
    image = Volume(np.zeros((5, 6, 4), np.int16), np.diag([0.3, -0.7, 1.1, 1.0]))
    assert np.array_equal(resampled.onto(Volume(array, image.affine), image).array, array)
    unplaced = Volume(array[:3])
    assert resampled.onto(unplaced, image) is unplaced


def test_a_case_says_whether_its_mask_has_a_grid_of_its_own(tmp_path: Path) -> None:
    image, labels = both(tmp_path, STRAIGHT)
    mask = Mask(file="labels.nrrd", own_grid=True, labels=(Label(object="Prostate", above=0),))
    case = Case(
        case="a", patient="a", modality="T2W MRI", view="transverse", image="image.nrrd", masks=(mask,)
    )  # fmt: skip
    paths = {name: tmp_path / name for name in case.files}
    (layer,) = opening.open_case(case, paths).layers
    expected = sitk.Resample(labels, image, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    for level, plane in enumerate(sitk.GetArrayFromImage(expected)):
        assert np.array_equal(layer.slices[level], plane)
    strict = case.model_copy(update={"masks": (mask.model_copy(update={"own_grid": False}),)})
    with pytest.raises(BadFile, match=r"labels\.nrrd: shape"):
        opening.open_case(strict, paths)
