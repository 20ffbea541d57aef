"""What a maintainer, or a submitter who looks after a model, asks of the platform's server."""

from typing import Literal
from urllib.parse import quote, urlencode

from pydantic import BaseModel

from leaderboard.submissions.client import Seen
from leaderboard.submissions.connection import Server
from leaderboard.submissions.states import State

Action = Literal["withdraw", "requeue", "hide", "unhide"]


class Listed(Seen):
    """A submission as lists show it; times are seconds since 1970."""

    name: str
    architecture: str
    heartbeat: float | None = None
    hidden: bool = False


class Happened(BaseModel):
    """Something that happened to a submission."""

    at: float
    source: State | None = None
    target: State
    actor: str | None = None
    note: str = ""


class Shown(Listed):
    """All that is told of a submission."""

    transitions: list[Happened]


class _Several(BaseModel):
    submissions: list[Listed]


class Managing(Server):
    """The requests; each raises an `InputError` if it is refused, or nobody answers."""

    def listed(self, states: list[str], mine: bool, limit: int) -> list[Listed]:
        """Submissions, the newest first; in these states, or all."""
        asked = urlencode({"state": states, "mine": str(mine).lower(), "limit": limit}, doseq=True)
        return self.read(_Several, self.ask("GET", f"submissions?{asked}")).submissions

    def shown(self, submission: str) -> Shown:
        return self.read(Shown, self.ask("GET", f"submissions/{quote(submission, safe='')}"))

    def act(self, submission: str, action: Action) -> Listed:
        """Withdraws, requeues, hides or shows again; returns the submission as it is then."""
        path = f"submissions/{quote(submission, safe='')}/{action}"
        return self.read(Listed, self.ask("POST", path))

    def requeue_stale(self) -> list[Listed]:
        """Queues all that is on the board no longer, or not on all of its sources."""
        return self.read(_Several, self.ask("POST", "submissions/requeue-stale")).submissions
