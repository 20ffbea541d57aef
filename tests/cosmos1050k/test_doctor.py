"""What `cosmos doctor` says of raw folders that are whole, incomplete, damaged or of another layout."""

import hashlib
import os
import re
import shutil
from pathlib import Path

import pytest

from cosmos1050k import index, sources
from cosmos1050k.doctor import examine
from cosmos1050k.source import Case, Download
from tests import phantoms
from tests.cosmos1050k.fetch.site import zipped

SLUG = "kvasir_seg"
RAW = sources.RAW / SLUG


@pytest.fixture
def release(project: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """A release like the real one in the source's folder, indexed, as if the whole had so many cases."""
    phantoms.write(SLUG, RAW)
    for marker in RAW.rglob(phantoms.MARKER):
        marker.unlink()
    index.write(SLUG)
    count = sum(isinstance(found, Case) for found in sources.get(SLUG).cases(RAW))
    change(monkeypatch, labelled=count)
    return count


def change(monkeypatch: pytest.MonkeyPatch, **update: object) -> None:
    module = sources.get(SLUG)
    monkeypatch.setattr(module, "SOURCE", module.SOURCE.model_copy(update=update))


def said(slug: str = SLUG) -> dict[str, list[str]]:
    """Word → the lines it stands before."""
    lines: dict[str, list[str]] = {"ok": [], "note": [], "wrong": []}
    for finding in examine(slug):
        assert "\n" not in finding.text
        lines[finding.word].append(finding.text)
    return lines


def one(lines: list[str], pattern: str) -> str:
    (line,) = [line for line in lines if re.search(pattern, line)]
    return line


def test_a_whole_release_is_right_in_every_point(release: int) -> None:
    found = said()
    assert found["wrong"] == []
    assert one(found["note"], "kvasir-seg.zip") == "kvasir-seg.zip: missing, but no case is"
    assert one(found["ok"], "cases") == (
        f"{release} cases of {release} patients ({release} Colonoscopy); the whole release has {release}"
    )
    assert one(found["ok"], r"kvasir_seg\.json").endswith(" files")


def test_a_folder_too_deep_is_right_too(release: int) -> None:
    (RAW / "Kvasir-SEG").rename(RAW / "inner")
    (RAW / "a/b").mkdir(parents=True)
    (RAW / "inner").rename(RAW / "a/b/Kvasir-SEG")
    index.write(SLUG)
    assert said()["wrong"] == []


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: None, "missing; `cosmos fetch kvasir_seg`, or `cosmos link kvasir_seg FOLDER`"),
        (lambda: RAW.mkdir(parents=True), "empty; `cosmos fetch"),
        (lambda: (RAW / ".fetch").mkdir(parents=True), "empty; `cosmos fetch"),
        (lambda: link("/nowhere"), "leads to /nowhere, where nothing is"),
        (lambda: write(""), "not a folder; move it elsewhere"),
    ],
)  # fmt: skip
def test_where_there_is_no_release(project: Path, make: object, expected: str) -> None:
    make()  # type: ignore[operator]
    found = said()
    assert not found["ok"]
    (line,) = found["wrong"]
    assert line.startswith(f"{RAW}: ")
    assert expected in line


def link(target: str) -> None:
    RAW.parent.mkdir(parents=True)
    RAW.symlink_to(target)


def write(text: str) -> None:
    RAW.parent.mkdir(parents=True)
    RAW.write_text(text)


def test_a_fetch_that_was_begun(project: Path) -> None:
    (RAW / ".fetch").mkdir(parents=True)
    (RAW / ".fetch/kvasir-seg.zip.part").write_bytes(bytes(7))
    found = said()
    assert "kvasir-seg.zip: only begun to be fetched, 7 bytes are there" in found["wrong"]
    assert "no case is found" in found["wrong"]


def test_a_link_says_where_it_leads(release: int, tmp_path: Path) -> None:
    shutil.move(RAW, tmp_path / "lab")
    RAW.symlink_to(tmp_path / "lab")
    index.write(SLUG)
    found = said()
    assert found["wrong"] == []
    assert f"{RAW}, a link to {tmp_path}/lab" in found["ok"]


def test_part_of_a_release(release: int, monkeypatch: pytest.MonkeyPatch) -> None:
    change(monkeypatch, labelled=1000)
    found = said()
    assert f"the whole release has 1000, {1000 - release} more" in one(found["wrong"], "cases of")
    assert "kvasir-seg.zip: missing" in found["wrong"]
    change(monkeypatch, labelled=None)
    found = said()
    assert found["wrong"] == []
    assert "how many the whole release has is not known" in one(found["ok"], "cases of")


def packed_release() -> bytes:
    names = sorted(path for path in RAW.rglob("*") if path.is_file())
    files = {str(path.relative_to(RAW)): path.read_bytes() for path in names}
    shutil.rmtree(RAW)
    RAW.mkdir()
    return zipped(files)


def test_an_archive_that_is_right_or_wrong_or_packed(release: int, monkeypatch: pytest.MonkeyPatch) -> None:
    content = packed_release()
    (RAW / "kvasir-seg.zip").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    change(monkeypatch, downloads=(Download(file="kvasir-seg.zip", sha256=sha256),))
    found = said()
    assert "kvasir-seg.zip: its sha256 is the release's" in found["ok"]
    assert "kvasir-seg.zip: not unpacked yet; run `cosmos index` for its source" in found["wrong"]
    assert "no case is found" in found["wrong"]
    index.write(SLUG)
    assert said()["wrong"] == []

    change(monkeypatch, downloads=(Download(file="kvasir-seg.zip", sha256="0" * 64),))
    line = one(said()["wrong"], "000000")
    problem = f"its sha256 {sha256[:12]}… is not the release's 000000000000…"
    assert line == f"kvasir-seg.zip: {problem}; remove it and fetch it again"
    (RAW / "kvasir-seg.zip").write_bytes(content[:-100])
    index.write(SLUG)
    found = said()
    assert any("it is cut off: a zip archive without its end; remove" in line for line in found["wrong"])
    assert one(found["wrong"], "damaged archive").startswith("kvasir-seg.zip: ")


def test_few_cases_of_a_right_archive_are_no_fault(release: int, monkeypatch: pytest.MonkeyPatch) -> None:
    content = packed_release()
    (RAW / "kvasir-seg.zip").write_bytes(content)
    index.write(SLUG)
    sha256 = hashlib.sha256(content).hexdigest()
    change(monkeypatch, downloads=(Download(file="kvasir-seg.zip", sha256=sha256),), labelled=1000)
    found = said()
    assert found["wrong"] == []
    assert "the whole release has 1000" in one(found["note"], "cases of")


def test_a_file_without_its_partner_and_one_that_is_there_twice(release: int) -> None:
    masks = sorted((RAW / "Kvasir-SEG/masks").glob("*.jpg"))
    masks[0].unlink()
    shutil.copytree(RAW / "Kvasir-SEG", RAW / "copy/Kvasir-SEG")
    index.write(SLUG)
    found = said()
    lone = f"its partner masks/{masks[0].name} is missing; fetch the source again"
    assert f"Kvasir-SEG/images/{masks[0].name}: {lone}" in found["wrong"]
    assert any(line.endswith("remove one of the two") for line in found["wrong"])


def test_many_lines_are_counted(release: int) -> None:
    images = RAW / "Kvasir-SEG/images"
    image = next(images.glob("*.jpg"))
    for number in range(30):
        shutil.copyfile(image, images / f"lone{number:02}.jpg")
    index.write(SLUG)
    found = said()
    assert sum("its partner" in line for line in found["wrong"]) == 20
    assert found["wrong"][-1] == "and 10 more such lines, 10 of what is wrong"


def test_another_layout_shows_the_nearest_misses(release: int) -> None:
    (RAW / "Kvasir-SEG/images").rename(RAW / "Kvasir-SEG/pictures")
    (RAW / "Kvasir-SEG/masks").rename(RAW / "Kvasir-SEG/Masks")
    index.write(SLUG)
    found = said()
    assert "no case is found" in found["wrong"]
    assert one(found["note"], r"no images/\{stem\}\.jpg").endswith(", not in …/images")
    assert one(found["note"], r"no masks/\{stem\}\.jpg").endswith("would fit if upper and lower case did")


def test_an_index_that_is_missing_damaged_or_old(release: int) -> None:
    path, image = index.path_of(SLUG), next((RAW / "Kvasir-SEG/images").glob("*.jpg"))
    content = image.read_bytes()
    image.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # of the same size
    os.utime(image, (1, 1))
    (RAW / "new.txt").write_text("new")
    (RAW / "Kvasir-SEG/kavsir_bboxes.json").unlink()
    line = one(said()["wrong"], "out of date")
    assert line == (
        f"{path} is out of date: 1 new, such as new.txt, 1 gone, such as Kvasir-SEG/kavsir_bboxes.json, "
        f"1 changed, such as {image.relative_to(RAW)}; run `cosmos index {SLUG}`"
    )
    path.write_text("{")
    assert f"{path}: damaged; run `cosmos index {SLUG}` to write it again" in said()["wrong"]
    path.unlink()
    assert f"not indexed yet; run `cosmos index {SLUG}`" in said()["wrong"]


def test_it_changes_nothing(release: int, project: Path) -> None:
    (RAW / "more.zip").write_bytes(zipped({"a.txt": b"1"}))

    def state() -> dict[str, tuple[int, int]]:
        return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in project.rglob("*")}

    before = state()
    said()
    assert state() == before


def test_optional_files_are_not_missed(release: int, monkeypatch: pytest.MonkeyPatch) -> None:
    downloads = (Download(file="a.csv"), Download(file="b.csv", optional=True))
    change(monkeypatch, downloads=downloads, labelled=1000)
    found = said()
    assert "a.csv: missing" in found["wrong"]
    assert not any("b.csv" in line for lines in found.values() for line in lines)
    (RAW / "b.csv").write_text("a,b\n")
    index.write(SLUG)
    assert "b.csv: no sum is known" in said()["ok"]


@pytest.mark.parametrize("slug", ["acdc", "chaos", "drive", "siim_acr_pneumothorax", "sstem_isbi2012"])
def test_a_phantom_s_files_are_all_paired(project: Path, slug: str) -> None:
    phantoms.write(slug, sources.RAW / slug, patients=1)
    index.write(slug)
    found = said(slug)
    assert found["wrong"] == []  # that it has few cases is in its nature
    assert any(re.match(r"\d+ cases? of ", line) for line in found["ok"])
    assert found["ok"][-1].endswith("a phantom: synthetic files")


def test_files_that_are_not_what_their_names_say(release: int) -> None:
    """An empty file and a web page among the pictures: the names fit, and nothing else tells."""
    first, second = sorted(RAW.rglob("images/*.jpg"))[:2]
    first.write_bytes(b"")
    second.write_text("<html>404</html>")
    index.write(SLUG)
    wrong = said()["wrong"]
    assert [line.rpartition("/")[2] for line in wrong] == [
        f"{first.name}: it is empty; fetch it again",
        f"{second.name}: it is a web page; fetch it again",
    ]


def test_a_damaged_note_of_fetches_hides_nothing_else(release: int) -> None:
    (sources.RAW / f".{SLUG}.fetched.json").write_text("{")
    found = said()
    assert one(found["wrong"], "fetched.json: damaged")
    assert one(found["ok"], "cases of")


def test_a_release_of_links_is_a_line_for_each(project: Path, tmp_path: Path) -> None:
    phantoms.write(SLUG, tmp_path / "lab")
    RAW.mkdir(parents=True)
    for path in (tmp_path / "lab").iterdir():
        (RAW / path.name).symlink_to(path)
    wrong = said()["wrong"]
    assert sum("a link that leads out" in line for line in wrong) == len(list(RAW.iterdir()))
    assert one(wrong, "no case is found")
