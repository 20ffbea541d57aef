"""A release is one tree, whether its files lie in folders or in archives, and nothing of it leads out."""

import os
import shutil
from pathlib import Path

import pytest

from cosmos1050k import archives, release
from tests.cosmos1050k.archive_files import tarred, zipped
from tests.cosmos1050k.bad_input import one_line
from tests.cosmos1050k.real import real


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A raw folder of files that hold their own names; archives are unpacked beside it."""
    monkeypatch.setattr(archives, "UNPACKED", tmp_path / "unpacked")
    raw = tmp_path / "raw"
    for name in ("b/2.txt", "b/10.txt", "a.txt", ".hidden/x", "b/.x", "b/empty"):
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / name).write_text(name)
    return raw


def listed(root: Path) -> dict[str, str]:
    """Every name with what the file says; the archives themselves are left out."""
    found = release.files(root)
    return {name: path.read_text() for name, path in found.items() if archives.stem(name) is None}


PLAIN = {name: name for name in ("a.txt", "b/.x", "b/10.txt", "b/2.txt", "b/empty")}


def test_files_by_name(root: Path) -> None:
    assert listed(root) == PLAIN
    assert list(release.files(root)) == sorted(PLAIN)
    assert all(path == root / name for name, path in release.files(root).items())
    assert release.problems(root) == []
    assert release.files(root / "missing") == {}


def test_links_within_are_followed_and_others_left_out(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("secret")
    (root / "b/within.txt").symlink_to("../a.txt")
    (root / "out.txt").symlink_to("../outside.txt")
    (root / "b/out.txt").symlink_to(tmp_path / "outside.txt")
    (root / "c.txt").symlink_to("out.txt")
    (root / "folder").symlink_to(tmp_path)
    assert listed(root) == {**PLAIN, "b/within.txt": "a.txt"}
    assert release.leaves(root, root / "out.txt")
    assert release.leaves(root, root / "c.txt")
    assert not release.leaves(root, root / "b/within.txt")
    # The whole release may be a link to where it lies.
    link = tmp_path / "link"
    link.symlink_to(root)
    assert listed(link) == listed(root)


def test_members_are_listed_below_the_archives_name(root: Path) -> None:
    (root / "b/data.v1.tar.gz").write_bytes(tarred({"x/1.txt": b"1", "2.txt": b"2"}, "w:gz"))
    assert listed(root) == PLAIN
    assert "b/data.v1.tar.gz" in release.files(root)
    archives.unpack(root)
    assert listed(root) == {**PLAIN, "b/data.v1/x/1.txt": "1", "b/data.v1/2.txt": "2"}
    assert list(release.files(root)) == sorted(release.files(root))
    assert not (root / "b/data.v1").exists()


def test_a_folder_of_the_archives_name_was_unpacked_by_hand(root: Path) -> None:
    (root / "b.zip").write_bytes(zipped({"2.txt": b"packed", "more.txt": b"packed"}))
    (root / "broken.zip").write_bytes(b"")
    (root / "broken").mkdir()
    assert archives.unpack(root) == []
    assert listed(root) == PLAIN
    shutil.rmtree(root / "b")
    archives.unpack(root)
    assert listed(root) == {"a.txt": "a.txt", "b/2.txt": "packed", "b/more.txt": "packed"}


def test_files_of_the_folder_go_before_members(root: Path) -> None:
    """A name can come from both where an archive holds folders, or where two archives have one stem."""
    (root / "c.zip").write_bytes(zipped({"1.txt": b"zip", "2.txt": b"zip"}))
    (root / "c.tar").write_bytes(tarred({"1.txt": b"tar", "3.txt": b"tar"}))
    archives.unpack(root)
    found = {name: text for name, text in listed(root).items() if name.startswith("c/")}
    assert found == {"c/1.txt": "tar", "c/2.txt": "zip", "c/3.txt": "tar"}


def test_what_is_wrong_with_archives_is_known_again(root: Path) -> None:
    (root / "bad.zip").write_bytes(b"not found")
    (root / "b/out.zip").write_bytes(zipped({"../x": b"x", "y.txt": b"y"}))
    (root / "b/nest.zip").write_bytes(zipped({"in.tar": b"short"}))
    assert [problem.problem for problem in release.problems(root)] == ["not unpacked yet"] * 3
    found = archives.unpack(root)
    assert [problem.file for problem in found] == ["b/out.zip", "bad.zip", "b/nest/in.tar"]
    assert list(map(str, release.problems(root))) == list(map(str, found))
    assert listed(root) == {**PLAIN, "b/out/y.txt": "y"}


def test_links_that_lead_out_are_left_out(root: Path, tmp_path: Path) -> None:
    (tmp_path / "c.zip").write_bytes(zipped({"x.txt": b"x"}))
    (root / "c.zip").symlink_to(tmp_path / "c.zip")
    (root / "d").symlink_to(tmp_path)
    (root / "e").symlink_to(root / "b")  # listed below b alone
    assert [str(line) for line in archives.unpack(root)] == [
        f"{name}: a link that leads out of the release; {release.NO_LINK}" for name in ("d", "c.zip")
    ]
    assert listed(root) == PLAIN


def test_what_is_no_file_is_a_line(root: Path) -> None:
    """Links in a circle, a pipe, names that no index can hold: one line each, and nothing hangs."""
    (root / "one").symlink_to(root / "two")
    (root / "two").symlink_to(root / "one")
    os.mkfifo(root / "pipe")
    (root / "new\nline").write_text("x")
    (Path(os.fsdecode(bytes(root) + b"/\xff"))).write_text("x")
    found = {one_line(problem, problem.file).file: problem.problem for problem in release.problems(root)}
    assert found == {
        "pipe": "no regular file",
        "'new\N{REPLACEMENT CHARACTER}line'": "a name that can't be written down",
        "'\N{REPLACEMENT CHARACTER}'": "a name that can't be written down",
    }
    assert set(release.files(root)) == {*PLAIN, "one", "two"}  # which can't be read: their cases' line


def test_a_real_release_in_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files are the same bytes as in the folder."""
    monkeypatch.setattr(archives, "UNPACKED", tmp_path / "unpacked")
    (folder,) = real("kvasir_seg/Kvasir-SEG")
    (tmp_path / "raw").mkdir()
    shutil.make_archive(str(tmp_path / "raw/kvasir-seg"), "zip", folder.parent, folder.name)
    assert archives.unpack(tmp_path / "raw") == []
    found = release.files(tmp_path / "raw")
    assert found.pop("kvasir-seg.zip").is_file()
    expected = {f"kvasir-seg/Kvasir-SEG/{name}": path for name, path in release.files(folder).items()}
    assert found.keys() == expected.keys()
    assert len(found) >= 10
    assert all(found[name].read_bytes() == expected[name].read_bytes() for name in found)


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "a.png").write_bytes(b"")
    (tmp_path / "shut").mkdir()
    scan = os.scandir

    def refusing(path: str | Path) -> object:  # permissions don't bind whoever runs the tests as root
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert list(release.files(tmp_path)) == ["open/a.png"]
    assert [str(line) for line in release.problems(tmp_path)] == [
        "shut: can't be looked into (Permission denied); mend its permissions"
    ]
