"""All that a server does about submissions: takes them, gives them to workers, takes their scores."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cosmos1050k import locks, shards
from cosmos1050k.errors import InputError
from leaderboard.evaluate import SCORES
from leaderboard.machine import MEASURED
from leaderboard.store.read import BoardReader
from leaderboard.submissions import terms
from leaderboard.submissions.declared import Declared
from leaderboard.submissions.entry import Entry
from leaderboard.submissions.intake import Intake
from leaderboard.submissions.keeper import Keeper
from leaderboard.submissions.order import SPEAKS, Beat, Claim, Granted, Order, Report
from leaderboard.submissions.publishing import Places
from leaderboard.submissions.queue import Queue
from leaderboard.submissions.refusals import CODES
from leaderboard.submissions.score_folders import HIDDEN, ORPHANS, STAGING, ScoreFolders
from leaderboard.submissions.score_folders import SCORES as SCORED
from leaderboard.submissions.states import FINAL, TRANSITIONS, State
from leaderboard.submissions.table import NO_LEASE
from leaderboard.submissions.terms import Terms
from leaderboard.submissions.tokens import Tokens
from leaderboard.submissions.weights_folder import INCOMING, WEIGHTS

#: Held by the server that a folder of the state belongs to.
LOCK = ".server.lock"


@dataclass(frozen=True)
class Receipt:
    """What a submitter gets: the submission, its place in the queue if it waits, and whether it was there
    already."""

    entry: Entry
    place: int | None
    already: bool


class Desk:
    """One server's submissions. For many threads; of one folder of the state there is one at a time."""

    def __init__(
        self, state: Path, data: Path = shards.DATA, scores: Path = SCORES, measured: Path = MEASURED
    ) -> None:
        """Raises:
        InputError: another server has the folder, or it can't be written.
        """
        self._state, self._data = state, data
        self._held = _taken(state)
        self.queue, self.tokens = Queue(state), Tokens(state)
        self._intake, self._folders = Intake(self.queue, state), ScoreFolders(state)
        places = Places(state, data, scores, measured)
        self._keeper = Keeper(self.queue, self._intake, self._folders, places)
        self._reader = BoardReader(state)

    def start(self) -> None:
        """Starts the work in the background."""
        self._keeper.start()

    def close(self) -> None:
        self._keeper.close()
        self._held.close()

    def terms(self) -> Terms:
        """What submissions are scored on. Raises: InputError: none can be, and why."""
        return terms.read(self._state)

    # For submitters

    def submit(self, declared: Declared, identity: str, upload: Path | None) -> Receipt:
        """Takes a submission.

        Args:
            upload: a whole file of the caller's own, which is moved away; None: weights of the Hub.

        Raises:
            Refused: what is said or sent is wrong.
            InputError: this server takes none, or its disk is at fault.
        """
        given = self.terms()
        for slug, version in given.sources.items():
            if shards.load_manifest(self._data / slug).version != version:
                raise InputError(f"{self._data / slug}: of another version than the board; run `make repro`")
        entry, already = self._intake.take(declared, identity, given, upload)
        return Receipt(entry, self.queue.place(entry.id), already)

    def withdraw(self, submission: str, actor: str) -> Entry:
        """Ends a submission and removes its weights; its scores go before the next board is made.

        Raises:
            InputError: there is none, or it ended.
        """
        before = self._moved(submission, "withdrawn", actor, **NO_LEASE)
        self._intake.forget(before.tensors_sha256)
        return self.queue.get(submission)

    # For maintainers

    def requeue(self, submission: str, actor: str) -> Entry:
        """Queues one again that failed, or is on the board.

        Raises:
            InputError: there is none, or it is in another state.
        """
        clear: dict[str, Any] = {
            "reason": "",
            "message": "",
            "log": "",
            "retries": 0,
            "losses": 0,
            "not_before": 0,
        }
        if self.queue.get(submission).tensors_sha256 is None:
            raise InputError(f"{submission}: its weights were never here; submit it again")
        self._moved(submission, "queued", actor, sources="[]", **clear)
        return self.queue.get(submission)

    def requeue_stale(self, actor: str) -> list[Entry]:
        """Queues again what is on the board no longer, or not on all of its sources: for those alone."""
        left = self._reader.rows("select model, source from left_out")
        found = []
        for entry in self.queue.entries(states=["published"]):
            sources = [one["source"] for one in left if one["model"] == entry.name]
            if not sources or entry.hidden:
                continue
            wanted = [] if None in sources else sorted(set(sources))
            note = f"stale on {', '.join(wanted) or 'all sources'}"
            if self.queue.move(
                entry.id, "published", "queued", actor, note, sources=json.dumps(wanted), not_before=0
            ):
                found.append(self.queue.get(entry.id))
        return found

    def hide(self, submission: str, actor: str, hidden: bool) -> Entry:
        """Takes a submission off the board, or puts it back; its scores are kept.

        Raises:
            Unknown: there is none.
        """
        self.queue.note(submission, actor, "hidden" if hidden else "shown again", hidden=int(hidden))
        return self.queue.get(submission)

    # For workers

    def claim(self, claim: Claim) -> Granted | None:
        """Work for a worker, if any waits.

        Raises:
            InputError: it can't do this board's work.
        """
        if claim.speaks != SPEAKS:
            raise InputError("the worker is of another release than the server; install the same there")
        given = self.terms()
        for slug, version in given.sources.items():
            if (own := claim.sources.get(slug)) != version:
                what = "another version" if own else "not built"
                raise InputError(f"{slug}: {what} on the worker; run `cosmos build {slug}` there")
        if given.device not in claim.devices:
            raise InputError(
                f"the board computes on {given.device}, which the worker lacks; run one elsewhere"
            )
        lease = self.queue.claim(claim.worker, given.limits.lease_s, given.key, claim.bases)
        if lease is None:
            return None
        return Granted(lease=lease.id, lease_s=given.limits.lease_s, order=self._order(lease.entry, given))

    def weights(self, lease: str) -> Path:
        """The weights of the work under a lease. Raises: LeaseLost."""
        entry = self.queue.leased(lease)
        assert entry.tensors_sha256 is not None
        return self._intake.folder.path(entry.tensors_sha256)

    def beat(self, lease: str, beat: Beat) -> float:
        """A heartbeat; until when the work is the worker's. Raises: LeaseLost."""
        return self.queue.beat(lease, self.terms().limits.lease_s, beat.doing, beat.done, beat.total)

    def staging(self, lease: str, source: str) -> Path:
        """The file to write a source's scores to.

        Raises:
            LeaseLost.
            InputError: the source was not ordered.
        """
        entry = self.queue.leased(lease)
        if source not in self._order(entry, self.terms()).only:
            raise InputError(f"{source[:60]!r}: not a source of this work")
        return self._folders.staging(entry) / f"{source}.parquet"

    def hand_in(self, lease: str, manifest: bytes) -> Entry:
        """Takes a run's scores, all or none.

        Raises:
            LeaseLost.
            InputError: they are not what was ordered.
        """
        entry = self.queue.leased(lease)
        self._folders.check(entry, self._order(entry, self.terms()), manifest)
        return self.queue.end_run(lease, "scored", staged=1, reason="", message="", log="")

    def report(self, lease: str, report: Report) -> Entry:
        """Takes note that a run gave no scores. Raises: LeaseLost."""
        message = " ".join(report.message.split())
        if report.kind == "model" and report.code in CODES:
            said = {"reason": report.code, "message": message, "log": report.log}
            # One that has scores keeps them, its name, and the way to be scored again.
            target: State = "failed" if self.queue.leased(lease).placed else "rejected"
            entry = self.queue.end_run(lease, target, message, **said)
            if target == "rejected":
                self._intake.forget(entry.tensors_sha256)
            return entry
        return self.queue.fail_run(lease, self.terms().limits, report.code, message, report.log)

    # For who keeps the server

    def disk(self) -> dict[str, int]:
        """Bytes on the disk, per folder of the state."""
        kinds = (WEIGHTS, INCOMING, SCORED, HIDDEN, STAGING, ORPHANS, "boards")
        return {kind: _bytes(self._state / kind) for kind in kinds}

    def _order(self, entry: Entry, given: Terms) -> Order:
        return Order.of(entry, given, self._folders.missing(entry, given, entry.sources))

    def _moved(self, submission: str, target: State, actor: str, **more: Any) -> Entry:
        """Moves a submission from whatever state there is a way from; returns it as it was.

        Raises:
            InputError: there is none.
        """
        while True:
            entry = self.queue.get(submission)
            busy = target == "queued" and entry.state not in FINAL
            if busy or target not in TRANSITIONS[entry.state]:
                raise InputError(f"{submission}: it is {entry.state}, from where it can't be {target}")
            if self.queue.move(submission, entry.state, target, actor, **more):
                return entry


def _taken(state: Path) -> IO[str]:
    """Holds the folder for this process, until it ends."""
    try:
        state.mkdir(parents=True, exist_ok=True)
        held = (state / LOCK).open("a")
    except OSError as error:
        raise InputError(f"{state}: can't be written ({error.strerror}); mend it") from None
    try:
        locks.take(held, f"{state}: another server takes the submissions of this folder")
    except InputError:
        held.close()
        raise
    return held


def _bytes(folder: Path) -> int:
    return sum(_size(path) for path in folder.rglob("*"))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:  # removed meanwhile
        return 0
