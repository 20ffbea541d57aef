"""Every kind of archive gives what was put in, once, whole or not at all; what is wrong is one line."""

import fcntl
import io
import os
import resource
import shutil
import signal
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
import rarfile

from cosmos1050k import archives, release
from cosmos1050k.errors import InputError
from tests.cosmos1050k.archive_files import ENDINGS, archive, entry, patched, rar, seven, tarred, zipped
from tests.cosmos1050k.lab import Lab, only

RNG = np.random.default_rng(1050)
FILES = {
    "a.txt": b"first",
    "folder/b.bin": RNG.bytes(1_200_000),  # longer than what is copied at once
    "folder/deeper/größe 10.txt": b"umlaut and blank",
    "folder/empty.txt": b"",
    "z.txt": bytes(500),
}


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


def test_an_archive_is_unpacked_once_and_anew_when_it_changes(lab: Lab) -> None:
    path = lab.put("a.zip", zipped({"x": b"old"}))
    lab.unpack()
    inodes = [(found.stat().st_ino, found.stat().st_ctime_ns) for found in lab.unpacked.rglob("[!.]*")]
    lab.unpack()
    again = [(found.stat().st_ino, found.stat().st_ctime_ns) for found in lab.unpacked.rglob("[!.]*")]
    assert again == inodes
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
