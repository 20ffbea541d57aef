"""The cage of what scores strangers' weights: what must not be done in it can't be."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from leaderboard.submissions import cage, memory, sandbox
from leaderboard.submissions.cage import Holds
from leaderboard.submissions.sandbox import Ended
from leaderboard.submissions.terms import Limits
from tests.conftest import ROOT

#: Nothing but what Python can do: what is left where the tools are missing.
BARE = Holds(False, False, (), False, "", None)
#: Starts a process of another session and goes on.
_FLEES = """
import os, subprocess, sys, time
subprocess.Popen(["sleep", sys.argv[1]], start_new_session=True)
open("tmp/started", "w").close()
time.sleep(600)
"""


@pytest.fixture
def caged() -> Holds:
    held = sandbox.holds()
    if not (held.namespaces and held.dies_with_parent and held.limits):
        pytest.skip("this platform lacks unshare, setpriv or prlimit")
    return held


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    (tmp_path / "tmp").mkdir()
    return tmp_path


def python(
    code: str, cwd: Path, *arguments: str, tick: Callable[[], None] = lambda: None, **more: Any
) -> Ended:
    limits = Limits(**{"memory_gb": 1, "run_hours": 60 / 3600, **more.pop("limits", {})})
    command: Sequence[str] = [sys.executable, "-P", "-c", code, *arguments]
    return sandbox.run(command, cwd, limits, tick, **more)


def sleepers(marker: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        given = process.info["cmdline"] or []
        if given[:1] == ["sleep"] and marker in given and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def gone(marker: str) -> bool:
    """Whether no sleeper is left; they are given some seconds, since the system may be busy."""
    until = time.monotonic() + 20
    while sleepers(marker) and time.monotonic() < until:
        time.sleep(0.05)
    return not sleepers(marker)


def test_all_that_is_promised_holds_or_says_why_not(caged: Holds) -> None:
    found = {finding.what: finding for finding in sandbox.check()}
    assert len(found) == 10
    needs_root = {"read what is the worker's alone", "write outside its folder", "start many processes"}
    for what, finding in found.items():
        assert finding.how
        assert finding.holds or (what in needs_root and not caged.nobody), finding


def test_without_the_cage_the_probe_gets_everywhere(cwd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What `check` finds is the cage's doing: the same probe, outside of it, is stopped by nothing.
    monkeypatch.setattr(sandbox, "holds", lambda: BARE)
    found = {finding.what: finding.holds for finding in sandbox.check()}
    assert not found["reach the network"]
    assert not found["see the worker's environment"]
    assert not found["read what is the worker's alone"]
    assert not found["write outside its folder"]
    assert not found["write a long file"]
    assert not found["outlive the worker"]
    assert found["take more memory"]
    assert found["take more time"]


def test_no_secret_of_the_worker_s_is_seen(cwd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSMOS_TOKEN", "not-for-you")
    monkeypatch.setenv("HF_TOKEN", "not-for-you")
    ended = python("import os; print(dict(os.environ)); print(open('/proc/self/environ').read())", cwd)
    assert ended.code == 0, ended.log
    assert "HF_HUB_OFFLINE" in ended.said
    assert "not-for-you" not in ended.said
    assert "TOKEN" not in ended.said


def test_without_a_process_namespace_the_worker_s_environment_is_said_to_be_seen_where_it_is(
    caged: Holds, cwd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Read here without the probe: what the system shows of a process that has a token.
    held = replace(caged, namespaces=cage.unshares()[-1], nobody=False)
    code = """
import glob
for name in glob.glob("/proc/[0-9]*/environ"):
    try:
        print("MARK" + "ED=1" in open(name).read())
    except OSError:
        pass
"""
    marked = {**os.environ, "MARKED": "1"}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=marked) as worker:
        with_all, with_net = (python(code, cwd, held=tried) for tried in (caged, held))
        worker.communicate(b"\n")
    assert "--mount-proc" not in caged.namespaces or "True" not in with_all.said
    seen = "True" in with_net.said
    assert seen or "--user" in held.namespaces
    monkeypatch.setattr(sandbox, "holds", lambda: held)
    found = {finding.what: finding for finding in sandbox.check()}
    assert found["see the worker's environment"].holds is not seen


def test_nobody_has_no_rights_and_only_its_own_folder(caged: Holds, cwd: Path) -> None:
    if not caged.nobody:
        pytest.skip(caged.why_not)
    (cwd / "mine").mkdir()
    code = "import os; print(os.getuid(), os.getgid(), os.getgroups()); open('mine/x', 'w'); open('y', 'w')"
    ended = python(code, cwd, writes=("tmp", "mine"))
    assert ended.said == f"{cage.NOBODY} {cage.NOBODY} []"
    assert (ended.code, ended.reason) == (1, "crashed")
    assert "PermissionError" in ended.log
    assert "'y'" in ended.log
    status = python("print(open('/proc/self/status').read())", cwd).said
    assert all(f"{kind}:\t{0:016x}" in status for kind in ("CapPrm", "CapEff", "CapBnd"))
    assert "NoNewPrivs:\t1" in status


def test_folders_that_others_cannot_search_are_reached_and_no_more(caged: Holds, cwd: Path) -> None:
    if not caged.nobody:
        pytest.skip(caged.why_not)
    closed = cwd / "closed"
    for name in ("data", "other", "deep"):
        (closed / name / "inner").mkdir(parents=True)
        (closed / name / "inner/file").write_text(name)
    (closed / "deep").chmod(0o700)
    closed.chmod(0o700)
    code = f"""
import os
os.chdir({str(closed)!r})
print(sorted(os.listdir()), open("data/inner/file").read(), open("deep/inner/file").read())
for name in ("data/new", "new"):
    try:
        open(name, "w")
    except OSError as error:
        print(error.errno)
"""
    ended = python(code, cwd, reads=[closed / "data", closed / "deep/inner"])
    assert ended.log == ""
    assert ended.said.splitlines()[0] == "['data', 'deep'] data deep"
    assert len(ended.said.splitlines()) == 3
    assert sorted(path.name for path in closed.iterdir()) == ["data", "deep", "other"]


def test_a_file_with_other_names_stays_its_owner_s(cwd: Path) -> None:
    if not sandbox.holds().nobody:
        pytest.skip(sandbox.holds().why_not)
    (cwd / "original").touch()
    (cwd / "tmp/link").hardlink_to(cwd / "original")
    (cwd / "tmp/pointer").symlink_to(cwd / "original")
    assert python("open('tmp/own', 'w')", cwd).code == 0
    assert (cwd / "original").stat().st_uid == os.getuid()
    assert (cwd / "tmp/own").stat().st_uid == cage.NOBODY


@pytest.mark.parametrize("kind", ["all", "watched", "bare"])
def test_more_memory_than_allowed_ends_it(kind: str, cwd: Path) -> None:
    held = {"all": sandbox.holds(), "watched": replace(sandbox.holds(), cgroup=None), "bare": BARE}[kind]
    code = "import time; held = [b'1' * 10**8 for _ in range(20)]; time.sleep(60)"
    ended = python(code, cwd, limits={"memory_gb": 0.5}, held=held)
    assert ended.reason == "memory"
    assert ended.code != 0


def test_memory_that_processes_share_counts_once(cwd: Path) -> None:
    # Three hold the same 200 MB: more than is allowed by their resident sizes, less by what they use.
    code = """
import os, time
held = b"1" * 200_000_000
child = os.fork() or os.fork()
time.sleep(3)
"""
    ended = python(code, cwd, limits={"memory_gb": 0.5}, held=replace(sandbox.holds(), cgroup=None))
    assert (ended.code, ended.reason) == (0, "")


def test_no_group_is_left(cwd: Path) -> None:
    held = sandbox.holds()
    if held.cgroup is None:
        pytest.skip("no control group can be made here")
    python("pass", cwd)
    assert not list(held.cgroup.glob(f"cosmos-{os.getpid()}-*"))
    stale = held.cgroup / "cosmos-999999999-ab"
    stale.mkdir()
    with memory.group(held.cgroup, 10**9):
        assert not stale.exists()


@pytest.mark.parametrize("held", [None, BARE])
def test_more_time_than_allowed_ends_it_and_what_it_started(held: Holds | None, cwd: Path) -> None:
    marker = f"77{os.getpid()}"
    ended = python(_FLEES, cwd, marker, limits={"run_hours": 2 / 3600}, held=held)
    assert ended.reason == "time"
    assert (cwd / "tmp/started").exists()
    assert gone(marker)


@pytest.mark.parametrize("held", [None, BARE])
def test_what_a_tick_raises_ends_it_and_is_raised(held: Holds | None, cwd: Path) -> None:
    marker = f"78{os.getpid()}"

    def lost() -> None:
        if (cwd / "tmp/started").exists():
            assert sleepers(marker)
            raise ValueError("the lease is lost")

    with pytest.raises(ValueError, match="the lease is lost"):
        python(_FLEES, cwd, marker, tick=lost, held=held)
    assert gone(marker)


def test_a_killed_worker_takes_its_child_along(caged: Holds, cwd: Path) -> None:
    if "--kill-child" not in caged.namespaces:
        pytest.skip("no namespace of processes can be made here")
    marker = f"79{os.getpid()}"
    code = f"""
import sys
from pathlib import Path
from leaderboard.submissions import sandbox
from leaderboard.submissions.terms import Limits
command = [sys.executable, "-P", "-c", {_FLEES!r}, {marker!r}]
sandbox.run(command, Path({str(cwd)!r}), Limits(), lambda: None)
"""
    worker = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    while not (cwd / "tmp/started").exists():
        assert worker.poll() is None
        time.sleep(0.05)
    assert sleepers(marker)
    worker.kill()
    worker.wait()
    assert gone(marker)


@pytest.mark.parametrize(
    ("code", "ends"),
    [
        ("pass", (0, "")),
        ("import sys; sys.exit(3)", (3, "")),
        ("import sys; sys.exit(4)", (4, "crashed")),
        ("raise RuntimeError('mine')", (1, "crashed")),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", (-9, "killed")),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", (-11, "crashed")),
    ],
)
def test_how_it_ended_is_told(code: str, ends: tuple[int, str], cwd: Path) -> None:
    for held in (None, BARE):
        ended = python(code, cwd, expected=(3,), held=held)
        assert (ended.code, ended.reason) == ends


def test_of_what_it_says_the_end_is_kept_without_the_worker_s_paths(cwd: Path) -> None:
    code = """
import os, sys
for stream in (sys.stdout, sys.stderr):
    for _ in range(500):
        print("x" * 1000, file=stream)
    print("last in", os.getcwd() + "/out/y", file=stream)
"""
    ended = python(code, cwd)
    for text in (ended.said, ended.log):
        assert text.endswith("xx\nlast in out/y")
        assert len(text) <= sandbox.LOG_BYTES
