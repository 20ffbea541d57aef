"""Sources of prostates, hearts, spines and knees in layouts that their phantoms don't have."""

from pathlib import Path

import pytest

from cosmos1050k import sources
from cosmos1050k.errors import BadFile
from cosmos1050k.source import Case


def paired(slug: str, folder: Path, *names: str) -> tuple[dict[str, Case], list[str]]:
    """The cases by name, and what is said to be wrong, of a release of empty files."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = list(sources.get(slug).cases(folder))
    cases = {one.case: one for one in found if isinstance(one, Case)}
    wrong = [str(one) for one in found if isinstance(one, BadFile)]
    assert len(cases) + len(wrong) == len(found)
    return cases, wrong


def test_promise12_in_the_older_release_s_parts(tmp_path: Path) -> None:
    pairs = [
        (
            f"TrainingData_Part{part}/Case{part:02d}.mhd",
            f"TrainingData_Part{part}/Case{part:02d}_segmentation.mhd",
        )
        for part in (1, 2, 3)
    ]
    test = ("TestData/Case01.mhd", "Test/x/Case02.mhd", "livechallenge_test_data/Case03.mhd")
    cases, wrong = paired("promise12", tmp_path, *(name for pair in pairs for name in pair), *test)
    assert [case.files for case in cases.values()] == pairs
    assert not wrong


def test_a_mask_of_promise12_belongs_to_the_image_beside_it(tmp_path: Path) -> None:
    image, mask = "elsewhere/Case00.mhd", "training_data/Case00_segmentation.mhd"
    cases, wrong = paired("promise12", tmp_path, image, mask)
    assert not cases
    assert len(wrong) == 2


def test_mrspineseg_from_a_mirror_s_archive(tmp_path: Path) -> None:
    names = (
        "MRI_train/train/MR/Case12.nii.gz",
        "MRI_train/train/Mask/mask_case12.nii.gz",
        "x/MR/Case3.nii.gz",
    )
    cases, wrong = paired("mrspineseg", tmp_path, *names)
    assert (set(cases), wrong) == ({"Case12"}, [])


def test_ski10_converted_to_nifti(tmp_path: Path) -> None:
    names = ("SKI10/image/image-100.nii", "SKI10/label/labels-100.nii")
    cases, wrong = paired("ski10", tmp_path, *names)
    assert [case.files for case in cases.values()] == [names]
    assert not wrong


def test_ski10_as_its_owner_stored_it_goes_before_a_conversion(tmp_path: Path) -> None:
    owner = ("training/image-001.mhd", "training/labels-001.mhd")
    cases, wrong = paired("ski10", tmp_path, *owner, "image/image-001.nii", "label/labels-001.nii")
    assert [case.files for case in cases.values()] == [owner]
    assert not wrong


MNMS = ("Labeled/A0B1C2/A0B1C2_sa.nii.gz", "Labeled/A0B1C2/A0B1C2_sa_gt.nii.gz")


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("External code,Vendor,ED,ES\nA0B1C2,A,0,9\n", {"A0B1C2_ED": 0, "A0B1C2_ES": 9}),
        ("External code,Vendor,ED,ES\nX9X9X9,A,0,9\n", "Information.csv: no frame ED of A0B1C2; "),
        ("External code,Vendor,ED,ES\nA0B1C2,A,0,\n", "Information.csv: no frame ES of A0B1C2; "),
        ("code,ED,ES\nA0B1C2,0,9\n", "Information.csv: no column External code; "),
        (None, "Information.csv: is missing; "),
    ],
)
def test_the_table_of_m_and_ms_as_its_first_release_named_it(
    tmp_path: Path, table: str | None, expected: dict[str, int] | str
) -> None:
    if table is not None:
        (tmp_path / "M&Ms Dataset Information.csv").write_text(table)
    cases, wrong = paired("m_and_ms", tmp_path, *(f"M&M/Training/{name}" for name in MNMS))
    if isinstance(expected, str):
        assert len(wrong) == 1
        assert expected in wrong[0]
    else:
        assert {name: case.channel for name, case in cases.items()} == expected
        assert all(case.masks[0].channel == case.channel for case in cases.values())
        assert not wrong


def test_without_images_m_and_ms_misses_no_table(tmp_path: Path) -> None:
    assert paired("m_and_ms", tmp_path) == ({}, [])


FORM = (
    "{top}/rawdata/sub-{0}/sub-{0}{1}_ct.nii.gz",
    "{top}/derivatives/sub-{0}/sub-{0}{1}_seg-vert_msk.nii.gz",
)


def by_subject(top: str, patient: str, series: str = "") -> list[str]:
    return [form.format(patient, series, top=top) for form in FORM]


def test_a_scan_that_both_years_of_verse_have_is_taken_once(tmp_path: Path) -> None:
    older, newer = (
        by_subject(top, "verse004") for top in ("dataset-verse19test", "verse20/dataset-01training")
    )
    others = (
        *by_subject("dataset-verse19training", "verse005"),
        *by_subject("dataset-02validation", "verse401", "_split-verse253"),
        *by_subject("dataset-02validation", "verse401", "_split-verse260"),
        *by_subject("dataset-03test", "gl003", "_dir-ax"),
    )
    cases, wrong = paired("verse", tmp_path, *older, *newer, *others)
    assert not wrong
    assert cases["verse004"].files == tuple(newer)
    assert {name: (case.patient, case.official_test) for name, case in cases.items()} == {
        "verse004": ("verse004", True), "verse005": ("verse005", False), "gl003_dir-ax": ("gl003", True),
        "verse401_split-verse253": ("verse401", False), "verse401_split-verse260": ("verse401", False),
    }  # fmt: skip


def test_verse_as_the_challenges_had_it(tmp_path: Path) -> None:
    names = (
        "train/verse004.nii.gz", "train/verse004_seg.nii.gz",
        "test/verse007.nii.gz", "test/verse007_seg.nii.gz",
        "training_data/verse004/verse004_CT-ax.nii.gz", "training_data/verse004/verse004_CT-ax_seg.nii.gz",
        "training_data/gl011/gl011_CT-sag.nii.gz", "training_data/gl011/gl011_CT-sag_seg.nii.gz",
    )  # fmt: skip
    cases, wrong = paired("verse", tmp_path, *names)
    assert not wrong
    assert {name: case.official_test for name, case in cases.items()} == {
        "verse004_CT-ax": False, "verse007": True, "gl011_CT-sag": False,
    }  # fmt: skip


def test_verse_as_the_challenge_of_2020_named_it(tmp_path: Path) -> None:
    """With the patient before the scan, and a test case of 2019 that is a training case of 2020."""
    names = (
        "01_training/GL017/GL017_CT_ax.nii.gz", "01_training/GL017/GL017_CT_ax_seg.nii.gz",
        "01_training/verse400/verse400_verse090_CT-iso.nii.gz",
        "01_training/verse400/verse400_verse090_CT-iso_seg.nii.gz",
        "train/verse090.nii.gz", "train/verse090_seg.nii.gz",
        "test/verse004.nii.gz", "test/verse004_seg.nii.gz",
        "01_training/verse004/verse004_CT-sag.nii.gz", "01_training/verse004/verse004_CT-sag_seg.nii.gz",
    )  # fmt: skip
    cases, wrong = paired("verse", tmp_path, *names)
    assert not wrong
    assert {(case.patient, case.official_test) for case in cases.values()} == {
        ("GL017", False), ("verse400", False), ("verse004", True),
    }  # fmt: skip
    assert not {"train/verse090.nii.gz", "test/verse004.nii.gz"} & {
        file for case in cases.values() for file in case.files
    }


def test_verse_by_subject_goes_before_the_challenges_form(tmp_path: Path) -> None:
    names = by_subject("dataset-verse19training", "verse004")
    cases, wrong = paired("verse", tmp_path, *names, "train/verse004.nii.gz", "train/verse004_seg.nii.gz")
    assert [case.files for case in cases.values()] == [tuple(names)]
    assert not wrong


def test_observers_of_livscar_vote_unless_they_agreed(tmp_path: Path) -> None:
    names = (
        "a/lge.nii", "a/infarct_1.nii", "a/infarct_2.nii", "a/infarct_3.nii",
        "b/lge.mha", "b/infarct.nrrd", "b/infarct_1.nrrd", "b/myocardium.nrrd", "c/lge.nii.gz",
    )  # fmt: skip
    cases, wrong = paired("livscar", tmp_path, *names)
    assert not wrong
    assert {name: case.files for name, case in cases.items()} == {"a": names[:4], "b": names[4:6]}
    assert cases["a"].masks[0].annotators == ("infarct_1", "infarct_2", "infarct_3")
    assert not cases["b"].masks[0].annotators


def test_nci_isbi_takes_the_corrected_label_and_no_patient_of_several_series(tmp_path: Path) -> None:
    good, bad, other = "ProstateDx-01-0006", "Prostate3T-01-0002", "Prostate3T-01-0099"
    slices = [f"m/PROSTATE-DIAGNOSIS/{good}/s/t2/1-{number:02d}.dcm" for number in (9, 10)]
    more = [f"m/Prostate-3T/{bad}/s/{series}/1-1.dcm" for series in ("t2", "sag")]
    labels = [f"Training/{good}{version}.nrrd" for version in ("", "_correctedLabels")]
    names = (*slices, *more, *labels, f"Test/{bad}_truth.nrrd", f"m/{other}/s/t2/1-1.dcm")
    cases, wrong = paired("nci_isbi_2013", tmp_path, *names)
    assert {name: case.files for name, case in cases.items()} == {good: (*slices, labels[1])}
    assert len(wrong) == 2
    assert all(bad in line and "one of 2 series of the patient" in line for line in wrong)


@pytest.mark.parametrize(
    ("folder", "test"),
    [
        ("Training", False),
        ("Leaderboard", False),
        ("Test", True),
        ("NCI-ISBI-2013-Prostate-Challenge-Test", True),
        ("NCI-ISBI 2013 Prostate Challenge - Test/Test", True),
    ],
)
def test_which_cases_of_nci_isbi_are_the_owner_s_tests(tmp_path: Path, folder: str, test: bool) -> None:
    name = "Prostate3T-03-0001"
    cases, _ = paired("nci_isbi_2013", tmp_path, f"{name}/1/2/3.dcm", f"{folder}/{name}_truth.nrrd")
    assert cases[name].official_test is test


def test_a_label_of_nci_isbi_without_its_images_is_told(tmp_path: Path) -> None:
    cases, wrong = paired("nci_isbi_2013", tmp_path, "Training/Prostate3T-01-0001.nrrd")
    assert not cases
    assert [line.partition(":")[0] for line in wrong] == ["Training/Prostate3T-01-0001.nrrd"]
