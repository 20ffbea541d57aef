"""Sources of endoscopy, stained tissue and electron microscopy in layouts that their phantoms don't have."""

from pathlib import Path

import pytest

from cosmos1050k import archives, sources
from cosmos1050k.source import Case
from tests import phantoms
from tests.phantoms import (
    crag,
    cvc_clinicdb,
    epfl_em,
    etis_larib_polyp_db,
    kvasir_instrument,
    warwick_qu_glas,
)
from tests.phantoms.truth import TrueRow


def found(slug: str, root: Path) -> tuple[list[Case], list[str]]:
    """The cases, and the lines on what is no case."""
    every = list(sources.get(slug).cases(root))
    cases = [one for one in every if isinstance(one, Case)]
    return cases, [str(one) for one in every if not isinstance(one, Case)]


def facts(case: Case | TrueRow) -> tuple[str, tuple[str, ...], bool]:
    return case.patient, case.files, case.official_test


@pytest.mark.parametrize(
    ("slug", "write"),
    [
        ("cvc_clinicdb", cvc_clinicdb.write_mirror),
        ("etis_larib_polyp_db", etis_larib_polyp_db.write_repack),
        ("crag", crag.write_as_its_readme_says),
        ("warwick_qu_glas", warwick_qu_glas.write_without_a_table),
    ],
)
def test_another_layout_gives_the_same_pairs(tmp_path: Path, slug: str, write: object) -> None:
    truth = write(tmp_path, 3, 0)
    cases, problems = found(slug, tmp_path)
    assert {facts(row) for row in truth} < {facts(case) for case in cases}  # some have no object
    assert problems == []


def test_a_mirror_with_both_forms_of_each_picture_is_read_once(tmp_path: Path) -> None:
    phantoms.write("cvc_clinicdb", tmp_path)
    alone, _ = found("cvc_clinicdb", tmp_path)
    cvc_clinicdb.write_mirror(tmp_path, 3, 0)
    assert found("cvc_clinicdb", tmp_path) == (alone, [])


@pytest.mark.parametrize(
    ("frame", "sequence"), [(1, 1), (25, 1), (26, 2), (200, 10), (205, 10), (206, 11), (591, 28), (612, 29)]
)
def test_each_frame_of_clinicdb_is_in_its_sequence(tmp_path: Path, frame: int, sequence: int) -> None:
    for kind in ("Original", "Ground_Truth"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / f"{frame}.tif").touch()
    (case,), _ = found("cvc_clinicdb", tmp_path)
    assert case.patient == f"sequence_{sequence}"


def test_archives_in_the_archive_of_kvasir_instrument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where the members go
    truth = kvasir_instrument.write_packed(tmp_path / "raw", 3, 0)
    assert archives.unpack(tmp_path / "raw") == []
    cases, problems = found("kvasir_instrument", tmp_path / "raw")
    expected = {(row.patient, row.official_test) for row in truth}
    assert expected < {(case.patient, case.official_test) for case in cases}
    assert sum(case.official_test for case in cases) == 1  # whose name has an ending in the list
    assert problems == []


def test_version_1_of_crag_has_annotations_without_an_image(tmp_path: Path) -> None:
    phantoms.write("crag", tmp_path)
    cases, _ = found("crag", tmp_path)
    (tmp_path / "CRAG_v2/CRAG/valid/Annotation/test_41.png").touch()
    again, problems = found("crag", tmp_path)
    assert again == cases
    assert len(problems) == 1
    assert problems[0].startswith("CRAG_v2/CRAG/valid/Annotation/test_41.png: its partner ")


def test_endotect_without_its_development_images_is_all_test(tmp_path: Path) -> None:
    phantoms.write("endotect_2020", tmp_path)
    (tmp_path / "EndoTect_2020_Segmentation_Test_Dataset").rename(tmp_path / "endo")
    (tmp_path / "segmented-images").rename(tmp_path.parent / f"{tmp_path.name}-development")
    cases, problems = found("endotect_2020", tmp_path)
    assert {case.official_test for case in cases} == {True}
    assert len(cases) == 5
    assert problems == []


def test_frames_of_autolaparo_under_other_names_are_their_own_patients(tmp_path: Path) -> None:
    for name in ("imgs/a_01.jpg", "masks/a_01.png", "imgs/228001.jpg", "masks/228001.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    cases, _ = found("autolaparo", tmp_path)
    assert [(case.patient, case.official_test) for case in cases] == [("228", True), ("a_01", False)]


def test_sections_of_lucchi_plus_are_in_order(tmp_path: Path) -> None:
    truth = epfl_em.write_lucchi_plus(tmp_path, 1, 0)
    cases, problems = found("epfl_em", tmp_path)
    assert {case.case: len(case.image) for case in cases} == {"training": 12, "testing": 12}
    of = {case.official_test: case for case in cases}
    for row in truth:
        case = of[row.official_test]
        assert (case.image[row.slice_index], case.masks[0].file[row.slice_index]) == row.files
    assert problems == []
