"""Mutated files over worker processes: what became of each, whatever it did to its process."""

import re
import resource
import shutil
import traceback
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np

from cosmos1050k import pool
from cosmos1050k.errors import BadFile
from tests.cosmos1050k.bad_input import one_line
from tests.cosmos1050k.fuzzed import FUZZED, Fuzzed, same
from tests.cosmos1050k.mutations import Files, mutant

#: Memory that a worker may take for a file of some kilobytes, touched or not, and the time for it.
_MOST_BYTES = 2**30
_TIMEOUT_S = 60
_WANT_OF_MEMORY = re.compile("memory|(un|not )able to allocate|bad_alloc", re.IGNORECASE)


@dataclass(frozen=True)
class Task:
    """The mutation of this number; `compared` with what the container's own library reads."""

    reader: str
    number: int
    folder: Path
    compared: bool = True


@dataclass
class Report:
    """How many files ended how, and a line for each that ended as none may."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def run(readers: Sequence[str], numbers: Sequence[int], folder: Path) -> dict[str, Report]:
    """Reads the mutations of these numbers by each reader, and compares what was read."""
    tasks = [Task(reader, number, folder) for number in numbers for reader in readers]
    reports = {reader: Report() for reader in readers}
    again = []
    for outcome in _outcomes(tasks):
        if outcome.result is None:
            again.append(outcome.task)  # it may be the library that crashed
        else:
            _note(reports, outcome)
    for outcome in _outcomes([replace(task, compared=False) for task in again]):
        _note(reports, outcome)
    return reports


def _outcomes(tasks: list[Task]) -> "list[pool.Outcome[Task, str]]":
    return list(pool.run(judged, tasks, workers=None, timeout_s=_TIMEOUT_S, label="fuzz"))


def _note(reports: dict[str, Report], outcome: "pool.Outcome[Task, str]") -> None:
    report, said = reports[outcome.task.reader], outcome.result or outcome.failure or ""
    kind = said if said in ("refused", "read", "not compared") else "wrong"
    report.counts[kind] += 1
    if kind == "wrong":
        report.wrong.append(f"{outcome.task.reader}, mutation {outcome.task.number}: {said}")


def mutation(reader: str, number: int) -> Files:
    """Always the same files for the same number."""
    return mutant(_sound(reader), np.random.default_rng([zlib.crc32(reader.encode()), number]))


@cache
def _sound(reader: str) -> list[Files]:
    return FUZZED[reader].sound()


@cache
def _bounded() -> None:
    """Of all that was imported and made before, a worker may take this much more."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _MOST_BYTES, resource.RLIM_INFINITY))


def judged(task: Task) -> str:
    """What is said of a mutation, within bounded memory."""
    files = mutation(task.reader, task.number)
    _bounded()
    folder = task.folder / f"{task.reader} {task.number} {task.compared}"
    folder.mkdir()
    try:
        for name, data in files.items():
            (folder / name).write_bytes(data)
        return said_of(FUZZED[task.reader], folder, files, task.compared)
    finally:
        shutil.rmtree(folder)


def said_of(fuzzed: Fuzzed, folder: Path, files: Files, compared: bool) -> str:
    """`refused`, `read`, `not compared` (the library reads nothing there), or what is wrong."""
    path = folder / next(iter(files))
    try:
        found = fuzzed.read(path)
    except BadFile as error:
        return _line(error, files)
    except Exception:  # noqa: BLE001 (the parent asserts)
        return traceback.format_exc()
    if not compared:
        return "not compared"
    try:
        allowed = fuzzed.library(path)
    except Exception:  # noqa: BLE001 (a library may raise what it likes)
        return "not compared"
    return "read" if same(found, allowed) else f"found {found!r}\nexpected {allowed!r}"


def _line(error: BadFile, files: Files) -> str:
    """A refusal is one line that names a file of the case; want of memory would say that one was taken."""
    try:
        assert error.file in files
        one_line(error, error.file)
    except AssertionError:
        return traceback.format_exc()
    return str(error) if _WANT_OF_MEMORY.search(str(error)) else "refused"
