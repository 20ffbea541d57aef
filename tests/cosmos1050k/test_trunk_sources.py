"""Sources of the trunk in the layouts that their phantoms don't have: which files become cases, and how."""

from pathlib import Path

import pytest

from cosmos1050k import sources
from cosmos1050k.errors import BadFile
from cosmos1050k.source import Case


def paired(slug: str, folder: Path, *names: str) -> tuple[dict[str, Case], list[str]]:
    """The cases by name, and the files said to be wrong, of a release of empty files."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = list(sources.get(slug).cases(folder))
    cases = {one.case: one for one in found if isinstance(one, Case)}
    wrong = [one.file for one in found if isinstance(one, BadFile)]
    assert len(cases) + len(wrong) == len(found)
    return cases, wrong


@pytest.mark.parametrize("labels", ["labels", "labelsTr", "Mask", "Masks"])
def test_abdomenct_1k_s_benchmark_release(tmp_path: Path, labels: str) -> None:
    image, mask = "b/imagesTr/Case_00001_0000.nii.gz", f"b/{labels}/Case_00001.nii.gz"
    cases, wrong = paired("abdomenct_1k", tmp_path, image, mask, "b/imagesTs/Case_00010_0000.nii.gz")
    assert [case.files for case in cases.values()] == [(image, mask)]
    assert not wrong


def test_a_mask_of_abdomenct_1k_without_its_image_is_told(tmp_path: Path) -> None:
    mask = "Mask/Case_00002.nii.gz"
    assert paired("abdomenct_1k", tmp_path, mask, "x/Case_00003_0000.nii.gz") == ({}, [mask])


def test_both_releases_of_abdomenct_1k_at_once_are_told(tmp_path: Path) -> None:
    folders = ("AbdomenCT-1K-ImagePart1/{}_0000", "Mask/{}", "imagesTr/{}_0000", "labels/{}")
    names = [folder.format("Case_00001") + ".nii.gz" for folder in folders]
    cases, wrong = paired("abdomenct_1k", tmp_path, *names)
    assert set(cases) == {"Case_00001"}
    assert sorted(wrong) == sorted(names[2:])


def test_a_later_release_of_amos_labels_its_test_cases(tmp_path: Path) -> None:
    pairs = [("Tr", "0001"), ("Va", "0507"), ("Ts", "0002"), ("Ts", "0600")]
    names = [f"amos22/{kind}{part}/amos_{n}.nii.gz" for part, n in pairs for kind in ("images", "labels")]
    cases, wrong = paired("amos_2022", tmp_path, *names)
    assert not wrong
    assert {name: (case.official_test, case.modality) for name, case in cases.items()} == {
        "amos_0001": (False, "CT"), "amos_0507": (False, "MRI"),
        "amos_0002": (True, "CT"), "amos_0600": (True, "MRI"),
    }  # fmt: skip


def test_amos_s_test_cases_without_labels_are_passed_over(tmp_path: Path) -> None:
    names = ("a/imagesTr/amos_0001.nii.gz", "a/labelsTr/amos_0001.nii.gz", "a/imagesTs/amos_0002.nii.gz")
    cases, wrong = paired("amos_2022", tmp_path, *names)
    assert (set(cases), wrong) == ({"amos_0001"}, [])


def test_word_s_test_labels_that_were_not_fetched_are_told(tmp_path: Path) -> None:
    test = "WORD-V0.1.0/imagesTs/word_0007.nii.gz"
    assert paired("word", tmp_path, test) == ({}, [test])


def test_malbcv_as_synapse_s_folders_have_it(tmp_path: Path) -> None:
    image, mask = (f"Abdomen/RawData/Training/{kind}/{kind}0040.nii.gz" for kind in ("img", "label"))
    others = (
        "Abdomen/RawData/Test/img/img0061.nii.gz",
        "Abdomen/Reg-Training-Training/img/0040/img0040-0001.nii.gz",
        "Cervix/RawData/Training/img/0507688-Image.nii.gz",
        "Cervix/RawData/Training/label/0507688-Mask.nii.gz",
    )
    cases, wrong = paired("malbcv_abdomen", tmp_path, image, mask, *others)
    assert [case.files for case in cases.values()] == [(image, mask)]
    assert not wrong


@pytest.mark.parametrize("scans", ["", "training-scans/", "scan/", "SLIVER07/training-scans/scan/"])
def test_sliver07_in_any_folders_but_the_test_s(tmp_path: Path, scans: str) -> None:
    labels = scans.replace("scans", "labels").replace("scan", "label")
    image, mask = f"{scans}liver-orig001.mhd", f"{labels}liver-seg001.mhd"
    others = ("test-scans/liver-orig001.mhd", "s/test-scans/scan/liver-orig002.mhd")
    cases, wrong = paired("sliver07", tmp_path, image, mask, *others)
    assert [case.files for case in cases.values()] == [(image, mask)]
    assert not wrong


def test_kits19_tells_what_a_labelled_case_lacks_and_not_that_the_test_has_no_labels(tmp_path: Path) -> None:
    names = (
        "kits19/kits19-master/data/case_00000/segmentation.nii.gz",
        "case_00000/imaging.nii.gz",
        "kits19/kits19-master/data/case_00209/segmentation.nii.gz",
        "kits19/kits19-master/data/case_00210/imaging.nii.gz",
        "kits19/kits19-master/data/case_00299/imaging.nii.gz",
    )
    cases, wrong = paired("kits19", tmp_path, *names)
    assert {name: set(case.files) for name, case in cases.items()} == {"case_00000": set(names[:2])}
    assert wrong == [names[2]]


def test_parts_of_tls01_may_number_alike(tmp_path: Path) -> None:
    names = [f"Train {kind} {part}/001.nii.gz" for part in ("01", "02") for kind in ("Set", "Label")]
    cases, wrong = paired("tls01_4c2021_c04", tmp_path, *names, "Test Set 01/002.nii.gz")
    assert [case.files for case in cases.values()] == [tuple(names[:2]), tuple(names[2:])]
    assert len({case.patient for case in cases.values()}) == 2
    assert not wrong
