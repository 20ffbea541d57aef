"""Masks in a file each, of which a case has any number, are paired with their case."""

from pathlib import Path

from cosmos1050k.errors import BadFile
from cosmos1050k.pairing import Match, Stack, gathered, gathered_stacks
from cosmos1050k.source import Case, Label, Mask

LABEL = Label(object="Kidney", value=1)


def release(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def made(masks: dict[str, str], match: Match) -> Case:
    if match["patient"] == "p4":
        raise BadFile("p4/weights.txt", "damaged", "fetch it again")
    return Case(
        case=match["patient"],
        patient=match["patient"],
        modality="CT",
        image=match.files["image"],
        masks=tuple(Mask(file=file, labels=(LABEL,)) for file in masks.values()),
        view="transverse",
    )


def gather(root: Path) -> list[tuple[str, ...] | str]:
    found = gathered(root, made, image="**/{patient}/image.nii", each="**/{patient}/{name:m\\d+}.nii")
    return [one.files if isinstance(one, Case) else str(one) for one in found]


def test_each_case_has_its_own_masks_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    root = release(
        tmp_path, "top/p1/image.nii", "top/p1/m10.nii", "top/p1/m9.nii", "top/p1/other.nii",
        "top/p2/image.nii", "labels/p2/m1.nii", "top/p2/._m2.nii", "top/p3/image.nii",
    )  # fmt: skip
    assert gather(root) == [  # p3 has no label
        ("top/p1/image.nii", "top/p1/m9.nii", "top/p1/m10.nii"),
        ("top/p2/image.nii", "labels/p2/m1.nii"),
    ]


def test_what_is_wrong_is_one_line_and_the_others_go_on(tmp_path: Path) -> None:
    root = release(
        tmp_path, "p1/m1.nii", "p1/m2.nii", "p2/image.nii", "p2/m1.nii", "copy/p2/m1.nii", "p4/image.nii",
        "p4/m1.nii", "copy/p4/image.nii",
    )  # fmt: skip
    assert gather(root) == [
        "p2/m1.nii: the same mask as copy/p2/m1.nii; remove one of the two",
        "p4/image.nii: the same case as copy/p4/image.nii; remove one of the two",
        "p4/weights.txt: damaged; fetch it again",
        ("p2/image.nii", "copy/p2/m1.nii"),
        "p1/m1.nii: its partner p1/image.nii is missing; fetch the source again",
    ]


def made_of_slices(masks: dict[str, str], stack: Stack) -> Case:
    labels = (LABEL,)
    return Case(
        case=stack["patient"],
        patient=stack["patient"],
        modality="CT",
        image=stack.files["image"],
        masks=tuple(Mask(file=file, labels=labels) for file in masks.values()),
        view="transverse",
    )


def test_a_case_may_be_a_stack_of_slices(tmp_path: Path) -> None:
    root = release(
        tmp_path, "p1/t2/10.dcm", "p1/t2/9.dcm", "labels/p1_b.nrrd", "labels/p1_a.nrrd", "p2/t2/1.dcm",
        "labels/p3_a.nrrd",
    )  # fmt: skip
    templates = {"image": "**/{patient}/t2/{slice}.dcm", "each": "**/{patient}_{name}.nrrd"}
    found = list(gathered_stacks(root, made_of_slices, **templates))
    assert [one.files if isinstance(one, Case) else str(one) for one in found] == [  # p2 has no label
        ("p1/t2/9.dcm", "p1/t2/10.dcm", "labels/p1_a.nrrd", "labels/p1_b.nrrd"),
        "labels/p3_a.nrrd: its partner p3/t2/….dcm is missing; fetch the source again",
    ]


def test_a_stack_that_is_no_case_is_told_by_its_first_slice(tmp_path: Path) -> None:
    root = release(tmp_path, "p é/t2/2.dcm", "p é/t2/1.dcm", "p é_a.nrrd")
    templates = {"image": "**/{patient}/t2/{slice}.dcm", "each": "**/{patient}_{name}.nrrd"}
    (wrong,) = gathered_stacks(root, made_of_slices, **templates)
    assert isinstance(wrong, BadFile)
    assert wrong.file == "p é/t2/1.dcm"
    assert "can't be made a case" in wrong.problem
