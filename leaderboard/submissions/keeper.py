"""What goes on while the server runs: checks what arrived, takes back what was lost, publishes scores."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from cosmos1050k.errors import InputError
from leaderboard.submissions import terms
from leaderboard.submissions.entry import Entry
from leaderboard.submissions.intake import Intake
from leaderboard.submissions.publishing import Places, published
from leaderboard.submissions.queue import Queue
from leaderboard.submissions.score_folders import ScoreFolders

#: Seconds between two looks, and after a fault of our own.
_EVERY_S, _AFTER_FAULT_S = 0.5, 10.0

log = logging.getLogger(__name__)


class Keeper:
    """Two threads: one fetches and checks, one takes back and publishes. Each step may be done twice."""

    def __init__(self, queue: Queue, intake: Intake, folders: ScoreFolders, places: Places) -> None:
        self._queue, self._intake, self._folders, self._places = queue, intake, folders, places
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._until_end, args=(step,), name=step.__name__, daemon=True)
            for step in (self.check, self.keep)
        ]

    def start(self) -> None:
        self._queue.recover()
        self._intake.sweep()
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._ending.set()

    def check(self) -> None:
        """Fetches and checks what arrived, the oldest first."""
        for entry in reversed(self._queue.entries(states=["received"])):
            if self._ending.is_set():
                return
            self._intake.validate(entry, terms.read(self._places.state))

    def keep(self) -> None:
        """Takes back what was lost, puts scores in place, and publishes them."""
        given = terms.read(self._places.state)
        self._queue.reap(given.limits)
        wanted = self._queue.board_wanted()
        scored = self._queue.entries(states=["scored"])
        for entry in scored:
            if entry.staged:
                self._settle(entry)
        if not wanted and not scored:
            return
        left = published(self._places)
        self._queue.board_made(wanted)
        for entry in scored:
            own = [one for one in left if one.model == entry.name and not entry.hidden]
            if len({one.source for one in own}) == len(given.sources) or any(not one.source for one in own):
                said = {"reason": "not-on-board", "message": str(own[0])}
                self._queue.move(entry.id, "scored", "failed", "app", str(own[0]), **said)
            else:
                clear: dict[str, Any] = {
                    "reason": "",
                    "message": "",
                    "sources": "[]",
                    "retries": 0,
                    "losses": 0,
                }
                self._queue.move(entry.id, "scored", "published", "app", **clear)

    def _settle(self, entry: Entry) -> None:
        self._folders.settle(entry)
        self._queue.note(entry.id, "app", "its scores are in place", staged="")
        self._folders.settled(entry)
        if self._queue.get(entry.id).state == "withdrawn":  # meanwhile
            self._folders.remove(entry)

    def _until_end(self, step: Callable[[], None]) -> None:
        said = ""
        while not self._ending.is_set():
            try:
                step()
                said = ""
                self._ending.wait(_EVERY_S)
                continue
            except InputError as error:
                if str(error) != said:
                    log.warning("submissions: %s", error)
                said = str(error)
            except Exception:
                log.exception("submissions: a fault of the program; trying again")
            self._ending.wait(_AFTER_FAULT_S)
