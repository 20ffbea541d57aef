"""Takes submissions in: weights sent along are checked at once, those of the Hub in the background."""

import secrets
import threading
from pathlib import Path
from typing import Any

from cosmos1050k.errors import InputError
from leaderboard import models
from leaderboard.submissions import hub
from leaderboard.submissions.checkpoint import Checked, check
from leaderboard.submissions.declared import Declared
from leaderboard.submissions.entry import Entry
from leaderboard.submissions.queue import Queue
from leaderboard.submissions.refusals import Refused
from leaderboard.submissions.terms import Terms
from leaderboard.submissions.weights_folder import WeightsFolder

#: Files that are read and checked at once.
_AT_ONCE = 2
#: Seconds that fetching and checking may take.
_CHECK_S = 24 * 3600.0


class Intake:
    """What stands between a submitter and the queue."""

    def __init__(self, queue: Queue, state: Path) -> None:
        self._queue, self.folder = queue, WeightsFolder(state)
        self._turn = threading.BoundedSemaphore(_AT_ONCE)
        #: Held while a file of weights is taken in or forgotten.
        self._lock = threading.Lock()

    def take(
        self, declared: Declared, identity: str, terms: Terms, upload: Path | None
    ) -> tuple[Entry, bool]:
        """A new submission; of one that is there already, that one and True.

        Args:
            upload: a whole file of this call's own, which is moved away; None: weights of the Hub.

        Raises:
            Refused: what is said or sent is wrong.
            InputError: the disk is at fault.
        """
        if declared.name in models.names() or declared.name in terms.models:
            raise Refused(
                "name-taken",
                f"name: a model of the platform is called {declared.name!r}; choose another name",
            )
        if upload is None:
            if declared.weights is None:
                raise Refused("declaration", "weights: send a file along, or name a repository of the Hub")
            where = hub.pinned(declared.weights, terms.limits.most_bytes)
            declared = declared.model_copy(update={"weights": where})
            return self._queue.add(declared, identity, terms.key, terms.limits)
        if declared.weights is not None:
            raise Refused(
                "declaration", "weights: a repository is named and a file sent along; give one of them"
            )
        file = self.folder.receive(upload, f"upload-{secrets.token_hex(8)}")
        try:
            with self._turn:
                found = check(file, declared.network, terms.limits.most_bytes)
            return self._add(declared, identity, terms, file, found)
        finally:
            file.unlink(missing_ok=True)

    def _add(
        self, declared: Declared, identity: str, terms: Terms, file: Path, found: Checked
    ) -> tuple[Entry, bool]:
        sums = _sums(declared, found)
        with self._lock:
            if same := self._queue.same(declared, sums["weights_sha256"], terms.key):
                return same, True
            self.folder.keep(file, found.tensors_sha256)
            try:
                return self._queue.add(declared, identity, terms.key, terms.limits, sums)
            except Refused:
                self._forget(found.tensors_sha256)
                raise

    def validate(self, entry: Entry, terms: Terms) -> None:
        """Fetches and checks the weights of a submission that was received."""
        clock = self._queue.clock
        if not self._queue.move(entry.id, "received", "validating", "app", expires=clock() + _CHECK_S):
            return
        assert entry.declared.weights is not None, "what was sent along was checked when it came"
        file = self.folder.incoming(entry.id)
        try:
            hub.fetch(entry.declared.weights, file, terms.limits.most_bytes)
            found = check(file, entry.declared.network, terms.limits.most_bytes)
            sums = _sums(entry.declared, found)
            with self._lock:
                if same := self._queue.same(entry.declared, sums["weights_sha256"], terms.key):
                    raise Refused("duplicate", f"the same as submission {same.id}; follow that one")
                self.folder.keep(file, found.tensors_sha256)
                clear: dict[str, Any] = {"reason": "", "message": "", "retries": 0, "not_before": 0}
                done = self._queue.move(
                    entry.id, "validating", "queued", "app", expires=None, **sums, **clear
                )
                if not done:  # withdrawn meanwhile
                    self._forget(found.tensors_sha256)
        except Refused as error:
            said = {"reason": error.code, "message": str(error), "expires": None}
            self._queue.move(entry.id, "validating", "rejected", "app", str(error), **said)
            file.unlink(missing_ok=True)
        except (InputError, OSError) as error:
            problem = " ".join(str(error).split())[:500]
            self._queue.check_later(entry, terms.limits, "hub", problem)
        except BaseException:
            self._queue.move(
                entry.id, "validating", "received", "app", "a fault of the program", expires=None
            )
            raise

    def forget(self, tensors_sha256: str | None) -> None:
        """Removes a file of weights that no submission needs any more."""
        if tensors_sha256:
            with self._lock:
                self._forget(tensors_sha256)

    def sweep(self) -> None:
        with self._lock:
            self.folder.sweep(self._queue.uses)

    def _forget(self, tensors_sha256: str) -> None:
        if not self._queue.uses(tensors_sha256):
            self.folder.path(tensors_sha256).unlink(missing_ok=True)


def _sums(declared: Declared, found: Checked) -> dict[str, Any]:
    record = declared.record(found.part, found.file_sha256, found.tensors_sha256)
    return {
        "part": found.part,
        "weights_sha256": record.weights_sha256,
        "tensors_sha256": found.tensors_sha256,
        "file_sha256": found.file_sha256,
        "bytes": found.bytes,
        "base": declared.base if found.part == "mask_decoder" else "",
    }
