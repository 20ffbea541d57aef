"""What a year brings: a full disk, a folder that became read-only, a clock that jumps. Each is told of in one
line, nothing is damaged, and when it is mended the same is done.
"""

import hashlib
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from typer.testing import CliRunner

from app.__main__ import _parser
from cosmos1050k import build, index, pool, shards, sources, units
from cosmos1050k.errors import InputError
from leaderboard.evaluate import BoardRows, evaluate
from leaderboard.store.build import BoardOptions, build_board
from leaderboard.store.publish import CURRENT, archived, build_id, publish
from leaderboard.store.read import BoardReader
from leaderboard.store.runs import BoardInput
from leaderboard.submissions.backup import backup
from leaderboard.submissions.entry import LeaseLost
from leaderboard.submissions.queue import Queue
from leaderboard.submissions.restore import restore
from leaderboard.submissions.terms import Limits
from leaderboard.submissions.tokens import Tokens
from leaderboard.submissions.weights_folder import WeightsFolder
from pipelines import cli, repro
from tests import phantoms
from tests.app import boards
from tests.conftest import ROOT
from tests.leaderboard import dataset
from tests.leaderboard.submissions.queues import BOARD, Clock, declared, sums
from tests.many import many

SOURCE, UNITS = "drive", ROOT / "docs/operations"
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


def test_the_units_run_what_there_is() -> None:
    """Their command lines are the commands' own; what systemd says of a unit is in a slow test."""
    app, worker = (_command(name) for name in ("cosmos-app", "cosmos-worker"))
    assert app[:3] == ["/srv/cosmos/.venv/bin/python", "-m", "app"]
    given = _parser().parse_args(app[3:])
    assert worker[:2] == ["/srv/cosmos/.venv/bin/cosmos", "worker"]
    asked = dict(pairwise(worker[2:]))
    assert asked["--server"] == f"http://127.0.0.1:{given.port}"
    page = (ROOT / "docs/operations.md").read_text()
    for port in (str(given.metrics_port), asked["--metrics-port"]):
        assert f"127.0.0.1:{port}" in page
    # With --help it does nothing; an option that is not there is status 2.
    assert CliRunner().invoke(cli.app, [*worker[1:], "--help"]).exit_code == 0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    units_ = [path for path in UNITS.iterdir() if path.suffix in (".service", ".timer")]
    for unit in units_:
        text = unit.read_text().replace("/srv/cosmos/.venv/bin/", f"{Path(sys.executable).parent}/")
        (tmp_path / unit.name).write_text(text.replace("=/srv/cosmos", f"={ROOT}"))
    command = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / unit.name) for unit in units_)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def _command(unit: str) -> list[str]:
    text = (UNITS / f"{unit}.service").read_text()
    return shlex.split(re.findall("^ExecStart=(.*)$", text, re.MULTILINE)[0])


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("jump", [-1e9, -86_400, 86_400, 1e9])
def test_after_the_clock_jumped_a_worker_goes_on_or_its_work_is_taken_back(
    tmp_path: Path, jump: float
) -> None:
    clock, limits = Clock(), Limits()
    clock.now = 2e9
    queue = Queue(tmp_path, clock)
    ids = [queue.add(declared(name), "ann", BOARD, limits, sums(name))[0].id for name in "abc"]
    alive, gone, failed = (queue.claim("w", limits.lease_s, BOARD) for _ in ids)
    assert alive
    assert gone
    assert failed
    queue.fail_run(failed.id, limits, "machine", "no room", "")
    clock.now += jump
    if jump < 0:
        queue.beat(alive.id, limits.lease_s)
    queue.reap(limits)
    clock.now += limits.lease_s + 1
    taken = {entry.id for entry in queue.reap(limits)} | {
        entry.id for entry in queue.entries(states=["queued"])
    }
    assert taken == set(ids)
    for lost in (alive, gone):
        with pytest.raises(LeaseLost):
            queue.end_run(lost.id, "scored")
    clock.now += limits.backoff_s * 4**limits.retries
    for _ in ids:
        lease = queue.claim("v", limits.lease_s, BOARD)
        assert lease
        queue.end_run(lease.id, "scored")
    for one in ids:
        ways = [(event.source, event.target) for event in queue.events(one)]
        assert ways.count(("running", "scored")) == 1
    assert sorted(entry.state for entry in queue.entries()) == ["scored"] * 3


def test_however_the_clock_jumps_each_is_scored_once(tmp_path: Path) -> None:
    random, clock, limits = Random(1), Clock(), Limits(losses=10**6, retries=10**6, backoff_s=0)
    queue = Queue(tmp_path, clock)
    ids = [queue.add(declared(f"m{n}"), "ann", BOARD, limits, sums(f"m{n}"))[0].id for n in range(6)]
    leases: list[str] = []
    for _ in range(many(300)):
        clock.now = max(1.0, clock.now + random.choice([1, 50, 130, -1000, 1000, -1e5, 1e5]))
        queue.reap(limits)
        if lease := queue.claim("w", limits.lease_s, BOARD):
            leases.append(lease.id)
        if leases and random.random() < 0.1:
            try:
                queue.end_run(leases.pop(random.randrange(len(leases))), "scored")
            except LeaseLost:
                continue
    while lease := queue.claim("w", limits.lease_s, BOARD) or _after(queue, clock, limits):
        queue.end_run(lease.id, "scored")
    for one in ids:
        assert [event.target for event in queue.events(one)].count("scored") == 1


def _after(queue: Queue, clock: Clock, limits: Limits) -> Any:
    """What can be claimed once all who vanished are known to have."""
    queue.reap(limits)
    clock.now += limits.lease_s + 1
    queue.reap(limits)
    return queue.claim("w", limits.lease_s, BOARD)
