"""What tells releases and layouts of the same pictures apart, and files without a partner, on phantoms."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cosmos1050k import pool, sources
from cosmos1050k.errors import BadFile
from cosmos1050k.source import Case
from tests.cosmos1050k.built_phantoms import built_from, in_this_process, masks_are_true, rows_are_true
from tests.phantoms import (
    camus,
    cellseg_challenge_neurips_2022,
    chaos,
    drive,
    kvasir_seg,
    siim_acr_pneumothorax,
    sstem_isbi2012,
)
from tests.phantoms.truth import TrueRow


def first_stage(folder: Path, patients: int, seed: int) -> list[TrueRow]:
    """Before the labels of the test images were given out."""
    truth = siim_acr_pneumothorax.write(folder, patients, seed)
    for name in ("stage_2_train.csv", "stage_2_sample_submission.csv"):
        (folder / name).unlink()
    return [replace(one, files=(one.files[0], "train-rle.csv")) for one in truth if not one.official_test]


LAYOUTS = {
    "camus, mhd": ("camus", camus.write_older),
    "cellseg, at the challenge": (
        "cellseg_challenge_neurips_2022", cellseg_challenge_neurips_2022.write_as_at_the_challenge
    ),
    "drive, vessels of the test images": ("drive", drive.write_older),
    "siim, first stage": ("siim_acr_pneumothorax", first_stage),
    "siim, png": ("siim_acr_pneumothorax", siim_acr_pneumothorax.write_copy),
    "sstem, sister set": ("sstem_isbi2012", sstem_isbi2012.write_sister),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_gives_its_own_rows(layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slug, write = LAYOUTS[layout]
    truth = write(tmp_path / "raw", 3, 0)
    monkeypatch.setattr(pool, "run", in_this_process)
    built = built_from(slug, truth, tmp_path)
    assert built.manifest.skipped == ()
    rows_are_true(built)
    masks_are_true(built)
    for one, row in built.both():
        assert (row["patient"], row["view"]) == (one.patient, one.view)
        assert row["split"] == "test" or not one.official_test
        assert set(one.files) <= set(built.case(row).files)


def found(slug: str, folder: Path) -> tuple[list[str], list[str]]:
    """Names of the cases, and the lines of what is none."""
    cases = list(sources.get(slug).cases(folder))
    return (
        [case.case for case in cases if isinstance(case, Case)],
        [str(problem) for problem in cases if isinstance(problem, BadFile)],
    )


def test_the_present_release_goes_before_another(tmp_path: Path) -> None:
    """Where both lie, the same patients are not taken twice."""
    camus.write(tmp_path / "camus", 2, 0)
    camus.write_older(tmp_path / "camus", 2, 0)
    sstem_isbi2012.write(tmp_path / "sstem_isbi2012", 1, 0)
    sstem_isbi2012.write_sister(tmp_path / "sstem_isbi2012", 1, 0)
    siim_acr_pneumothorax.write(tmp_path / "siim_acr_pneumothorax", 3, 0)
    siim_acr_pneumothorax.write_copy(tmp_path / "siim_acr_pneumothorax", 3, 0)
    for slug, count in (("camus", 8), ("sstem_isbi2012", 1), ("siim_acr_pneumothorax", 5)):
        cases, problems = found(slug, tmp_path / slug)
        assert (len(cases), problems) == (count, [])


def test_chaos_slices_without_a_partner(tmp_path: Path) -> None:
    """By place where no names agree, and then all must be there; by name where some do."""
    chaos.write(tmp_path, 2, 0)
    train = tmp_path / "Train_Sets"
    (train / "CT/1/Ground/liver_GT_004.png").unlink()
    (train / "MR/1/T1DUAL/Ground/IMG-0004-00006.png").unlink()
    (train / "MR/2/T2SPIR/Ground/IMG-0006-00003.png").unlink()
    shutil.rmtree(train / "MR/2/T1DUAL/DICOM_anon/InPhase")
    cases, problems = found("chaos", tmp_path)
    assert cases == ["CT_2", "MR_1_T2SPIR"]
    assert problems == [
        "Train_Sets/CT/1/Ground/liver_GT_000.png: one of 11 slices, but "
        "Train_Sets/CT/1/DICOM_anon/i0000,0000b.dcm is one of 12; fetch the source again",
        "Train_Sets/MR/1/T1DUAL/DICOM_anon/InPhase/IMG-0004-00006.dcm: its partner "
        "Train_Sets/MR/1/T1DUAL/Ground/IMG-0004-00006.png is missing; fetch the source again",
        "Train_Sets/MR/2/T1DUAL/Ground/IMG-0004-00002.png: its partner "
        "Train_Sets/MR/2/T1DUAL/DICOM_anon/InPhase/….dcm is missing; fetch the source again",
        "Train_Sets/MR/2/T2SPIR/Ground/IMG-0006-00001.png: one of 8 slices, but "
        "Train_Sets/MR/2/T2SPIR/DICOM_anon/IMG-0004-00001.dcm is one of 9; fetch the source again",
    ]


def test_a_table_without_its_images_and_images_without_their_table(tmp_path: Path) -> None:
    siim_acr_pneumothorax.write(tmp_path, 3, 0)
    whole, problems = found("siim_acr_pneumothorax", tmp_path)
    assert problems == []
    lost = next(path for path in tmp_path.rglob("*.dcm") if path.stem == whole[0])
    lost.unlink()
    assert found("siim_acr_pneumothorax", tmp_path) == (
        whole[1:], [f"stage_2_train.csv: its image {whole[0]} is missing; fetch the source again"]
    )  # fmt: skip
    for name in ("stage_2_train.csv", "train-rle.csv"):
        (tmp_path / name).unlink()
    cases, problems = found("siim_acr_pneumothorax", tmp_path)
    assert cases == []
    assert len(problems) == 1
    assert "its table stage_2_train.csv or train-rle.csv is missing" in problems[0]


def test_a_vessel_mask_that_is_missing_is_said_in_the_older_release_alone(tmp_path: Path) -> None:
    drive.write_older(tmp_path / "older", 2, 0)
    (tmp_path / "older/DRIVE/test/1st_manual/02_manual1.gif").unlink()
    cases, problems = found("drive", tmp_path / "older")
    assert "test_02" not in cases
    assert problems == [
        "DRIVE/test/images/02_test.tif: its partner test/1st_manual/02_manual1.gif is missing; "
        "fetch the source again"
    ]
    drive.write(tmp_path / "present", 2, 0)
    (tmp_path / "present/training/1st_manual/22_manual1.gif").unlink()
    cases, problems = found("drive", tmp_path / "present")
    assert {"test_01", "test_02"} < set(cases)
    assert len(problems) == 1


def test_a_subset_of_the_same_pictures_is_not_counted_twice(tmp_path: Path) -> None:
    """kvasir-sessile beside Kvasir-SEG."""
    kvasir_seg.write(tmp_path, 3, 0)
    whole, _ = found("kvasir_seg", tmp_path)
    for kind in ("images", "masks"):
        shutil.copytree(tmp_path / "Kvasir-SEG" / kind, tmp_path / "sessile-main-Kvasir-SEG" / kind)
    cases, problems = found("kvasir_seg", tmp_path)
    assert cases == whole
    assert len(problems) == 2 * len(whole)


def test_the_patients_of_the_split_s_file_are_test_cases(tmp_path: Path) -> None:
    camus.write(tmp_path, 3, 0)
    listed = tmp_path / "database_split" / "subgroup_testing.txt"
    cases = [case for case in sources.get("camus").cases(tmp_path) if isinstance(case, Case)]
    assert {case.patient for case in cases if case.official_test} == {"patient0003"}
    listed.write_text("patient0001 \n\npatient0002")
    again = [case for case in sources.get("camus").cases(tmp_path) if isinstance(case, Case)]
    assert {case.patient for case in again if case.official_test} == {"patient0001", "patient0002"}
    listed.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadFile, match="subgroup_testing"):
        list(sources.get("camus").cases(tmp_path))
    listed.unlink()
    assert not any(case.official_test for case in sources.get("camus").cases(tmp_path))


def test_a_winner_s_predictions_are_no_labels(tmp_path: Path) -> None:
    cellseg_challenge_neurips_2022.write(tmp_path, 1, 0)
    assert (tmp_path / "Testing/Hidden/osilab_seg/cell_00001_label.tiff").is_file()
    for case in sources.get("cellseg_challenge_neurips_2022").cases(tmp_path):
        assert not any("Hidden" in file for file in case.files)
