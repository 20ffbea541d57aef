"""What the routes on submissions answer. Times are seconds since 1970; units stand with each field."""

from typing import Annotated

from pydantic import Field

from app.api_models import Answer, Refusal
from app.api_refusals import CODES
from leaderboard.contamination import TrainedOn
from leaderboard.models.base import StrategyName
from leaderboard.submissions.declared import Architecture, HubWeights, Part
from leaderboard.submissions.states import State

Owners = Annotated[str | None, Field(description="Shown to its owner and to admins alone; null: not shown")]
Sum = Annotated[str | None, Field(description="SHA-256; null: not yet checked")]
Time = Annotated[float, Field(description="Seconds since 1970")]


class CodedRefusal(Refusal):
    """Why it is refused, and what to do."""

    code: str = Field(description=f"For programs: {', '.join(CODES)}; empty: ask again later")


class Receipt(Answer):
    """What a submitter gets."""

    id: str
    state: State
    place: int | None = Field(description="In the queue, 1 is next; null: it does not wait")
    page: str = Field(description="Of the app, from its root: follows the submission to its end")
    already: bool = Field(description="The same was submitted before, and this is it")


class Submission(Answer):
    """A submission as everybody sees it."""

    id: str
    name: str
    architecture: Architecture
    state: State
    place: int | None = Field(description="In the queue, 1 is next; null: it does not wait")
    reason: str = Field(description="Why it ended, a code; empty: it did not, or well")
    message: str = Field(description="The same in a line")
    worker: str = Field(description="Who scores it, or did last; empty: nobody yet")
    heartbeat: float | None = Field(description="The worker's last, seconds since 1970")
    doing: str = Field(description="What the worker does now")
    done: int = Field(description="Parts of it that are done")
    total: int = Field(description="Parts of it; 0: unknown")
    created: Time
    updated: Time
    hidden: bool = Field(description="From all but its owner and admins")
    identity: Owners


class Submissions(Answer):
    """Submissions, the newest first."""

    submissions: list[Submission]


class Declaration(Answer):
    """What its submitter says of the model."""

    name: str
    architecture: Architecture
    preprocessing: str
    candidates: int = Field(description="Masks per prompt")
    made_for: list[StrategyName] = Field(description="The prompts that it was trained for")
    description: str
    trained_on: TrainedOn = Field(
        description="Of each source: none, its split train, all, or unknown; and of the others"
    )
    licence: str
    link: str = Field(description="http or https; empty: none")
    contact: Owners
    weights: HubWeights | None = Field(description="Where they are on the Hub; null: they were sent along")


class Event(Answer):
    """Something that happened to a submission."""

    at: Time
    source: State | None = Field(description="The state before; null: there was none")
    target: State = Field(description="The state after")
    actor: Owners
    note: str


class SubmissionPage(Submission):
    """All that is kept of a submission."""

    declaration: Declaration
    part: Part | None = Field(description="Of the model, what its file holds; null: not yet checked")
    bytes: int = Field(description="Of its file; 0: not yet checked")
    weights_sha256: Sum
    tensors_sha256: Sum
    file_sha256: Sum
    retries: int = Field(description="Runs that failed by no fault of its own")
    losses: int = Field(description="Workers that vanished with it")
    log: str = Field(description="The end of what its run wrote")
    transitions: list[Event] = Field(description="In order")


class Expires(Answer):
    """Until when the work is the worker's."""

    expires: Time


class Ended(Answer):
    """What became of the submission."""

    state: State
