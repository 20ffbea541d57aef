"""Journeys through the demo, in a browser, with the platform's own models."""

import base64
import io
import re
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import nibabel as nib
import numpy as np
import pydicom
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from tests.app.boards import SIZE, Made
from tests.app.conftest import Serve

pytestmark = pytest.mark.browser

SHAPE = (30, 24, 7)
#: A picture of one pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server keeps what is private."""
    return tmp_path_factory.mktemp("private")


@pytest.fixture(scope="module")
def address(serve: Serve, sample: Made, sample_state: Path, temporary: Path) -> Iterator[str]:
    data = sample.path.parent / "data"
    with serve(sample_state, "--data", str(data), TMPDIR=str(temporary)) as served:
        yield served


def controls(page: Page) -> Locator:
    return page.locator("#demo")


def open_demo(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("tab", name="Demo").click()
    expect(page.locator(".demo-facts").first).to_contain_text("64 × 64 pixels", timeout=30_000)
    choose(page, "Object", "Liver")
    expect(controls(page).get_by_label("Object to find (the ground truth)")).to_have_value("Liver")


def picture(page: Page, place: int = 0) -> Locator:
    return page.locator(".canvas-prompts").nth(place)


def at(page: Page, x: float, y: float, size: tuple[int, int] = (SIZE, SIZE)) -> dict[str, Any]:
    """The place of a pixel's centre on the first canvas, for a click; size: width and height in pixels."""
    box = picture(page).bounding_box()
    assert box
    return {"x": (x + 0.5) * box["width"] / size[0], "y": (y + 0.5) * box["height"] / size[1]}


def rows(page: Page) -> list[list[str]]:
    """The table of masks."""
    return [
        row.inner_text().split("\t")
        for row in page.get_by_role("region", name="Masks").locator("tbody tr").all()
    ]


def choose(page: Page, label: str, option: str) -> None:
    controls(page).get_by_label(label, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()
    expect(page.get_by_role("option")).to_have_count(0)  # it fades


def bring(page: Page, *files: Path) -> None:
    page.get_by_label("My own").check()
    page.locator("input[type=file]").first.set_input_files([str(file) for file in files])


def drag(page: Page, start: tuple[float, float], end: tuple[float, float], size: tuple[int, int]) -> None:
    page.get_by_role("button", name="Box").first.click()
    box = picture(page).bounding_box()
    assert box
    first, last = at(page, *start, size), at(page, *end, size)
    page.mouse.move(box["x"] + first["x"], box["y"] + first["y"])
    page.mouse.down()
    page.mouse.move(box["x"] + last["x"], box["y"] + last["y"], steps=4)
    page.mouse.up()


@pytest.mark.slow
def test_the_benchmarks_prompt_gives_the_boards_score(page: Page, address: str, sample: Made) -> None:
    open_demo(page, address)
    choose(page, "Model", "grabcut")
    choose(page, "Prompt", "S5 · box")
    expect(page.get_by_role("region", name="Masks")).to_contain_text("grabcut")
    name = page.locator(".demo-facts strong").first.inner_text()
    with duckdb.connect(str(sample.path), read_only=True) as board:
        ((dice,),) = board.execute(
            """select s.dice_oracle from scores s join objects o using (object_id)
            where s.model = 'grabcut' and s.strategy = 'S5' and o.image_id = ? and o.object_index = 0""",
            [name],
        ).fetchall()
    assert rows(page)[0][4] == f"{100 * dice:.2f}"


def test_a_click_gives_masks_and_their_dice(page: Page, address: str) -> None:
    open_demo(page, address)
    picture(page).click(position=at(page, 44, 46))
    expect(page.get_by_role("region", name="Masks")).to_contain_text("sam_nano", timeout=30_000)
    shown = rows(page)
    assert [row[0] for row in shown] == ["sam_nano"] * 3
    assert all(0 <= float(row[4]) <= 100 for row in shown)
    expect(page.get_by_text("1 prompt so far. Against the ground truth of Liver.")).to_be_visible()
    picture(page).click(position=at(page, 8, 60), modifiers=["Shift"])
    expect(page.get_by_text("2 prompts so far")).to_be_visible()
    found = Axe().run(page, options=RULES).response["violations"]
    assert not found, [(one["id"], [node["target"] for node in one["nodes"]]) for one in found]
    page.get_by_label("Mask 3").check()
    expect(page.get_by_role("region", name="Masks").locator("td.sorts")).to_contain_text("3")
    page.get_by_role("button", name="Undo").first.click()
    expect(page.get_by_text("1 prompt so far")).to_be_visible()
    picture(page).press("c")
    expect(page.get_by_text("0 prompts so far")).to_be_visible()


@pytest.mark.slow
def test_two_models_answer_the_same_prompts(page: Page, address: str) -> None:
    open_demo(page, address)
    choose(page, "Model", "grabcut")
    choose(page, "Second model, on the same prompts", "box")
    expect(picture(page, 1)).to_be_visible()
    drag(page, (4, 4), (40, 40), (SIZE, SIZE))
    expect(page.get_by_role("region", name="Masks").locator("tbody tr")).to_have_count(2)
    assert [row[0] for row in rows(page)] == ["grabcut", "box"]
    assert rows(page)[1][3] == f"{37 * 37:,}"
    expect(page.locator(".canvas-legend").nth(1)).to_contain_text("mask")


@pytest.mark.slow
def test_a_link_opens_the_same_image(page: Page, browser: Browser, address: str) -> None:
    open_demo(page, address)
    choose(page, "Model", "box")
    controls(page).get_by_label("Image", exact=True).click()
    page.get_by_role("option").last.click()
    expect(controls(page).get_by_label("Model", exact=True)).to_have_value("box")
    name = controls(page).get_by_label("Image", exact=True).input_value()
    expect(page.locator(".demo-facts strong").first).to_have_text(name)
    page.wait_for_url("**tab=demo**")
    other = browser.new_page()
    other.goto(page.url)
    expect(other.locator(".demo-facts strong").first).to_have_text(name, timeout=30_000)
    expect(controls(other).get_by_label("Model", exact=True)).to_have_value("box")
    other.close()


@pytest.mark.slow
def test_a_volume_is_prompted_and_its_mask_has_its_geometry(page: Page, address: str, tmp_path: Path) -> None:
    affine = np.array([[-1.0, 0, 0, 5], [0, 1.5, 0, 7], [0, 0, 4, -9], [0, 0, 0, 1]])
    values = np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.int16)
    nib.save(nib.Nifti1Image(values, affine), tmp_path / "scan.nii.gz")
    open_demo(page, address)
    choose(page, "Model", "box")
    bring(page, tmp_path / "scan.nii.gz")
    expect(page.locator(".demo-facts").first).to_contain_text("transverse slice 4 of 7", timeout=15_000)
    page.get_by_label("coronal").check()
    expect(page.locator(".demo-facts").first).to_contain_text("coronal slice 13 of 24")
    picture(page).focus()
    picture(page).press("PageDown")
    expect(page.locator(".demo-facts").first).to_contain_text("coronal slice 14 of 24")
    size = (SHAPE[0], SHAPE[2])
    shape = picture(page).bounding_box()
    assert shape
    assert shape["height"] / shape["width"] == pytest.approx(size[1] * 4 / size[0], rel=0.01)  # true aspect
    drag(page, (2, 1), (9, 4), size)
    expect(page.get_by_role("region", name="Masks")).to_contain_text("box")
    page.get_by_role("button", name="Keep this mask").click()
    expect(page.get_by_text("1 mask kept.")).to_be_visible()
    page.get_by_role("button", name="Make a file").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download scan_mask.nii.gz").click()
    download.value.save_as(tmp_path / "mask.nii.gz")
    mask = nib.load(tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(mask.affine, affine)
    expected = np.zeros(SHAPE, bool)
    expected[2:10, 13, 2:6] = True  # head up, and the patient's right, which is stored last, on the left
    found = np.asanyarray(mask.dataobj) > 0
    np.testing.assert_array_equal(found if affine[0, 0] < 0 else found[::-1], expected)


def dicom(index: int, series: str) -> bytes:
    """One slice of a series, as a scanner would write it."""
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CTImageStorage, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = generate_uid()
    file = pydicom.Dataset()
    file.file_meta = meta
    file.SOPClassUID, file.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    file.SeriesInstanceUID, file.Modality, file.PatientID = series, "CT", "nobody"
    file.Rows, file.Columns, file.SamplesPerPixel = 20, 16, 1
    file.PhotometricInterpretation, file.PixelRepresentation = "MONOCHROME2", 1
    file.BitsAllocated = file.BitsStored = 16
    file.HighBit = 15
    file.PixelSpacing, file.ImageOrientationPatient = [2, 1], [1, 0, 0, 0, 1, 0]
    file.ImagePositionPatient = [0, 0, 3 * index]
    file.RescaleSlope, file.RescaleIntercept = 1, -1024
    file.PixelData = np.full((20, 16), 100 * index, np.int16).tobytes()
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, file, enforce_file_format=True)
    return stream.getvalue()


@pytest.mark.slow
def test_a_dicom_series_in_a_zip(page: Page, address: str, tmp_path: Path) -> None:
    series = generate_uid()
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        for number, index in enumerate((3, 0, 4, 1, 2)):
            archive.writestr(f"disc/IM{number:04d}", dicom(index, series))
    open_demo(page, address)
    bring(page, tmp_path / "study.zip")
    facts = page.locator(".demo-facts").first
    expect(facts).to_contain_text("transverse slice 3 of 5", timeout=15_000)
    expect(facts).to_contain_text("2 × 1 mm")
    expect(facts).to_contain_text("min–max of the slice, the protocol's")
    controls(page).get_by_label("Window").click()
    page.get_by_role("option", name="lung", exact=False).click()
    expect(facts).to_contain_text("HU")


@pytest.mark.slow
def test_a_broken_upload_is_explained(page: Page, address: str, tmp_path: Path) -> None:
    open_demo(page, address)
    name = page.locator(".demo-facts strong").first.inner_text()
    for file, content in (("scan.nii.gz", b"\x1f\x8b\x08 cut"), ("a &amp; <b>.png", b"text")):
        (tmp_path / file).write_bytes(content)
        bring(page, tmp_path / file)
        alert = page.locator(".demo-problem")
        expect(alert).to_contain_text(file.translate({60: None, 62: None}))  # Gradio takes < and > out
        assert "Traceback" not in alert.inner_text()
        assert alert.locator("b").count() == 0
    expect(page.locator(".demo-facts strong").first).to_have_text(name)


def test_an_upload_is_private_and_goes_with_its_page(
    browser: Browser, address: str, tmp_path: Path, temporary: Path
) -> None:
    (tmp_path / "mine.png").write_bytes(PNG)
    page = browser.new_page()
    open_demo(page, address)
    bring(page, tmp_path / "mine.png")
    expect(page.locator(".demo-facts strong").first).to_have_text("mine.png")
    (kept,) = temporary.rglob("mine.png")
    for path in (kept, kept.parent):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{address}gradio_api/file={path}", timeout=5)
        assert refused.value.code in (403, 404)
    page.close()
    other = browser.new_page()
    open_demo(other, address)  # by the time it is there the first page's end is known
    for _ in range(40):
        if not list(temporary.rglob("mine.png")):
            break
        other.wait_for_timeout(250)
    assert not list(temporary.rglob("mine.png"))
    other.close()


@pytest.mark.slow
def test_what_a_model_can_t_do_is_greyed(page: Page, address: str) -> None:
    open_demo(page, address)
    page.get_by_label("Everything").check()
    expect(page.get_by_role("button", name="Find everything")).to_be_visible()
    choose(page, "Model", "box")
    expect(page.get_by_label("Everything")).to_be_disabled()
    expect(page.get_by_text("Prompts alone: box needs a box.")).to_be_visible()
    expect(page.get_by_label("Several rounds")).to_be_disabled()
    expect(page.get_by_text("box takes no mask of an earlier round.")).to_be_visible()
    expect(page.get_by_role("button", name="Find everything")).to_be_hidden()
    choose(page, "Model", "sam_nano")
    expect(page.get_by_label("Everything")).to_be_enabled()
    expect(page.get_by_label("Several rounds")).to_be_enabled()


@pytest.mark.slow
def test_everything_says_how_many_masks(page: Page, address: str) -> None:
    open_demo(page, address)
    page.get_by_label("Everything").check()
    page.get_by_label("number input for Points per side of the grid").fill("4")
    page.get_by_label("number input for Least predicted IoU of a mask").fill("0")
    page.get_by_label("number input for Least stability of a mask").fill("0")
    page.get_by_role("button", name="Find everything").click()
    expect(page.get_by_text(re.compile("masks? in"))).to_be_visible(timeout=30_000)
    expect(page.get_by_text("Best DICE with Liver")).to_be_visible()
