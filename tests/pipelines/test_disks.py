"""A disk that is full, a folder that became read-only: each is told of in one line, nothing is damaged, and
when it is mended the same is done.
"""

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from cosmos1050k import build, index, pool, shards, sources, units
from cosmos1050k.errors import InputError
from leaderboard.evaluate import BoardRows, evaluate
from leaderboard.store.build import BoardOptions, build_board
from leaderboard.store.publish import CURRENT, archived, build_id, publish
from leaderboard.store.read import BoardReader
from leaderboard.store.runs import BoardInput
from leaderboard.submissions.backup import backup
from leaderboard.submissions.queue import Queue
from leaderboard.submissions.restore import restore
from leaderboard.submissions.terms import Limits
from leaderboard.submissions.tokens import Tokens
from leaderboard.submissions.weights_folder import WeightsFolder
from pipelines import repro
from tests import phantoms
from tests.app import boards
from tests.conftest import ROOT
from tests.leaderboard import dataset
from tests.leaderboard.submissions.queues import BOARD, declared, sums
from tests.many import many

SOURCE = "drive"
#: Bytes that are left on a disk that is full: none, or so many that it is full a little later.
LEFT = (0, 20, 1, 3, 7, 60, 150)
_KILOBYTES, _SIZE = 4096, 48_000_000


@dataclass
class Disk:
    """A file system of its own, to be filled."""

    folder: Path

    def fill(self, left: int) -> None:
        """Leaves so many blocks of four kilobytes."""
        filler = self.folder / "filler"
        filler.unlink(missing_ok=True)
        free = shutil.disk_usage(self.folder).free - left * _KILOBYTES
        with filler.open("wb") as stream:
            for _ in range(free // _KILOBYTES):
                stream.write(bytes(_KILOBYTES))

    def free(self) -> None:
        (self.folder / "filler").unlink(missing_ok=True)

    def writable(self, yes: bool) -> None:
        _mount("-o", f"remount,{'rw' if yes else 'ro'}", str(self.folder))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None or _mount("-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(folder)):
        pytest.skip("no file system may be mounted here; run as root")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(*arguments: str) -> int:
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode


@dataclass
class Writer:
    """Something that writes to the disk: how, and what of it must be as it was when that was refused."""

    act: Callable[[], object]
    there: Callable[[], object]


def of_build(disk: Disk, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    phantoms.write(SOURCE, folder / "raw")
    found = index.scan(sources.get(SOURCE).SOURCE, folder / "raw", memory=folder / "seen")
    monkeypatch.setattr(pool, "run", partial(pool.run, here=True))
    store, out = disk.folder / "units", disk.folder / "out"

    def act() -> None:
        shutil.rmtree(store, ignore_errors=True)
        build.build(SOURCE, found, out, raw=folder / "raw", store=units.Units("build", store))

    act()
    return Writer(act, lambda: (content(out), list(store.rglob(".*")), shards.load_manifest(out)))


def of_repro(disk: Disk, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    """What `make repro` itself writes, before and after DVC's run."""
    held, lock, valid = (disk.folder / name for name in ("repro.lock", "dvc.lock", "valid/dvc.lock"))
    for name, path in (("BUSY", held), ("LOCK", lock), ("VALID", valid)):
        monkeypatch.setattr(repro, name, path)
    shutil.copyfile(ROOT / "dvc.lock", lock)

    def act() -> None:
        with repro.alone():
            repro.keep()

    act()
    return Writer(act, lambda: [(path.name, path.read_bytes()) for path in sorted(valid.parent.iterdir())])


def of_evaluate(disk: Disk, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    dataset.build(folder / "data", "first", dataset.cases(5), shard_bytes=dataset.ONE_CASE)
    store, out = disk.folder / "units", disk.folder / "out"

    def act() -> None:
        shutil.rmtree(store, ignore_errors=True)
        kept, rows = units.Units("evaluate", store), BoardRows()
        given: dict[str, Any] = {
            "sources": ("first",),
            "protocol_version": 1,
            "board_rows": rows,
            "here": True,
        }
        manifest = evaluate("box", folder / "data", out, store=kept, **given)
        assert not manifest.sources["first"].failures

    act()
    # The manifest says when; the scores are those of an undisturbed run.
    return Writer(act, lambda: {name: sum_ for name, sum_ in content(out).items() if name != units.MANIFEST})


def of_publish(disk: Disk, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    """A board of other data takes the place of one, which goes into the archive."""
    first, second = (board(folder / str(seed), seed) for seed in (1, 2))
    state = disk.folder / "state"
    publish(first, state)

    def shown() -> object:
        assert build_id(state / "boards" / CURRENT) == BoardReader(state).board()["build_id"]
        # It is archived by the time that another is shown.
        assert bool(archived(state)) == (build_id(state / "boards" / CURRENT) == build_id(second))
        return len(BoardReader(state).headlines())

    return Writer(lambda: publish(second, state), shown)


def board(folder: Path, seed: int) -> Path:
    """A small board, of other data for each seed."""
    folder.mkdir()
    rows, version = boards.write_source(folder, "toy", 1, 1, seed, phantom=False)
    boards.write_scores(folder / "scores/box", "box", "toy", rows, version)
    made = folder / "board.duckdb"
    build_board(_of_board(folder), made, options=BoardOptions(bootstrap_draws=100))
    return made


def _of_board(folder: Path) -> BoardInput:
    data, scores, none = (folder / name for name in ("data", "scores", "none"))
    return BoardInput(data, scores, none, none, ("toy",), ("box",), protocol_version=1)


def of_queue(disk: Disk, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    queue = Queue(disk.folder)
    limits, random = Limits(weekly_quota=10_000, open_at_once=10_000), Random(1)
    for number in range(30):
        queue.add(declared(f"m{number}"), "ann", BOARD, limits, sums(f"m{number}"))
    taken: list[str] = []

    def act() -> None:
        for _ in range(20):
            name = f"more{random.randrange(10**9)}"
            entry, _ = queue.add(declared(name), "ann", BOARD, limits, sums(name))
            taken.append(entry.id)

    def there() -> object:
        entries = {entry.id: entry for entry in queue.entries()}
        for one in taken:  # what was said to be taken is there, with what happened to it
            assert entries[one].state == "queued"
            assert [event.target for event in queue.events(one)] == ["received", "validating", "queued"]
        return sorted(
            entry.name for entry in entries.values() if entry.name.startswith("m") and entry.id not in taken
        )

    return Writer(act, there)


def of_weights(disk: Disk, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    weights = WeightsFolder(disk.folder)
    upload = folder / "upload"

    def act() -> None:
        upload.write_bytes(bytes(900_000))
        weights.keep(weights.receive(upload, "a"), "0" * 64)

    act()
    return Writer(
        act, lambda: {name: sum_ for name, sum_ in content(disk.folder).items() if name != "filler"}
    )


def of_tokens(disk: Disk, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    tokens = Tokens(disk.folder)
    old = tokens.create("old", "submitter", 7)

    def act() -> None:
        for _ in range(20):
            assert tokens.check(tokens.create("ann", "submitter", 7)).name == "ann"

    return Writer(act, lambda: tokens.check(old).name)


def of_backup(disk: Disk, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    queue = Queue(folder / "state")
    queue.add(declared("a"), "ann", BOARD, Limits(), sums("a"))
    file = disk.folder / "backup.tar"
    backup(folder / "state", file)

    def there() -> object:
        restored = folder / "restored"
        shutil.rmtree(restored, ignore_errors=True)
        restore(file, restored)
        assert [path.name for path in disk.folder.glob(".*")] == []
        return [entry.name for entry in Queue(restored).entries()]

    return Writer(lambda: backup(folder / "state", file), there)


def of_board(disk: Disk, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    """The board's file is made anew, there where the last one lies."""
    board(folder / "1", 1)
    given = _of_board(folder / "1")
    made = disk.folder / "board.duckdb"

    def act() -> None:
        build_board(given, made, options=BoardOptions(bootstrap_draws=100))

    act()
    return Writer(act, lambda: (build_id(made), sorted(path.name for path in disk.folder.iterdir())))


WRITERS = (
    pytest.param(of_build, marks=pytest.mark.slow),
    pytest.param(of_evaluate, marks=pytest.mark.slow),
    pytest.param(of_board, marks=pytest.mark.slow),
    pytest.param(of_publish, marks=pytest.mark.slow),
    of_repro,
    of_queue,
    of_weights,
    of_tokens,
    of_backup,
)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk(writer: Any, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: Writer = writer(disk, tmp_path, monkeypatch)
    before = made.there()
    refused = 0
    for left in LEFT[: many(len(LEFT)) + 1]:
        disk.fill(left)
        try:
            made.act()
        except InputError as error:
            refused += 1
            line(error)
        disk.free()
        assert made.there() == before
    assert refused
    made.act()
    assert made.there() == before


@pytest.mark.parametrize("writer", WRITERS)
def test_a_read_only_folder(writer: Any, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: Writer = writer(disk, tmp_path, monkeypatch)
    before = made.there()
    disk.writable(False)
    with pytest.raises(InputError) as caught:
        made.act()
    line(caught.value)
    disk.writable(True)
    assert made.there() == before
    made.act()
    assert made.there() == before


def line(error: InputError) -> None:
    """It is one, and says which place, what is wrong and what to do."""
    text = str(error)
    assert "\n" not in text
    assert "/disk" in text
    assert any(
        said in text.lower() for said in ("no space left", "full", "read-only", "readonly", "unable to open")
    )
    assert any(remedy in text for remedy in ("make room", "mend", "another folder")), text


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
