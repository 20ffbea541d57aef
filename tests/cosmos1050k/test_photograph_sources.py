"""Sources of photographs, radiographs, slices as pictures: other releases and names, and what is missing."""

import shutil
from pathlib import Path

import pytest

from cosmos1050k import sources
from cosmos1050k.errors import BadFile
from cosmos1050k.source import Case
from tests import phantoms
from tests.phantoms import ichallenge_palm


def paired(slug: str, folder: Path) -> tuple[dict[str, Case], list[BadFile]]:
    """The cases by name, and what is wrong."""
    found = list(sources.get(slug).cases(folder))
    cases = {one.case: one for one in found if isinstance(one, Case)}
    wrong = [one for one in found if isinstance(one, BadFile)]
    assert len(cases) + len(wrong) == len(found)
    return cases, wrong


def empty(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_palm_of_2019(tmp_path: Path) -> None:
    truth = ichallenge_palm.write_2019(tmp_path, 3, 0)
    cases, wrong = paired("ichallenge_palm", tmp_path)
    assert wrong == []
    for one in truth:
        case = cases[one.patient]
        assert set(case.files) == set(one.files)
        assert {mask.labels[0].object for mask in case.masks} == {thing.object for thing in one.things}
        assert not case.official_test
    assert cases.keys() - {one.patient for one in truth} == {"P0007"}  # whose mask is blank


def test_of_both_releases_of_palm_the_later_is_read(tmp_path: Path) -> None:
    ichallenge_palm.write(tmp_path / "later", 3, 0)
    later, _ = paired("ichallenge_palm", tmp_path / "later")
    shutil.copytree(tmp_path / "later", tmp_path / "both/2024")
    ichallenge_palm.write_2019(tmp_path / "both/2019", 3, 0)
    cases, _ = paired("ichallenge_palm", tmp_path / "both")
    assert cases.keys() == later.keys()
    assert all(file.startswith("2024/") for case in cases.values() for file in case.files)
    assert {name for name, case in cases.items() if case.official_test} == {"T0001", "T0002"}


@pytest.mark.parametrize("where", ["Illustration", "AMD-Training400/Training400", "."])
def test_amd_s_masks_lie_in_any_folder(tmp_path: Path, where: str) -> None:
    phantoms.write("ichallenge_amd", tmp_path)
    before, _ = paired("ichallenge_amd", tmp_path)
    (tmp_path / where).mkdir(exist_ok=True)
    shutil.move(tmp_path / "DF-Annotation-Training400/Disc_Masks", tmp_path / where)
    after, wrong = paired("ichallenge_amd", tmp_path)
    assert after.keys() == before.keys() > set()
    assert wrong == []


def test_idrid_s_copy_with_blanks_as_percent_20(tmp_path: Path) -> None:
    phantoms.write("idrid_2018", tmp_path)
    before, _ = paired("idrid_2018", tmp_path)
    for path in sorted(tmp_path.rglob("* *"), reverse=True):
        path.rename(path.with_name(path.name.replace(" ", "%20")))
    after, wrong = paired("idrid_2018", tmp_path)
    assert after.keys() == before.keys() > set()
    assert [name for name, case in after.items() if case.official_test] == ["IDRiD_55", "IDRiD_56"]
    assert wrong == []


def test_tn_scui_with_plain_numbers(tmp_path: Path) -> None:
    empty(tmp_path, "image/7.PNG", "mask/7.png", "image/00010.png", "mask/10.PNG", "testset/test_7.PNG")
    cases, wrong = paired("tn_scui_2020", tmp_path)
    assert {name: case.files for name, case in cases.items()} == {
        "7": ("image/7.PNG", "mask/7.png"),
        "10": ("image/00010.png", "mask/10.PNG"),
    }
    assert wrong == []


def test_chest_ct_with_its_folders_flattened(tmp_path: Path) -> None:
    names = [
        f"{kind}s/ID0001{part}_{k}.jpg" for kind, part in (("image", ""), ("mask", "_mask")) for k in (9, 10)
    ]
    empty(tmp_path, *names, "train.csv", "numpy_images_files/ID0001.npy")
    cases, wrong = paired("chest_ct_segmentation", tmp_path)
    assert cases["ID0001"].image == ("images/ID0001_9.jpg", "images/ID0001_10.jpg")
    assert [mask.channel for mask in cases["ID0001"].masks] == [0, 1, 2]
    assert wrong == []


@pytest.mark.parametrize(
    ("slug", "lost", "left"),
    [
        ("chase_db1", "Image_01L_1stHO.png", "Image_01L.jpg"),
        ("stare", "im0001.ah.ppm.gz", "im0001.ppm.gz"),
        ("isic_2018", "ISIC_0000000_segmentation.png", "ISIC_0000000.jpg"),
        ("montgomery_cxr", "leftMask/MCUCXR_0001_0.png", "CXR_png/MCUCXR_0001_0.png"),
        ("tn_scui_2020", "mask/00001.png", "image/00001.PNG"),
        ("idrid_2018", "IDRiD_02.jpg", "IDRiD_02_MA.tif"),
        ("ichallenge_amd", "A0001.jpg", "A0001.bmp"),
    ],
)
def test_a_file_without_its_partner_is_told(tmp_path: Path, slug: str, lost: str, left: str) -> None:
    phantoms.write(slug, tmp_path)
    before, wrong = paired(slug, tmp_path)
    assert wrong == []
    for path in list(tmp_path.rglob(f"*{Path(lost).name}")):
        if str(path).endswith(lost) and path.parent.name != "Disc_Fovea_Illustration":
            path.unlink()
    after, wrong = paired(slug, tmp_path)
    assert len(after) < len(before)
    assert wrong
    assert all("is missing" in one.problem for one in wrong)
    assert any(one.file.endswith(left) for one in wrong)
