"""Runs a command in a cage without network and rights, with limits of time, memory, files and processes.

The cage is made of util-linux' tools, so it needs Linux. `holds` finds out once what works here, and `check`
tries it.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import IO, Any, Literal

import psutil

from leaderboard.submissions import cage, memory, workspace
from leaderboard.submissions.cage import Holds
from leaderboard.submissions.terms import Limits

#: Of what a command says on standard output and error, the last bytes are kept.
LOG_BYTES = 16_000
_TICK_S, _TOOL_S = 1.0, 60.0

Reason = Literal["", "time", "memory", "killed", "crashed"]


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Args:
        code: its exit status; −n is death by signal n.
        reason: why it did not end by itself with 0 or another status that says something; empty if it did.
        said, log: the end of its standard output and error.
    """

    code: int
    reason: Reason
    said: str
    log: str


@dataclass(frozen=True)
class Finding:
    """What a child may not do, whether that holds here, and how, or why not."""

    what: str
    holds: bool
    how: str


@cache
def holds() -> Holds:
    """What works on this machine; tried once."""
    unshared = (tried for tried in cage.unshares() if _works(["unshare", *tried]))
    found = Holds(
        dies_with_parent=_works(["setpriv", "--pdeathsig", "KILL", "--no-new-privs"]),
        limits=_works(["prlimit", *cage.limits(1, nobody=os.geteuid() == 0)]),
        namespaces=next(unshared, ()),
        nobody=False,
        why_not="",
        cgroup=memory.parent(),
    )
    why_not = _why_not_nobody(found)
    return replace(found, nobody=not why_not, why_not=why_not)


def score(folder: Path, tick: Callable[[], None]) -> Ended:
    """Runs the scoring child of a prepared workspace.

    Args:
        tick: called about once a second; what it raises ends the child, and is raised.
    """
    job = workspace.job_of(folder)
    return run(
        workspace.COMMAND,
        folder,
        job.order.limits,
        tick,
        reads=(job.data,),
        writes=workspace.WRITES,
        expected=(workspace.REFUSED,),
    )


def run(
    command: Sequence[str],
    cwd: Path,
    limits: Limits,
    tick: Callable[[], None],
    *,
    reads: Sequence[Path] = (),
    writes: Sequence[str] = ("tmp",),
    expected: Sequence[int] = (),
    held: Holds | None = None,
) -> Ended:
    """Runs a command in the cage. When the calling thread ends, so does all that the command started.

    Args:
        cwd: its folder, which others can search and which holds an empty folder `tmp`.
        tick: called about once a second; what it raises ends the command, and is raised.
        reads: folders that it must reach, besides Python's, the project's and `cwd`.
        writes: folders in `cwd` that become its own.
        expected: exit statuses besides 0 that say something.
        held: what of the cage to use, by default all that holds.
    """
    held, cwd = held or holds(), cwd.resolve()
    if held.nobody:
        for name in writes:
            cage.give(cwd / name)
    seconds, most = limits.run_hours * 3600, int(limits.memory_gb * 1e9)
    with memory.group(held.cgroup, most) as group:
        child = subprocess.Popen(
            [*cage.front(held, group.folder, seconds, cwd, reads), *command],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=cage.environment(),
            start_new_session=True,
        )
        said, log = _Tail(child.stdout), _Tail(child.stderr)
        try:
            reason = _watched(child, group, seconds, most, tick)
        finally:
            _kill(child)
        if group.exceeded:
            reason = "memory"
    # A shell tells of a signal by a status above 128.
    code = child.returncode if child.returncode <= 128 else 128 - child.returncode
    if not reason and code not in (0, *expected):
        reason = "killed" if code == -signal.SIGKILL else "crashed"
    return Ended(code, reason, said.text(cwd), log.text(cwd))


def _watched(
    child: subprocess.Popen[bytes], group: memory.Group, seconds: float, most: int, tick: Callable[[], None]
) -> Reason:
    """Waits for a command's end; returns why it must be ended, if it must be."""
    until = time.monotonic() + seconds
    while True:
        with suppress(subprocess.TimeoutExpired):
            child.wait(_TICK_S)
            return ""
        if group.exceeded or memory.of_tree(child.pid, most) > most:
            return "memory"
        if time.monotonic() > until:
            return "time"
        tick()


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Ends a command and all that it started; what left its session is found by its parents."""
    tree: list[psutil.Process] = []
    with suppress(psutil.Error):
        tree = psutil.Process(child.pid).children(recursive=True)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    for process in tree:
        with suppress(psutil.Error):
            process.kill()
    child.wait()


class _Tail:
    """The end of a stream, read as it comes."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        assert stream
        self._stream, self._kept = stream, b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._stream:
            while piece := os.read(self._stream.fileno(), LOG_BYTES):
                self._kept = (self._kept + piece)[-LOG_BYTES:]

    def text(self, cwd: Path) -> str:
        """What was read; paths in the workspace are relative to it."""
        self._thread.join(timeout=5)
        return self._kept.decode(errors="replace").replace(f"{cwd}/", "").strip()


def _works(command: Sequence[str]) -> bool:
    try:
        done = subprocess.run([*command, "true"], capture_output=True, check=False, timeout=_TOOL_S)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _why_not_nobody(held: Holds) -> str:
    """Why a child can't give up its rights; empty if it can."""
    if os.geteuid() != 0:
        return "the child is the worker's user, which is not root"
    if "--mount-proc" not in held.namespaces or not held.dies_with_parent:
        return "the child is root: no mounts of its own can be made here"
    with _folder() as cwd:
        tried = replace(held, nobody=True, cgroup=None)
        command = [sys.executable, "-P", "-c", "import leaderboard.submissions.child"]
        ended = run(command, cwd, Limits(), _nothing, held=tried)
    return "" if not ended.code else f"the child is root: others can't use what it needs ({ended.log[-200:]})"


def _nothing() -> None:
    pass


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder to try things in."""
    with tempfile.TemporaryDirectory(prefix="cosmos-") as made:
        folder = Path(made).resolve()
        folder.chmod(0o755)
        (folder / "tmp").mkdir()
        yield folder


def check() -> list[Finding]:
    """Tries what a child may not do, and says of each whether it can't."""
    held = holds()
    with _folder() as cwd, _bystander(), socket.create_server(("127.0.0.1", 0)) as server:
        secret, outside = cwd / "secret", cwd / "outside"
        secret.touch(0o600)
        given = [str(server.getsockname()[1]), str(secret), str(outside)]
        probe = [sys.executable, "-P", "-m", "leaderboard.submissions.probe", *given]
        tried = run(probe, cwd, Limits(), _nothing)
        found: dict[str, Any] = {"could": {}, "environment": ["unknown"]}
        if tried.code == 0:
            found = json.loads(tried.said)
        hungry = [sys.executable, "-c", "import time; held = b'1' * 10**9; time.sleep(60)"]
        ate = run(hungry, cwd, Limits(memory_gb=0.3), _nothing)
        slept = run(["sleep", "60"], cwd, Limits(run_hours=0.5 / 3600), _nothing)

    def cannot(key: str) -> bool:
        return found["could"].get(key) is False

    space, limits = "by a namespace of its own", "by prlimit"
    nobody = f"as user {cage.NOBODY} without rights" if held.nobody else held.why_not
    family = "a process namespace" if "--kill-child" in held.namespaces else "a signal to the child alone"
    return [
        Finding(
            "reach the network", cannot("network"), space if held.namespaces else "unshare can't be used"
        ),
        _unseen(held, listed=set(found["environment"]) <= _told(), apart=cannot("others")),
        Finding("read what is the worker's alone", cannot("secret"), nobody),
        Finding("write outside its folder", cannot("outside"), nobody),
        Finding("write a long file", cannot("long file"), limits),
        Finding("open many files", cannot("many files"), limits),
        Finding("start many processes", cannot("many processes"), limits if held.nobody else nobody),
        Finding(
            "take more memory", ate.reason == "memory", "by a control group" if held.cgroup else "by watching"
        ),
        Finding("take more time", slept.reason == "time", "by watching"),
        Finding(
            "outlive the worker", held.dies_with_parent and "--kill-child" in held.namespaces, f"by {family}"
        ),
    ]


@contextmanager
def _bystander() -> Iterator[None]:
    """A process that has a token, as the worker has; it ends with its input."""
    waits = [sys.executable, "-P", "-c", "import sys; sys.stdin.read()"]
    environment = cage.environment() | {"COSMOS_TOKEN": "another's"}
    with subprocess.Popen(waits, stdin=subprocess.PIPE, env=environment):
        yield


def _unseen(held: Holds, listed: bool, apart: bool) -> Finding:
    """Whether the environment is kept from a child: it is not handed on, nor is the worker looked into."""
    how = "by a list of what it sees"
    if "--mount-proc" in held.namespaces:
        how += ", and a process namespace"
    elif not apart:
        how = (
            "it can look into the worker's process: no process namespace with its own /proc can be made here"
        )
    elif "--user" in held.namespaces:
        how += ", and a user namespace"
    return Finding("see the worker's environment", listed and apart, how)


def _told() -> set[str]:
    """What a child may see; the shell adds its own."""
    return {*cage.environment(), "PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"}
