"""What the scoring child is put into: util-linux' tools in front of its command, each where it works."""

import os
import resource
import shlex
import stat
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from leaderboard.submissions import memory

#: The user `nobody`, whom nothing belongs to.
NOBODY = 65534
_CORES = os.cpu_count() or 1
#: The longest file that a child may write, and how many it may have open.
FILE_BYTES, OPEN_FILES = 2 * 2**30, 4096
#: Processes and threads of all children of a machine; Arrow's and torch's in each grow with the cores.
PROCESSES = 1024 + _CORES * (2 * _CORES + 16)

_ROOT = Path(__file__).resolve().parents[2]
#: What of a worker's environment its child sees.
PASSED = (
    "PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH",
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES",
)  # fmt: skip
_DROP = [
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
    "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all",
]  # fmt: skip
_NAMESPACES = (
    ("--net", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"),
    ("--net", "--ipc", "--pid", "--fork", "--kill-child"),
    ("--net", "--ipc"),
    ("--net",),
)


@dataclass(frozen=True)
class Holds:
    """What works on this machine.

    Args:
        dies_with_parent, limits: by the tools `setpriv` and `prlimit`.
        namespaces: the options of `unshare`; none if it can't be used.
        nobody: whether rights are given up; else `why_not` says why they can't be.
        cgroup: where a group can be made that limits memory.
    """

    dies_with_parent: bool
    limits: bool
    namespaces: tuple[str, ...]
    nobody: bool
    why_not: str
    cgroup: Path | None


def unshares() -> list[tuple[str, ...]]:
    """The options of `unshare` to try, from the most to the least."""
    user = () if os.geteuid() == 0 else ("--user", "--map-current-user")
    return [(*user, *tried) for tried in _NAMESPACES]


def front(held: Holds, group: Path | None, seconds: float, cwd: Path, reads: Sequence[Path]) -> list[str]:
    """What goes in front of a command, from the outermost to the innermost.

    Args:
        group: the control group that it is put into.
        seconds: of wall time that it may take; the limit of CPU time follows from it.
        reads: folders that it must reach, besides Python's, the project's and `cwd`.
    """
    made: list[str] = []
    if group:
        made += memory.enter(group)
    if held.dies_with_parent:
        made += ["setpriv", "--pdeathsig", "KILL"]
    if held.namespaces:
        # The shell stays as the namespace's first process: who changes its user loses the parent's signal.
        made += ["unshare", *held.namespaces, "sh", "-c"]
        made += [_shell(_needed(cwd, reads) if held.nobody else (), cwd), "sh"]
    if held.limits:
        made += ["prlimit", *limits(seconds, nobody=held.nobody)]
    if held.nobody:
        return [*made, *_DROP]
    return [*made, "setpriv", "--no-new-privs"] if held.dies_with_parent else made


def limits(seconds: float, nobody: bool) -> list[str]:
    """The options of `prlimit`; CPU time is that of all threads of a process, processes are all of a user."""
    wanted = {
        "cpu": (resource.RLIMIT_CPU, max(int(seconds * _CORES), 1)),
        "fsize": (resource.RLIMIT_FSIZE, FILE_BYTES),
        "nofile": (resource.RLIMIT_NOFILE, OPEN_FILES),
        "core": (resource.RLIMIT_CORE, 0),
    }
    if nobody:  # else they would be all of the worker's user
        wanted["nproc"] = (resource.RLIMIT_NPROC, PROCESSES)
    made = []
    for name, (kind, most) in wanted.items():
        hard = resource.getrlimit(kind)[1]
        made.append(f"--{name}={most if hard == resource.RLIM_INFINITY else min(most, hard)}")
    return made


def environment() -> dict[str, str]:
    """What the child sees of this process's environment, no token among it, and what it is told."""
    own = {name: os.environ[name] for name in PASSED if name in os.environ}
    # By the folder of the process: the path of a socket below it has room in the system's 108 bytes.
    tmp = "/proc/self/cwd/tmp" if Path("/proc/self/cwd").exists() else "tmp"
    told = {"HOME": tmp, "TMPDIR": tmp, "PYTHONPATH": str(_ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return own | told | {"HF_HUB_OFFLINE": "1"}


def give(folder: Path) -> None:
    """Makes a folder and all in it the child's; a file that has other names stays its owner's."""
    for path in (folder, *folder.rglob("*")):
        found = path.lstat()
        if stat.S_ISDIR(found.st_mode) or found.st_nlink == 1:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def _needed(cwd: Path, reads: Sequence[Path]) -> list[Path]:
    """The folders that a child must reach, by their names and by what these lead to."""
    given = [Path(sys.base_prefix), Path(sys.prefix), _ROOT, *reads, cwd]
    return sorted({path for one in given for path in (one.absolute(), one.resolve())})


def _shell(needed: Sequence[Path], cwd: Path) -> str:
    """The shell's lines: what is needed below a folder that others can't search is laid bare.

    An empty folder takes the closed one's place, and in it stands what is needed, to be read only but for the
    workspace. The mounts are the namespace's own, and gone with it.
    """
    lines, stage = ["set -e"], cwd / "tmp"
    for closed in _closed(needed):
        lines.append(f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(stage))}")
        for path in needed:
            if closed in path.parents:
                at = shlex.quote(str(stage / path.relative_to(closed)))
                lines += [f"mkdir -p {at}", f"mount --bind {shlex.quote(str(path))} {at}"]
                if path != cwd:
                    lines.append(f"mount -o remount,bind,ro {at}")
        lines.append(f"mount --move {shlex.quote(str(stage))} {shlex.quote(str(closed))}")
    return "\n".join([*lines, f"cd {shlex.quote(str(cwd))}", '"$@"'])


def _closed(needed: Iterable[Path]) -> list[Path]:
    """The folders above those needed that others can't search, the outermost first."""
    above = sorted({parent for path in needed for parent in path.parents})
    return [folder for folder in above if not folder.stat().st_mode & stat.S_IXOTH]
