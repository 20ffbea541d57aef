"""Several annotators' masks of one picture become one, worked by hand; a channel of a picture is a plane."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydantic import ValidationError

from cosmos1050k import opening, votes
from cosmos1050k.errors import BadFile
from cosmos1050k.source import Case, Label, Mask

LABEL = Label(object="Kidney", value=1)


def saved(folder: Path, name: str, array: np.ndarray, affine: np.ndarray | None = None) -> tuple[Path, str]:
    path = folder / name
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    return path, name


def row(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def test_a_pixel_needs_more_than_half_of_the_annotators(tmp_path: Path) -> None:
    files = [
        saved(tmp_path, "1.nii.gz", row(1, 1, 1, 0, 0.6)),
        saved(tmp_path, "2.nii.gz", row(1, 1, 0, 0, 1.0)),
        saved(tmp_path, "3.nii.gz", row(1, 0, 0, 1, 0.4)),
        saved(tmp_path, "4.nii.gz", row(1, 1, 1, 1, np.nan)),
    ]
    assert votes.majority(files[:3], "abc").array.ravel().tolist() == [1, 1, 0, 0, 1]
    # Of four, two are no majority.
    assert votes.majority(files, "abcd").array.ravel().tolist() == [1, 1, 0, 0, 0]


def test_an_annotator_with_several_files_marks_their_union_once(tmp_path: Path) -> None:
    files = [
        saved(tmp_path, "a1.nii.gz", row(1, 0, 0, 1)),
        saved(tmp_path, "a2.nii.gz", row(0, 1, 0, 1)),
        saved(tmp_path, "b1.nii.gz", row(1, 0, 0, 0)),
        saved(tmp_path, "b2.nii.gz", row(0, 1, 0, 0)),
        saved(tmp_path, "c1.nii.gz", row(0, 0, 1, 0)),
    ]
    # Two of three; file by file no pixel would have a majority of five.
    assert votes.majority(files, "aabbc").array.ravel().tolist() == [1, 1, 0, 0]


def test_a_mask_of_another_shape_is_one_line(tmp_path: Path) -> None:
    files = [saved(tmp_path, "1.nii.gz", row(1, 1)), saved(tmp_path, "2.nii.gz", row(1, 1, 1))]
    with pytest.raises(BadFile, match=r"2.nii.gz: shape \(1, 3, 1\), but 1.nii.gz, of the same image, has"):
        votes.majority(files, "ab")


def test_annotators_and_files_go_together() -> None:
    for file, annotators in (("a.nii", ("1",)), (("a.nii", "b.nii"), ("1",))):
        with pytest.raises(ValidationError, match="annotators: name one for each of several files"):
            Mask(file=file, annotators=annotators, labels=(LABEL,))


def test_planes_of_a_picture_and_masks_that_say_they_lie_elsewhere(tmp_path: Path) -> None:
    planes = np.arange(24, dtype=np.float32).reshape(4, 3, 2)
    elsewhere = np.diag([2.0, 2.0, 2.0, 1.0])
    paths = dict(
        reversed(pair)
        for pair in (
            saved(tmp_path, "image.nii.gz", planes),
            saved(tmp_path, "1.nii.gz", np.eye(4, 3, dtype=np.uint8), elsewhere),
            saved(tmp_path, "2.nii.gz", np.eye(4, 3, dtype=np.uint8), elsewhere),
        )
    )
    mask = Mask(file=("1.nii.gz", "2.nii.gz"), annotators=("1", "2"), labels=(LABEL,))
    for channel in (0, 1):
        case = Case(
            case="a", patient="a", modality="CT", view="picture", image="image.nii.gz", channel=channel,
            masks=(mask,),
        )  # fmt: skip
        opened = opening.open_case(case, paths)
        assert (opened.size, opened.depth) == ((3, 4), 1)
        assert np.array_equal(opened.image[0], planes[:, :, channel].T)
        assert np.array_equal(opened.layers[0].slices[0], np.eye(3, 4))
    with pytest.raises(BadFile, match=r"image.nii.gz: 2 volumes, but number 2 is wanted"):
        opening.open_case(case.model_copy(update={"channel": 2}), paths)
    with pytest.raises(BadFile, match=r"image.nii.gz: 2 slices where one picture is expected"):
        opening.open_case(case.model_copy(update={"channel": None}), paths)
