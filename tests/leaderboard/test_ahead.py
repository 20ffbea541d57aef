import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from leaderboard.ahead import ahead


def test_results_come_in_order_and_are_begun_before_they_are_asked_for() -> None:
    begun = threading.Semaphore(0)

    def work(item: int) -> int:
        begun.release()
        return item**2

    with ThreadPoolExecutor(1) as executor:
        results = ahead(executor, work, range(10), 3)
        assert next(results) == 0
        for _ in range(4):  # the first and three more
            assert begun.acquire(timeout=10)
        assert not begun.acquire(timeout=0.05)
        assert list(results) == [number**2 for number in range(1, 10)]


def test_no_more_items_are_taken_than_are_ahead() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    with ThreadPoolExecutor(2) as executor:
        results = ahead(executor, str, items(), 5)
        for number in range(20):
            assert next(results) == str(number)
            assert len(taken) == number + 6


def test_an_error_comes_in_its_place() -> None:
    def work(item: int) -> int:
        return 1 // item

    with ThreadPoolExecutor(1) as executor:
        results = ahead(executor, work, [1, 0, 1], 2)
        assert next(results) == 1
        with pytest.raises(ZeroDivisionError):
            next(results)
