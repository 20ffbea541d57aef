"""What a mask or an image holds must fit what its labels speak of: else one line, never silent background."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cosmos1050k.errors import BadFile
from cosmos1050k.opening import open_case
from cosmos1050k.source import Case, Label, Mask

GOOD = np.arange(60, dtype=np.float32).reshape(3, 4, 5)


def case_of(folder: Path, image: np.ndarray, mask: np.ndarray, label: Label) -> tuple[Case, dict[str, Path]]:
    paths = {name: folder / name for name in ("image.nii", "mask.nii")}
    for path, array in zip(paths.values(), (image, mask), strict=True):
        nib.save(nib.Nifti1Image(array, np.eye(4)), path)
    masks = (Mask(file="mask.nii", labels=(label,)),)
    case = Case(case="a", patient="a", modality="CT", image="image.nii", masks=masks, view="transverse")
    return case, paths


@pytest.mark.parametrize(
    ("image", "value", "label", "line"),
    [
        (GOOD * np.nan, 1, Label(object="Liver", value=1), "image.nii: not one finite value"),
        (GOOD, np.nan, Label(object="Liver", value=1), "mask.nii: a mask with NaN or infinity"),
        (GOOD, np.inf, Label(object="Liver", above=0), "mask.nii: a mask with NaN or infinity"),
        (GOOD, 1.5, Label(object="Liver", value=1), "mask.nii: a mask of fractions"),
        (GOOD, -2, Label(object="Liver", value=1), "mask.nii: a mask with negative values"),
        (
            GOOD,
            -2,
            Label(object="Cell", above=0, instances="values"),
            "mask.nii: a mask with negative values",
        ),
    ],
)
def test_what_fits_no_label_is_one_line(
    image: np.ndarray, value: float, label: Label, line: str, tmp_path: Path
) -> None:
    mask = np.ones((3, 4, 5), np.float32)
    mask[1, 2, 3] = value
    case, paths = case_of(tmp_path, image, mask, label)
    with pytest.raises(BadFile) as caught:
        open_case(case, paths)
    assert str(caught.value) == f"{str(caught.value).split(';')[0]}; fetch the file again"
    assert str(caught.value).startswith(line)


def test_soft_masks_and_partly_missing_images_are_fine(tmp_path: Path) -> None:
    image = GOOD.copy()
    image[0] = np.nan
    soft = np.full((3, 4, 5), 0.5, np.float32)
    case, paths = case_of(tmp_path, image, soft, Label(object="Liver", above=0))
    assert open_case(case, paths).depth == 5


@pytest.mark.parametrize(("others", "refused"), [(None, False), ((), True), ((7,), False), ((8,), True)])
def test_a_value_without_meaning(others: tuple[int, ...] | None, refused: bool, tmp_path: Path) -> None:
    """It is background, unless the source tells all values that there are."""
    mask = np.ones((3, 4, 5), np.uint8)
    mask[0], mask[1, 2, 3] = 0, 7
    case, paths = case_of(tmp_path, GOOD, mask, Label(object="Liver", value=1))
    told = case.model_copy(update={"masks": (case.masks[0].model_copy(update={"others": others}),)})
    if not refused:
        assert len(open_case(told, paths).layers) == 1
        return
    with pytest.raises(BadFile, match=r"mask.nii: the value 7, which the owner gives no meaning; fetch"):
        open_case(told, paths)


def test_values_stored_with_a_scale_are_whole_again(tmp_path: Path) -> None:
    """As a mask of vertebrae that was saved as floats in 8 bits: nibabel then chooses a scale."""
    mask = np.zeros((3, 4, 5))
    mask[1], mask[2] = 20, 24
    case, paths = case_of(tmp_path, GOOD, mask, Label(object="Vertebra", value=20))
    image = nib.Nifti1Image(mask, np.eye(4))
    image.set_data_dtype(np.uint8)
    nib.save(image, paths["mask.nii"])
    stored = nib.load(paths["mask.nii"]).get_fdata()
    assert 0 < np.abs(stored - mask).max() < 0.1
    (layer,) = open_case(case, paths).layers
    assert sum(int((layer.slices[index] == 20).sum()) for index in range(5)) == 20
