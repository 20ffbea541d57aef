"""A backup is whole and of one moment whatever goes on meanwhile; what is not whole is not restored."""

import fcntl
import gzip
import io
import os
import shutil
import sqlite3
import stat
import tarfile
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from cosmos1050k import units
from cosmos1050k.errors import InputError
from cosmos1050k.units import MANIFEST
from leaderboard.evaluate import RunManifest, SourceRun
from leaderboard.models.box import Box
from leaderboard.submissions.backup import BACKED_UP, CONTENTS, backup
from leaderboard.submissions.desk import LOCK
from leaderboard.submissions.queue import QUEUE, Queue
from leaderboard.submissions.restore import restore
from leaderboard.submissions.terms import TERMS, Limits
from leaderboard.submissions.tokens import SECRET, TOKENS, Tokens
from tests.leaderboard.submissions.queues import BOARD, declared, sums

LIMITS = Limits(weekly_quota=1000, open_at_once=1000)
BOARDS = ("boards/new.duckdb", "boards/archive/old-1.duckdb")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The folder of a server that was busy: a submission in each of many states, with its files."""
    state = tmp_path / "state"
    (state / "scores").mkdir(parents=True)
    (state / "scores/README.md").write_text("of the project")
    for name in ("published", "scored", "running", "queued"):
        add(state, name)
    for name, target in (("published", "scored"), ("scored", "scored"), ("running", "running")):
        lease = Queue(state).claim("worker", 1000, BOARD)
        assert lease
        assert lease.entry.name == name
        if target == "scored":
            Queue(state).end_run(lease.id, "scored", staged=1)
    first, second, *_ = reversed(Queue(state).entries())
    Queue(state).move(first.id, "scored", "published", "app", staged=0)
    scores(state / "scores" / str(first.weights_sha256) / f"1-cpu-float32-{first.id}", "published", 1)
    scores(state / "staging" / second.id, "scored", 2)
    Queue(state).add(declared("hub", "a" * 40), "bob", BOARD, LIMITS)
    Tokens(state).create("ann", "admin", 7)
    (state / TERMS).write_text("{}")
    for number, name in enumerate(BOARDS):
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        (state / name).write_bytes(bytes([number]) * 3000)
    (state / "boards/older.duckdb").write_text("is not shown")
    (state / "boards/current.duckdb").symlink_to("new.duckdb")
    for left in ("incoming/x.safetensors", "staging/nobody/a.parquet", "making/leaderboard.duckdb", LOCK):
        (state / left).parent.mkdir(exist_ok=True)
        (state / left).write_text("of no use elsewhere")
    return state


def add(state: Path, name: str) -> str:
    entry, _ = Queue(state).add(declared(name), "ann", BOARD, LIMITS, sums(name))
    file = state / f"weights/{entry.tensors_sha256}.safetensors"
    file.parent.mkdir(mode=0o700, exist_ok=True)
    file.write_bytes(Random(name).randbytes(5000))
    return entry.id


def scores(folder: Path, model: str, seed: int, sources: tuple[str, ...] = ("first", "second")) -> None:
    """A run's folder; its Parquet files are noise, which nobody reads here."""
    folder.mkdir(parents=True, exist_ok=True)
    one = SourceRun(version="1", cases=1, scores=1, failures={}, failed_images=[])
    run = RunManifest(
        protocol_version=1,
        declaration=Box.declaration.model_copy(update={"name": model}),
        strategies=("S5",),
        not_applicable={},
        rows="board",
        sources=dict.fromkeys(sources, one),
        seconds=seed,
        date="2026-01-01T00:00:00+00:00",
    )
    for source in sources:
        (folder / f"{source}.parquet").write_bytes(Random(f"{seed}{source}").randbytes(2000))
    (folder / MANIFEST).write_text(run.model_dump_json())


def files(state: Path) -> dict[str, bytes | str]:
    """What lies below a folder but the databases: name → content, or what a link names."""
    return {
        path.relative_to(state).as_posix(): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in state.rglob("*")
        if (path.is_symlink() or path.is_file()) and ".sqlite" not in path.name and path.name[0] != "."
    }


def told(state: Path) -> dict[str, tuple[Any, ...]]:
    """What the queue says of each, but for whose work it is."""
    queue = Queue(state)
    return {
        entry.name: (
            entry.id,
            entry.state,
            entry.identity,
            entry.declared,
            entry.tensors_sha256,
            entry.staged,
        )
        for entry in queue.entries()
    }


def test_what_is_restored_is_what_was_there(state: Path, tmp_path: Path) -> None:
    before, queued = files(state), told(state)
    made = backup(state, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    found = restore(tmp_path / "b.tar", tmp_path / "again")
    assert (found.submissions, found.lacking, found.before, found.contents) == (5, [], None, made)
    left_out = {"incoming/x.safetensors", "staging/nobody/a.parquet", "making/leaderboard.duckdb"}
    left_out |= {"boards/older.duckdb", "scores/README.md"}
    after = files(tmp_path / "again")
    assert after == {name: content for name, content in before.items() if name not in left_out}
    assert after["boards/current.duckdb"] == "new.duckdb"
    (id, _, *others) = queued["running"]
    assert told(tmp_path / "again") == queued | {"running": (id, "queued", *others)}
    for name in (SECRET, TOKENS):
        assert stat.S_IMODE((tmp_path / "again" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "again/weights").stat().st_mode) == 0o700
    assert Tokens(tmp_path / "again").list() == Tokens(state).list()
    assert Queue(tmp_path / "again").board_wanted()


def test_a_token_is_good_again_and_a_lease_is_not(state: Path, tmp_path: Path) -> None:
    token = Tokens(state).create("bob", "worker", 7)
    lease = Queue(state).claim("worker", 1000, BOARD)
    assert lease
    backup(state, tmp_path / "b.tar")
    again = tmp_path / "again"
    restore(tmp_path / "b.tar", again)
    assert Tokens(again).check(token).name == "bob"
    with pytest.raises(InputError, match="no longer yours"):
        Queue(again).leased(lease.id)
    last = Queue(again).events(lease.entry.id)[-1]
    assert (last.source, last.target, last.actor) == ("running", "queued", "restore")
    assert Queue(again).get(lease.entry.id).losses == 0


def test_while_others_write_it_is_of_one_moment(state: Path, tmp_path: Path) -> None:
    done, faults = threading.Event(), []

    def busy(number: int) -> None:
        try:
            queue, count = Queue(state), 0
            while not done.is_set():
                count += 1
                add(state, f"m{number}x{count}")
                if lease := queue.claim("worker", 1000, BOARD):
                    queue.end_run(lease.id, "rejected")
        except BaseException as error:
            faults.append(error)
            raise

    threads = [threading.Thread(target=busy, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        sizes = []
        for number in range(4):
            archive, again = tmp_path / f"{number}.tar", tmp_path / f"again{number}"
            backup(state, archive)
            found = restore(archive, again)
            sizes.append(found.submissions)
            # The weights of the newest may have come after the queue was copied, never before.
            assert all("weights are missing" in text for text in found.lacking)
            with closing(sqlite3.connect(again / QUEUE)) as connection:
                assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
            for entry in Queue(again).entries():
                events = Queue(again).events(entry.id)
                assert (events[0].target, events[-1].target) == ("received", entry.state)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not faults
    assert sizes == sorted(sizes)
    assert sizes[-1] > sizes[0]


def test_a_folder_that_is_replaced_meanwhile_is_of_one_time(state: Path, tmp_path: Path) -> None:
    entry = next(one for one in Queue(state).entries() if one.state == "published")
    target, done = (
        state / "scores" / str(entry.weights_sha256) / f"1-cpu-float32-{entry.id}",
        threading.Event(),
    )

    def busy() -> None:
        seed = 0
        while not done.is_set():
            seed += 1
            with units.replacing(target) as new:
                scores(new, "published", seed)

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for number in range(10):
            again = tmp_path / f"again{number}"
            backup(state, tmp_path / "b.tar")
            assert restore(tmp_path / "b.tar", again).lacking == []
            folder = again / target.relative_to(state)
            seed = int(RunManifest.model_validate_json((folder / MANIFEST).read_bytes()).seconds)
            for source in ("first", "second"):
                assert (folder / f"{source}.parquet").read_bytes() == Random(f"{seed}{source}").randbytes(
                    2000
                )
    finally:
        done.set()
        thread.join()


def test_what_is_cut_off_or_altered_leaves_nothing(state: Path, tmp_path: Path) -> None:
    backup(state, tmp_path / "b.tar")
    whole, random = (tmp_path / "b.tar").read_bytes(), Random(0)
    expected = files(state)
    damaged, again = tmp_path / "damaged.tar", tmp_path / "again"
    with tarfile.open(tmp_path / "b.tar") as tar:
        starts = [(member.offset_data, member.size) for member in tar]
        last = tar.getmember(CONTENTS)
    cuts = [0, 100, 512, last.offset, last.offset_data, *random.sample(range(last.offset), 10)]
    changes: list[bytes] = [whole[:cut] for cut in cuts]
    for start, size in starts:
        place = start + random.randrange(size)
        changes.append(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    for change in changes:
        damaged.write_bytes(change)
        with pytest.raises(
            InputError, match=r"damaged.tar: no whole backup \(.*\); take another one"
        ) as caught:
            restore(damaged, again)
        assert "\n" not in str(caught.value)
        assert not again.exists()
    for place in random.sample(range(len(whole)), 30):
        damaged.write_bytes(whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :])
        try:
            restore(damaged, again)
        except InputError:
            assert not again.exists()
            continue
        assert files(again).items() <= expected.items()  # it was between the files
        shutil.rmtree(again)


def evil(tar: tarfile.TarFile, name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, 4 if kind == tarfile.REGTYPE else 0
    tar.addfile(info, io.BytesIO(b"evil"))


def twice(tar: tarfile.TarFile) -> None:
    evil(tar, TERMS)
    evil(tar, TERMS)


EVIL: dict[str, Callable[[tarfile.TarFile], None]] = {
    "above": lambda tar: evil(tar, "../evil"),
    "above, deeper": lambda tar: evil(tar, "scores/x/../../../evil/x"),
    "absolute": lambda tar: evil(tar, "/tmp/evil"),
    "a hidden name": lambda tar: evil(tar, "scores/.x/y/z.parquet"),
    "another name": lambda tar: evil(tar, "evil.py"),
    "a link": lambda tar: evil(tar, "weights/" + "a" * 64 + ".safetensors", tarfile.SYMTYPE, "/etc/passwd"),
    "a hard link": lambda tar: evil(tar, SECRET, tarfile.LNKTYPE, "queue.sqlite"),
    "a device": lambda tar: evil(tar, TERMS, tarfile.CHRTYPE),
    "a folder": lambda tar: evil(tar, "scores", tarfile.DIRTYPE),
    "twice": twice,
    "nothing": lambda tar: None,
}


@pytest.mark.parametrize("kind", EVIL)
def test_no_archive_reaches_out(kind: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        EVIL[kind](tar)
        said = b'{"version": 1, "made": "", "board": null, "files": {}}'
        info = tarfile.TarInfo(CONTENTS)
        info.size = len(said)
        tar.addfile(info, io.BytesIO(said))
    for archive, text in (("b.tar", (tmp_path / "b.tar").read_bytes()), ("b.tar.gz", b"")):
        (tmp_path / archive).write_bytes(text or gzip.compress((tmp_path / "b.tar").read_bytes()))
        with pytest.raises(InputError, match="no whole backup"):
            restore(tmp_path / archive, tmp_path / "deep/state")
    assert [path.name for path in tmp_path.rglob("*") if "evil" in path.name] == []
    assert not (tmp_path / "deep/state").exists()


def test_a_queue_that_is_there_is_kept_unless_it_is_to_be_replaced(state: Path, tmp_path: Path) -> None:
    backup(state, tmp_path / "b.tar")
    queue, before = Queue(state), files(state)
    (changed, *_) = queue.entries(states=["queued"])
    queue.move(changed.id, "queued", "withdrawn", "ann")
    with pytest.raises(InputError, match=r"there are submissions or tokens already; give --replace"):
        restore(tmp_path / "b.tar", state)
    assert (queue.get(changed.id).state, files(state)) == ("withdrawn", before)
    (state / f"{QUEUE}-wal").write_bytes(b"of the queue before")  # as of a server that was killed
    found = restore(tmp_path / "b.tar", state, replace=True)
    assert Queue(state).get(changed.id).state == "queued"
    assert found.before
    assert (found.before / f"{QUEUE}-wal").exists()
    (found.before / f"{QUEUE}-wal").unlink()
    assert Queue(found.before).get(changed.id).state == "withdrawn"
    assert (state / "scores/README.md").read_text() == "of the project"
    stays = (BACKED_UP, "making/leaderboard.duckdb", "scores/README.md")
    assert files(found.before) == {name: before[name] for name in before if name not in stays}


def test_a_folder_that_a_server_holds_is_left_alone(state: Path, tmp_path: Path) -> None:
    backup(state, tmp_path / "b.tar")
    held = os.open(state / LOCK, os.O_RDWR)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        backup(state, tmp_path / "b.tar")
        with pytest.raises(InputError, match="a server uses it; stop that first"):
            restore(tmp_path / "b.tar", state, replace=True)
    finally:
        os.close(held)


def test_what_is_lacking_is_told_and_scored_again(state: Path, tmp_path: Path) -> None:
    known = {entry.name: entry for entry in Queue(state).entries()}
    (state / f"weights/{known['queued'].tensors_sha256}.safetensors").unlink()
    shutil.rmtree(state / "scores" / str(known["published"].weights_sha256))
    (state / "staging" / known["scored"].id / "second.parquet").unlink()
    backup(state, tmp_path / "b.tar")
    found = restore(tmp_path / "b.tar", tmp_path / "again")
    assert sorted(found.lacking) == sorted([
        f"{known['queued'].id} queued (queued): its weights are missing; it can't be scored again until it "
        "is withdrawn and submitted anew",
        f"{known['published'].id} published: its scores are missing; it is scored again",
        f"{known['scored'].id} scored: its scores are missing; it is scored again",
    ])  # fmt: skip
    again = Queue(tmp_path / "again")
    assert {again.get(known[name].id).state for name in ("published", "scored")} == {"queued"}
    assert again.get(known["scored"].id).staged is False


def test_a_mistake_is_one_line(state: Path, tmp_path: Path) -> None:
    def nothing_there() -> None:
        restore(tmp_path / "nothing.tar", tmp_path / "again")

    for call, words in (
        (lambda: backup(tmp_path / "nowhere", tmp_path / "b.tar"), "no submissions were ever taken there"),
        (lambda: backup(state, tmp_path / "no/b.tar"), "No such file or directory"),
        (nothing_there, "No such file or directory"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "nowhere").exists()
    assert not (tmp_path / "again").exists()
    (state / QUEUE).write_bytes(b"no database" * 1000)
    with pytest.raises(InputError, match="its queue or tokens can't be read"):
        backup(state, tmp_path / "b.tar")
    assert not list(tmp_path.glob("*.tar*")) + list(tmp_path.glob(".*"))
