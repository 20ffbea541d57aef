from hypothesis import given
from hypothesis import strategies as st

from leaderboard.statistics import pareto


def test_a_worked_front() -> None:
    # Costs and values: the second costs more and is worse than the first, the last two are alike.
    points = [(1.0, 0.5), (2.0, 0.4), (3.0, 0.9), (0.5, 0.1), (4.0, 0.9), (3.0, 0.9)]
    assert pareto(points) == [True, False, True, True, False, True]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_whoever_is_off_the_front_is_beaten_by_one_on_it(points: list[tuple[int, int]]) -> None:
    front = pareto([(float(cost), float(value)) for cost, value in points])
    on = [point for point, is_on in zip(points, front, strict=True) if is_on]
    for point, is_on in zip(points, front, strict=True):
        beaten = [p for p in on if p != point and p[0] <= point[0] and p[1] >= point[1]]
        assert bool(beaten) != is_on
