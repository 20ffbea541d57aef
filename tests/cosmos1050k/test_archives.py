"""Every kind of archive gives what was put in, once; whatever it hides, nothing else is written anywhere."""

import gzip
import io
import os
import resource
import shutil
import signal
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import py7zr
import pytest
import rarfile

from cosmos1050k import archives, members, release
from cosmos1050k.errors import BadFile, InputError
from tests.cosmos1050k.archive_files import ENDINGS, archive, rar, seven, tarred, zipped
from tests.cosmos1050k.bad_input import on_mutations, one_line, within

RNG = np.random.default_rng(1050)
FILES = {
    "a.txt": b"first",
    "folder/b.bin": RNG.bytes(1_200_000),  # longer than what is copied at once
    "folder/deeper/größe 10.txt": b"umlaut and blank",
    "folder/empty.txt": b"",
    "z.txt": bytes(500),
}


class Lab:
    """A raw folder, and where its archives are unpacked."""

    def __init__(self, folder: Path) -> None:
        self.raw, self.unpacked = folder / "raw", folder / "unpacked"
        self.raw.mkdir()

    def put(self, name: str, data: bytes) -> Path:
        path = self.raw / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def unpack(self) -> list[BadFile]:
        """Unpacks; it returns what is kept, a line each, and leaves nothing outside the two folders."""
        raw = contents(self.raw)
        problems = archives.unpack(self.raw)
        assert contents(self.raw) == raw
        assert {path.name for path in self.raw.parent.iterdir()} <= {"raw", "unpacked"}
        assert not any(path.is_symlink() for path in self.unpacked.rglob("*"))
        assert list(map(str, release.problems(self.raw))) == list(map(str, problems))
        for problem in problems:
            one_line(problem, problem.file)
        return problems

    def members(self, stem: str = "a") -> dict[str, bytes]:
        """What the release lists below an archive's name."""
        listed = release.files(self.raw)
        return {
            name.removeprefix(f"{stem}/"): path.read_bytes()
            for name, path in listed.items()
            if name.startswith(f"{stem}/")
        }


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    made = Lab(tmp_path)
    monkeypatch.setattr(archives, "UNPACKED", made.unpacked)
    return made


def only(problems: list[BadFile]) -> str:
    (problem,) = problems
    return problem.problem


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_was_put_in(lab: Lab, ending: str) -> None:
    lab.put(f"a{ending}", archive(ending, FILES))
    assert not lab.unpack()
    assert lab.members() == FILES
    assert f"a{ending}" in release.files(lab.raw)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_each_way_to_zip(lab: Lab, method: int) -> None:
    lab.put("A.ZIP", zipped({**FILES, "zeros": bytes(10**6)}, method))
    assert not lab.unpack()
    assert lab.members("A") == {**FILES, "zeros": bytes(10**6)}


def test_a_tar_is_known_by_its_bytes_and_folders_are_made(lab: Lab) -> None:
    lab.put("a.tar", archive(".tar.xz", FILES))
    lab.put("b.tgz", archive(".tar", FILES))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        written.mkdir("x")
        written.writestr("x\\y.txt", b"by Windows")
    lab.put("c.zip", file.getvalue())
    assert not lab.unpack()
    assert lab.members("a") == lab.members("b") == FILES
    assert lab.members("c") == {"x/y.txt": b"by Windows"}


def test_the_raw_folder_may_be_a_link_to_what_can_only_be_read(lab: Lab, tmp_path: Path) -> None:
    lab.put("images/a.zip", zipped(FILES))
    lab.raw.rename(share := tmp_path / "raw.share")
    user = os.geteuid()
    for folder in (share / "images", share):
        folder.chmod(0o555)
    lab.unpacked.mkdir(mode=0o777)
    lab.unpacked.chmod(0o777)
    for parent in [tmp_path, *tmp_path.parents][:4]:
        parent.chmod(parent.stat().st_mode | 0o011)
    lab.raw.symlink_to(share)
    try:
        os.seteuid(65534 if user == 0 else user)  # root may write everywhere
        assert not archives.unpack(lab.raw)
        assert lab.members("images/a") == FILES
    finally:
        os.seteuid(user)


def test_an_archive_is_unpacked_once_and_anew_when_it_changes(lab: Lab) -> None:
    path = lab.put("a.zip", zipped({"x": b"old"}))
    lab.unpack()
    before = contents(lab.unpacked)
    inodes = [found.stat().st_ino for found in lab.unpacked.rglob("*")]
    lab.unpack()
    assert contents(lab.unpacked) == before
    assert [found.stat().st_ino for found in lab.unpacked.rglob("*")] == inodes
    path.write_bytes(zipped({"x": b"new"}))
    os.utime(path, ns=(1, 1))
    assert lab.members() == {}
    assert only(release.problems(lab.raw)) == "not unpacked yet"
    lab.unpack()
    assert lab.members() == {"x": b"new"}


def test_archives_in_archives(lab: Lab) -> None:
    inner = tarred({"x.txt": b"inmost", "old/y.txt": b"y"}, "w:gz")
    lab.put("a.zip", zipped({"parts/b.tar.gz": inner, "c.txt": b"beside", "d/d.zip": zipped({"e": b"e"})}))
    assert not lab.unpack()
    found = lab.members()
    assert found["parts/b/x.txt"] == b"inmost"
    assert found["parts/b/old/y.txt"] == b"y"
    assert found["d/d/e"] == b"e"
    assert found["c.txt"] == b"beside"
    assert found["parts/b.tar.gz"] == inner
    # Unpacked again, an inner archive has the key that it had: nothing is left over.
    keys = sorted(path.name for path in lab.unpacked.iterdir() if path.is_dir())
    shutil.rmtree(lab.unpacked)
    assert not lab.unpack()
    assert lab.members() == found
    assert sorted(path.name for path in lab.unpacked.iterdir() if path.is_dir()) == keys


def test_archives_too_deep_in_others(lab: Lab) -> None:
    data = zipped({"x.txt": b"x"})
    for _ in range(archives.MAX_DEPTH):
        data = zipped({"a.zip": data})
    lab.put("a.zip", data)
    (problem,) = lab.unpack()
    assert (problem.file, problem.problem) == ("a/a/a/a.zip", "an archive 3 deep in others")
    assert "a/a/a.zip" in lab.members()


HOSTILE = [
    "../out", "x/../../out", "/out", "..", "C:\\out", "c:out", "..\\out", "x\\..\\..\\out", "\\\\host\\out",
]  # fmt: skip


@pytest.mark.parametrize("ending", [".zip", ".rar", ".tar", ".7z"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_member_that_leaves(lab: Lab, ending: str, name: str) -> None:
    """It is left out with one line; the others come."""
    if ending == ".7z":
        data = renamed_in_seven(name)
    else:
        data = archive(ending, {"x/a.txt": b"a", name: b"out", "z.txt": b"z"})
    lab.put(f"a{ending}", data)
    (problem,) = lab.unpack()
    assert problem.file == f"a{ending}"
    assert problem.problem.endswith("leads out of the archive")
    assert lab.members() == {"x/a.txt": b"a", "z.txt": b"z"}


def renamed_in_seven(name: str) -> bytes:
    """py7zr refuses to write such a name: another of the same length is put in its place afterwards."""
    file = io.BytesIO()
    with py7zr.SevenZipFile(file, "w") as written:
        written.set_encoded_header_mode(False)
        for other, content in (("x/a.txt", b"a"), ("q" * len(name), b"out"), ("z.txt", b"z")):
            written.writestr(content, other)
    data = bytearray(file.getvalue())
    place = data.index(("q" * len(name)).encode("utf-16-le"))
    data[place : place + 2 * len(name)] = name.encode("utf-16-le")
    (offset, size) = struct.unpack_from("<QQ", data, 12)
    header = data[32 + offset : 32 + offset + size]
    struct.pack_into("<I", data, 28, zipfile.crc32(header))
    struct.pack_into("<I", data, 8, zipfile.crc32(data[12:32]))
    return bytes(data)


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


def patched(data: bytes, form: str, at: int, value: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(form, changed, at, value)
    return bytes(changed)


def entry(data: bytes, number: int = 0) -> int:
    """Where a zip file's central entry begins."""
    place = -1
    for _ in range(number + 1):
        place = data.index(b"PK\1\2", place + 1)
    return place


class TestBombs:
    """Refused before they fill the disk, whatever they promise."""

    def refused(self, lab: Lab, name: str, data: bytes) -> str:
        lab.put(name, data)
        problem = only(lab.unpack())
        assert lab.members() == {}
        assert sum(path.stat().st_size for path in lab.unpacked.rglob("*") if path.is_file()) < 10_000
        return problem

    def test_a_size_that_deflate_cant_have(self, lab: Lab) -> None:
        data = zipped({"x": bytes(1000), "y": RNG.bytes(100_000)})
        bomb = patched(data, "<I", entry(data) + 24, 10**7)
        assert "a bomb: its member 'x' promises" in self.refused(lab, "a.zip", bomb)

    def test_members_that_share_their_bytes(self, lab: Lab) -> None:
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
        assert "a bomb: it promises" in self.refused(lab, "a.zip", file.getvalue())

    @pytest.mark.parametrize("ending", [".tar.bz2", ".tar.xz", ".7z"])
    def test_zeros(self, lab: Lab, ending: str) -> None:
        data = archive(ending, {"x": bytes(10_000_000)})
        assert len(data) < 9_000
        assert "a bomb: it promises" in self.refused(lab, f"a{ending}", data)

    def test_a_promise_of_a_header(self, lab: Lab) -> None:
        info = tarfile.TarInfo("x")
        info.size = 8 * 2**40
        assert "a bomb" in self.refused(lab, "a.tgz", gzip.compress(info.tobuf(tarfile.GNU_FORMAT)))

    def test_a_header_that_is_itself_a_bomb(self, lab: Lab) -> None:
        info = tarfile.TarInfo("x")
        info.type, info.size = tarfile.XHDTYPE, 2**29
        lab.put("a.tgz", gzip.compress(info.tobuf(tarfile.USTAR_FORMAT) + bytes(2**27), 9))
        within(200, lambda: archives.unpack(lab.raw))
        assert "a header of 536870912 bytes" in only(lab.unpack())

    def test_more_than_the_disk_has(self, lab: Lab) -> None:
        """The file itself has holes, and so no promise is broken; it is tried again when there is room."""
        info = tarfile.TarInfo("x")
        info.size = 2**43
        path = lab.put("a.tar", info.tobuf(tarfile.GNU_FORMAT))
        with path.open("r+b") as file:
            file.truncate(info.size + 2048)
        problem = only(archives.unpack(lab.raw))
        assert problem.startswith("needs 8192.0 GiB of disk, but ")
        assert lab.members() == {}
        path.write_bytes(tarred({"x": b"x"}))
        assert not lab.unpack()

    def test_a_stream_longer_than_declared(self, lab: Lab) -> None:
        data = zipped({"x": bytes(100_000), "y": b"y"})
        for place in (entry(data) + 24, 22):
            data = patched(data, "<I", place, 1000)
        lab.put("a.zip", data)
        assert "its member 'x' is damaged" in only(lab.unpack())
        assert lab.members() == {"y": b"y"}


def test_a_writer_stops_at_the_promised_size(tmp_path: Path) -> None:
    class Bar:
        def update(self, count: int) -> None:
            pass

    (tmp_path / "archive").write_bytes(bytes(100))
    target = members.Target(tmp_path / "archive", "archive", tmp_path, Bar())  # type: ignore[arg-type]
    for content, message in ((b"12345", "more than the 4 bytes"), (b"123", "truncated: 3 of 4 bytes")):
        with pytest.raises(members.Damaged, match=message):
            target.copy(members.Member("x", 4), lambda content=content: io.BytesIO(content))
        assert not (tmp_path / "x").exists()
    target.copy(members.Member("x", 4), lambda: io.BytesIO(b"1234"))
    assert (tmp_path / "x").read_bytes() == b"1234"


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_archive_that_breaks_off_anywhere(lab: Lab, ending: str) -> None:
    """One line, and none of it counts, except for members of a rar that are whole."""
    small = {"a.txt": b"first", "folder/b.bin": RNG.bytes(2000), "z.txt": bytes(500)}
    data = archive(ending, small)
    idle = {".tar": 10_240 - 5 * 512}.get(ending, 22 if ending == ".zip" else 1)
    lengths = range(0, len(data) - idle, max(len(data) // 25, 1))
    for length in lengths:
        lab.put(f"{length}{ending}", data[:length])
    problems = lab.unpack()
    assert {problem.file for problem in problems} == {f"{length}{ending}" for length in lengths}
    for length in lengths:
        found = lab.members(str(length))
        assert found == {} if ending != ".rar" else found.items() <= small.items()


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_flipped_bit(lab: Lab, ending: str) -> None:
    """Where a checksum guards it: what is kept is what was put in."""
    content = {"a": RNG.bytes(5000), "b": RNG.bytes(5000)}
    data = bytearray(archive(ending, content))
    data[2500] ^= 8
    lab.put(f"a{ending}", data)
    problems = lab.unpack()
    if ending == ".tar":
        assert not problems  # tar guards its headers alone
        return
    assert len(problems) == 1
    assert "damaged" in problems[0].problem
    assert lab.members() == ({"b": content["b"]} if ending in (".zip", ".rar") else {})


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("data", [b"", b"<html>not found</html>" * 50, bytes(300)])
def test_what_is_no_archive(lab: Lab, ending: str, data: bytes) -> None:
    lab.put(f"a{ending}", data)
    lab.put("b.zip", zipped(FILES))
    assert only(lab.unpack()).startswith("damaged archive (")
    assert lab.members("b") == FILES


def test_encrypted(lab: Lab) -> None:
    data = zipped({"x": b"secret", "y": b"open"})
    lab.put("a.zip", patched(patched(data, "<H", 6, 1), "<H", entry(data) + 8, 1))
    lab.put("b.7z", seven({"x": b"secret"}, "password"))
    lab.put("c.7z", seven({"x": b"secret"}, "password", header=True))
    lab.put("d.rar", rar({"x": b"secret"}, encrypted=True))
    problems = lab.unpack()
    assert [problem.problem for problem in problems] == ["encrypted"] * 4
    assert all("unpack it by hand" in problem.remedy for problem in problems)
    assert list(release.files(lab.raw)) == ["a.zip", "b.7z", "c.7z", "d.rar"]


def test_an_unknown_compression(lab: Lab) -> None:
    data = zipped({"x": b"x" * 100, "y": b"y"})
    deflate64 = patched(patched(data, "<H", 8, 9), "<H", entry(data) + 10, 9)
    lab.put("a.zip", deflate64)
    (problem,) = lab.unpack()
    assert "its member 'x' is packed in an unknown way" in problem.problem
    assert "unpack it by hand" in problem.remedy
    assert lab.members() == {"y": b"y"}


def test_a_rar_that_needs_a_tool_which_is_missing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install, and is tried again: here, once it is replaced by one that needs no tool."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(rarfile, "CURRENT_SETUP", None)
    path = lab.put("a.rar", rar({"stored": b"s", "x": b"packed"}, method=3))
    (problem,) = lab.unpack()
    assert problem.problem == "compressed RAR, for which a tool is needed"
    assert "install unrar, unar, 7z or bsdtar" in problem.remedy
    assert lab.members() == {}
    status = path.stat()
    path.write_bytes(rar({"stored": b"s", "x": b"packed"}))
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert not lab.unpack()
    assert lab.members() == {"stored": b"s", "x": b"packed"}


def in_a_child(function: Callable[[], object]) -> int:
    """The exit code of a process that calls a function; minus a signal's number."""
    child = os.fork()
    if child == 0:
        try:
            function()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_kill_leaves_nothing_that_counts(lab: Lab) -> None:
    """The kernel kills the process where its file grows over a limit: in the middle of the second member."""
    lab.put("a.zip", zipped(FILES))

    def killed() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
        archives.unpack(lab.raw)

    assert in_a_child(killed) == -signal.SIGXFSZ
    assert any(path.name == "b.bin" for path in lab.unpacked.rglob("*"))
    assert lab.members() == {}
    assert only(release.problems(lab.raw)) == "not unpacked yet"
    assert not lab.unpack()
    assert lab.members() == FILES
    assert sum(path.is_dir() for path in lab.unpacked.iterdir()) == 1


def test_what_the_disk_refuses_is_tried_again(lab: Lab) -> None:
    lab.put("a.tar.gz", tarred(FILES, "w:gz"))

    def refused() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
        archives.unpack(lab.raw)

    assert in_a_child(refused) == 0
    assert only(release.problems(lab.raw)) == "can't be unpacked (File too large)"
    assert lab.members() == {}
    assert not lab.unpack()
    assert lab.members() == FILES


def test_another_process_unpacks_it(lab: Lab) -> None:
    lab.put("a.zip", zipped(FILES))
    (found,) = release.contents(lab.raw).archives
    lab.unpacked.mkdir()
    import fcntl

    with (lab.unpacked / f".{found.files.parent.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process"):
            archives.unpack(lab.raw)
    assert not lab.unpack()


def test_a_damaged_memory_is_one_line(lab: Lab) -> None:
    lab.put("a.zip", zipped(FILES))
    lab.unpack()
    (manifest,) = lab.unpacked.glob("*/manifest.json")
    manifest.write_text("{")
    with pytest.raises(InputError, match="damaged; remove its folder"):
        release.problems(lab.raw)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.zip", "a"), ("a.b.ZIP", "a.b"), ("a.tar.gz", "a"), ("a.tar", "a"), ("a.TGZ", "a"), ("a.7z", "a"),
        ("a.tbz2", "a"), ("a.tar.xz", "a"), ("a.part2.zip", "a.part2"), ("a.nii.gz", None), ("a.gz", None),
        ("zip", None), (".zip", None), ("._a.zip", None), ("a.zip.part", None), ("a.7z.001", None),
        ("a.rar", "a"), ("a.part1.rar", "a"), ("a.part01.rar", "a"), ("a.part2.rar", None),
        ("a.part10.rar", None),
    ],
)  # fmt: skip
def test_which_names_are_archives(name: str, stem: str | None) -> None:
    assert archives.stem(name) == stem


@pytest.mark.parametrize("ending", ENDINGS)
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

    assert on_mutations([archive(ending, sound)], accepts, 80) > 20
