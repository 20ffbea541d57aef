"""Answers that are kept, so that many who ask the same cost one question."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class Memory:
    """The last answers, `size` of them at most. For many threads: who asks what is being made waits."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Future[Any]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable, make: Callable[[], Answer]) -> Answer:
        """What `make` returned for the key. What it raises is raised to all who wait, and not kept."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None:
                own: Future[Any] = Future()
                self._kept[key] = own
                while len(self._kept) > self._size:
                    self._kept.popitem(last=False)
            else:
                self._kept.move_to_end(key)
        if kept is not None:
            return kept.result()
        try:
            answer = make()
        except BaseException as error:
            self._drop(key, own)
            own.set_exception(error)
            raise
        own.set_result(answer)
        return answer

    def _drop(self, key: Hashable, own: Future[Any]) -> None:
        with self._lock:
            if self._kept.get(key) is own:
                del self._kept[key]
