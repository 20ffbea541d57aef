"""Memory of a process and all that it started: limited by a control group where that can be, and summed."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_ROOT = Path("/sys/fs/cgroup")
_PREFIX = "cosmos-"
#: Per version the file that limits memory, and what else is said then; nothing: the limit.
_LIMITS = {
    "memory.max": {"memory.swap.max": "0", "memory.oom.group": "1"},
    "memory.limit_in_bytes": {"memory.memsw.limit_in_bytes": ""},
}
_TOOL_S = 60


@dataclass(frozen=True)
class Group:
    """A control group, or none."""

    folder: Path | None

    @property
    def exceeded(self) -> bool:
        """Whether something in it was killed because memory ran out."""
        if self.folder is None:
            return False
        for name in ("memory.events", "memory.oom_control"):
            with suppress(OSError):
                lines = (self.folder / name).read_text().splitlines()
                return any(line.startswith("oom_kill ") and line != "oom_kill 0" for line in lines)
        return False


def parent() -> Path | None:
    """Where groups that limit memory can be made here, if anywhere; tried by making one."""
    for folder in _candidates():
        with suppress(OSError, subprocess.SubprocessError), _made(folder, 2**30) as made:
            subprocess.run([*enter(made), "true"], capture_output=True, check=True, timeout=_TOOL_S)
            return folder
    return None


@contextmanager
def group(folder: Path | None, most: int) -> Iterator[Group]:
    """A group of at most so many bytes below a folder that `parent` found; none if there is none."""
    if folder is None:
        yield Group(None)
        return
    with _made(folder, most) as made:
        yield Group(made)


def enter(folder: Path) -> list[str]:
    """What goes in front of a command to have it run in a group."""
    return ["sh", "-c", 'echo 0 > "$0/cgroup.procs" && exec "$@"', str(folder)]


def of_tree(pid: int, enough: int) -> int:
    """Bytes of a process and all that it started; once that is more than enough, shared ones count once."""
    try:
        top = psutil.Process(pid)
        tree = [top, *top.children(recursive=True)]
    except psutil.Error:
        return 0
    resident = sum(map(_resident, tree))
    return resident if resident <= enough else sum(map(_own, tree))


def _resident(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _own(process: psutil.Process) -> int:
    """Its share of what it shares, where that may be read."""
    with suppress(psutil.Error):
        found = process.memory_full_info()
        return int(getattr(found, "pss", found.rss))
    return _resident(process)


def _candidates() -> Iterator[Path]:
    """The own group and the one above it, of the second version's tree or the first's."""
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, own = line.split(":", 2)
            if not controllers or controllers == "memory":
                at = _ROOT / controllers / own.lstrip("/")
                yield from (at, at.parent) if _ROOT in at.parents else (at,)


@contextmanager
def _made(folder: Path, most: int) -> Iterator[Path]:
    """A group below a folder, gone in the end.

    Raises:
        OSError: none can be made here, or it would not limit memory.
    """
    _sweep(folder)
    made = folder / f"{_PREFIX}{os.getpid()}-{os.urandom(4).hex()}"
    made.mkdir()
    try:
        limit = next(made / name for name in (*_LIMITS, "") if (made / name).exists())
        limit.write_text(str(most))  # a folder, and so an error, where nothing limits memory
        for name, value in _LIMITS[limit.name].items():
            with suppress(OSError):  # not where swap is not counted
                (made / name).write_text(value or str(most))
        yield made
    finally:
        _remove(made)


def _remove(made: Path) -> None:
    """Removes a group once the last of its processes, killed already, is gone; else a later run sweeps it."""
    for _ in range(50):
        with suppress(OSError):
            made.rmdir()
            return
        time.sleep(0.02)


def _sweep(folder: Path) -> None:
    """Removes what processes that are gone left."""
    for left in folder.glob(f"{_PREFIX}*"):
        pid = left.name.removeprefix(_PREFIX).split("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            with suppress(OSError):
                left.rmdir()
