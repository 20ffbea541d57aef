"""A mask of a box of its image is put in its place, and one that is no such box is left as it is."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from cosmos1050k import cropped, opening, readers
from cosmos1050k.errors import BadFile
from cosmos1050k.readers import Volume
from cosmos1050k.source import Case, Label, Mask

SPACING, ORIGIN, OBLIQUE = (0.5, 0.75, 2.0), (-12.25, 30.5, -100.0), (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1)


def image(array: np.ndarray) -> sitk.Image:
    made = sitk.GetImageFromArray(array)
    made.SetSpacing(SPACING)
    made.SetOrigin(ORIGIN)
    made.SetDirection(OBLIQUE)
    return made


def test_a_cropped_mask_is_what_simpleitk_says_it_is(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    whole = random.integers(0, 100, (6, 9, 11)).astype(np.int16)
    labels = np.zeros(whole.shape, np.uint8)
    labels[2:5, 3:8, 1:10] = random.integers(1, 3, (3, 5, 9))
    sitk.WriteImage(image(whole), tmp_path / "ct.nrrd")
    box = sitk.RegionOfInterest(image(labels), (9, 5, 3), (1, 3, 2))
    sitk.WriteImage(box, tmp_path / "part.seg.nrrd", useCompression=True)
    ct = readers.read(tmp_path / "ct.nrrd", "ct.nrrd")
    found = cropped.completed(readers.read(tmp_path / "part.seg.nrrd", "part.seg.nrrd"), ct)
    assert np.array_equal(found.array, labels.T)
    case = Case(
        case="a", patient="a", modality="CT", view="transverse", image="ct.nrrd",
        masks=(Mask(file="part.seg.nrrd", labels=(Label(object="Liver", above=0),)),),
    )  # fmt: skip
    opened = opening.open_case(case, {name: tmp_path / name for name in case.files})
    shown = [layer.slices for layer in opened.layers]
    assert sum(np.count_nonzero(slices[z]) for slices in shown for z in range(6) if z in slices) == 135


def moved(by: tuple[float, float, float], stretched: float = 1.0) -> np.ndarray:
    affine = np.diag([*(np.array(SPACING) * [1, 1, stretched]), 1.0])
    affine[:3, 3] = np.array(SPACING) * by
    return affine


@pytest.mark.parametrize(
    ("affine", "why"),
    [
        (moved((1.5, 0, 0)), "between two voxels"),
        (moved((-1, 0, 0)), "begins outside"),
        (moved((0, 0, 3)), "ends outside"),
        (moved((0, 0, 0), 1.1), "slices of another thickness"),
        (moved((0, 0, 0))[[1, 0, 2, 3]], "other axes"),
    ],
)
def test_what_is_no_box_of_the_image_is_left(affine: np.ndarray, why: str) -> None:
    whole = Volume(np.zeros((6, 5, 4), np.int16), moved((0, 0, 0)))
    part = Volume(np.ones((3, 3, 2), np.uint8), affine)
    assert cropped.completed(part, whole) is part, why


def test_one_that_lies_elsewhere_is_one_line(tmp_path: Path) -> None:
    whole = image(np.zeros((6, 9, 11), np.int16))
    elsewhere = image(np.ones((2, 3, 4), np.uint8))
    elsewhere.SetOrigin((0, 0, 0))
    sitk.WriteImage(whole, tmp_path / "ct.nrrd")
    sitk.WriteImage(elsewhere, tmp_path / "part.nrrd")
    case = Case(
        case="a", patient="a", modality="CT", view="transverse", image="ct.nrrd",
        masks=(Mask(file="part.nrrd", labels=(Label(object="Liver", above=0),)),),
    )  # fmt: skip
    with pytest.raises(
        BadFile, match=r"part.nrrd: shape \(4, 3, 2\), but its image ct.nrrd has \(11, 9, 6\)"
    ):
        opening.open_case(case, {name: tmp_path / name for name in case.files})
