"""What is made once and kept: the bound, the order, many threads, and what fails."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos1050k.errors import InputError
from leaderboard.remembered import Remembered


@given(st.lists(st.integers(0, 6), max_size=40))
def test_the_last_used_are_kept_within_the_limit(asked: list[int]) -> None:
    """Thing number n measures n; what is kept are the longest run of last used ones that fits."""
    remembered: Remembered[int, int] = Remembered(10, lambda value: value)
    order: list[int] = []
    for key in asked:
        made: list[int] = []
        assert remembered.get(key, lambda key=key, made=made: made.append(key) or key) == key
        assert made == ([] if key in order else [key])
        order = [other for other in order if other != key] + [key]
        while sum(order) > 10:
            order.pop(0)
        assert [other for other in range(7) if other in remembered] == sorted(order)
        assert remembered.held == sum(order)


def test_what_is_larger_than_the_limit_is_given_but_not_kept() -> None:
    remembered: Remembered[str, int] = Remembered(10, lambda value: value)
    assert remembered.get("large", lambda: 11) == 11
    assert "large" not in remembered
    assert remembered.held == 0


def test_who_waits_for_what_fails_is_told_too_and_the_next_tries_again() -> None:
    remembered: Remembered[str, int] = Remembered(1)
    asked, failing = threading.Event(), threading.Event()

    def fail() -> int:
        asked.set()
        failing.wait(10)
        raise OSError("no")

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(remembered.get, "key", fail)
        assert asked.wait(10)
        second = threads.submit(remembered.get, "key", lambda: 1)
        failing.set()
        assert isinstance(first.exception(10), OSError)
        assert second.exception(10) in (first.exception(), None)  # None if it came when all was over
    assert remembered.get("key", lambda: 2) in (1, 2)


def test_who_asks_at_the_same_time_waits_for_one_answer() -> None:
    made: list[int] = []
    remembered: Remembered[str, int] = Remembered(4)
    ready = threading.Barrier(8)

    def make() -> int:
        made.append(1)
        time.sleep(0.05)
        return 7

    def ask(_: int) -> int:
        ready.wait()
        return remembered.get("key", make)

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(ask, range(8))) == {7}
    assert len(made) == 1


def test_an_error_is_not_remembered_and_the_oldest_goes_first() -> None:
    remembered: Remembered[str, int] = Remembered(2)

    def fail() -> int:
        raise InputError("once")

    with pytest.raises(InputError):
        remembered.get("a", fail)
    assert remembered.get("a", lambda: 1) == 1
    assert remembered.get("b", lambda: 2) == 2
    assert remembered.get("a", lambda: 3) == 1  # used last
    assert remembered.get("c", lambda: 4) == 4
    assert [remembered.get(key, lambda: 0) for key in ("a", "c")] == [1, 4]
    assert remembered.get("b", lambda: 5) == 5
