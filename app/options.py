"""How the app is run: which folders it shows, what it may be sent, what a Hugging Face Space changes."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cosmos1050k import shards
from cosmos1050k.disk import replace_text
from cosmos1050k.errors import InputError
from leaderboard.store.publish import CURRENT, STATE, publish
from leaderboard.submissions import terms
from leaderboard.submissions.queue import Queue
from leaderboard.submissions.terms import TERMS

MEGABYTE = 1_000_000
READ_ONLY = (
    "This Space has no persistent storage, so it is read-only: it shows the board and lets you try the "
    "models, and keeps nothing."
)
#: Where a Space has its persistent storage, if it has any.
_SPACE_STORAGE = Path("/data")


@dataclass(frozen=True)
class Options:
    """What the app is started with.

    `state`: the folder of the published boards; `data`: of the built sources; `private`: also pictures of
    sources that may not be redistributed are shown. `root_path`: the path that a proxy puts the app under.
    `read_only`: nothing is written to `state`; `notice` is what every page says of that. `workers`: so many
    processes on this machine score what is submitted. `metrics_port`: where Prometheus on this
    machine asks; 0: nowhere.
    """

    state: Path = STATE
    data: Path = shards.DATA
    private: bool = False
    max_upload_bytes: int = 512 * MEGABYTE
    root_path: str = ""
    read_only: bool = False
    notice: str = ""
    workers: int = 0
    metrics_port: int = 0


def in_space(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a Hugging Face Space runs this."""
    return bool(environ.get("SPACE_ID"))


def signs_in(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether people sign in at Hugging Face: in a Space whose `README.md` says `hf_oauth: true`."""
    return in_space(environ) and bool(environ.get("OAUTH_CLIENT_ID"))


def for_space(options: Options, storage: Path = _SPACE_STORAGE) -> Options:
    """The options in a Space: boards live in its persistent storage; without that, nothing is written.

    A storage that has no board yet, or one of other terms than those that came with the Space's files, gets
    the board and the terms that came with them.

    Raises:
        InputError: what came with them can't be read.
    """
    if not (storage.is_dir() and os.access(storage, os.W_OK)):
        return replace(options, read_only=True, notice=READ_ONLY)
    state, given = storage / "state", options.state / "boards" / CURRENT
    came, own = options.state / TERMS, state / TERMS
    told = came.read_bytes() if came.exists() else None
    other = told is not None and not (own.exists() and own.read_bytes() == told)
    if given.exists() and (other or not (state / "boards" / CURRENT).exists()):
        if told is not None:
            terms.read(options.state)  # damaged ones are not followed
        publish(given.resolve(), state)
        if told is not None:
            _want_submitted(state)
            replace_text(own, told.decode())  # the last: who is stopped before that does it all again
    return replace(options, state=state)


def _want_submitted(state: Path) -> None:
    """Has the board made anew with what was submitted here, which the one that came with the files lacks."""
    queue = Queue(state)
    if queue.entries(states=["published"], limit=1):
        queue.want_board()


def host_and_port(environ: Mapping[str, str] = os.environ) -> tuple[str, int]:
    """Where to listen, if nobody says: in a Space where its proxy asks, else on this machine alone.

    Raises:
        InputError: the port that the environment names is no number.
    """
    if not in_space(environ):
        return "127.0.0.1", 7860
    port = environ.get("GRADIO_SERVER_PORT", "7860")
    if not port.isdecimal():
        raise InputError(f"GRADIO_SERVER_PORT is {port!r}; set it to a port's number")
    return "0.0.0.0", int(port)
