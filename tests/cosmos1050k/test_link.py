"""A raw folder that is a link: it leads where the lab keeps the release, and nothing there is ever lost."""

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cosmos1050k import build, index, release, sources, units
from cosmos1050k.errors import InputError
from cosmos1050k.link import link
from cosmos1050k.shards import load_manifest

#: Any source whose files come with no package.
SLUG = next(slug for slug in sources.slugs() if sources.get(slug).SOURCE.package is None)
PLACE = sources.RAW / SLUG


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a release, outside the project's folder, in which the test then runs."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    release = tmp_path / "lab" / "release"
    (release / "images").mkdir(parents=True)
    (release / "images" / "a.png").write_bytes(b"one")
    return release


def content(folder: Path) -> dict[str, bytes | str]:
    """All that lies below a folder: files' bytes, where links lead, and folders."""
    return {
        str(path): str(path.readlink()) if path.is_symlink() else b"" if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def test_a_link_is_made_and_indexed(lab: Path) -> None:
    assert link(SLUG, lab) == (lab, None)
    assert PLACE.readlink() == lab
    index.write(SLUG)
    assert index.load(SLUG).sums == {"images/a.png": hashlib.sha256(b"one").hexdigest()}
    assert [path.name for path in PLACE.parent.iterdir() if path.is_symlink()] == [SLUG]


def test_a_relative_folder_and_one_behind_links_become_the_folder_itself(lab: Path) -> None:
    lab.with_name("alias").symlink_to("release")
    assert link(SLUG, Path("../lab/alias")) == (lab, None)
    assert PLACE.readlink() == lab
    assert link(SLUG, PLACE) == (lab, lab)  # no circle
    assert (PLACE / "images/a.png").read_bytes() == b"one"


def test_only_links_that_stay_in_the_release_are_indexed(lab: Path) -> None:
    lab.with_name("secret.png").write_bytes(b"not of the release")
    (lab / "images/out.png").symlink_to("../../secret.png")
    (lab / "images/far.png").symlink_to(lab.with_name("secret.png"))
    (lab / "images/up").symlink_to("../..")
    (lab / "images/round").symlink_to("..")
    (lab / "images/in.png").symlink_to("a.png")
    link(SLUG, lab)
    one = hashlib.sha256(b"one").hexdigest()
    assert index.write(SLUG).sums == {"images/a.png": one, "images/in.png": one}


def test_a_build_through_a_link_is_the_folder_s(phantom: Path, sample: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.symlink_to(phantom / "raw/sample")
    found = index.scan(sources.get("sample").SOURCE, raw, memory=tmp_path / "seen")
    store = units.Units("build", sample / "units")
    build.build("sample", found, tmp_path / "out", raw=raw, store=store)
    assert load_manifest(tmp_path / "out") == load_manifest(phantom / "sample")


def test_another_folder_takes_the_link_over_and_is_hashed_anew(lab: Path) -> None:
    link(SLUG, lab)
    index.write(SLUG)
    other = lab.with_name("other")
    (other / "images").mkdir(parents=True)
    (other / "images/a.png").write_bytes(b"two")  # the same name, size and time
    times = (lab / "images/a.png").stat()
    os.utime(other / "images/a.png", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert link(SLUG, other) == (other, lab)
    assert PLACE.readlink() == other
    assert index.write(SLUG).sums == {"images/a.png": hashlib.sha256(b"two").hexdigest()}
    assert (lab / "images/a.png").read_bytes() == b"one"


@pytest.mark.parametrize("before", ["lost", "circle", "empty folder"])
def test_what_holds_nothing_is_replaced(lab: Path, before: str) -> None:
    PLACE.parent.mkdir(parents=True)
    if before == "empty folder":
        PLACE.mkdir()
    else:
        PLACE.symlink_to("/nowhere/at/all" if before == "lost" else SLUG)
    was = None if before == "empty folder" else PLACE.readlink()
    assert link(SLUG, lab) == (lab, was)
    assert (PLACE / "images/a.png").is_file()


@pytest.mark.parametrize(
    ("taken", "message"),
    [
        (lambda: (PLACE.mkdir(), (PLACE / "a").write_text("")), "a folder that is not empty, not a link; mo"),
        (lambda: (PLACE / "deep/er").mkdir(parents=True), "a folder that is not empty, not a link; move"),
        (lambda: PLACE.write_text("mine"), "a file, not a link; move it elsewhere first"),
    ],
)
def test_what_is_no_link_is_left_alone(lab: Path, taken: Callable[[], object], message: str) -> None:
    PLACE.parent.mkdir(parents=True)
    taken()
    before = content(Path())
    with pytest.raises(InputError, match=f"^{PLACE}: {message}"):
        link(SLUG, lab)
    assert content(Path()) == before


def circle(lab: Path) -> Path:
    lab.with_name("a").symlink_to("b")
    lab.with_name("b").symlink_to("a")
    return lab.with_name("a")


def made(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def hidden(lab: Path) -> Path:
    made(lab.with_name("hidden") / "empty")
    (lab.with_name("hidden") / ".DS_Store").write_text("")
    return lab.with_name("hidden")


def raw_file(path: Path) -> Path:
    made(path.parent)
    path.write_text("")
    return path.parent


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        (lambda lab: lab / "nowhere", "missing; give the folder that holds the release"),
        (lambda lab: lab / "images/a.png", "not a folder; give the folder that holds the release"),
        (lambda lab: lab / "images/a.png/x", "not a folder; give the folder that holds the release"),
        (circle, r"can't be read \(Too many levels of symbolic links\); mend it or give another"),
        (lambda lab: made(lab / "none"), "holds no file; give the folder that holds the release"),
        (hidden, "holds no file; give the folder that holds the release"),
        (lambda lab: raw_file(sources.RAW / "other/a"), "inside data/raw; give the folder where the lab"),
        (lambda lab: raw_file(PLACE / "a"), "inside data/raw; give the folder where the lab keeps"),
        (lambda lab: raw_file(sources.RAW / "a"), "inside data/raw; give the folder where the lab keeps"),
        (lambda lab: lab.parent.parent, "holds data/raw itself; give the folder of this release alone"),
        (lambda lab: Path(), "holds data/raw itself; give the folder of this release alone"),
    ],
)
def test_a_folder_that_can_t_be_linked_is_one_line(
    lab: Path, folder: Callable[[Path], Path], message: str
) -> None:
    (Path.cwd() / "params.yaml").write_text("")
    given = folder(lab)
    before = content(lab.parent.parent)
    with pytest.raises(InputError, match=f"^{given}: {message}") as caught:
        link(SLUG, given)
    assert "\n" not in str(caught.value)
    assert content(lab.parent.parent) == before


def test_a_folder_that_may_not_be_read_is_one_line(lab: Path) -> None:
    lab.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may read everything
    try:
        with pytest.raises(InputError, match=r"can't be read \(Permission denied\); mend it or give another"):
            link(SLUG, lab)
    finally:
        os.seteuid(user)
        lab.chmod(0o755)


def test_what_can_t_be_a_release_is_not_walked(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources.RAW.mkdir(parents=True)
    monkeypatch.setattr(release, "files", lambda root: pytest.fail(f"{root} is walked"))
    for folder in (Path("/"), lab.parent.parent, Path.cwd(), sources.RAW):
        with pytest.raises(InputError, match="data/raw"):
            link(SLUG, folder)


def test_what_can_t_be_read_on_the_way_is_one_line(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(root: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(root / "images/a.png"))

    monkeypatch.setattr(release, "files", fail)
    said = rf"^{lab}: {lab}/images/a.png can't be read \(Input/output error\); mend it or give another$"
    with pytest.raises(InputError, match=said):
        link(SLUG, lab)
    assert not PLACE.is_symlink()


def test_a_source_that_needs_no_folder_gets_no_link(lab: Path) -> None:
    with pytest.raises(InputError, match="sample: its files come with the package nilearn; there is nothing"):
        link("sample", lab)
    with pytest.raises(InputError, match="unknown source 'nowhere'; `cosmos sources` lists"):
        link("nowhere", lab)
    assert not sources.RAW.exists()


def test_a_place_that_can_t_be_written_is_one_line(lab: Path) -> None:
    raw_file(sources.RAW)
    with pytest.raises(InputError, match=f"^{PLACE}: can't be written \\(File exists\\); mend data/raw$"):
        link(SLUG, lab)
    assert sources.RAW.is_file()
