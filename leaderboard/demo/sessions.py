"""The sessions of all who look: each has its own, found by a key that the browser's page has alone."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path

from leaderboard.demo.engine import Engine
from leaderboard.demo.samples import Samples
from leaderboard.demo.session import Session

#: Seconds between two looks for idle sessions.
_LOOK = 60.0

log = logging.getLogger(__name__)


class Sessions:
    """Sessions end when they are told to, when nobody used them for long, or for want of room.

    Args:
        folder: gives a new private folder.
        idle_s: seconds after which one that nobody uses ends.
        most, gigabytes: sessions, and bytes of what is open in them, that are held; those that waited longest
            go first.
    """

    def __init__(
        self,
        engine: Engine,
        samples: Samples,
        folder: Callable[[], Path],
        *,
        idle_s: float = 3600,
        most: int = 200,
        gigabytes: float = 4.0,
    ) -> None:
        self._engine, self._samples = engine, samples
        self._idle, self._most, self._bytes = idle_s, most, gigabytes * 1e9
        self._folder = folder
        self._lock = threading.Lock()
        self._held: OrderedDict[str, tuple[Session, float]] = OrderedDict()
        self._stop = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def of(self, key: str) -> Session:
        """The session of a key, a new one if there is none."""
        with self._lock:
            held = self._held.pop(key, None)
            session = held[0] if held else Session(self._engine, self._samples, self._folder)
            self._held[key] = session, time.monotonic()
            ended = self._superfluous()
        self._close(ended)
        return session

    def _close(self, ended: Iterable[Session]) -> None:
        """Each in a thread of its own: what one is still doing is nothing that others should wait for."""
        for one in ended:
            threading.Thread(target=one.close, daemon=True).start()

    def _watch(self) -> None:
        """Ends the idle ones, though nobody comes."""
        while not self._stop.wait(_LOOK):
            with self._lock:
                ended = self._superfluous(newest=True)
            self._close(ended)

    def _superfluous(self, newest: bool = False) -> list[Session]:
        """Takes out those that are idle or too many; the newest only if `newest`, and if it is idle."""
        now, found = time.monotonic(), []
        total = sum(session.nbytes for session, _ in self._held.values())
        while len(self._held) > (0 if newest else 1):
            key, (session, used) = next(iter(self._held.items()))
            many = len(self._held) > self._most or (total > self._bytes and len(self._held) > 1)
            if now - used < self._idle and not many:
                break
            total -= session.nbytes
            del self._held[key]
            found.append(session)
        if found:
            log.info("%d sessions of the demo ended", len(found))
        return found

    def end(self, key: str) -> None:
        """Ends a session, if there is one of this key."""
        with self._lock:
            held = self._held.pop(key, None)
        if held:
            held[0].close()

    def __len__(self) -> int:
        return len(self._held)

    def close(self) -> None:
        """Ends all."""
        self._stop.set()
        for key in list(self._held):
            self.end(key)
