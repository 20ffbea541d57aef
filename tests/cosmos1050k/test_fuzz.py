"""Mutated files: each is refused in one line or read as its container's own library reads it.

No crash, hang or hunger for memory: each file has a worker process to itself while it is read.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosmos1050k.errors import BadFile
from cosmos1050k.readers import Volume
from tests.cosmos1050k import fuzzing
from tests.cosmos1050k.fuzzed import FUZZED, Fuzzed, same


@pytest.mark.slow
@pytest.mark.parametrize("reader", FUZZED)
def test_a_thousand_mutations(reader: str, tmp_path: Path) -> None:
    report = fuzzing.run([reader], range(1000), tmp_path)[reader]
    assert not report.wrong, "\n".join(report.wrong[:20])
    assert report.counts["refused"] > 300
    assert report.counts["read"] > 30
    assert report.counts["not compared"] < 50


@pytest.mark.slow
def test_some_mutations_of_each_reader(tmp_path: Path) -> None:
    reports = fuzzing.run(list(FUZZED), range(1000, 1600), tmp_path)
    wrong = [line for report in reports.values() for line in report.wrong]
    assert not wrong, "\n".join(wrong[:20])
    assert sum(report.counts["read"] for report in reports.values()) > 3 * len(FUZZED)
    assert all(report.counts["read"] and report.counts["refused"] for report in reports.values())


@pytest.mark.parametrize("reader", FUZZED)
def test_what_is_mutated_is_sound(reader: str, tmp_path: Path) -> None:
    for number, files in enumerate(FUZZED[reader].sound()):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, data in files.items():
            (folder / name).write_bytes(data)
        path = folder / next(iter(files))
        assert same(FUZZED[reader].read(path), FUZZED[reader].library(path))


def _raises(error: Exception) -> Any:
    def read(path: Path) -> Any:
        raise error

    return read


ONE, TWO = Volume(np.ones((2, 3, 4), np.int16), np.eye(4)), Volume(np.full((2, 3, 4), 2, np.int16), np.eye(4))
#: What a reader and a library might do, and what is said of it.
SAID = {
    "equal": (lambda path: ONE, lambda path: [TWO, ONE], "read"),
    "other voxels": (lambda path: ONE, lambda path: [TWO], "found"),
    "another type": (lambda path: Volume(ONE.array.astype(np.int32)), lambda path: [ONE], "found"),
    "another place": (lambda path: Volume(ONE.array, np.diag([2.0, 1, 1, 1])), lambda path: [ONE], "found"),
    "another shape": (lambda path: Volume(ONE.array[:1]), lambda path: [ONE], "found"),
    "no library": (lambda path: ONE, _raises(ValueError("damaged")), "not compared"),
    "refused": (_raises(BadFile("a.x", "damaged", "fetch it again")), None, "refused"),
    "another file named": (_raises(BadFile("b.x", "damaged", "fetch it again")), None, "Traceback"),
    "two lines": (_raises(BadFile("a.x", "damaged\nfile", "fetch it again")), None, "Traceback"),
    "memory": (_raises(BadFile("a.x", "damaged (MemoryError)", "fetch it again")), None, "a.x: damaged (Mem"),
    "a fault": (_raises(KeyError("x")), None, "Traceback"),
    "a member lost": (lambda path: ({"a": b"1"}, 0), lambda path: [{"a": b"1", "b": b"2"}], "found"),
    "a member left out": (lambda path: ({"a": b"1"}, 1), lambda path: [{"a": b"1", "b": b"2"}], "read"),
    "another member": (lambda path: ({"a": b"1"}, 1), lambda path: [{"a": b"2"}], "found"),
}


@pytest.mark.parametrize("what", SAID)
def test_what_is_said_of_a_file(what: str, tmp_path: Path) -> None:
    read, library, said = SAID[what]
    fuzzed = Fuzzed(list, read, library)
    assert fuzzing.said_of(fuzzed, tmp_path, {"a.x": b""}, compared=True).startswith(said)
