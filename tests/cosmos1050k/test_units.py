"""Finished work is whole or absent, whoever fails, races or is killed."""

import re
import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from cosmos1050k.errors import InputError
from cosmos1050k.units import Units, key, replacing

ROOT = Path(__file__).resolve().parents[2]


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def fail_inside(
    block: AbstractContextManager[Path], error: type[BaseException], target: Path | None = None
) -> dict[str, str] | None:
    """Writes into the block and fails with `error`, which must come out. Returns what `target` held."""
    seen = []

    def body() -> None:
        with block as folder:
            assert names(folder) == set()
            (folder / "a").write_text("part")
            seen.append(content(target) if target and target.exists() else None)
            raise error

    with pytest.raises(error):
        body()
    return seen[0]


def child(code: str, *arguments: object) -> "subprocess.Popen[str]":
    """Another Python, which prints what it has reached and waits for a line where told to."""
    prelude = "import os, signal, sys\nfrom pathlib import Path\nfrom cosmos1050k.units import *\n"
    return subprocess.Popen(
        [sys.executable, "-c", prelude + code, *map(str, arguments)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def reached(process: "subprocess.Popen[str]", word: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == word


def test_a_key_depends_on_every_part_and_on_nothing_else() -> None:
    assert re.fullmatch("[0-9a-f]{32}", key(version=1))
    assert key(a=1, b=[1, 2]) == key(b=[1, 2], a=1) == key(a=1, b=(1, 2))
    different = [
        key(),
        key(a=1),
        key(a=2),
        key(b=1),
        key(a="1"),
        key(a=1.5),
        key(a=None),
        key(a=[1]),
        key(a={"b": 1}),
    ]
    assert len(set(different)) == len(different)
    # `sha256sum` of {"source":"sample","version":1}; another value would forget all finished work.
    assert key(version=1, source="sample") == "6589e5892eb32cf88b4877481b90e434"
    with pytest.raises(TypeError):
        key(path=Path("x"))


def test_a_unit_appears_when_its_block_ends(tmp_path: Path) -> None:
    units = Units("stage", tmp_path)
    assert not units.has("k")
    with units.write("k") as folder:
        (folder / "a").write_text("1")
        assert not units.has("k")
        assert not units.path("k").exists()
    assert units.has("k")
    assert units.path("k") == tmp_path / "stage" / "k"
    assert content(units.path("k")) == {"a": "1"}
    assert names(tmp_path / "stage") == {"k"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failing_block_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    units = Units("stage", tmp_path)
    fail_inside(units.write("k"), error)
    assert not units.has("k")
    assert names(tmp_path / "stage") == set()


def test_a_failing_block_leaves_the_finished_unit(tmp_path: Path) -> None:
    units = Units("stage", tmp_path)
    with units.write("k") as folder:
        (folder / "a").write_text("whole")
    fail_inside(units.write("k"), ValueError)
    assert content(units.path("k")) == {"a": "whole"}


def test_a_killed_writer_leaves_no_unit(tmp_path: Path) -> None:
    """And what it leaves behind doesn't stand in the way of the next."""
    process = child(
        "with Units('stage', Path(sys.argv[1])).write('k') as folder:\n"
        "    (folder / 'a').write_text('part')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n",
        tmp_path,
    )
    assert process.wait() == -signal.SIGKILL
    units = Units("stage", tmp_path)
    assert not units.has("k")
    with units.write("k") as folder:
        assert names(folder) == set()
        (folder / "a").write_text("whole")
    assert content(units.path("k")) == {"a": "whole"}


def test_two_processes_may_write_the_same_unit(tmp_path: Path) -> None:
    """Both are inside the block at once; the first to end makes the unit, the second is content with it."""
    code = (
        "with Units('stage', Path(sys.argv[1])).write('k') as folder:\n"
        "    (folder / 'a').write_text('equal')\n"
        "    print('inside', flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    pair = [child(code, tmp_path), child(code, tmp_path)]
    for process in pair:
        reached(process, "inside")
    for process in pair:
        process.communicate("on\n", timeout=60)
    assert [process.returncode for process in pair] == [0, 0]
    assert names(tmp_path / "stage") == {"k"}
    assert content(tmp_path / "stage" / "k") == {"a": "equal"}


def test_what_stands_in_a_units_place_is_an_error(tmp_path: Path) -> None:
    units = Units("stage", tmp_path)
    units.folder.mkdir()
    units.path("k").write_text("a file")
    with pytest.raises(OSError), units.write("k") as folder:
        (folder / "a").write_text("1")
    assert names(units.folder) == {"k"}


def held(target: Path) -> None:
    """Only the target is left, and the lock, which is never removed: two could else hold it at once."""
    assert names(target.parent) <= {target.name, f".{target.name}.lock"}


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with replacing(target) as folder:
        (folder / "manifest.json").write_text("1")
        assert not target.exists()
    assert content(target) == {"manifest.json": "1"}
    with replacing(target) as folder:
        assert names(folder) == set()
        (folder / "b").write_text("2")
        assert content(target) == {"manifest.json": "1"}
    assert content(target) == {"b": "2"}
    held(target)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_keeps_the_old_folder(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "out"
    assert fail_inside(replacing(target), error, target) is None
    assert not target.exists()
    with replacing(target) as folder:
        (folder / "manifest.json").write_text("old")
    assert fail_inside(replacing(target), error, target) == {"manifest.json": "old"}
    assert content(target) == {"manifest.json": "old"}
    held(target)


def test_a_new_folder_that_cannot_be_moved_in_keeps_the_old(tmp_path: Path) -> None:
    """The second of the two renames fails, the first having been done: here, the new folder is gone."""
    target = tmp_path / "out"
    with replacing(target) as folder:
        (folder / "manifest.json").write_text("old")
    with pytest.raises(FileNotFoundError), replacing(target) as folder:
        folder.rmdir()
    assert content(target) == {"manifest.json": "old"}
    held(target)


def test_what_a_kill_between_the_renames_left_is_restored(tmp_path: Path) -> None:
    target, old, new = tmp_path / "out", tmp_path / ".out.old", tmp_path / ".out.new"
    for folder, text in ((old, "old"), (new, "new")):
        folder.mkdir()
        (folder / "manifest.json").write_text(text)
    assert fail_inside(replacing(target), ValueError, target) == {"manifest.json": "old"}
    assert content(target) == {"manifest.json": "old"}
    held(target)


def test_a_kill_after_the_renames_keeps_the_new(tmp_path: Path) -> None:
    target, old = tmp_path / "out", tmp_path / ".out.old"
    for folder, text in ((old, "old"), (target, "new")):
        folder.mkdir()
        (folder / "manifest.json").write_text(text)
    assert fail_inside(replacing(target), ValueError, target) == {"manifest.json": "new"}
    assert content(target) == {"manifest.json": "new"}
    held(target)


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_killed_process_leaves_a_whole_folder(tmp_path: Path, renames: int) -> None:
    """Killed by SIGKILL after so many renames, at the very system call."""
    target = tmp_path / "out"
    with replacing(target) as folder:
        (folder / "manifest.json").write_text("old")
    process = child(
        "left, armed = int(sys.argv[2]), False\n"
        "def watch(event, arguments):\n"
        "    global left\n"
        "    if event == 'os.rename' or (event == 'shutil.rmtree' and armed):\n"
        "        if left == 0:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        left -= 1\n"
        "sys.addaudithook(watch)\n"
        "with replacing(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'manifest.json').write_text('new')\n"
        "    armed = True\n",
        target,
        renames,
    )
    assert process.wait() == -signal.SIGKILL
    assert target.exists() == (renames != 1)
    whole = {"manifest.json": "new" if renames == 2 else "old"}
    assert fail_inside(replacing(target), ValueError, target) == whole
    assert content(target) == whole
    held(target)


def test_a_second_writer_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    target = tmp_path / "out"
    process = child(
        "with replacing(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'manifest.json').write_text('theirs')\n"
        "    print('inside', flush=True)\n"
        "    sys.stdin.readline()\n",
        target,
    )
    reached(process, "inside")
    with (
        pytest.raises(InputError, match="another process is writing it; wait until it has ended"),
        replacing(target),
    ):
        pytest.fail("two writers at once")
    process.communicate("on\n", timeout=60)
    assert process.returncode == 0
    assert content(target) == {"manifest.json": "theirs"}
    with replacing(target) as folder:
        (folder / "manifest.json").write_text("ours")
    assert content(target) == {"manifest.json": "ours"}


def test_a_killed_writer_leaves_no_lock(tmp_path: Path) -> None:
    target = tmp_path / "out"
    process = child(
        "with replacing(Path(sys.argv[1])):\n    print('inside', flush=True)\n    sys.stdin.readline()\n",
        target,
    )
    reached(process, "inside")
    process.kill()
    process.wait()
    with replacing(target) as folder:
        (folder / "manifest.json").write_text("ours")
    assert content(target) == {"manifest.json": "ours"}


@pytest.mark.parametrize("held", ["a file", "a foreign folder", "a build with a foreign file", "a link"])
def test_what_is_not_ours_is_never_replaced(tmp_path: Path, held: str) -> None:
    target = tmp_path / "target"
    if held == "a file":
        target.write_text("theirs")
    elif held == "a link":
        (tmp_path / "elsewhere").mkdir()
        target.symlink_to(tmp_path / "elsewhere")
    else:
        target.mkdir()
        (target / "thesis.txt").write_text("theirs")
        if held == "a build with a foreign file":
            (target / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="would be lost"), replacing(target):
        pytest.fail("it must be refused before anything is written")
    assert target.read_text() == "theirs" if held == "a file" else target.is_dir()
    assert held != "a foreign folder" or (target / "thesis.txt").read_text() == "theirs"
