"""Scores a share of a submission's rows again, on the server's machine, in a cage as its worker did.

The module is also the command in that cage: `python -m leaderboard.submissions.verifying SCORES SHARE`.
"""

import logging
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from cosmos1050k.errors import InputError
from leaderboard import verify
from leaderboard.submissions import sandbox, terms, workspace
from leaderboard.submissions.entry import Entry
from leaderboard.submissions.order import Order
from leaderboard.submissions.queue import Queue
from leaderboard.submissions.sandbox import Ended
from leaderboard.submissions.score_folders import ScoreFolders
from leaderboard.submissions.terms import Terms
from leaderboard.submissions.tokens import Tokens
from leaderboard.submissions.weights_folder import WeightsFolder
from leaderboard.verify import Verification

#: In the workspace.
_FOUND = Path("out/verified.json")


def verified(
    submission: str,
    state: Path,
    data: Path,
    token: str,
    *,
    share: float,
    folder: Path = verify.VERIFIED,
    tick: Callable[[], None] = lambda: None,
) -> tuple[Verification, Path]:
    """Scores some of a submission's rows again; what was found goes onto the next board and is noted.

    Args:
        token: an admin's.
        share: of the rows, as in `verify.verify`.
        folder: where what is verified lies.

    Returns:
        What was found, and its file.

    Raises:
        InputError: the token is no admin's, there are no such scores, or they can't be made again.
    """
    actor = Tokens(state).check(token)
    if actor.role != "admin":
        raise InputError(f"the token is a {actor.role}'s; an admin's is needed")
    queue = Queue(state)
    entry, given = queue.get(submission), terms.read(state)
    scores = _scores(state, entry, given)
    with tempfile.TemporaryDirectory(prefix="cosmos-", ignore_cleanup_errors=True) as root:
        Path(root).chmod(0o755)
        own = _prepared(Path(root), state, data, entry, given)
        shutil.copytree(scores, own / scores.name)
        command = [sys.executable, "-P", "-m", __name__, scores.name, str(share)]
        ended = sandbox.run(command, own, given.limits, tick, reads=[data], writes=workspace.WRITES)
        if ended.code or ended.reason:
            raise InputError(f"{entry.id}: can't be scored again: {_why(ended, entry)}")
        try:
            found = Verification.model_validate_json((own / _FOUND).read_bytes())
        except (OSError, ValidationError):
            raise InputError(f"{entry.id}: its second scores got lost; verify it again") from None
    said = "verified" if found.held else "not held"
    queue.note(entry.id, actor.name, f"{said}: {found.rows} rows, DICE at most {found.largest:.2e} off")
    path = verify.write(found, folder)
    queue.want_board()
    return found, path


def _why(ended: Ended, entry: Entry) -> str:
    """Why the command made nothing; its own advice is for models that nobody submitted."""
    if ended.reason in ("time", "memory"):
        what = "longer" if ended.reason == "time" else "more memory"
        return f"it took {what} than a run may"
    said = next((text for text in reversed(ended.log.splitlines()) if text.strip()), "")
    own = f"cosmos submissions requeue {entry.id}"
    last = said.removeprefix("error: ").replace(f"cosmos evaluate --model {entry.record.name}", own)
    return last or f"it ended with status {ended.code}"


def _scores(state: Path, entry: Entry, given: Terms) -> Path:
    """The folder of a submission's scores that fit the board.

    Raises:
        InputError: there is none.
    """
    if (path := ScoreFolders(state).fitting(entry, given)) is not None:
        return path
    raise InputError(
        f"{entry.id}: it is {entry.state}, and has no scores of the present board; wait for them"
    )


def _prepared(root: Path, state: Path, data: Path, entry: Entry, given: Terms) -> Path:
    order = Order.of(entry, given, tuple(given.sources))
    assert entry.tensors_sha256 is not None
    file = WeightsFolder(state).path(entry.tensors_sha256)
    return workspace.prepare(root, workspace.Job(order=order, data=data.absolute()), file)


def main() -> None:
    """What the command does, in a workspace."""
    logging.basicConfig(format="%(levelname)s: %(message)s")
    job, scores, share = workspace.job_of(Path()), Path(sys.argv[1]), float(sys.argv[2])
    try:
        found = verify.verify(
            job.order.record.name,
            job.data,
            scores,
            protocol_version=job.order.protocol_version,
            share=share,
            options=job.order.evaluate,
        )
    except InputError as error:
        sys.exit(f"error: {error}")
    _FOUND.write_text(found.model_dump_json())


if __name__ == "__main__":
    main()
