"""The queue: one SQLite file, of which every change is compared and set in one transaction, and noted."""

import fcntl
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from cosmos1050k.errors import InputError
from leaderboard.submissions import quotas, table
from leaderboard.submissions.declared import Declared
from leaderboard.submissions.entry import Entry, Event, Lease, Trouble
from leaderboard.submissions.states import CLOSED, STATES, TRANSITIONS, State
from leaderboard.submissions.terms import Limits

QUEUE = "queue.sqlite"
#: Held while the file is made: SQLite does not wait for others that change its journal.
_MAKING = ".queue.lock"
#: Seconds that one writer waits for the others.
_PATIENCE_S = 60
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"


class Queue:
    """All submissions. Safe to share between threads and processes: each call has a connection of its own."""

    def __init__(self, state: Path, clock: Callable[[], float] = time.time) -> None:
        """Raises:
        InputError: the file can't be made, or is no queue.
        """
        self.path, self.clock = state / QUEUE, clock
        try:
            state.mkdir(parents=True, exist_ok=True)
            with (state / _MAKING).open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self.path.touch(mode=0o600)  # it holds how people are reached
                with self._opened() as connection:
                    connection.execute("pragma journal_mode = wal")
                    connection.executescript(table.SCHEMA)
        except OSError as error:
            problem = f"no queue can be kept there ({error.strerror})"
            raise InputError(f"{self.path}: {problem}; mend the folder") from None

    # What is there

    def get(self, submission: str) -> Entry:
        """Raises:
        Unknown: there is none.
        """
        with self._opened() as connection:
            return table.get(connection, submission)

    def entries(
        self,
        *,
        identity: str | None = None,
        states: Sequence[State] = STATES,
        limit: int = -1,
    ) -> list[Entry]:
        """Submissions, the newest first: all, or of one identity, or in some states."""
        marks = ", ".join("?" * len(states))
        query = f"select * from submissions where state in ({marks}) and (? is null or identity = ?)"
        with self._opened() as connection:
            rows = connection.execute(
                f"{query} order by number desc limit ?", [*states, identity, identity, limit]
            )
            return [table.entry_of(row) for row in rows]

    def places(self) -> dict[str, int]:
        """Of all that wait their place, the next one's being 1."""
        with self._opened() as connection:
            rows = connection.execute(
                "select id from submissions where state = 'queued' order by queued, number"
            )
            return {row["id"]: place for place, row in enumerate(rows, 1)}

    def place(self, submission: str) -> int | None:
        """Its place; None if it does not wait."""
        return self.places().get(submission)

    def counted(self) -> list[table.Counted]:
        """All submissions, counted by state and reason."""
        with self._opened() as connection:
            return table.counted(connection)

    def events(self, submission: str) -> list[Event]:
        """What happened to a submission, in order."""
        with self._opened() as connection:
            rows = connection.execute(
                "select at, source, target, actor, note from events where submission = ? order by rowid",
                [submission],
            ).fetchall()
        return [Event(*row) for row in rows]

    def uses(self, tensors_sha256: str) -> int:
        """How many submissions need a file of weights."""
        with self._opened() as connection:
            closed = ", ".join(map(repr, CLOSED))
            ((found,),) = connection.execute(
                f"select count(*) from submissions where tensors_sha256 = ? and state not in ({closed})",
                [tensors_sha256],
            ).fetchall()
        return int(found)

    # What comes in

    def add(
        self,
        declared: Declared,
        identity: str,
        board: str,
        limits: Limits,
        checked: dict[str, Any] | None = None,
    ) -> tuple[Entry, bool]:
        """Takes a submission in; of one that is there already, that one and True.

        Args:
            board: the terms' key.
            checked: `part`, the three sums and `bytes` of weights that are here and were found right: then
                it waits for a worker at once.

        Raises:
            Refused: the name is taken, or the identity has no run left.
        """
        with self._changing() as connection:
            weights = checked["weights_sha256"] if checked else None
            if same := table.same(connection, declared, weights, board):
                return same, True
            quotas.check(connection, declared, identity, limits, self.clock())
            now, new = self.clock(), "".join(secrets.choice(_ALPHABET) for _ in range(10))
            connection.execute(
                """insert into submissions (id, identity, name, declared, state, board, created, updated)
                values (?, ?, ?, ?, 'received', ?, ?, ?)""",
                [new, identity, declared.name, declared.model_dump_json(), board, now, now],
            )
            table.note(connection, now, new, None, "received", identity)
            if checked:
                self._moved(connection, new, "received", "validating", "app")
                self._moved(connection, new, "validating", "queued", "app", **checked)
            return table.get(connection, new), False

    def same(self, declared: Declared, weights_sha256: str, board: str) -> Entry | None:
        """The submission of the same weights and the same declaration for the same board, if there is one."""
        with self._opened() as connection:
            return table.same(connection, declared, weights_sha256, board)

    # How it goes on

    def move(
        self, submission: str, source: State, target: State, actor: str, note: str = "", **more: Any
    ) -> bool:
        """Compare and set: whether it was in the state `source`, and now is in `target`.

        Args:
            more: columns to set with it.

        Raises:
            Unknown: there is none.
            Refused: it failed, and another has its name by now.
        """
        with self._changing() as connection:
            return self._moved(connection, submission, source, target, actor, note, **more)

    def note(self, submission: str, actor: str, note: str, **more: Any) -> None:
        """Notes what somebody did that leaves the state as it is, and sets columns.

        Raises:
            Unknown: there is none.
        """
        with self._changing() as connection:
            state = table.get(connection, submission).state
            table.put(connection, submission, self.clock(), more)
            if "hidden" in more:
                table.want_board(connection)
            table.note(connection, self.clock(), submission, state, state, actor, note)

    def claim(
        self, worker: str, seconds: float, board: str, bases: Sequence[str] | None = None
    ) -> Lease | None:
        """Gives a worker the first that waits and that it can do, if there is one.

        Args:
            bases: the models that a mask decoder may stand on there; None: all.
        """
        with self._changing() as connection:
            now = self.clock()
            marks = "" if bases is None else f"and base in ({', '.join('?' * (len(bases) + 1))})"
            row = connection.execute(
                f"""select id from submissions where state = 'queued' and not_before <= ? {marks}
                order by queued, number limit 1""",
                [now, *(("", *bases) if bases is not None else ())],
            ).fetchone()
            if row is None:
                return None
            lease = secrets.token_urlsafe(24)
            own: dict[str, Any] = {
                "worker": worker,
                "lease": table.hashed(lease),
                "expires": now + seconds,
                "heartbeat": now,
            }
            self._moved(connection, row[0], "queued", "running", worker, **own, board=board)
            return Lease(lease, now + seconds, table.get(connection, row[0]))

    def leased(self, lease: str) -> Entry:
        """The submission that is being worked on under a lease.

        Raises:
            LeaseLost: none is.
        """
        with self._opened() as connection:
            return table.leased(connection, lease)

    def beat(self, lease: str, seconds: float, doing: str = "", done: int = 0, total: int = 0) -> float:
        """A worker's heartbeat; returns until when the work is its own now.

        Raises:
            LeaseLost: it is no longer.
        """
        with self._changing() as connection:
            entry, now = table.leased(connection, lease), self.clock()
            connection.execute(
                """update submissions set expires = ?, heartbeat = ?, doing = ?, done = ?, total = ?
                where id = ?""",
                [now + seconds, now, doing, done, total, entry.id],
            )
            if done:
                table.reached(connection, entry.id, now)
            return now + seconds

    def end_run(self, lease: str, target: State, note: str = "", **more: Any) -> Entry:
        """Ends a run: into `scored`, `rejected` or `failed`.

        Raises:
            LeaseLost: it ended otherwise.
        """
        with self._changing() as connection:
            entry = table.leased(connection, lease)
            self._moved(connection, entry.id, "running", target, entry.worker, note, **table.NO_LEASE | more)
            if target == "scored":
                table.reached(connection, entry.id, self.clock())
            return table.get(connection, entry.id)

    def fail_run(self, lease: str, limits: Limits, reason: str, message: str, log: str) -> Entry:
        """A run failed by no fault of the model: later again, or failed for good.

        Raises:
            LeaseLost: it ended otherwise.
        """
        with self._changing() as connection:
            entry = table.leased(connection, lease)
            said: dict[str, Any] = {"reason": reason, "message": message, "log": log, **table.NO_LEASE}
            self._again(connection, entry, ("running", "queued"), limits, entry.worker, said)
            return table.get(connection, entry.id)

    def check_later(self, entry: Entry, limits: Limits, reason: str, message: str) -> None:
        """Its weights could not be fetched and checked, by no fault of its own: later again, or failed."""
        with self._changing() as connection:
            said: dict[str, Any] = {"reason": reason, "message": message, "expires": None}
            self._again(connection, entry, ("validating", "received"), limits, "app", said)

    def lost_scores(self, entry: Entry, limits: Limits, message: str) -> None:
        """What a run handed in is gone: later again, or failed."""
        with self._changing() as connection:
            said: dict[str, Any] = {"reason": "machine", "message": message, "staged": 0}
            self._again(connection, entry, ("scored", "queued"), limits, "app", said)

    def _again(
        self,
        connection: sqlite3.Connection,
        entry: Entry,
        way: tuple[State, State],
        limits: Limits,
        actor: str,
        said: dict[str, Any],
    ) -> None:
        """From a state back to one before, after a pause that grows; failed if that was done too often."""
        source, back = way
        if entry.retries >= limits.retries:
            back = "failed"
        else:
            later = self.clock() + limits.backoff_s * 4**entry.retries
            said = said | {"retries": entry.retries + 1, "not_before": later}
        self._moved(connection, entry.id, source, back, actor, said["message"], **said)

    def recover(self, limits: Limits) -> None:
        """The server was away: what it was checking is checked again, and workers have time to be heard."""
        for entry in self.entries(states=["validating"]):
            self.move(entry.id, "validating", "received", "app", "the server was started anew", expires=None)
        with self._changing() as connection:
            connection.execute(
                "update submissions set expires = max(expires, ?) where state = 'running'",
                [self.clock() + limits.lease_s],
            )

    def reap(self, limits: Limits) -> list[Entry]:
        """Takes back what somebody worked on who was silent too long; returns those submissions."""
        with self._changing() as connection:
            now = self.clock()
            table.not_later(connection, now, limits)
            rows = connection.execute(
                "select * from submissions where state in ('running', 'validating') and expires < ?", [now]
            ).fetchall()
            for entry in map(table.entry_of, rows):
                self._take_back(connection, entry, limits)
            return [table.get(connection, row["id"]) for row in rows]

    def _take_back(self, connection: sqlite3.Connection, entry: Entry, limits: Limits) -> None:
        back: State = "queued" if entry.state == "running" else "received"
        more: dict[str, Any] = {**table.NO_LEASE, "losses": entry.losses + 1}
        if entry.losses + 1 >= limits.losses:
            back = "failed"
            more |= {"reason": "lost", "message": f"{entry.losses + 1} workers vanished with it"}
        note = f"nothing was heard of {entry.worker or 'the server'}"
        self._moved(connection, entry.id, entry.state, back, "reaper", note, **more)

    # Whether the board is to be made anew

    def want_board(self) -> None:
        with self._changing() as connection:
            table.want_board(connection)

    def board_wanted(self) -> int:
        """A number that grows; 0: no."""
        with self._opened() as connection:
            return int(connection.execute("select wanted from board").fetchone()[0])

    def board_made(self, wanted: int) -> None:
        """The board was made as it was wanted then."""
        with self._changing() as connection:
            connection.execute("update board set wanted = 0 where wanted = ?", [wanted])

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Raises:
        Trouble: it can't be read or written.
        """
        try:
            with closing(sqlite3.connect(self.path, timeout=_PATIENCE_S, isolation_level=None)) as connection:
                connection.row_factory = sqlite3.Row
                connection.execute("pragma foreign_keys = on")
                connection.execute("pragma synchronous = full")
                yield connection
        except sqlite3.DatabaseError as error:  # locked, full, damaged; a fault of ours is another
            if isinstance(error, sqlite3.ProgrammingError | sqlite3.IntegrityError):
                raise
            remedy = "make room, or `cosmos restore` a backup"
            raise Trouble(f"{self.path}: the queue can't be used ({error}); {remedy}") from None

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that nobody else's change can come into."""
        with self._opened() as connection:
            connection.execute("begin immediate")
            try:
                yield connection
                connection.execute("commit")
            except BaseException:
                connection.rollback()
                raise

    def _moved(
        self,
        connection: sqlite3.Connection,
        submission: str,
        source: State,
        target: State,
        actor: str,
        note: str = "",
        **more: Any,
    ) -> bool:
        if target not in TRANSITIONS[source]:
            raise AssertionError(f"there is no way from {source} to {target}")
        if source in table.GONE and target not in table.GONE:  # its name may be another's by now
            table.free(connection, table.get(connection, submission).name, submission)
        now = self.clock()
        done = connection.execute(
            "update submissions set state = ?, updated = ? where id = ? and state = ?",
            [target, now, submission, source],
        )
        if not done.rowcount:
            return False
        if target == "queued" and source != "running":  # who was interrupted keeps its place
            more = {"queued": now} | more
        table.put(connection, submission, now, more)
        table.note(connection, now, submission, source, target, actor, note)
        if target == "withdrawn":
            table.want_board(connection)
        return True
