"""A submission as the queue holds it, and what happened to it."""

from dataclasses import dataclass

from cosmos1050k.errors import InputError
from leaderboard.finetuned import Finetuned
from leaderboard.submissions.declared import Declared, Part
from leaderboard.submissions.states import State


class Unknown(InputError):
    """No submission has this id."""


class Trouble(InputError):
    """The queue can't be used now: it is locked, full or damaged."""


class LeaseLost(InputError):
    """The work is no longer this worker's: it was silent too long, or the submission ended."""


@dataclass(frozen=True)
class Entry:
    """A submission.

    `identity`: whose; `reason`: why it ended, a code; `message`: the same in a line; `log`: the end of what
    its run wrote. `part`, the three sums and `bytes` are of its weights, known once they were checked.
    `board`: the terms' key of its last run; `sources`: those to score, all if empty. Times are seconds since
    1970. `retries`: runs that failed by no fault of its own; `losses`: workers that vanished with it.
    `doing`, `done`, `total`: how far the run is. `staged`: its scores are gathered, and yet to be put in
    place; `placed`: scores of it are in place, of this run or of one before.
    """

    id: str
    number: int
    identity: str
    declared: Declared
    state: State
    reason: str
    message: str
    log: str
    part: Part | None
    weights_sha256: str | None
    tensors_sha256: str | None
    file_sha256: str | None
    bytes: int
    board: str
    sources: tuple[str, ...]
    created: float
    updated: float
    not_before: float
    retries: int
    losses: int
    worker: str
    heartbeat: float | None
    expires: float | None
    doing: str
    done: int
    total: int
    hidden: bool
    staged: bool
    placed: bool

    @property
    def name(self) -> str:
        return self.declared.name

    @property
    def record(self) -> Finetuned:
        """The model as a worker scores it; only of one whose weights were checked."""
        assert self.part is not None
        assert self.file_sha256 is not None
        assert self.tensors_sha256 is not None
        return self.declared.record(self.part, self.file_sha256, self.tensors_sha256)


@dataclass(frozen=True)
class Event:
    """Something that happened to a submission; `source` and `target` are equal where its state stayed."""

    at: float
    source: State | None
    target: State
    actor: str
    note: str


@dataclass(frozen=True)
class Lease:
    """Work that is one worker's until `expires`; who knows `id` may hand it in."""

    id: str
    expires: float
    entry: Entry
