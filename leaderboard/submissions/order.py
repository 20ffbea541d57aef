"""What server and worker say to each other: work that is asked for, given, done and not done."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from leaderboard.evaluate import BoardRows, EvaluateOptions
from leaderboard.finetuned import Finetuned
from leaderboard.machine import Device
from leaderboard.submissions.entry import Entry
from leaderboard.submissions.terms import Limits, Terms

#: Of what server and worker say to each other; a change of these records needs a new number.
SPEAKS = 1


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Order(_Said):
    """A submission to score.

    Args:
        submission: its id.
        weights_bytes, weights_sha256: of the file of its weights.
        sources: slug → version, all of the board: together they decide which cases are on it.
        only: those of them to score.
    """

    submission: str = Field(pattern="^[a-z0-9]{1,32}$")
    record: Finetuned
    weights_bytes: int
    weights_sha256: str
    sources: dict[str, str]
    only: tuple[str, ...]
    protocol_version: int
    evaluate: EvaluateOptions
    board_rows: BoardRows
    limits: Limits

    @classmethod
    def of(cls, entry: Entry, given: Terms, only: tuple[str, ...]) -> Self:
        """What is to be scored of a submission whose weights were checked, as the board has it."""
        assert entry.file_sha256 is not None
        return cls(
            submission=entry.id,
            record=entry.record,
            weights_bytes=entry.bytes,
            weights_sha256=entry.file_sha256,
            sources=given.sources,
            only=only,
            protocol_version=given.protocol_version,
            evaluate=given.evaluate.model_copy(update={"device": given.device}),
            board_rows=given.board_rows,
            limits=given.limits,
        )


class Claim(_Said):
    """A worker asks for work. One of another release can be read, too: it is told so, by `speaks`.

    Args:
        worker: its name, as the queue shows it.
        devices: what it can compute on.
        sources: slug → version of those built there.
        bases: the models whose weights lie there, for mask decoders to stand on.
        speaks: the number of the records that it knows.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)
    worker: str = Field(pattern=r"^[\w.@ -]{1,64}$")
    devices: tuple[Device, ...]
    sources: dict[str, str]
    bases: tuple[str, ...] = ()
    speaks: int = SPEAKS


class Granted(_Said):
    """Work, and for how many seconds it is the worker's without a heartbeat."""

    lease: str
    lease_s: float
    order: Order


class Beat(_Said):
    """A heartbeat: what is being done, and `done` of `total` parts of it."""

    doing: str = Field(default="", max_length=100)
    done: int = Field(default=0, ge=0, lt=2**53)
    total: int = Field(default=0, ge=0, lt=2**53)


class Report(_Said):
    """A run without scores: by the model's fault, with a code of `refusals`, or by ours."""

    kind: Literal["model", "ours"]
    code: str = Field(max_length=40)
    message: str = Field(max_length=1000)
    log: str = Field(default="", max_length=20_000)
