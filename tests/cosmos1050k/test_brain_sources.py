"""Readings of the head's sources that no phantom shows: other editions, copies, and what is missing."""

import shutil
from pathlib import Path

import pytest

from cosmos1050k import sources
from cosmos1050k.source import Case
from tests import phantoms


@pytest.fixture
def release(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    phantoms.write(request.param, tmp_path, patients=3)
    return tmp_path


def found(slug: str, root: Path) -> tuple[list[Case], list[str]]:
    """The cases, and the lines on what is no case."""
    every = list(sources.get(slug).cases(root))
    cases = [one for one in every if isinstance(one, Case)]
    return cases, [str(one) for one in every if not isinstance(one, Case)]


def renamed(root: Path, old: str, new: str) -> None:
    for path in sorted(root.rglob(f"*{old}*")):
        path.rename(path.with_name(path.name.replace(old, new)))


CROSSMODA = pytest.mark.parametrize("release", ["crossmoda"], indirect=True)


@CROSSMODA
def test_crossmoda_of_2021_is_read_as_of_2022(release: Path) -> None:
    (release / "training_source").rename(release / "source_training")
    renamed(release, "crossmoda2022_etz_1", "crossmoda_3")
    renamed(release, "crossmoda2021_ldn", "crossmoda")
    cases, problems = found("crossmoda", release)
    assert [case.case for case in cases] == ["crossmoda_1", "crossmoda_2", "crossmoda_3"]
    assert {(label.value, label.instance) for case in cases for label in case.masks[0].labels} == {(1, None)}
    assert problems == []


@CROSSMODA
def test_crossmoda_of_2023_gives_the_tumor_in_two_parts(release: Path) -> None:
    renamed(release, "crossmoda2021_ldn", "crossmoda2023_ldn")
    renamed(release, "crossmoda2022_etz", "crossmoda2023_etz")
    cases, problems = found("crossmoda", release)
    assert len(cases) == 3
    for case in cases:
        parts = [(label.value, label.instance) for label in case.masks[0].labels]
        assert parts == [(1, "intra-meatal"), (2, "extra-meatal")]
    assert problems == []


@CROSSMODA
def test_of_two_editions_of_crossmoda_one_is_read(release: Path) -> None:
    for kind in ("ceT1", "Label"):
        lone = release / f"training_source/crossmoda2021_ldn_1_{kind}.nii.gz"
        shutil.copy(lone, release / f"crossmoda_1_{kind}.nii.gz")
    cases, problems = found("crossmoda", release)
    assert [case.case for case in cases] == [
        "crossmoda2021_ldn_1", "crossmoda2021_ldn_2", "crossmoda2022_etz_1"
    ]  # fmt: skip
    assert problems == []


@pytest.mark.parametrize("release", ["feta"], indirect=True)
def test_feta_with_all_files_in_one_folder(release: Path) -> None:
    for path in list(release.rglob("*.nii.gz")):
        path.rename(release / path.name)
    cases, problems = found("feta", release)
    names = ["sub-001_rec-mial", "sub-002_rec-mial", "sub-041_rec-irtk"]
    assert [case.case for case in cases] == names
    assert [case.image for case in cases] == [f"{name}_T2w.nii.gz" for name in names]
    assert problems == []


@pytest.mark.parametrize("release", ["brainptm_2021"], indirect=True)
def test_brainptm_takes_the_volume_without_weighting(release: Path) -> None:
    cases, problems = found("brainptm_2021", release)
    channels = {case.case: case.channel for case in cases if case.modality == "DW MRI"}
    assert channels == {"case_1": 0, "case_2": 3, "case_3": 0}
    assert [len(case.masks) for case in cases] == [5, 5, 5, 5, 3, 3]
    assert problems == []


@pytest.mark.parametrize("release", ["brainptm_2021"], indirect=True)
@pytest.mark.parametrize("content", ["", "\n0 1 1", "weights"])
def test_brainptm_without_b_values_is_one_line(release: Path, content: str) -> None:
    place = "sheba75_data_train/sheba75_data_train/case_2/Diffusion.bvals"
    (release / place).write_text(content)
    cases, problems = found("brainptm_2021", release)
    assert {case.case for case in cases} == {"case_1", "case_3"}
    assert problems == [f"{place}: its first line is no list of b-values; fetch it again"]


@pytest.mark.parametrize("release", ["brats20"], indirect=True)
def test_brats_lacks_a_sequence(release: Path) -> None:
    place = "MICCAI_BraTS2020_TrainingData/BraTS20_Training_001/BraTS20_Training_001"
    (release / f"{place}_t1.nii.gz").unlink()
    cases, problems = found("brats20", release)
    assert {case.case for case in cases} == {"BraTS20_Training_003", "BraTS20_Training_355"}
    assert len(problems) == 1
    assert problems[0].startswith(f"{place}_t1ce.nii.gz: its partner ")


@pytest.mark.parametrize("release", ["ixi"], indirect=True)
def test_ixi_as_the_owner_gives_it_has_no_case(release: Path) -> None:
    shutil.rmtree(release / "masks")
    assert found("ixi", release) == ([], [])


@pytest.mark.parametrize("release", ["qubiq_2021"], indirect=True)
def test_qubiq_names_who_drew_each_mask(release: Path) -> None:
    cases, problems = found("qubiq_2021", release)
    of = {(case.case, case.modality): case for case in cases}
    missing = [mask.annotators for mask in of["prostate_case09", "MRI"].masks]
    assert missing == [("01", "02", "04", "05", "06")] * 2
    (union,) = of["brain-tumor_case01", "T1-GD MRI"].masks
    assert union.annotators == ("01", "02", "03") * 3
    assert [case.channel for case in cases if case.case == "brain-tumor_case01"] == [0, 1, 2, 3]
    assert problems == []
