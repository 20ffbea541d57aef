"""What a user downloaded, into `data/raw/<slug>`: checked, placed and left as it was."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cosmos1050k import index, sources
from cosmos1050k.fetch import plan
from cosmos1050k.source import Case, Download
from tests import phantoms
from tests.conftest import ROOT
from tests.cosmos1050k import archive_files
from tests.cosmos1050k.fetch.folder import (
    RAW,
    SLUG,
    ZIP,
    Declare,
    fetched,
    lying,
    packed,
    placed,
    sums,
    the_failure,
    written,
)
from tests.cosmos1050k.fetch.site import Site, zipped


def test_what_a_user_downloaded_is_placed_and_stays(declare: Declare) -> None:
    declare(Download(file="a.zip", sha256=sums(ZIP)["sha256"]), Download(file="sub/b.zip"))
    a, b = written("down/a.zip", ZIP), written("down/b.zip", packed(b=b"1"))
    events = placed(a, b)
    assert [(event.file, event.word) for event in events] == [("a.zip", "placed"), ("sub/b.zip", "placed")]
    assert f"{a} stays as it is" in events[0].detail
    assert (RAW / "a.zip").read_bytes() == a.read_bytes() == ZIP
    assert (RAW / "sub/b.zip").read_bytes() == b.read_bytes()
    assert set(json.loads((sources.RAW / f".{SLUG}.fetched.json").read_text())) == {"sub/b.zip"}
    assert [event.word for event in placed(a, RAW / "a.zip", RAW / "sub/b.zip")] == ["there"] * 3
    assert fetched() == [("a.zip", "there"), ("sub/b.zip", "there")]
    b.unlink()
    assert (RAW / "sub/b.zip").exists()


def test_a_name_that_a_browser_or_a_user_changed(declare: Declare) -> None:
    declare(Download(file="a.zip", md5=sums(ZIP)["md5"]), Download(file="b.zip"))
    assert placed(written("down/a (1).zip", ZIP))[0].file == "a.zip"
    (RAW / "a.zip").unlink()
    assert placed(written("down/whatever", ZIP))[0].file == "a.zip"
    assert placed(written("down/b(2).zip", packed(b=b"1")))[0].file == "b.zip"


def test_what_is_not_the_file_is_not_placed(declare: Declare) -> None:
    declare(Download(file="a.zip", sha256=sums(ZIP)["sha256"]), Download(file="b.zip"))
    page = b"<!DOCTYPE html><title>Sign in</title>"
    for path, content, said in (
        ("down/a.zip", packed(b=b"1"), "is not the release's"),
        ("down/a.zip", page, "it is a web page; download it again"),
        ("down/b.zip", page, "it is a web page"),
        ("down/b.zip", ZIP[:-30], "it is cut off"),
        ("down/b.zip", b"", "it is empty"),
        ("down/c.zip", packed(b=b"1"), f"none of the files of {SLUG}; they are a.zip, b.zip"),
    ):
        message = the_failure(placed(written(path, content)))
        assert message.startswith(f"{path}: ")
        assert said in message
    assert "no such file" in the_failure(placed("down/gone.zip"))
    assert "a folder; give files, or use `cosmos link`" in the_failure(placed("down"))
    assert lying() == []


def test_one_wrong_file_keeps_no_other_from_its_place(declare: Declare) -> None:
    declare(Download(file="a.zip"), Download(file="b.zip"))
    events = placed("gone", written("down/b.zip", ZIP))
    assert [event.word for event in events] == ["failed", "placed"]


def test_where_the_files_have_no_known_names_any_will_do(declare: Declare) -> None:
    declare()
    assert fetched() == []
    assert placed(written("down/mailed.zip", ZIP))[0].file == "mailed.zip"
    assert "it is no 7z archive" in the_failure(placed(written("down/mailed.7z", ZIP)))


def test_from_another_disk_it_is_copied(declare: Declare, tmp_path: Path) -> None:
    declare(Download(file="a.zip"))
    disk = Path("/dev/shm")
    if not disk.is_dir() or disk.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no other disk")
    other = disk / f"cosmos-{os.getpid()}" / "a.zip"
    try:
        (event,) = placed(written(str(other), ZIP))
        assert event.detail.startswith("a copy; ")
        assert (RAW / "a.zip").read_bytes() == ZIP
    finally:
        other.unlink(missing_ok=True)
        other.parent.rmdir()


_KILLED = """
import os, sys
from pathlib import Path
from cosmos1050k import sources
from cosmos1050k.fetch import plan
from cosmos1050k.source import Download
module = sources.get("{slug}")
module.SOURCE = module.SOURCE.model_copy(update={{"downloads": (Download(file="a.mat"),)}})
def killed(path, to):
    to.write_bytes(path.read_bytes()[:1000])
    os.kill(os.getpid(), 9)
plan._bring = killed
list(plan.place("{slug}", [Path(sys.argv[1])]))
"""


def test_what_a_killed_copy_left_is_not_taken_as_fetched(site: Site, declare: Declare) -> None:
    content = random.Random(0).randbytes(5000)  # of no kind that could be told to be cut off
    given = written("down/a.mat", content)
    command = [sys.executable, "-c", _KILLED.format(slug=SLUG), str(given)]
    assert subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False).returncode == -9
    assert (RAW / ".fetch/a.mat").stat().st_size == 1000
    site.put("/a.mat", content)
    declare(Download(file="a.mat", url=site.url("/a.mat")))
    assert fetched() == [("a.mat", "fetched")]
    assert (RAW / "a.mat").read_bytes() == content
    assert site.served == [len(content)]


def test_another_version_is_placed_anew_if_asked(declare: Declare) -> None:
    declare(Download(file="a.zip"), Download(file="b.zip", sha256=sums(ZIP)["sha256"]))
    first, other = written("first/a.zip", ZIP), written("the other/a.zip", packed(b=b"other"))
    assert [event.word for event in placed(first)] == ["placed"]
    (RAW / "a.zip").unlink()
    theirs, ours = (sums(path.read_bytes())["sha256"][:12] for path in (other, first))
    said = the_failure(placed(other))
    assert f"its sha256 {theirs}… is not {ours}… as at the first fetch (if that one was wrong, or" in said
    takes = f"another version: `cosmos fetch {SLUG} --from '{other}' --anew` takes it); download it again"
    assert said.endswith(takes)
    assert [event.word for event in placed(other, anew=True)] == ["placed"]
    assert (RAW / "a.zip").read_bytes() == other.read_bytes()
    assert "there, and not the file that was given" in the_failure(placed(first, anew=True))
    assert [event.word for event in placed(other)] == ["there"]  # that one failed, and changed nothing
    (RAW / "a.zip").unlink()
    shutil.copyfile(first, RAW / "a.zip")  # replaced by hand
    assert [event.word for event in placed(RAW / "a.zip", anew=True)] == ["there"]
    assert fetched()[0] == ("a.zip", "there")
    spoilt = written("down/b.zip", packed(b=b"other"))
    assert "is not the release's" in the_failure(placed(spoilt, anew=True))


def test_a_file_without_a_sum_is_not_noted_where_another_lies(declare: Declare) -> None:
    declare(Download(file="a.zip"))
    RAW.mkdir(parents=True)
    (RAW / "a.zip").write_bytes(ZIP)
    other = written("down/a.zip", packed(b=b"other"))
    assert "there, and not the file that was given; remove it" in the_failure(placed(other))
    assert [event.word for event in placed(written("down/a.zip", ZIP))] == ["there"]


def test_without_a_sum_what_is_cut_off_is_not_placed(declare: Declare) -> None:
    for ending in (".7z", ".rar", ".tar", ".tar.gz"):
        content = archive_files.archive(ending, {"a": random.Random(0).randbytes(20_000)})
        declare(Download(file=f"a{ending}"))
        message = the_failure(placed(written(f"down/a{ending}", content[:15_000])))
        assert message.endswith("it is cut off or damaged; download it again")
        assert [event.word for event in placed(written(f"down/a{ending}", content))] == ["placed"]


def test_a_name_in_other_letters(declare: Declare) -> None:
    declare(Download(file="test.zip"), Download(file="TEST.tar", sha256=sums(ZIP)["sha256"]))
    assert placed(written("down/TEST (1).ZIP", packed(b=b"1")))[0].file == "test.zip"
    assert lying() == [f".{SLUG}.fetched.json", f"{SLUG}/test.zip"]
    assert placed(written("down/Test.Tar", ZIP))[0].file == "TEST.tar"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("hostname", b"a\n", f"no archive, and a file of this name alone makes no case of {SLUG}; give what"),
        ("paper.pdf", b"%PDF-1.7", "no archive, and a file of this name alone makes no case"),
        ("a.png", b"\x89PNG\r\n", "no archive, and a file of this name alone makes no case"),
        ("a.zip", b"a\n", "it is no zip archive; download it again"),
        ("a.part2.rar", b"a\n", "it is no rar archive"),
        ("a.tar.gz", b"", "it is empty"),
    ],
)  # fmt: skip
def test_where_the_names_are_not_known_what_can_be_of_no_release_is_refused(
    declare: Declare, name: str, content: bytes, said: str
) -> None:
    declare()
    assert said in the_failure(placed(written(f"down/{name}", content)))
    assert lying() == []


@pytest.mark.parametrize("slug", [slug for slug in sources.slugs() if not sources.get(slug).SOURCE.downloads])
def test_any_archive_may_be_the_release_of_a_source_that_lists_none(
    project: Path, tmp_path: Path, slug: str
) -> None:
    phantoms.write(slug, tmp_path / "release")
    paths = [path for path in (tmp_path / "release").rglob("*") if path.is_file()]
    content = zipped({str(path.relative_to(tmp_path / "release")): path.read_bytes() for path in paths})
    (event,) = plan.place(slug, [written("down/mailed.zip", content)])
    assert event.word == "placed"
    index.write(slug)
    assert any(isinstance(case, Case) for case in sources.get(slug).cases(sources.RAW / slug))
    (event,) = plan.place(slug, [written("down/hostname", b"a\n")])
    assert event.word == "failed"


def test_a_table_that_a_source_reads_may_come_alone(project: Path) -> None:
    name = "211230_M&Ms_Dataset_information_diagnosis_opendataset.csv"
    (event,) = plan.place("m_and_ms", [written(f"down/{name}", b"a,b\n")])
    assert (event.file, event.word) == (name, "placed")
