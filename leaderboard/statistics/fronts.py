"""Which models are worth their time."""

from collections.abc import Sequence


def pareto(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Whether each point (cost, value) is on the Pareto front: none has less or equal cost and more value, or
    less cost and equal value.
    """
    return [
        not any(
            other_cost <= cost and other_value >= value and (other_cost, other_value) != (cost, value)
            for other_cost, other_value in points
        )
        for cost, value in points
    ]
