"""What is expensive to make is made once, however many threads ask, and the last used is kept."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Remembered(Generic[Key, Value]):
    """Things by their keys, in bounded room.

    Args:
        limit: what all that is kept may measure together; what alone is larger is not kept.
        measure: of one thing.
    """

    def __init__(self, limit: float, measure: Callable[[Value], float] = lambda _: 1) -> None:
        self._limit, self._measure = limit, measure
        self._kept: OrderedDict[Key, Value] = OrderedDict()
        self._making: dict[Key, Future[Value]] = {}
        self._lock = threading.Lock()
        self.held: float = 0

    def __contains__(self, key: Key) -> bool:
        with self._lock:
            return key in self._kept

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """What is kept, or what `make` gives; whoever waits for it gets its error too."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            awaited = self._making.get(key)
            made: Future[Value] = self._making.setdefault(key, Future())
        if awaited is not None:
            return awaited.result()
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                del self._making[key]
            made.set_exception(error)
            raise
        with self._lock:
            self._keep(key, value)
            del self._making[key]
        made.set_result(value)
        return value

    def _keep(self, key: Key, value: Value) -> None:
        self._kept[key] = value
        self.held += self._measure(value)
        while self.held > self._limit:
            _, oldest = self._kept.popitem(last=False)
            self.held -= self._measure(oldest)
