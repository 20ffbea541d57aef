"""What goes on while the server runs: checks what arrived, takes back what was lost, publishes scores."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cosmos1050k.errors import InputError
from leaderboard.submissions import terms
from leaderboard.submissions.entry import Entry
from leaderboard.submissions.intake import Intake
from leaderboard.submissions.publishing import Places, published
from leaderboard.submissions.queue import Queue
from leaderboard.submissions.score_folders import ScoreFolders
from leaderboard.submissions.terms import Limits, Terms

#: Seconds between two looks, and after a fault of our own.
_EVERY_S, _AFTER_FAULT_S = 0.5, 10.0
#: Seconds that are waited for a step to end.
_CLOSE_S = 3.0

log = logging.getLogger(__name__)


class Keeper:
    """Threads that fetch and check, take back, and publish. Each step may be done twice."""

    def __init__(self, queue: Queue, intake: Intake, folders: ScoreFolders, places: Places) -> None:
        self._queue, self._intake, self._folders, self._places = queue, intake, folders, places
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._until_end, args=(step,), name=step.__name__, daemon=True)
            for step in (self.check, self.reap, self.keep)
        ]

    def start(self) -> None:
        try:
            limits = terms.read(self._places.state).limits
        except InputError:  # nothing can be scored yet
            limits = Limits()
        self._queue.recover(limits)
        self._intake.sweep()
        if self._folders.arrange(self._queue.entries()):
            self._queue.want_board()
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._ending.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_CLOSE_S)

    def check(self) -> None:
        """Fetches and checks what arrived, the oldest first."""
        for entry in reversed(self._queue.entries(states=["received"])):
            if self._ending.is_set():
                return
            if entry.not_before <= self._queue.clock():
                self._intake.validate(entry, terms.read(self._places.state))

    def reap(self) -> None:
        """Takes back what was lost."""
        self._queue.reap(terms.read(self._places.state).limits)

    def keep(self) -> None:
        """Puts scores in place, and publishes them."""
        given = terms.read(self._places.state)
        wanted = self._queue.board_wanted()
        scored = self._queue.entries(states=["scored"])
        if not wanted and not scored:
            return
        self._folders.arrange(self._queue.entries())
        scored = [entry for entry in scored if self._settled(entry, given)]
        if not wanted and not scored:
            return
        left = published(self._places)
        if terms.read(self._places.state) != given:  # the board may be of either
            self._queue.want_board()
        self._queue.board_made(wanted)
        for entry in scored:
            own = [one for one in left if one.model == entry.name and not entry.hidden]
            if len({one.source for one in own}) == len(given.sources) or any(not one.source for one in own):
                # What the board advises is for models that nobody submitted.
                problem = str(replace(own[0], command=""))
                said = {"reason": "not-on-board", "message": problem}
                self._queue.move(entry.id, "scored", "failed", "app", problem, **said)
            else:
                clear: dict[str, Any] = dict.fromkeys(("retries", "losses"), 0)
                clear |= {"reason": "", "message": "", "sources": "[]"}
                self._queue.move(entry.id, "scored", "published", "app", **clear)

    def _settled(self, entry: Entry, given: Terms) -> bool:
        """Puts a run's scores in place; one that can't be does not keep the others waiting."""
        if not entry.staged:
            return True
        try:
            self._folders.settle(entry)
        except InputError as error:
            self._queue.lost_scores(entry, given.limits, str(error))
            return False
        except OSError as error:
            log.warning("submission %s: its scores can't be put in place yet: %s", entry.id, error)
            return False
        self._queue.note(entry.id, "app", "its scores are in place", staged=0, placed=1)
        self._folders.settled(entry)
        return True

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
