"""What a template misses by: worked by hand."""

import pytest

from cosmos1050k.nearest import misses, readable

IMAGE = r"**/{set:training|test}/images/{number:\d+}_{set}.tif"


@pytest.mark.parametrize(
    ("names", "template", "said"),
    [
        (
            ["Training/Images/21_training.TIF"], IMAGE,
            "no {set}/images/{number}_{set}.tif; but Training/Images/21_training.TIF would fit if upper and "
            "lower case did",
        ),
        (
            ["readme.txt", "DRIVE/training/pictures/21_training.tif"], IMAGE,
            "no {set}/images/{number}_{set}.tif; the nearest is DRIVE/training/pictures/21_training.tif: its "
            "name fits, but it lies in DRIVE/training/pictures, not in …/{set}/images",
        ),
        (
            ["21_training.tif"], IMAGE,
            "no {set}/images/{number}_{set}.tif; the nearest is 21_training.tif: its name fits, but it lies "
            "in the top folder, not in …/{set}/images",
        ),
        (
            ["DRIVE/training/images/21.tif", "DRIVE/training/mask/21.gif"], IMAGE,
            "no {set}/images/{number}_{set}.tif; the nearest is DRIVE/training/images/21.tif: it lies in the "
            "right folder, but its name is not {number}_{set}.tif",
        ),
        (
            ["training/images/21_test.tif"], IMAGE,
            "no {set}/images/{number}_{set}.tif; the nearest is training/images/21_test.tif: parts of it "
            "that should be equal differ",
        ),
        (
            ["train-volume.tiff", "notes.txt"], "**/train-volume.tif",
            "no train-volume.tif; the nearest is train-volume.tiff: its name is not train-volume.tif",
        ),
        (
            ["Testing/images/a.png"], "**/{subset:Tuning|Testing/Public}/images/{stem}.png",
            "no {subset}/images/{stem}.png; the nearest is Testing/images/a.png: its name fits, but it lies "
            "in Testing/images, not in …/{subset}/images",
        ),
    ],
)  # fmt: skip
def test_the_nearest_miss(names: list[str], template: str, said: str) -> None:
    assert misses(names, [template]) == [said]


def test_what_is_found_is_not_missed_and_what_is_hidden_is_not_near() -> None:
    names = ["training/images/21_training.tif", "training/1st_manual/._21_manual1.gif"]
    assert misses(names, [IMAGE]) == []
    (line,) = misses(names, ["**/{set:training}/1st_manual/{number}_manual1.gif"])
    assert "._21" not in line
    assert misses([], [IMAGE]) == misses([".DS_Store"], [IMAGE]) == []


def test_of_many_files_the_most_alike_is_shown() -> None:
    names = [f"z/{number}/file{number}.dat" for number in range(5000)] + ["deep/labels/case_7_labels.nii.gz"]
    (line,) = misses(names, ["**/labelsTr/{case}_label.nii.gz"])
    assert "deep/labels/case_7_labels.nii.gz" in line


def test_a_template_is_shown_without_its_forms() -> None:
    assert readable(r"**/{case:case\d{3}}/{case}_*.nii{_:(?:\.gz)?}") == "{case}/{case}_*.nii{_}"
