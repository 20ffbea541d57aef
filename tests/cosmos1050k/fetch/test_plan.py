"""From a server, or from what a user downloaded, into `data/raw/<slug>`: whole and right, or not at all."""

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cosmos1050k import index, sources
from cosmos1050k.errors import InputError
from cosmos1050k.fetch import plan
from cosmos1050k.source import Case, Download
from tests import phantoms
from tests.conftest import ROOT
from tests.cosmos1050k import archive_files
from tests.cosmos1050k.fetch.folder import (
    HASTY,
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
from tests.cosmos1050k.fetch.site import File, Handler, Site


def test_a_file_is_fetched_once(site: Site, declare: Declare) -> None:
    for known in ({"sha256": sums(ZIP)["sha256"]}, {"md5": sums(ZIP)["md5"]}):
        site.put("/a.zip", ZIP)
        declare(Download(file="a.zip", url=site.url("/a.zip"), **known))
        assert fetched() == [("a.zip", "fetched")]
        assert (RAW / "a.zip").read_bytes() == ZIP
        assert lying() == [f"{SLUG}/a.zip"]
        asked = len(site.requests)
        assert fetched() == [("a.zip", "there")]
        assert len(site.requests) == asked
        (RAW / "a.zip").unlink()


@pytest.mark.parametrize("known", ["sha256", "md5"])
def test_a_wrong_sum_places_nothing(site: Site, declare: Declare, known: str) -> None:
    spoilt = bytearray(ZIP)
    spoilt[1000] ^= 1
    site.put("/a.zip", bytes(spoilt))
    declare(Download(file="a.zip", url=site.url("/a.zip"), **{known: sums(ZIP)[known]}))
    said = the_failure(list(plan.fetch(SLUG, HASTY)))
    theirs, ours = (sums(content)[known][:12] for content in (bytes(spoilt), ZIP))
    assert f"its {known} {theirs}… is not the release's {ours}…" in said
    assert said.endswith("; nothing was placed: fetch again, or get it by hand")
    assert lying() == []
    site.files["/a.zip"].content = ZIP
    assert fetched() == [("a.zip", "fetched")]
    assert site.requests[-1].range is None  # nothing of the wrong file was gone on with


def test_what_is_no_such_file_says_what_it_is(site: Site, declare: Declare) -> None:
    site.put("/a.zip", ZIP[:-30])
    declare(
        Download(file="a.zip", url=site.url("/a.zip")),
        Download(file="b.zip", url=site.url("/a.zip"), md5="0" * 32),
    )
    events = list(plan.fetch(SLUG, HASTY))
    assert [event.word for event in events] == ["failed", "failed"]
    assert all("it is cut off: a zip archive without its end" in event.detail for event in events)
    assert lying() == []


def test_without_a_sum_the_first_fetch_is_held_against_later_ones(site: Site, declare: Declare) -> None:
    site.put("/a.zip", ZIP)
    declare(Download(file="a.zip", url=site.url("/a.zip")))
    assert fetched() == [("a.zip", "fetched")]
    noted = json.loads((sources.RAW / f".{SLUG}.fetched.json").read_text())
    assert noted == {"a.zip": {"size": len(ZIP), "sha256": sums(ZIP)["sha256"]}}
    (RAW / "a.zip").unlink()
    other = packed(b=b"other")
    site.put("/a.zip", other)
    said = the_failure(list(plan.fetch(SLUG, HASTY)))
    theirs, ours = (sums(content)["sha256"][:12] for content in (other, ZIP))
    assert f"its sha256 {theirs}… is not {ours}… as at the first fetch" in said
    assert not (RAW / "a.zip").exists()
    (sources.RAW / f".{SLUG}.fetched.json").write_text("{")
    with pytest.raises(InputError, match=r"\.fetched\.json: damaged; remove it"):
        fetched()


def test_what_varies_is_held_against_nothing(site: Site, declare: Declare) -> None:
    declare(Download(file="a.zip", url=site.url("/a.zip"), varies=True))
    for content in (ZIP, packed(b=b"other")):
        site.put("/a.zip", content, chunked=True, etag=None)
        assert fetched() == [("a.zip", "fetched")]
        assert (RAW / "a.zip").read_bytes() == content
        (RAW / "a.zip").unlink()
    assert lying() == []


def test_one_that_fails_keeps_no_other_from_coming(site: Site, declare: Declare) -> None:
    site.put("/a.zip", ZIP, script=[site.cut(100_000), *[site.status(500)] * 9])
    site.put("/c/d.zip", ZIP)
    declare(
        Download(file="a.zip", url=site.url("/a.zip")),
        Download(file="b.zip", url=site.url("/b.zip")),
        Download(file="c/d.zip", url=site.url("/c/d.zip")),
        Download(file="e.zip"),
        Download(file="f.zip", url=site.url("/f.zip"), optional=True),
    )
    words = [("a.zip", "failed"), ("b.zip", "failed"), ("c/d.zip", "fetched"), ("e.zip", "by hand")]
    assert fetched() == words
    assert (RAW / "c/d.zip").read_bytes() == ZIP
    assert (RAW / ".fetch/a.zip.part").read_bytes() == ZIP[:100_000]
    assert set(index.write(SLUG).sums) == {"c/d.zip", "c/d/a"}  # neither parts nor notes
    site.files["/a.zip"].script.clear()
    assert fetched()[0] == ("a.zip", "fetched")
    assert site.served[0] + site.served[-2] == len(ZIP)


def test_what_is_there_and_wrong_is_not_replaced(site: Site, declare: Declare) -> None:
    site.put("/a.zip", ZIP)
    declare(Download(file="a.zip", url=site.url("/a.zip"), md5=sums(ZIP)["md5"]))
    RAW.mkdir(parents=True)
    (RAW / "a.zip").write_bytes(b"PK\3\4 mine")
    assert "remove it and fetch again" in the_failure(list(plan.fetch(SLUG, HASTY)))
    assert "there, and not the file that was given; remove it" in the_failure(placed(written("a.zip", ZIP)))
    assert (RAW / "a.zip").read_bytes() == b"PK\3\4 mine"
    assert site.requests == []


def test_nothing_is_written_where_a_link_leads(site: Site, declare: Declare, tmp_path: Path) -> None:
    site.put("/a.zip", ZIP)
    declare(Download(file="sub/a.zip", url=site.url("/a.zip")))
    lab = tmp_path / "lab"
    lab.mkdir()
    RAW.parent.mkdir(parents=True)
    RAW.symlink_to(lab)
    for verb in (fetched, lambda: placed(written("a.zip", ZIP))):
        with pytest.raises(InputError, match=f"{RAW}: leads to {lab}, and nothing is written there"):
            verb()
    RAW.unlink()
    RAW.mkdir()
    (RAW / "sub").symlink_to(lab)
    assert f"{RAW}/sub: leads out of {RAW}" in the_failure(list(plan.fetch(SLUG, HASTY)))
    assert list(lab.iterdir()) == []


def test_raw_itself_may_be_a_link(site: Site, declare: Declare, tmp_path: Path) -> None:
    site.put("/a.zip", ZIP)
    declare(Download(file="a.zip", url=site.url("/a.zip")))
    (tmp_path / "disk").mkdir()
    sources.RAW.parent.mkdir()
    sources.RAW.symlink_to(tmp_path / "disk")
    assert fetched() == [("a.zip", "fetched")]
    assert (tmp_path / "disk" / SLUG / "a.zip").read_bytes() == ZIP


def test_one_fetch_at_a_time(site: Site, declare: Declare) -> None:
    declare(Download(file="a.zip", url=site.url("/a.zip")))
    sources.RAW.mkdir(parents=True)
    with (sources.RAW / f".{SLUG}.fetch.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process fetches into it; wait"):
            fetched()


def test_what_was_unpacked_by_hand_is_not_fetched_again(site: Site, declare: Declare) -> None:
    site.put("/a.zip", ZIP)
    declare(*(Download(file=file, url=site.url("/a.zip")) for file in ("images.zip", "a.zip")))
    phantoms.write(SLUG, RAW)
    with pytest.raises(InputError, match=f"{RAW}: holds cases already, such as Kvasir-SEG/images/"):
        fetched()
    assert site.requests == []
    (RAW / "Kvasir-SEG" / "images").rename(RAW / "images")
    assert fetched() == [("images.zip", "there"), ("a.zip", "fetched")]


def test_what_comes_with_a_package_is_not_fetched(project: Path) -> None:
    for verb in (plan.fetch("sample"), plan.place("sample", [Path("a")])):
        with pytest.raises(InputError, match="come with the package nilearn; there is nothing to fetch"):
            next(verb)


def test_a_fetched_archive_gives_cases(site: Site, declare: Declare, tmp_path: Path) -> None:
    phantoms.write(SLUG, tmp_path / "release")
    names = [path for path in (tmp_path / "release").rglob("*") if path.is_file()]
    content = packed(**{str(path.relative_to(tmp_path / "release")): path.read_bytes() for path in names})
    site.put("/kvasir-seg.zip", content, script=[site.cut(5000)])
    declare(Download(file="kvasir-seg.zip", url=site.url("/kvasir-seg.zip"), sha256=sums(content)["sha256"]))
    assert fetched() == [("kvasir-seg.zip", "fetched")]
    assert index.write(SLUG).phantom
    found = list(sources.get(SLUG).cases(RAW))
    assert len(found) > 2
    assert all(isinstance(case, Case) for case in found)


_CHILD = """
import sys
from cosmos1050k import sources
from cosmos1050k.fetch import plan
from cosmos1050k.source import Download
module = sources.get("{slug}")
downloads = (Download(file="a.zip", url=sys.argv[1], sha256=sys.argv[2]),)
module.SOURCE = module.SOURCE.model_copy(update={{"downloads": downloads}})
print(*plan.fetch("{slug}"))
"""


def test_a_killed_fetch_is_gone_on_with(site: Site, declare: Declare) -> None:
    content = packed(a=random.Random(2).randbytes(3_000_000))
    site.put("/a.zip", content, script=[site.stall(2_000_000)])
    known = sums(content)["sha256"]
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD.format(slug=SLUG), site.url("/a.zip"), known],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    part = RAW / ".fetch/a.zip.part"
    until = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > 1_900_000):
        assert child.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    have = part.stat().st_size
    assert 1_900_000 < have <= 2_000_000
    assert not any((RAW).glob("[!.]*"))
    (RAW / ".fetch/tmpleft0ver").write_bytes(b"of pooch")
    declare(Download(file="a.zip", url=site.url("/a.zip"), sha256=known))
    assert fetched() == [("a.zip", "fetched")]
    assert (RAW / "a.zip").read_bytes() == content
    assert site.requests[-1].range == f"bytes={have}-"
    assert site.served[-1] == len(content) - have
    assert lying() == [f"{SLUG}/a.zip"]


def test_a_kill_after_the_last_byte_costs_nothing(
    site: Site, declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.put("/a.zip", ZIP)
    declare(Download(file="a.zip", url=site.url("/a.zip"), md5=sums(ZIP)["md5"]))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(plan, "_settle", killed)
        with pytest.raises(KeyboardInterrupt):
            fetched()
    assert not (RAW / "a.zip").exists()
    assert fetched() == [("a.zip", "fetched")]
    assert site.served == [len(ZIP)]


def test_what_is_no_folder_is_named(declare: Declare, site: Site, tmp_path: Path) -> None:
    site.put("/a.zip", ZIP)
    declare(Download(file="a.zip", url=site.url("/a.zip")))
    for path in (sources.RAW, RAW, RAW / ".fetch"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("a file")
        with pytest.raises(InputError, match=f"^{path}: no folder; remove it, or move it elsewhere$"):
            fetched()
        path.unlink()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("not to be cleared")
    (RAW / ".fetch").symlink_to(tmp_path / "mine")
    with pytest.raises(InputError, match=f"^{RAW}/.fetch: no folder"):
        fetched()
    assert (tmp_path / "mine/notes.txt").exists()


def unsized(content: bytes) -> Callable[[Handler, File], None]:
    """An answer that ends where the server hangs up."""

    def answer(handler: Handler, file: File) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.body(content, len(content), False)

    return answer


@pytest.mark.parametrize("ending", [".7z", ".rar", ".tar", ".tar.gz"])
def test_without_a_length_an_archive_must_come_to_its_end(site: Site, declare: Declare, ending: str) -> None:
    content = archive_files.archive(ending, {"a": random.Random(0).randbytes(20_000)})
    site.put("/a", b"", script=[unsized(content[:15_000]), unsized(content)])
    declare(Download(file=f"a{ending}", url=site.url("/a")))
    said = the_failure(list(plan.fetch(SLUG, HASTY)))
    assert "gives is not the file, it is cut off or damaged; nothing was placed" in said
    assert lying() == []
    (event,) = plan.fetch(SLUG, HASTY)
    assert (event.word, event.detail) == ("fetched", f"{len(content)} bytes")


def test_without_a_length_what_cannot_be_checked_is_said(site: Site, declare: Declare) -> None:
    content = b"any"
    site.put("/a", b"", script=[unsized(content)] * 2)
    declare(Download(file="a.mat", url=site.url("/a")))
    (event,) = plan.fetch(SLUG, HASTY)
    assert event.detail.startswith("3 bytes; whether that is all can't be checked: the server says no length")
    (RAW / "a.mat").unlink()
    declare(Download(file="a.mat", url=site.url("/a"), md5=sums(content)["md5"]))
    (event,) = plan.fetch(SLUG, HASTY)
    assert event.detail == "3 bytes"


def test_another_version_is_taken_anew_if_asked(site: Site, declare: Declare) -> None:
    site.put("/a.zip", ZIP)
    site.put("/b.zip", ZIP)
    declare(*(Download(file=name, url=site.url(f"/{name}")) for name in ("a.zip", "b.zip")))
    assert fetched() == [("a.zip", "fetched"), ("b.zip", "fetched")]
    other = packed(b=b"other")
    site.put("/a.zip", other)
    (RAW / "a.zip").unlink()
    failed, _ = plan.fetch(SLUG, HASTY)
    assert f"another version: `cosmos fetch {SLUG} --anew` takes it); nothing was placed" in failed.detail
    (RAW / "b.zip").write_bytes(packed(c=b"spoilt"))  # which is there: only `--from` may take it
    events = list(plan.fetch(SLUG, HASTY, anew=True))
    assert [event.word for event in events] == ["fetched", "failed"]
    takes = f"`cosmos fetch {SLUG} --from {RAW}/b.zip --anew` takes it); remove it and fetch again"
    assert events[1].detail.endswith(takes)
    assert (RAW / "a.zip").read_bytes() == other
    noted = json.loads((sources.RAW / f".{SLUG}.fetched.json").read_text())
    known = [sums(content)["sha256"] for content in (other, ZIP)]
    assert [noted[name]["sha256"] for name in ("a.zip", "b.zip")] == known
    assert fetched() == [("a.zip", "there"), ("b.zip", "failed")]
