"""The board's statistics: tables in, tables out (protocol, section 5)."""

from leaderboard.statistics.aggregation import DISTANCES, QUANTILES, aggregate
from leaderboard.statistics.bootstrap import FEWEST_PATIENTS, LEVEL
from leaderboard.statistics.comparing import VERDICTS, compare
from leaderboard.statistics.fronts import pareto
from leaderboard.statistics.ranking import Board, board

__all__ = [
    "DISTANCES",
    "FEWEST_PATIENTS",
    "LEVEL",
    "QUANTILES",
    "VERDICTS",
    "Board",
    "aggregate",
    "board",
    "compare",
    "pareto",
]
