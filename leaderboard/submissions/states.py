"""The states of a submission and the ways between them; no others exist."""

from collections.abc import Mapping
from typing import Literal, get_args

State = Literal[
    "received", "validating", "queued", "running", "scored", "published", "rejected", "failed", "withdrawn"
]
STATES: tuple[State, ...] = get_args(State)

TRANSITIONS: Mapping[State, tuple[State, ...]] = {
    "received": ("validating", "rejected", "withdrawn"),
    # Back to the state before where who did the work vanished.
    "validating": ("queued", "received", "rejected", "failed", "withdrawn"),
    "queued": ("running", "withdrawn"),
    "running": ("scored", "queued", "rejected", "failed", "withdrawn"),
    "scored": ("published", "queued", "failed", "withdrawn"),
    # Scores that a new version of a source or of the protocol made stale.
    "published": ("queued", "withdrawn"),
    "failed": ("queued", "withdrawn"),
    "rejected": (),
    "withdrawn": (),
}
#: No way leads on: nothing of it is kept.
CLOSED: tuple[State, ...] = tuple(state for state in STATES if not TRANSITIONS[state])
#: Nobody works on it, and nobody will unless somebody asks.
FINAL: tuple[State, ...] = ("published", "rejected", "failed", "withdrawn")

#: What each means to who waits.
MEANINGS: Mapping[State, str] = {
    "received": "it arrived, and is to be checked",
    "validating": "its weights are fetched and checked",
    "queued": "it waits for a worker",
    "running": "a worker scores it",
    "scored": "its scores are here, and the board is made anew",
    "published": "it is on the board",
    "rejected": "it was refused; the reason says why",
    "failed": "we could not score it; the reason says why",
    "withdrawn": "it was taken back",
}
