"""The queue's tables in SQLite, and submissions in their rows."""

import hashlib
import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from leaderboard.submissions.declared import Declared
from leaderboard.submissions.entry import Entry, LeaseLost, Unknown
from leaderboard.submissions.refusals import Refused
from leaderboard.submissions.states import STATES, State
from leaderboard.submissions.terms import Limits

#: Of who did not end well nobody is in the way.
GONE: tuple[State, ...] = ("rejected", "failed", "withdrawn")

_STATE = f"text not null check (state in ({', '.join(repr(state) for state in STATES)}))"
SCHEMA = f"""
create table if not exists submissions (
    number integer primary key autoincrement, id text not null unique, identity text not null,
    name text not null, declared text not null, state {_STATE}, reason text not null default '',
    message text not null default '', log text not null default '', part text, weights_sha256 text,
    tensors_sha256 text, file_sha256 text, bytes integer not null default 0, board text not null,
    sources text not null default '[]', created real not null, updated real not null,
    not_before real not null default 0, retries integer not null default 0,
    losses integer not null default 0, worker text not null default '', lease text unique, expires real,
    heartbeat real, doing text not null default '', done integer not null default 0,
    total integer not null default 0, hidden integer not null default 0, staged integer not null default 0,
    placed integer not null default 0, base text not null default '', queued real not null default 0,
    reached real);
create index if not exists by_state on submissions (state, number);
create index if not exists by_identity on submissions (identity, number);
create table if not exists events (
    at real not null, submission text not null references submissions (id), source text, target text not null,
    actor text not null, note text not null default '');
create index if not exists by_submission on events (submission, at);
create table if not exists board (wanted integer not null);
insert into board select 0 where not exists (select 1 from board);
"""
#: What a run leaves behind that the next one must not find.
NO_LEASE: dict[str, Any] = {"lease": None, "expires": None, "doing": "", "done": 0, "total": 0}
_COLUMNS = tuple(name for name in Entry.__dataclass_fields__)


def hashed(lease: str) -> str:
    return hashlib.sha256(lease.encode()).hexdigest()


def entry_of(row: sqlite3.Row) -> Entry:
    found = {name: row[name] for name in _COLUMNS}
    found["declared"] = Declared.model_validate_json(found["declared"])
    found["sources"] = tuple(json.loads(found["sources"]))
    found |= {name: bool(found[name]) for name in ("hidden", "staged", "placed")}
    return Entry(**found)


def get(connection: sqlite3.Connection, submission: str) -> Entry:
    row = connection.execute("select * from submissions where id = ?", [submission]).fetchone()
    if row is None:
        raise Unknown(
            f"there is no submission {submission[:40]!r}; `cosmos submissions` lists those there are"
        )
    return entry_of(row)


def leased(connection: sqlite3.Connection, lease: str) -> Entry:
    row = connection.execute(
        "select * from submissions where lease = ? and state = 'running'", [hashed(lease)]
    ).fetchone()
    if row is None:
        raise LeaseLost("this work is no longer yours: it was taken back, or the submission ended")
    return entry_of(row)


def free(connection: sqlite3.Connection, name: str, own: str = "") -> None:
    """Raises:
    Refused: a submission other than `own` that did not end badly has that name.
    """
    gone = ", ".join(map(repr, GONE))
    # One that failed when it was scored anew keeps its place on the board, and its name.
    there = f"(state not in ({gone}) or (state = 'failed' and placed))"
    query = f"select 1 from submissions where name = ? and id != ? and {there}"
    if connection.execute(query, [name, own]).fetchone():
        raise Refused("name-taken", f"name: a submission is called {name!r}; choose another name")


def same(
    connection: sqlite3.Connection, declared: Declared, weights_sha256: str | None, board: str
) -> Entry | None:
    """The same weights with the same declaration for the same board; without a sum, by their place."""
    gone = ", ".join(map(repr, GONE))
    rows = connection.execute(
        f"select * from submissions where name = ? and board = ? and state not in ({gone})",
        [declared.name, board],
    )
    # Where the weights came from and whom to ask are no part of what is scored.
    apart = {"contact"} if weights_sha256 is None else {"contact", "weights"}
    wanted = declared.model_dump(exclude=apart)
    for entry in map(entry_of, rows):
        if (
            weights_sha256 in (None, entry.weights_sha256)
            and entry.declared.model_dump(exclude=apart) == wanted
        ):
            return entry
    return None


def reached(connection: sqlite3.Connection, submission: str, now: float) -> None:
    """Notes when a submission was first being scored."""
    connection.execute(
        "update submissions set reached = coalesce(reached, ?) where id = ?", [now, submission]
    )


@dataclass(frozen=True)
class Counted:
    """The submissions of one state and reason.

    `since`: when the first of them came into the state; `heartbeat`: of a run, the one longest ago.
    """

    state: State
    reason: str
    count: int
    since: float
    heartbeat: float | None


def counted(connection: sqlite3.Connection) -> list[Counted]:
    """All submissions, counted; a reason that an earlier run left is none of one that goes on."""
    rows = connection.execute(
        """select state, iif(state in ('failed', 'rejected'), reason, '') as why, count(*),
            min(iif(state = 'queued', queued, updated)), min(heartbeat)
        from submissions group by state, why"""
    )
    return [Counted(*row) for row in rows]


def not_later(connection: sqlite3.Connection, now: float, limits: Limits) -> None:
    """After the machine's clock was set back, nothing is waited for longer than it ever is."""
    connection.execute(
        "update submissions set expires = ?1 where state = 'running' and expires > ?1", [now + limits.lease_s]
    )
    longest = limits.backoff_s * 4.0 ** min(limits.retries, 50)
    connection.execute(
        "update submissions set not_before = ?1 where state in ('received', 'queued') and not_before > ?1",
        [now + longest],
    )


def want_board(connection: sqlite3.Connection) -> None:
    connection.execute("update board set wanted = wanted + 1")


def put(connection: sqlite3.Connection, submission: str, now: float, more: dict[str, Any]) -> None:
    values = {"updated": now} | more
    named = ", ".join(f"{name} = ?" for name in values)
    connection.execute(f"update submissions set {named} where id = ?", [*values.values(), submission])


def note(
    connection: sqlite3.Connection,
    at: float,
    submission: str,
    source: State | None,
    target: State,
    actor: str,
    note: str = "",
) -> None:
    connection.execute(
        "insert into events values (?, ?, ?, ?, ?, ?)", [at, submission, source, target, actor, note]
    )
