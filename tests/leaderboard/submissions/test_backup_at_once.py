"""Of backups to one file at the same time each leaves a whole file, or is refused; a kill refuses nobody."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cosmos1050k.errors import InputError
from leaderboard.submissions.backup import backup
from leaderboard.submissions.queue import Queue
from leaderboard.submissions.restore import restore
from leaderboard.submissions.terms import TERMS, Limits
from tests.conftest import ROOT
from tests.leaderboard.submissions.queues import BOARD, declared, sums

CALL = (
    "import pathlib, sys; from leaderboard.submissions.backup import backup; "
    "backup(*map(pathlib.Path, sys.argv[1:]))"
)
REFUSED = "another backup writes it; wait until it has ended"


def queued(state: Path, count: int) -> Path:
    for number in range(count):
        Queue(state).add(declared(f"m{number}"), f"user{number}", BOARD, Limits(), sums(f"m{number}"))
    return state


def test_while_one_writes_another_is_refused_and_after_a_kill_it_is_not(tmp_path: Path) -> None:
    own, other, archive = queued(tmp_path / "own", 2), queued(tmp_path / "other", 1), tmp_path / "b.tar"
    whole = backup(other, archive)
    os.mkfifo(own / TERMS)  # who reads it waits in the middle of an archive
    first = subprocess.Popen([sys.executable, "-c", CALL, own, archive], cwd=ROOT)
    try:
        half, patience = tmp_path / ".b.tar.new", time.monotonic() + 60
        while not half.exists() and time.monotonic() < patience and first.poll() is None:
            time.sleep(0.01)
        its = half.stat().st_ino
        with pytest.raises(InputError, match=rf"b\.tar: {REFUSED}$"):
            backup(other, archive)
        assert half.stat().st_ino == its
        backup(other, tmp_path / "c.tar")
    finally:
        first.kill()
        first.wait()
    assert restore(archive, tmp_path / "before").contents == whole
    left = sorted(path.name for path in tmp_path.glob(".*"))
    assert left == [".b.tar.lock", ".b.tar.new"]
    page = (ROOT / "docs/operations.md").read_text()
    assert all(f"`{name.replace('b.tar', 'NAME')}`" in page for name in left)
    backup(other, archive)
    assert restore(archive, tmp_path / "after").submissions == 1
    assert list(tmp_path.glob(".*")) == []


def test_of_many_at_once_each_leaves_a_whole_file_or_is_refused(tmp_path: Path) -> None:
    states, archive = [queued(tmp_path / f"state{count}", count) for count in (1, 4)], tmp_path / "b.tar"
    many, turns = 6, 20
    together = threading.Barrier(many)
    ends: list[int | str] = []

    def busy(number: int) -> None:
        for turn in range(turns):
            together.wait(60)
            try:
                backup(states[number % 2], archive)
                ends.append(restore(archive, tmp_path / f"again{number}-{turn}").submissions)
            except InputError as error:
                ends.append(str(error))

    threads = [threading.Thread(target=busy, args=(number,)) for number in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(ends) <= {1, 4, f"{archive}: {REFUSED}"}
    assert len(ends) == many * turns
    assert list(tmp_path.glob(".*")) == []
