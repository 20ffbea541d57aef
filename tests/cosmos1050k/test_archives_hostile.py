"""Whatever an archive hides, nothing is written outside of its folder, no disk is filled, the rest comes."""

import gzip
import io
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tqdm import tqdm

from cosmos1050k import archives, members
from tests.cosmos1050k.archive_files import archive, entry, patched, seven_renamed, tarred, zipped
from tests.cosmos1050k.bad_input import on_mutations, within
from tests.cosmos1050k.lab import Lab, only

RNG = np.random.default_rng(1050)

HOSTILE = [
    "../out", "x/../../out", "/out", "..", "C:\\out", "c:out", "..\\out", "x\\..\\..\\out", "\\\\host\\out",
]  # fmt: skip


@pytest.mark.parametrize("ending", [".zip", ".rar", ".tar", ".7z"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_member_that_leaves(lab: Lab, ending: str, name: str) -> None:
    """It is left out with one line; the others come."""
    if ending == ".7z":
        data = seven_renamed(name)
    else:
        data = archive(ending, {"x/a.txt": b"a", name: b"out", "z.txt": b"z"})
    lab.put(f"a{ending}", data)
    (problem,) = lab.unpack()
    assert problem.file == f"a{ending}"
    assert problem.problem.endswith("leads out of the archive")
    assert lab.members() == {"x/a.txt": b"a", "z.txt": b"z"}


@pytest.mark.parametrize("name", ["x\ny", "x\0y", "x\x1b[2J", "n" * 300, "x" + "/y" * 3000])
def test_a_name_that_no_file_can_have(lab: Lab, name: str) -> None:
    lab.put("a.tar", tarred({name: b"x", "z.txt": b"z"}))
    problems = lab.unpack()
    assert lab.members() in ({"z.txt": b"z"}, {"x": b"x", "z.txt": b"z"})  # tar ends a name at a zero byte
    assert len(problems) == 1 - ("x" in lab.members())


def test_a_name_in_no_encoding(lab: Lab) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", encoding="latin-1", format=tarfile.GNU_FORMAT) as written:
        info = tarfile.TarInfo("größe.txt")
        info.size = 1
        written.addfile(info, io.BytesIO(b"x"))
    lab.put("a.tar", file.getvalue())
    assert not lab.unpack()
    assert list(lab.members()) == ["gr\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}e.txt"]


def test_the_same_name_twice_and_a_file_in_a_folders_place(lab: Lab) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as written:
        for name, content in (("a", b"1"), ("./a", b"2"), ("a/b", b"3"), ("c", b"4")):
            info = tarfile.TarInfo(name)
            info.size = 1
            written.addfile(info, io.BytesIO(content))
    lab.put("a.tar", file.getvalue())
    twice, below = lab.unpack()
    assert twice.problem == "its member './a' is in it twice"
    assert below.problem.startswith("its member 'a/b' can't be written")
    assert lab.members() == {"a": b"1", "c": b"4"}


LINKS = {
    "x/good@": b"../x/./file", "x/again@": b"good", "x/out@": b"../../file", "x/root@": b"/etc/passwd",
    "x/folder@": b"../x", "x/nothing@": b"missing", "x/circle@": b"circle", "x/drive@": b"C:\\file",
    "x/file": b"content",
}  # fmt: skip


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".zip", ".rar"])
def test_links_become_files_or_are_left_out(lab: Lab, ending: str) -> None:
    lab.put(f"a{ending}", archive(ending, LINKS))
    problems = [problem.problem for problem in lab.unpack()]
    content = b"content"
    assert lab.members() == {"x/file": content, "x/good": content, "x/again": content}
    out = "is a link that leads out of the archive, to"
    no_file = "which is no file of the archive"
    assert sorted(problems) == sorted([
        f"its member 'x/out' {out} '../../file'", f"its member 'x/root' {out} '/etc/passwd'",
        f"its member 'x/drive' is a link to 'C:\\\\file', {no_file}",
        f"its member 'x/folder' is a link to '../x', {no_file}",
        f"its member 'x/nothing' is a link to 'missing', {no_file}",
        f"its member 'x/circle' is a link to 'circle', {no_file}",
    ])  # fmt: skip


def test_hard_links_and_what_is_no_file(lab: Lab) -> None:
    more = {"x/b": "x/a", "out": "../a", "pipe": tarfile.FIFOTYPE, "disk": tarfile.BLKTYPE}
    lab.put("a.tar", tarred({"x/a": b"a"}, **more))
    problems = [problem.problem for problem in lab.unpack()]
    assert lab.members() == {"x/a": b"a", "x/b": b"a"}
    assert problems[:2] == ["its member 'pipe' is no file", "its member 'disk' is no file"]
    assert "leads out" in problems[2]
    info = zipfile.ZipInfo("tty")
    info.create_system, info.external_attr = 3, (stat.S_IFCHR | 0o666) << 16
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        written.writestr(info, b"")
    lab.put("b.zip", file.getvalue())
    assert lab.unpack()[-1].problem == "its member 'tty' is no file"


def bomb(lab: Lab, name: str, data: bytes) -> str:
    """What is wrong with it; nothing of it was written."""
    lab.put(name, data)
    problem = only(lab.unpack())
    assert lab.members() == {}
    assert sum(path.stat().st_size for path in lab.unpacked.rglob("*") if path.is_file()) < 10_000
    return problem


def test_a_size_that_deflate_cant_have(lab: Lab) -> None:
    data = zipped({"x": bytes(1000), "y": RNG.bytes(100_000)})
    changed = patched(data, "<I", entry(data) + 24, 10**7)
    assert "a bomb: its member 'x' promises" in bomb(lab, "a.zip", changed)


def test_members_that_share_their_bytes(lab: Lab) -> None:
    """Each entry of the directory names the same data: a thousand times a sound ratio."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as written:
        written.writestr("x0", bytes(10**6))
        first = written.filelist[0]
        for number in range(1, 1000):
            other = zipfile.ZipInfo(f"x{number}")
            for field in ("CRC", "compress_size", "file_size", "compress_type", "header_offset"):
                setattr(other, field, getattr(first, field))
            written.filelist.append(other)
    assert "a bomb: it promises" in bomb(lab, "a.zip", file.getvalue())


@pytest.mark.parametrize("ending", [".tar.bz2", ".tar.xz", ".7z"])
def test_zeros(lab: Lab, ending: str) -> None:
    data = archive(ending, {"x": bytes(10_000_000)})
    assert len(data) < 9_000
    assert "a bomb: it promises" in bomb(lab, f"a{ending}", data)


def test_zeros_that_deflate_can_have(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bombs that are passed around have a sound ratio: only their size tells them from empty masks."""
    data = zipped({"x": bytes(10_000_000)})
    monkeypatch.setattr(members, "HARMLESS_BYTES", 9_999_999)
    assert "a bomb: its member 'x' promises over 200 times" in bomb(lab, "a.zip", data)
    monkeypatch.setattr(members, "HARMLESS_BYTES", 10_000_000)
    lab.put("b.zip", data)
    lab.unpack()
    assert lab.members("b") == {"x": bytes(10_000_000)}


def test_a_promise_of_a_header(lab: Lab) -> None:
    info = tarfile.TarInfo("x")
    info.size = 8 * 2**40
    assert "a bomb" in bomb(lab, "a.tgz", gzip.compress(info.tobuf(tarfile.GNU_FORMAT)))


def test_a_header_that_is_itself_a_bomb(lab: Lab) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 2**29
    lab.put("a.tgz", gzip.compress(info.tobuf(tarfile.USTAR_FORMAT) + bytes(2**27), 9))
    within(200, lambda: archives.unpack(lab.raw))
    assert "a header of 536870912 bytes" in only(lab.unpack())


def test_more_than_the_disk_has(lab: Lab) -> None:
    """The file itself has holes, and so no promise is broken; it is tried again when there is room."""
    info = tarfile.TarInfo("x")
    info.size = shutil.disk_usage(lab.raw).free + 2**32
    path = lab.put("a.tar", info.tobuf(tarfile.GNU_FORMAT))
    with path.open("r+b") as file:
        file.truncate(info.size + 2048)
    problem = only(archives.unpack(lab.raw))
    assert problem.startswith(f"needs {info.size / 2**30:.1f} GiB of disk, but ")
    assert lab.members() == {}
    path.write_bytes(tarred({"x": b"x"}))
    assert not lab.unpack()


def test_a_stream_longer_than_declared(lab: Lab) -> None:
    data = zipped({"x": bytes(100_000), "y": b"y"})
    for place in (entry(data) + 24, 22):
        data = patched(data, "<I", place, 1000)
    lab.put("a.zip", data)
    assert "its member 'x' is damaged" in only(lab.unpack())
    assert lab.members() == {"y": b"y"}


def test_a_writer_stops_at_the_promised_size(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(bytes(100))
    target = members.Target(tmp_path / "archive", "archive", tmp_path, tqdm(disable=True))
    for content, message in ((b"12345", "more than the 4 bytes"), (b"123", "truncated: 3 of 4 bytes")):
        with pytest.raises(members.Damaged, match=message):
            target.copy(members.Member("x", 4), lambda content=content: io.BytesIO(content))
        assert not (tmp_path / "x").exists()
    target.copy(members.Member("x", 4), lambda: io.BytesIO(b"1234"))
    assert (tmp_path / "x").read_bytes() == b"1234"


@pytest.mark.parametrize("ending", [".zip", ".7z", ".rar", ".tar", ".tar.gz"])
def test_mutations_are_refused_or_unpacked(lab: Lab, ending: str) -> None:
    """Names, sizes and links among them: whatever comes, it lies where it should (`Lab.unpack`)."""
    sound = {"a.txt": b"first", "f/b.bin": RNG.bytes(300), "f/c.txt": bytes(200)}
    if ending != ".7z":
        sound["link@"] = b"f/b.bin"

    def accepts(data: bytes) -> None:
        shutil.rmtree(lab.unpacked, ignore_errors=True)
        lab.put(f"a{ending}", data)
        if problems := lab.unpack():
            raise problems[0]

    assert on_mutations([archive(ending, sound)], accepts, 25) > 6
